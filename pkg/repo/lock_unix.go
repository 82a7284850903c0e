//go:build unix

package repo

import (
	"context"
	"os"
	"syscall"
)

// Lock waits until no other process holds the file and holds it until unlock is
// called or the process ends, however that may be. It waits no longer than ctx lets it.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = await(ctx, func() (bool, error) {
		// The system's own wait knows no end.
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case syscall.EWOULDBLOCK, syscall.EINTR:
			return false, nil
		default:
			return true, err
		}
	})
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { f.Close() }, nil
}
