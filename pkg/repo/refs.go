package repo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// ErrNoRef reports that a ref or revision does not exist.
var ErrNoRef = errors.New("no such ref")

// Ref is one ref of the repository.
type Ref struct {
	Name   string
	ID     change.ID // what it holds at the end of symbolic refs; tags are not peeled
	Symref string    // the ref that it points at, "" when it is an ordinary one
}

// Head returns the branch that HEAD points at, "" when it is detached, and the
// commit there, "" when the branch is yet unborn. With the files backend it
// starts no process, however many refs there are.
func (r *Repo) Head(ctx context.Context) (branch string, id change.ID, err error) {
	branch, err = r.Symref(ctx, "HEAD")
	if err != nil {
		return "", "", err
	}
	id, err = r.Ref(ctx, "HEAD")
	if errors.Is(err, ErrNoRef) && branch != "" {
		return branch, "", nil
	}
	return branch, id, err
}

// Ref returns what a ref, by its full name, holds. The error wraps ErrNoRef when
// it does not exist.
func (r *Repo) Ref(ctx context.Context, name string) (change.ID, error) {
	if !plainRef(name) {
		return "", fmt.Errorf("read ref: bad name %q", name)
	}
	if r.light {
		id, err := r.lightRef(name)
		if !errors.Is(err, ErrUnsupported) {
			return id, err
		}
	}
	out, err := r.output(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
	if exitCode(err) == 1 {
		return "", fmt.Errorf("%s: %w", name, ErrNoRef)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return change.ParseID(out)
}

// Symref returns the ref that a symbolic ref points at in the end, also when
// nothing is there yet; "" when name is an ordinary ref or none.
func (r *Repo) Symref(ctx context.Context, name string) (string, error) {
	if !plainRef(name) {
		return "", fmt.Errorf("read ref: bad name %q", name)
	}
	if r.light {
		target, err := r.lightSymref(name)
		if !errors.Is(err, ErrUnsupported) {
			return target, err
		}
	}
	out, err := r.output(ctx, nil, "symbolic-ref", "--quiet", name)
	if exitCode(err) == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return out, nil
}

// maxSymrefs is git's own limit (SYMREF_MAXDEPTH).
const maxSymrefs = 5

func (r *Repo) lightSymref(name string) (string, error) {
	target := ""
	for range maxSymrefs {
		next, _, err := r.looseRef(name)
		if err != nil && !errors.Is(err, ErrNoRef) {
			return "", err
		}
		if next == "" {
			return target, nil
		}
		target, name = next, next
	}
	return "", fmt.Errorf("read %s: too many symbolic refs: %w", name, ErrUnsupported)
}

func (r *Repo) lightRef(name string) (change.ID, error) {
	for range maxSymrefs {
		next, id, err := r.looseRef(name)
		if errors.Is(err, ErrNoRef) {
			return r.packedRef(name)
		}
		if err != nil || next == "" {
			return id, err
		}
		name = next
	}
	return "", fmt.Errorf("read %s: too many symbolic refs: %w", name, ErrUnsupported)
}

// looseRef reads a ref's own file: the ref that it points at, or the id.
func (r *Repo) looseRef(name string) (target string, id change.ID, err error) {
	path := r.refPath(name)
	// git once wrote HEAD as a symbolic link; core.preferSymlinkRefs still does.
	if to, err := os.Readlink(path); err == nil {
		if to = filepath.ToSlash(to); plainRef(to) && strings.HasPrefix(to, "refs/") {
			return to, "", nil
		}
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return "", "", fmt.Errorf("%s: %w", name, ErrNoRef)
	case err != nil:
		return "", "", fmt.Errorf("read %s: %w", name, err)
	}
	text := strings.TrimRight(string(data), " \t\r\n")
	if to, ok := strings.CutPrefix(text, "ref:"); ok {
		to = strings.TrimLeft(to, " \t\r\n")
		if !plainRef(to) {
			return "", "", fmt.Errorf("read %s: it points at %q: %w", name, to, ErrUnsupported)
		}
		return to, "", nil
	}
	if len(text) != 2*r.IDSize {
		return "", "", fmt.Errorf("read %s: it holds %q: %w", name, cut(text), ErrUnsupported)
	}
	if id, err = change.ParseID(text); err != nil || id == "" {
		return "", "", fmt.Errorf("read %s: it holds %q: %w", name, cut(text), ErrUnsupported)
	}
	return "", id, nil
}

func cut(s string) string { return s[:min(len(s), 80)] }

// refPath is a ref's file. Each work tree has its own HEAD, bisection and rewrite
// marks; all else is shared (gitrepository-layout(5)).
func (r *Repo) refPath(name string) string {
	dir := r.CommonDir
	if !strings.HasPrefix(name, "refs/") || strings.HasPrefix(name, "refs/bisect/") ||
		strings.HasPrefix(name, "refs/worktree/") || strings.HasPrefix(name, "refs/rewritten/") {
		dir = r.GitDir
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// plainRef reports whether a name can be given to git, and used as a path, with
// no other meaning: HEAD and its like, or a well-formed name under refs/
// (git-check-ref-format(1)).
func plainRef(name string) bool {
	if !strings.HasPrefix(name, "refs/") {
		return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return false
		}
	}
	return !strings.Contains(name, "..") && !strings.Contains(name, "@{") && !strings.HasSuffix(name, ".")
}

// packedRef looks a ref up in packed-refs, which git keeps sorted: a hundred
// thousand refs cost some twenty small reads.
func (r *Repo) packedRef(name string) (change.ID, error) {
	f, err := os.Open(filepath.Join(r.CommonDir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", name, ErrNoRef)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	p := packedRefs{f: f, size: info.Size(), hexSize: 2 * r.IDSize}
	id, err := p.find(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return id, nil
}

type packedRefs struct {
	f       io.ReaderAt
	size    int64
	hexSize int
}

func (p packedRefs) find(name string) (change.ID, error) {
	header, err := p.line(0)
	if err != nil || !strings.HasPrefix(header, "# pack-refs with:") || !strings.Contains(header+" ", " sorted ") {
		return p.scan(name)
	}
	lo, hi := int64(len(header)+1), p.size // lo is always the start of a line
	for lo < hi {
		start, line, err := p.refFrom(lo+(hi-lo)/2, lo)
		if err != nil {
			return "", err
		}
		id, ref, err := p.parse(line)
		switch {
		case err != nil:
			return "", err
		case ref == name:
			return id, nil
		case ref < name:
			lo = start + int64(len(line)) + 1
			// Peeled tags belong to the line before them.
			if next, err := p.line(lo); err == nil && strings.HasPrefix(next, "^") {
				lo += int64(len(next)) + 1
			}
		default:
			hi = start
		}
	}
	return "", ErrNoRef
}

// refFrom returns the line of a ref around offset at, not before lo.
func (p packedRefs) refFrom(at, lo int64) (int64, string, error) {
	for {
		start, err := p.lineStart(at, lo)
		if err != nil {
			return 0, "", err
		}
		line, err := p.line(start)
		if err != nil {
			return 0, "", err
		}
		if !strings.HasPrefix(line, "^") || start == lo {
			return start, line, nil
		}
		at = start - 1
	}
}

// lineStart returns where the line that holds offset at begins.
func (p packedRefs) lineStart(at, lo int64) (int64, error) {
	var buf [256]byte
	for end := at; end > lo; {
		from := max(lo, end-int64(len(buf)))
		part := buf[:end-from]
		if _, err := p.f.ReadAt(part, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return lo, nil
}

// line returns the line that begins at an offset.
func (p packedRefs) line(start int64) (string, error) {
	var line []byte
	var buf [256]byte
	for {
		n, err := p.f.ReadAt(buf[:], start+int64(len(line)))
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return string(append(line, buf[:i]...)), nil
		}
		if err != nil {
			return "", fmt.Errorf("packed-refs ends in the middle of a line: %w", ErrUnsupported)
		}
		line = append(line, buf[:n]...)
	}
}

func (p packedRefs) parse(line string) (change.ID, string, error) {
	if len(line) < p.hexSize+2 || line[p.hexSize] != ' ' {
		return "", "", fmt.Errorf("packed-refs line %q: %w", cut(line), ErrUnsupported)
	}
	id, err := change.ParseID(line[:p.hexSize])
	if err != nil {
		return "", "", fmt.Errorf("packed-refs line %q: %w", cut(line), ErrUnsupported)
	}
	return id, line[p.hexSize+1:], nil
}

// scan reads a file that does not say it is sorted, as old gits write it.
func (p packedRefs) scan(name string) (change.ID, error) {
	lines := bufio.NewScanner(io.NewSectionReader(p.f, 0, p.size))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "^") {
			continue
		}
		id, ref, err := p.parse(line)
		if err != nil || ref == name {
			return id, err
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("packed-refs: %w: %w", err, ErrUnsupported)
	}
	return "", ErrNoRef
}

// MergeHeads returns the commits that the merge under way will have as parents
// after HEAD, none when there is no merge.
func (r *Repo) MergeHeads() ([]change.ID, error) {
	data, err := os.ReadFile(filepath.Join(r.GitDir, "MERGE_HEAD"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read MERGE_HEAD: %w", err)
	}
	var heads []change.ID
	for line := range strings.FieldsSeq(string(data)) {
		id, err := change.ParseID(line)
		if err != nil || len(id) != r.IDSize {
			return nil, fmt.Errorf("read MERGE_HEAD: bad object id %q", cut(line))
		}
		heads = append(heads, id)
	}
	return heads, nil
}

// Remotes lists the names of the remotes that are configured.
func (r *Repo) Remotes(ctx context.Context) ([]string, error) {
	out, err := r.output(ctx, nil, "remote")
	if err != nil {
		return nil, fmt.Errorf("list remotes: %w", err)
	}
	return strings.Fields(out), nil
}

// Origin is the address of the remote called origin as it is configured, passwords and
// all; "" without one.
func (r *Repo) Origin(ctx context.Context) (string, error) {
	out, err := r.output(ctx, nil, "config", "--default", "", "--get", "remote.origin.url")
	if err != nil {
		return "", fmt.Errorf("read remote.origin.url: %w", err)
	}
	return strings.TrimSuffix(out, "\n"), nil
}

// Refs lists the refs that match any of git's patterns, all without one, in
// order of name. Refs that point at nothing are left out, as git does.
func (r *Repo) Refs(ctx context.Context, patterns ...string) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		args := append([]string{"for-each-ref", "--format=%(objectname) %(refname) %(symref)", "--"}, patterns...)
		p, err := start(ctx, r.Command(ctx, args...), nil)
		if err != nil {
			yield(Ref{}, fmt.Errorf("list refs: %w", err))
			return
		}
		defer p.stop()
		lines := bufio.NewScanner(p.out)
		for lines.Scan() {
			hex, rest, _ := strings.Cut(lines.Text(), " ")
			name, symref, _ := strings.Cut(rest, " ")
			id, err := change.ParseID(hex)
			if err != nil {
				yield(Ref{}, fmt.Errorf("list refs: %w", err))
				return
			}
			if !yield(Ref{name, id, symref}, nil) {
				return
			}
		}
		if err := errors.Join(lines.Err(), p.wait()); err != nil {
			yield(Ref{}, fmt.Errorf("list refs: %w", err))
		}
	}
}

// NotIn lists what refs that match any of git's patterns hold and commit does not
// reach, the latest first, most at most.
func (r *Repo) NotIn(ctx context.Context, commit change.ID, most int, patterns ...string) ([]change.ID, error) {
	args := append([]string{"for-each-ref", "--format=%(objectname)", "--sort=-committerdate",
		"--no-merged=" + commit.String(), "--count=" + strconv.Itoa(most), "--"}, patterns...)
	out, err := r.output(ctx, nil, args...)
	if err != nil {
		return nil, fmt.Errorf("list refs: %w", err)
	}
	var ids []change.ID
	for line := range strings.FieldsSeq(out) {
		id, err := change.ParseID(line)
		if err != nil {
			return nil, fmt.Errorf("list refs: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Resolve returns the commit that a person's word for a revision means. The error
// wraps ErrNoRef when there is none.
func (r *Repo) Resolve(ctx context.Context, rev string) (change.ID, error) {
	if strings.HasPrefix(rev, "-") || rev == "" {
		return "", fmt.Errorf("%q: %w", rev, ErrNoRef)
	}
	out, err := r.output(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if exitCode(err) > 0 {
		return "", fmt.Errorf("%q: %w", rev, ErrNoRef)
	}
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", rev, err)
	}
	return change.ParseID(out)
}

// Range turns a person's words for a set of commits (A..B, A...B, ^A, REV, as in
// gitrevisions(7)) into those to start from and those to leave out.
func (r *Repo) Range(ctx context.Context, specs ...string) (include, exclude []change.ID, err error) {
	for _, s := range specs {
		if strings.HasPrefix(s, "-") || s == "" {
			return nil, nil, fmt.Errorf("%q: %w", s, ErrNoRef)
		}
	}
	args := append([]string{"rev-parse", "--revs-only", "--end-of-options"}, specs...)
	out, err := r.output(ctx, nil, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("resolve %q: %w", strings.Join(specs, " "), err)
	}
	for line := range strings.FieldsSeq(out) {
		if line == "--end-of-options" { // git before 2.42 repeats it
			continue
		}
		hex, not := strings.CutPrefix(line, "^")
		id, err := change.ParseID(hex)
		if err != nil {
			return nil, nil, fmt.Errorf("resolve %q: %w", strings.Join(specs, " "), err)
		}
		if not {
			exclude = append(exclude, id)
		} else {
			include = append(include, id)
		}
	}
	if len(include) == 0 {
		return nil, nil, fmt.Errorf("%q: %w", strings.Join(specs, " "), ErrNoRef)
	}
	return include, exclude, nil
}

// A Dirty file differs from HEAD, in the index or in the work tree, or git does not know
// it and does not ignore it.
type Dirty struct {
	Path string
	// Between says that the index has another version than HEAD and the work tree.
	Between bool
}

// Dirty lists the dirty files of the work tree.
func (r *Repo) Dirty(ctx context.Context) ([]Dirty, error) {
	out, err := run(r.Command(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all"), nil)
	if err != nil {
		return nil, fmt.Errorf("list what changed: %w", err)
	}
	var dirty []Dirty
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if len(entry) > 3 {
			dirty = append(dirty, Dirty{entry[3:], strings.Contains("MARCT", entry[:1]) && entry[1] != ' '})
		}
	}
	return dirty, nil
}

// Staged reads a file as the index has it; nil when it has none.
func (r *Repo) Staged(ctx context.Context, path string) ([]byte, error) {
	out, err := run(r.Command(ctx, "cat-file", "blob", ":0:"+path), nil)
	if exitCode(err) == 128 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is staged: %w", err)
	}
	return out, nil
}

// Stashes lists the commits that are stashed, the latest last. Without any it starts no
// process.
func (r *Repo) Stashes(ctx context.Context) ([]change.ID, error) {
	if _, err := r.Ref(ctx, "refs/stash"); err != nil {
		if errors.Is(err, ErrNoRef) {
			return nil, nil
		}
		return nil, err
	}
	out, err := r.output(ctx, nil, "rev-list", "--walk-reflogs", "refs/stash", "--")
	if err != nil {
		return nil, fmt.Errorf("list the stash: %w", err)
	}
	var ids []change.ID
	for line := range strings.FieldsSeq(out) {
		id, err := change.ParseID(line)
		if err != nil {
			return nil, fmt.Errorf("list the stash: %w", err)
		}
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids, nil
}

// Changed lists the files that differ between a commit and its first parent.
func (r *Repo) Changed(ctx context.Context, commit change.ID) ([]string, error) {
	out, err := run(r.Command(ctx, "diff-tree", "-r", "-z", "--root", "--name-only", "--no-renames", "--no-commit-id",
		commit.String()+"^1", commit.String()), nil)
	if err != nil {
		return nil, fmt.Errorf("list what a commit changed: %w", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}
