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

// maxFiles bounds what Files lists: a tree may name itself a thousand times over.
const maxFiles = 1 << 20

// Files lists the ordinary files below a commit, by path.
func (r *Repo) Files(ctx context.Context, commit change.ID) (map[string]change.ID, error) {
	p, err := start(ctx, r.Command(ctx, "ls-tree", "-r", "-z", "--full-tree", commit.String()), nil)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	defer p.stop()
	files := map[string]change.ID{}
	for out := bufio.NewReaderSize(p.out, 64<<10); ; {
		entry, err := out.ReadString(0)
		if errors.Is(err, io.EOF) && entry == "" {
			return files, p.wait()
		}
		about, path, _ := strings.Cut(strings.TrimSuffix(entry, "\x00"), "\t")
		words := strings.Fields(about)
		if err != nil || len(words) != 3 {
			return nil, fmt.Errorf("list files: %w", io.ErrUnexpectedEOF)
		}
		if !strings.HasPrefix(words[0], "100") {
			continue
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("list files: more than %d below %s", maxFiles, commit)
		}
		if files[path], err = change.ParseID(words[2]); err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
	}
}

// Grow makes a commit that adds files to what ref holds, and moves ref to it. It
// fails and moves nothing when ref does not hold old, which is zero where there
// is no ref yet.
func (r *Repo) Grow(ctx context.Context, ref string, old change.ID, files map[string][]byte, message string, when time.Time) error {
	grown, err := r.Grown(ctx, old, files, message, when)
	if err == nil {
		err = r.UpdateRef(ctx, ref, grown, old, "gatekeeper: "+message)
	}
	if err != nil {
		return fmt.Errorf("add to %s: %w", ref, err)
	}
	return nil
}

// Grown makes a commit that adds files to those of another, or of none where onto is
// zero, and returns it. No ref holds it.
func (r *Repo) Grown(ctx context.Context, onto change.ID, files map[string][]byte, message string, when time.Time) (change.ID, error) {
	const stand = "refs/gatekeeper/growing" // git fast-import makes no commit without a name; in the end it is none
	var b bytes.Buffer
	fmt.Fprintf(&b, "feature done\nfeature get-mark\ncommit %s\nmark :1\n", stand)
	fmt.Fprintf(&b, "committer gatekeeper <gatekeeper@localhost> %d +0000\ndata %d\n%s\n", when.Unix(), len(message)+1, message+"\n")
	if onto != "" {
		fmt.Fprintf(&b, "from %s^0\n", onto)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", quoted(path), len(files[path]), files[path])
	}
	fmt.Fprintf(&b, "get-mark :1\nreset %s\nfrom %s\ndone\n", stand, r.hex(""))
	out, err := r.output(ctx, &b, "fast-import", "--quiet")
	if err != nil {
		return "", fmt.Errorf("make a commit: %w", err)
	}
	return change.ParseID(out)
}

// quoted is a path as git fast-import reads it, whatever bytes are in it: without
// the quotes a line feed would begin another command.
func quoted(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
