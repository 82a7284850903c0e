//go:build unix

package repo

import (
	"os"
	"syscall"
)

// mapFile maps a file into memory. git replaces such files by renaming and never
// writes into them, so the mapping stays whole.
func mapFile(f *os.File, size int64) (data []byte, release func() error, err error) {
	data, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
