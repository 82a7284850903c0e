package repo

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// stampFile takes down what stat(2) says of a file, so that a later stamp tells
// whether it has been written or replaced. That there is none is a stamp as well.
func stampFile(path string) (fileStamp, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fileStamp{path: path}, nil
	}
	if err != nil {
		return fileStamp{}, err
	}
	identity, changed := inode(info)
	latest := info.ModTime()
	if changed.After(latest) {
		latest = changed
	}
	stat := identity + strconv.FormatInt(info.Size(), 36) + ":" +
		strconv.FormatInt(info.ModTime().UnixNano(), 36) + ":" + strconv.FormatInt(changed.UnixNano(), 36)
	return fileStamp{path: path, stat: stat, time: latest}, nil
}
