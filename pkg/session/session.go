// Package session keeps what was declared in this worktree and not yet
// committed, and what one hook of a commit leaves for the next.
//
// Both stand as small text files in the git directory of the worktree, below
// gatekeeper/: "declared" grows a line at a time and goes away when all of it is
// used; "prepared" is there only while a commit is under way or has still to be
// looked at, and "stamped" says which git's commit needs no more. A line that cannot be read is reported and passed over: it never
// takes the others with it.
//
// Several processes may declare, use and read at once; nobody waits and
// nothing is lost. Two commits at once in one worktree git itself forbids.
//
// It does not decide what a commit says; see package hooks/commitmsg.
package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A State is what one worktree keeps. The directory is made when first written to.
type State struct{ dir string }

// Open names the state of the worktree with this git directory (of a linked
// worktree its own, not the common one). It touches no file.
func Open(gitDir string) *State { return &State{filepath.Join(gitDir, "gatekeeper")} }

func (s *State) path(name string) string { return filepath.Join(s.dir, name) }

// read reads a file of the state; one that is not there is empty.
func (s *State) read(name string) ([]byte, error) {
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (s *State) remove(name string) error {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
