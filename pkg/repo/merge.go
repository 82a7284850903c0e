package repo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// MergeTree merges two commits as git does by default and returns the tree. It
// returns clean = false when that leaves a conflict. Histories without a common
// ancestor are merged onto nothing. The error is change.ErrNoMergeTree with a git
// before 2.38.
//
// The objects it makes go to a directory that is removed at once, not into the
// repository or the quarantine of a push: a conflict would leave its markers there.
//
// A merge that takes longer than mergeTime counts as a conflict, and one that takes
// more than mergeMemory is an error: trees of a few bytes can stand for paths
// without number.
func (r *Repo) MergeTree(ctx context.Context, a, b change.ID) (tree change.ID, clean bool, err error) {
	s, err := r.mergeScratch()
	if err != nil {
		return "", false, err
	}
	defer s.remove()
	return s.merge(ctx, a, b)
}

// PickTree does to onto what a commit with one parent did to that, as git
// cherry-pick does, and returns the tree. It answers as MergeTree does.
//
// merge-tree takes the base of a merge as an option only from git 2.40 on. A commit
// with the tree of onto, made for the purpose on the parent of commit, has that parent
// for its base with every git.
func (r *Repo) PickTree(ctx context.Context, onto, commit change.ID) (tree change.ID, clean bool, err error) {
	s, err := r.mergeScratch()
	if err != nil {
		return "", false, err
	}
	defer s.remove()
	objects, err := r.Batch(ctx)
	if err != nil {
		return "", false, err
	}
	defer objects.Close()
	c, err := ReadCommit(objects, commit)
	if err != nil {
		return "", false, err
	}
	if len(c.Parents) != 1 {
		return "", false, fmt.Errorf("pick %.10s: it has %d parents", commit.String(), len(c.Parents))
	}
	ours, err := TreeOf(objects, onto)
	if err != nil {
		return "", false, err
	}
	standIn, err := s.standIn(ctx, ours, c.Parents[0])
	if err != nil {
		return "", false, fmt.Errorf("pick %.10s: %w", commit.String(), err)
	}
	return s.merge(ctx, standIn, commit)
}

// RevertTree takes from onto what a commit with one parent did to that, as git revert
// does, and returns the tree. It answers as MergeTree does. Both sides are stand-ins on
// the commit, which is their base.
func (r *Repo) RevertTree(ctx context.Context, onto, commit change.ID) (tree change.ID, clean bool, err error) {
	s, err := r.mergeScratch()
	if err != nil {
		return "", false, err
	}
	defer s.remove()
	objects, err := r.Batch(ctx)
	if err != nil {
		return "", false, err
	}
	defer objects.Close()
	c, err := ReadCommit(objects, commit)
	if err != nil {
		return "", false, err
	}
	if len(c.Parents) != 1 {
		return "", false, fmt.Errorf("revert %.10s: it has %d parents", commit.String(), len(c.Parents))
	}
	var sides [2]change.ID
	for i, side := range []change.ID{onto, c.Parents[0]} {
		if tree, err = TreeOf(objects, side); err != nil {
			return "", false, err
		}
		if sides[i], err = s.standIn(ctx, tree, commit); err != nil {
			return "", false, fmt.Errorf("revert %.10s: %w", commit.String(), err)
		}
	}
	return s.merge(ctx, sides[0], sides[1])
}

// standIn makes a commit with a tree on a parent.
func (s mergeScratch) standIn(ctx context.Context, tree, parent change.ID) (change.ID, error) {
	raw := fmt.Sprintf("tree %s\nparent %s\nauthor x <x> 0 +0000\ncommitter x <x> 0 +0000\n\n", tree, parent)
	out, err := run(s.command(ctx, "hash-object", "-w", "-t", "commit", "--stdin"), strings.NewReader(raw))
	if err != nil {
		return "", err
	}
	return change.ParseID(strings.TrimSpace(string(out)))
}

// A mergeScratch is where a merge is tried: a repository of its own that borrows the
// objects of the other, and an empty directory to run in, since git reads
// .gitattributes where it runs. What the other one's configuration and info/attributes
// say of merges, drivers among it, would run in the middle of a push, and could make
// two servers see two merges.
type mergeScratch struct {
	repo *Repo
	dir  string
}

func (r *Repo) mergeScratch() (mergeScratch, error) {
	dir, err := os.MkdirTemp("", "gatekeeper-merge-")
	if err != nil {
		return mergeScratch{}, fmt.Errorf("merge: %w", err)
	}
	s := mergeScratch{r, dir}
	if err := s.furnish(); err != nil {
		s.remove()
		return mergeScratch{}, fmt.Errorf("merge: %w", err)
	}
	return s, nil
}

