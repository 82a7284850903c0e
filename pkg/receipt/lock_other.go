//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package receipt

import (
	"io"
	"os"
	"syscall"
)

// lock waits for the lock of f as POSIX has it. The system gives it back when the
// process ends, or closes the file anywhere, which it opens for this alone.
func lock(f *os.File, shared bool) error {
	kind := int16(syscall.F_WRLCK)
	if shared {
		kind = syscall.F_RDLCK
	}
	return syscall.FcntlFlock(f.Fd(), syscall.F_SETLKW, &syscall.Flock_t{Type: kind, Whence: io.SeekStart})
}
