package repo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// maxGrowth bounds the commits of one look at what was added, and maxGrowthCommit
// each commit object, in bytes: nothing of ours comes near either.
const (
	maxGrowth       = 10_000
	maxGrowthCommit = 4 << 10
)

// Added yields each file that the commits from old, which may be zero, to new add, and
// each folder that had to be read for that, as change.Added tells them. The content of a
// file above limit bytes is passed over and marked TooLarge. An error is the last thing
// yielded; it wraps change.ErrNotGrown when the history is no line that begins at old
// and only ever adds files, some with each commit.
func (r *Repo) Added(ctx context.Context, old, new change.ID, limit int64) iter.Seq2[change.RawFile, error] {
	return func(yield func(change.RawFile, error) bool) {
		err := r.added(ctx, old, new, func(objects change.Objects, f change.RawFile) error {
			if err := fill(objects, &f, limit); err != nil {
				return err
			}
			if !yield(f, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(change.RawFile{}, fmt.Errorf("list what was added: %w", err))
		}
	}
}

// errEnough ends a walk whose caller has seen enough.
var errEnough = errors.New("enough")

// added tells take what each commit adds to its parent.
func (r *Repo) added(ctx context.Context, old, new change.ID, take func(change.Objects, change.RawFile) error) error {
	trees, err := r.line(ctx, old, new)
	if err != nil || len(trees) == 1 {
		return err
	}
	objects, err := r.Contents(ctx) // which keeps the trees of a commit for the next
	if err != nil {
		return err
	}
	defer objects.Close()
	for i, tree := range trees[1:] {
		if tree == trees[i] {
			return fmt.Errorf("a commit with the tree %s: %w: it adds nothing", tree, change.ErrNotGrown)
		}
		err := change.Added(objects, trees[i], tree, func(f change.RawFile) error { return take(objects, f) })
		if err != nil {
			return err
		}
	}
	return nil
}

// line lists the tree of old, "" when that is zero, and those of the commits from
// there to new, oldest first.
func (r *Repo) line(ctx context.Context, old, new change.ID) ([]change.ID, error) {
	trees := []change.ID{""}
	var exclude []change.ID
	if old != "" {
		exclude = append(exclude, old)
		tree, err := r.treeOf(ctx, old)
		if err != nil {
			return nil, err
		}
		trees[0] = tree
	}
	last := old
	for raw, err := range r.Commits(ctx, []change.ID{new}, exclude, maxGrowthCommit) {
		if err != nil {
			return nil, err
		}
		if len(trees) > maxGrowth || raw.TooLarge {
			return nil, fmt.Errorf("commit %s: %w: more than %d commits, or one of more than %d bytes",
				raw.ID, change.ErrNotGrown, maxGrowth, maxGrowthCommit)
		}
		c, err := change.ParseCommit(raw.Data)
		if err != nil {
			return nil, fmt.Errorf("commit %s: %w: %w", raw.ID, change.ErrNotGrown, err)
		}
		if parents := c.Parents; last == "" && len(parents) > 0 || last != "" && !slices.Equal(parents, []change.ID{last}) {
			return nil, fmt.Errorf("commit %s: %w: it is not a child of the one before", raw.ID, change.ErrNotGrown)
		}
		last = raw.ID
		trees = append(trees, c.Tree)
	}
	if last != new {
		return nil, fmt.Errorf("%w: %s is not ahead of %s", change.ErrNotGrown, new, old)
	}
	return trees, nil
}

func (r *Repo) treeOf(ctx context.Context, commit change.ID) (change.ID, error) {
	objects, err := r.Batch(ctx)
	if err != nil {
		return "", err
	}
	defer objects.Close()
	return TreeOf(objects, commit)
}

// fill reads the content of a file. What is no blob has none.
func fill(objects change.Objects, f *change.RawFile, limit int64) error {
	if f.Mode&0o170000 != 0o100000 {
		return nil
	}
	o, err := objects.Open(f.ID)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.Type != "blob" {
		return fmt.Errorf("%.200q is a %s: %w", f.Path, o.Type, change.ErrNotGrown)
	}
	if f.Size = o.Size; f.Size > limit {
		f.TooLarge = true
		return nil
	}
	f.Data, err = io.ReadAll(o)
	return err
}

// Sizes adds up the files below a commit: how many, and their bytes with those of
// their paths. It stops counting once there are more than most bytes.
func (r *Repo) Sizes(ctx context.Context, commit change.ID, most int64) (files int, size int64, err error) {
	p, err := start(ctx, r.Command(ctx, "ls-tree", "-r", "-l", "-z", "--full-tree", commit.String()), nil)
	if err != nil {
		return 0, 0, fmt.Errorf("list files: %w", err)
	}
	defer p.stop()
	for out := bufio.NewReaderSize(p.out, 64<<10); size <= most; files++ {
		entry, err := out.ReadString(0)
		if errors.Is(err, io.EOF) && entry == "" {
			return files, size, p.wait()
		}
		if err != nil {
			return files, size, fmt.Errorf("list files: %w", io.ErrUnexpectedEOF)
		}
		about, path, _ := strings.Cut(strings.TrimSuffix(entry, "\x00"), "\t")
		words := strings.Fields(about)
		size += int64(len(path))
		if n, err := strconv.ParseInt(words[len(words)-1], 10, 64); err == nil { // "-" for a gitlink
			size += n
		}
	}
	return files, size, nil
}

// Files lists the blobs below a commit, by path.
func (r *Repo) Files(ctx context.Context, commit change.ID) (map[string]change.ID, error) {
	out, err := run(r.Command(ctx, "ls-tree", "-r", "-z", "--full-tree", commit.String()), nil)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	files := map[string]change.ID{}
	for _, entry := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		about, path, _ := strings.Cut(entry, "\t")
		words := strings.Fields(about)
		if len(words) != 3 || words[1] != "blob" {
			continue
		}
		if files[path], err = change.ParseID(words[2]); err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
	}
	return files, nil
}

// Grow makes a commit that adds files to what ref holds, and moves ref to it. It
// fails and changes nothing when ref does not hold old, which is zero where there
// is no ref yet. Paths have ASCII letters, digits, dots, dashes and slashes, and no
// name begins with a dot: what comes from elsewhere must not reach git as a command.
func (r *Repo) Grow(ctx context.Context, ref string, old change.ID, files map[string][]byte, message string, when time.Time) error {
	if !plainRef(ref) {
		return fmt.Errorf("add to a ref: bad name %q", ref)
	}
	if held, err := r.Ref(ctx, ref); err != nil && !errors.Is(err, ErrNoRef) || held != old {
		return errors.Join(fmt.Errorf("add to %s: it has moved", ref), err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "feature done\ncommit %s\ncommitter gatekeeper <gatekeeper@localhost> %d +0000\ndata %d\n%s\n", ref, when.Unix(), len(message), message)
	if old != "" {
		fmt.Fprintf(&b, "from %s^0\n", old)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if !plainPath(path) {
			return fmt.Errorf("add to %s: bad path %.200q", ref, path)
		}
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", path, len(files[path]), files[path])
	}
	b.WriteString("done\n")
	if _, err := r.output(ctx, &b, "fast-import", "--quiet"); err != nil {
		return fmt.Errorf("add to %s: %w", ref, err)
	}
	return nil
}

func plainPath(path string) bool {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name[0] == '.' || strings.ContainsFunc(name, func(c rune) bool {
			return c >= utf8.RuneSelf || c != '.' && c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
		}) {
			return false
		}
	}
	return true
}
