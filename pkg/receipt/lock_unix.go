//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package receipt

import (
	"errors"
	"os"
	"syscall"
)

// lock waits for the lock of f, which the system gives back when f is closed or the
// process ends, however it does.
func lock(f *os.File, shared bool) error {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
