package agents

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A file is one that may be written: as the agent calls it, and what stands there.
type file struct {
	path string
	real string // where links lead
	data []byte // nil: there is none
	mode fs.FileMode
}

// readFile looks at what stands at path. Only what can be written back whole is taken.
func readFile(path string) (file, error) {
	f := file{path: path, real: path}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, &BadFile{File: path, Msg: "a link that leads nowhere"}
	}
	if err != nil {
		return f, err
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return f, err
	case !info.Mode().IsRegular():
		return f, &BadFile{File: path, Msg: "not a file"}
	case info.Size() > maxFile:
		return f, &BadFile{File: path, Msg: fmt.Sprintf("larger than %d bytes", maxFile)}
	}
	f.real, f.mode = real, info.Mode().Perm()
	if f.data, err = os.ReadFile(real); err == nil && f.data == nil {
		f.data = []byte{}
	}
	return f, err
}

// stands reports whether the file is still as it was read.
func (f file) stands() bool {
	now, err := os.ReadFile(f.real)
	if f.data == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return err == nil && bytes.Equal(now, f.data)
}

// writeFile puts a whole file beside path and renames it there, so that nobody reads
// half of it.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gatekeeper-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

// backupEnd is behind the name of a copy, before its number.
const backupEnd = ".before-gatekeeper"

func isCopyOf(copied, path string) bool { return strings.HasPrefix(copied, path+backupEnd) }

// backupOf finds the name for a copy of a file as it was before us: beside it, where a
// copy of other bytes is never overwritten. made is false where the copy is there.
func backupOf(f file) (path string, made bool, err error) {
	for n := 0; ; n++ {
		path = f.path + backupEnd
		if n > 0 {
			path += "." + strconv.Itoa(n)
		}
		old, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, true, nil
		case err != nil:
			return "", false, err
		case bytes.Equal(old, f.data):
			return path, false, nil
		}
	}
}

// makeDir makes a directory and those above it, and says which were not there.
func makeDir(path string) (made []string, err error) {
	if isDir(path) {
		return nil, nil
	}
	if up := filepath.Dir(path); up != path {
		if made, err = makeDir(up); err != nil {
			return made, err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return made, err
	}
	return append(made, path), nil
}
