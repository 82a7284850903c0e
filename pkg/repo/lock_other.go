//go:build !unix

package repo

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// staleLock is how old a lock must be to belong to nobody any more.
const staleLock = 10 * time.Second

// Lock waits until no other process holds the file and holds it until unlock is
// called. One that a process left behind is taken away after a while.
func Lock(path string) (unlock func(), err error) {
	path += ".held"
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err == nil {
			f.Close()
			return func() { os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleLock {
			os.Remove(path)
			continue
		}
		time.Sleep(5 * time.Millisecond)
	}
}
