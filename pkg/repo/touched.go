package repo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A Touch is what a commit does to the file at one path. A rename is one path that goes
// and one that comes.
type Touch struct {
	Path           string
	Added, Deleted int // lines as git counts them; -1 where it does not, as in binary files
}

// touchSize is the size of a file, in bytes, above which its lines are not counted. It
// bounds what one file can cost.
const touchSize = "16m"

// Touched tells what commits do to which files, against their one parent or, for a
// root, against nothing. Merges touch nothing. One git works through all of them; visit
// is called in the order of commits and of paths, and an error of it ends the work.
func (r *Repo) Touched(ctx context.Context, commits []change.ID, visit func(commit change.ID, t Touch) error) error {
	return r.diffTree(ctx, commits, func(commit change.ID, out *bufio.Reader, field string) error {
		t, err := parseTouch(field)
		if err != nil {
			return err
		}
		return visit(commit, t)
	}, "--numstat")
}

// Mixed tells in which files merges are unlike each of their parents.
func (r *Repo) Mixed(ctx context.Context, merges []change.ID, visit func(merge change.ID, path string) error) error {
	return r.diffTree(ctx, merges, func(merge change.ID, out *bufio.Reader, field string) error {
		if !strings.HasPrefix(field, "::") {
			return fmt.Errorf("git diff-tree: %q is no entry of a merge", cut(field))
		}
		path, err := readField(out)
		if err != nil {
			return err
		}
		return visit(merge, path)
	}, "-c", "--raw")
}

// diffTree runs `git diff-tree --stdin` and calls visit with each field behind the id of
// a commit.
func (r *Repo) diffTree(ctx context.Context, commits []change.ID, visit func(commit change.ID, out *bufio.Reader, field string) error, format ...string) error {
	if len(commits) == 0 {
		return nil
	}
	args := append([]string{"-c", "core.bigFileThreshold=" + touchSize, "diff-tree", "--stdin", "-r", "--root", "-z",
		"--no-renames", "--no-ext-diff", "--no-textconv"}, format...)
	p, err := start(ctx, r.Command(ctx, args...), revisions(commits, nil))
	if err != nil {
		return fmt.Errorf("compare commits: %w", err)
	}
	defer p.stop()
	out := bufio.NewReaderSize(p.out, 128<<10)
	var commit change.ID
	for {
		field, err := readField(out)
		if errors.Is(err, io.EOF) {
			if err := p.wait(); err != nil {
				return fmt.Errorf("compare commits: %w", err)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("compare commits: %w", firstError(p.reason(), err))
		}
		if id, ok := r.idField(field); ok {
			commit = id
			continue
		}
		if err := visit(commit, out, field); err != nil {
			return err
		}
	}
}

// maxField bounds what stands between two NULs: longer than any path that git checks out.
const maxField = 1 << 20

func readField(out *bufio.Reader) (string, error) {
	var long []byte
	for {
		part, err := out.ReadSlice(0)
		if err == nil && long == nil {
			return string(part[:len(part)-1]), nil
		}
		long = append(long, part...)
		switch {
		case err == nil:
			return string(long[:len(long)-1]), nil
		case errors.Is(err, io.EOF) && len(long) > 0:
			return "", io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(long) > maxField:
			return "", errors.New("a path is longer than any that could be")
		}
	}
}

// idField reads the id of a commit that stands alone. No entry looks like it: one of
// --numstat has tabs, one of --raw a colon.
func (r *Repo) idField(field string) (change.ID, bool) {
	if len(field) != 2*r.IDSize {
		return "", false
	}
	id, err := change.ParseID(field)
	return id, err == nil
}

func parseTouch(field string) (Touch, error) {
	added, rest, ok1 := strings.Cut(field, "\t")
	deleted, path, ok2 := strings.Cut(rest, "\t")
	t := Touch{Path: path, Added: -1, Deleted: -1}
	if ok1 && ok2 && added == "-" && deleted == "-" {
		return t, nil
	}
	var err1, err2 error
	t.Added, err1 = strconv.Atoi(added)
	t.Deleted, err2 = strconv.Atoi(deleted)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return t, fmt.Errorf("git diff-tree: %q is no count of lines", cut(field))
	}
	return t, nil
}

// Listed yields the commits of a list as Commits does, in the order of the list. All of
// them must exist.
func (r *Repo) Listed(ctx context.Context, commits []change.ID, limit int64) iter.Seq2[change.RawCommit, error] {
	return func(yield func(change.RawCommit, error) bool) {
		if len(commits) == 0 {
			return
		}
		var ids bytes.Buffer
		for _, id := range commits {
			ids.WriteString(id.String() + "\n")
		}
		cat, err := start(ctx, r.Command(ctx, "cat-file", "--batch", "--buffer"), &ids)
		if err != nil {
			yield(change.RawCommit{}, fmt.Errorf("read commits: %w", err))
			return
		}
		defer cat.stop()
		w := &walk{list: cat, cat: cat, out: bufio.NewReaderSize(cat.out, 128<<10)}
		for {
			c, err := w.next(limit)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(change.RawCommit{}, fmt.Errorf("read commits: %w", err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Reached yields the ids of the commits that Commits would yield, in no order of
// interest.
func (r *Repo) Reached(ctx context.Context, include, exclude []change.ID) iter.Seq2[change.ID, error] {
	return func(yield func(change.ID, error) bool) {
		if len(include) == 0 {
			return
		}
		p, err := start(ctx, r.Command(ctx, "rev-list", "--stdin"), revisions(include, exclude))
		if err != nil {
			yield("", fmt.Errorf("list commits: %w", err))
			return
		}
		defer p.stop()
		lines := bufio.NewScanner(p.out)
		for lines.Scan() {
			id, err := change.ParseID(lines.Text())
			if err != nil {
				yield("", fmt.Errorf("list commits: %w", err))
				return
			}
			if !yield(id, nil) {
				return
			}
		}
		if err := firstError(lines.Err(), p.wait()); err != nil {
			yield("", fmt.Errorf("list commits: %w", err))
		}
	}
}

// Differ tells which files differ between two trees or commits, "" being the empty tree,
// and the blob that the new one has, "" for none. Folders of the new tree that are
// links to other repositories come as files.
func (r *Repo) Differ(ctx context.Context, old, new change.ID, visit func(path string, blob change.ID) error) error {
	for _, id := range []*change.ID{&old, &new} {
		if *id == "" {
			*id = r.ObjectID("tree", nil)
		}
	}
	p, err := start(ctx, r.Command(ctx, "diff-tree", "-r", "-z", "--raw", "--no-renames", old.String(), new.String()), nil)
	if err != nil {
		return fmt.Errorf("compare trees: %w", err)
	}
	defer p.stop()
	out := bufio.NewReaderSize(p.out, 64<<10)
	for {
		entry, err := readField(out)
		if errors.Is(err, io.EOF) {
			return p.wait()
		}
		if err != nil {
			return fmt.Errorf("compare trees: %w", firstError(p.reason(), err))
		}
		path, err := readField(out)
		if err != nil {
			return fmt.Errorf("compare trees: %w", firstError(p.reason(), err))
		}
		fields := strings.Fields(entry) // ":100644 100644 OLD NEW M"
		if len(fields) != 5 {
			return fmt.Errorf("git diff-tree: %q is no entry", cut(entry))
		}
		blob, err := change.ParseID(fields[3])
		if err != nil {
			return fmt.Errorf("git diff-tree: %w", err)
		}
		if err := visit(path, blob); err != nil {
			return err
		}
	}
}
