package gittest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Snapshot is a directory as it stands: for each path below it the mode, and
// the digest of its content or the target of the link. Times are not part of it.
type Snapshot map[string]string

// Take takes the snapshot of dir. Paths that end in one of the names of
// without, and all below them, are left out.
func Take(dir string, without ...string) (Snapshot, error) {
	s := Snapshot{}
	return s, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if leaveOut(name, without) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		s[name], err = describe(path, d)
		return err
	})
}

// Diff lists, in order, the paths in which now differs from s, each with what
// became of it.
func (s Snapshot) Diff(now Snapshot) []string {
	var diff []string
	for path, was := range s {
		switch is, ok := now[path]; {
		case !ok:
			diff = append(diff, path+": gone")
		case is != was:
			diff = append(diff, fmt.Sprintf("%s: was %s, is %s", path, was, is))
		}
	}
	for path := range now {
		if _, ok := s[path]; !ok {
			diff = append(diff, path+": new")
		}
	}
	slices.Sort(diff)
	return diff
}

func leaveOut(name string, without []string) bool {
	for _, w := range without {
		if name == w || strings.HasSuffix(name, "/"+w) {
			return true
		}
	}
	return false
}

func describe(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return "link to " + target, err
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		return fmt.Sprintf("%v %x", info.Mode(), sha256.Sum256(data)), err
	}
	return info.Mode().String(), nil
}