// furnish writes the least that git takes for a repository. Where the history is cut
// short it is cut there as well.
func (s mergeScratch) furnish() error {
	files := map[string]string{"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryFormatVersion = 0\n\tbare = true\n"}
	if s.repo.IDSize == sha256.Size {
		files["config"] = "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n"
	}
	shallow, err := os.ReadFile(filepath.Join(s.repo.CommonDir, "shallow"))
	if err == nil {
		files["shallow"] = string(shallow)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, folder := range []string{"empty", "git/refs", "objects"} {
		if err := os.MkdirAll(filepath.Join(s.dir, filepath.FromSlash(folder)), 0o700); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, "git", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s mergeScratch) remove() { os.RemoveAll(s.dir) }

// command is git as on a server on both sides, so that a person's settings change no
// verdict.
func (s mergeScratch) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := s.repo.Server().Command(ctx, append(slices.Clone(asMerge), args...)...)
	cmd.Dir = filepath.Join(s.dir, "empty")
	cmd.Env = slices.DeleteFunc(cmd.Env, func(kv string) bool { return strings.HasPrefix(kv, "GIT_COMMON_DIR=") })
	cmd.Env = append(cmd.Env, "GIT_DIR="+filepath.Join(s.dir, "git"),
		"GIT_OBJECT_DIRECTORY="+filepath.Join(s.dir, "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES="+s.repo.objectPath(),
		// git 2.43 and later take attributes from HEAD in a bare repository; a push
		// must not choose how it is merged.
		"GIT_ATTR_SOURCE="+objectID("tree", nil, s.repo.IDSize).String())
	return cmd
}

func (s mergeScratch) merge(outer context.Context, a, b change.ID) (tree change.ID, clean bool, err error) {
	ctx, cancel := context.WithTimeout(outer, mergeTime)
	defer cancel()
	cmd := s.command(ctx, "merge-tree", "--write-tree", "--no-messages", "--allow-unrelated-histories", a.String(), b.String())
	limitMemory(cmd)
	out, err := run(cmd, nil)
	switch code := exitCode(err); {
	case outer.Err() != nil:
		return "", false, outer.Err()
	case ctx.Err() != nil: // so long a merge is left to whoever signs it
		return "", false, nil
	case code == 129: // usage: the option is unknown
		return "", false, change.ErrNoMergeTree
	case err != nil && code != 1:
		return "", false, fmt.Errorf("merge %.10s and %.10s: %w", a.String(), b.String(), err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if tree, parseErr := change.ParseID(line); parseErr == nil {
		return tree, err == nil, nil
	}
	return "", false, fmt.Errorf("merge %s and %s: git answered %q", a, b, cut(line))
}

const (
	mergeTime   = 20 * time.Second
	mergeMemory = 1 << 20 // KiB of data of the child; files that it maps do not count
)

// limitMemory has a shell set the limit, which Go cannot do for a child alone. Where
// the shell knows no such limit the merge goes on without.
func limitMemory(cmd *exec.Cmd) {
	if runtime.GOOS == "windows" {
		return
	}
	script := fmt.Sprintf(`ulimit -d %d 2>/dev/null; exec "$@"`, mergeMemory)
	cmd.Args = append([]string{"sh", "-c", script, "merge-tree", cmd.Path}, cmd.Args[1:]...) // errors name it
	cmd.Path = "/bin/sh"
}

// asMerge holds the settings that would make two gits merge differently.
var asMerge = []string{
	"-c", "merge.renames=true",
	"-c", "merge.directoryRenames=conflict",
	"-c", "merge.renormalize=false",
	"-c", "merge.renameLimit=7000",
	"-c", "diff.algorithm=default",
}

// objectPath lists this repository's object directories as alternates of another,
// absolute, since that one is elsewhere.
func (r *Repo) objectPath() string {
	f := storeFinder{seen: map[string]bool{}, flat: true}
	f.add(r.objectDir(), 0)
	f.addList(lookup(r.env, "GIT_ALTERNATE_OBJECT_DIRECTORIES"), os.PathListSeparator, r.dir, 0)
	var dirs []string
	for _, s := range f.stores {
		dirs = append(dirs, quoteObjectDir(s.dir))
	}
	return strings.Join(dirs, string(os.PathListSeparator))
}

// quoteObjectDir writes a path as an entry of that list: in C's quotes where it
// holds the list's own characters.
func quoteObjectDir(dir string) string {
	dir = filepath.ToSlash(dir)
	if !strings.ContainsAny(dir, "\"\\\n"+string(os.PathListSeparator)) && !strings.HasPrefix(dir, "#") {
		return dir
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(dir) + `"`
}
