package agents

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Entries are of the user and serve all clones, so what clones there are is kept, too: a
// file for each, called after the digest of its common git directory, which it holds.

// KeepClone notes that the clone with this common git directory wants the entries. added
// is false where that is noted already.
func (w World) KeepClone(common string) (added bool, err error) {
	dir := w.state("clones")
	if dir == "" {
		return false, errors.New("the environment names no home directory")
	}
	path := filepath.Join(dir, digest([]byte(common))[:16])
	if old, err := os.ReadFile(path); err == nil && string(old) == common+"\n" {
		return false, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return false, err
	}
	return true, writeFile(path, []byte(common+"\n"), 0o644)
}

// DropClone takes that back. dropped is false where nothing was noted.
func (w World) DropClone(common string) (dropped bool, err error) {
	dir := w.state("clones")
	if dir == "" {
		return false, nil
	}
	err = os.Remove(filepath.Join(dir, digest([]byte(common))[:16]))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		w.tidy()
	}
	return err == nil, err
}

// OtherClones are the clones that want the entries, but for one. installed says
// whether gatekeeper still is in a clone: those that were deleted do not count.
func (w World) OtherClones(but string, installed func(common string) bool) (others []string, err error) {
	dir := w.state("clones")
	files, err := os.ReadDir(dir)
	if dir == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the clones of this user: %w", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || len(data) == 0 || data[len(data)-1] != '\n' {
			continue // half written, or not ours
		}
		common := string(data[:len(data)-1])
		if common != but && installed(common) {
			others = append(others, common)
		}
	}
	slices.Sort(others)
	return others, nil
}
