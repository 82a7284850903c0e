package receipt

import (
	"os"
	"syscall"
	"unsafe"
)

const (
	lockExclusive = 2 // LOCKFILE_EXCLUSIVE_LOCK
	everything    = 0xffffffff
)

// lock waits for the lock of f, which the system gives back when f is closed or the
// process ends, however it does.
func lock(f *os.File, shared bool) error {
	how := uintptr(lockExclusive)
	if shared {
		how = 0
	}
	lockFileEx := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")
	ok, _, err := lockFileEx.Call(f.Fd(), how, 0, everything, everything, uintptr(unsafe.Pointer(new(syscall.Overlapped))))
	if ok == 0 {
		return err
	}
	return nil
}
