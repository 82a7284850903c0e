package repo

import (
	"io/fs"
	"strconv"
	"syscall"
	"time"
)

// inode names the file behind a path, and when it last changed in any way.
func inode(info fs.FileInfo) (identity string, changed time.Time) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", time.Time{}
	}
	identity = strconv.FormatUint(uint64(st.Dev), 36) + ":" + strconv.FormatUint(st.Ino, 36) + ":"
	return identity, time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec))
}
