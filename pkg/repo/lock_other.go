//go:build !unix

package repo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// staleLock is how old a lock must be to belong to nobody any more.
const staleLock = 10 * time.Second

// Lock waits until no other process holds the file and holds it until unlock is
// called. One that a process left behind is taken away after a while. It waits no longer
// than ctx lets it.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	path += ".held"
	err = await(ctx, func() (bool, error) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err == nil {
			return true, f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return true, err
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleLock {
			os.Remove(path)
		}
		return false, nil
	})
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { os.Remove(path) }, nil
}
