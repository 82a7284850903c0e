package change

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files is the content of a tree: what stands at each path.
type files map[string]file

// A file has a mode and its text, its target or, for a gitlink, a raw id.
type file struct {
	mode uint32
	text string
}

// A store keeps objects in memory and watches that they are read as Objects
// asks.
type store struct {
	sha256  bool
	objects map[ID]stored
	open    bool
	opened  map[ID]int
}

type stored struct {
	kind string
	data []byte
}

func newStore(sha256 bool) *store {
	return &store{sha256: sha256, objects: map[ID]stored{}, opened: map[ID]int{}}
}

func (s *store) put(kind string, data []byte) ID {
	raw := fmt.Appendf(nil, "%s %d\x00%s", kind, len(data), data)
	var id ID
	if s.sha256 {
		sum := sha256.Sum256(raw)
		id = ID(sum[:])
	} else {
		sum := sha1.Sum(raw)
		id = ID(sum[:])
	}
	s.objects[id] = stored{kind, data}
	return id
}

// tree stores files and gives the id of their root; no files give "".
func (s *store) tree(all files) ID {
	if len(all) == 0 {
		return ""
	}
	var entries []Entry
	dirs := map[string]files{}
	for path, f := range all {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case deeper:
			if dirs[name] == nil {
				dirs[name] = files{}
			}
			dirs[name][rest] = f
		case f.mode == 0o160000:
			entries = append(entries, Entry{f.mode, name, ID(f.text)})
		default:
			entries = append(entries, Entry{f.mode, name, s.put("blob", []byte(f.text))})
		}
	}
	for name, below := range dirs {
		entries = append(entries, Entry{0o40000, name, s.tree(below)})
	}
	return s.put("tree", formatTree(entries))
}

// formatTree sorts entries and writes them as git does.
func formatTree(entries []Entry) []byte {
	key := func(e Entry) string {
		if e.Mode&0o170000 == 0o040000 {
			return e.Name + "/"
		}
		return e.Name
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(key(a), key(b)) })
	return rawTree(entries)
}

func rawTree(entries []Entry) []byte {
	var raw []byte
	for _, e := range entries {
		raw = fmt.Appendf(raw, "%o %s\x00%s", e.Mode, e.Name, string(e.ID))
	}
	return raw
}

func (s *store) Open(id ID) (Object, error) {
	o, ok := s.objects[id]
	if !ok {
		return Object{}, fmt.Errorf("object %s: %w", id, ErrMissing)
	}
	if s.open {
		return Object{}, errors.New("an object is still open")
	}
	s.open = true
	s.opened[id]++
	return Object{o.kind, int64(len(o.data)), &reading{bytes.NewReader(o.data), s}}, nil
}

type reading struct {
	*bytes.Reader
	s *store
}

func (r *reading) Close() error {
	if !r.s.open {
		return errors.New("closed twice")
	}
	r.s.open = false
	return nil
}

// streamOf is what is hashed for a change from old to new.
func streamOf(t testing.TB, old, new files) ([]byte, Stats) {
	t.Helper()
	s := newStore(false)
	var buf bytes.Buffer
	var d Digester
	stats, err := d.write(&buf, s, s.tree(old), s.tree(new))
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), stats
}

// A gitRepo is a repository of the real git.
type gitRepo struct {
	t   testing.TB
	dir string
}

func newGitRepo(t testing.TB, args ...string) gitRepo {
	t.Helper()
	r := gitRepo{t, t.TempDir()}
	r.git("", append([]string{"init", "-q", "-b", "main"}, args...)...)
	return r
}

func (r gitRepo) command(args ...string) *exec.Cmd {
	c := exec.Command("git", args...)
	c.Dir = r.dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GIT_") {
			c.Env = append(c.Env, kv)
		}
	}
	c.Env = append(c.Env, "HOME="+r.dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")
	return c
}

func (r gitRepo) git(stdin string, args ...string) string {
	r.t.Helper()
	c := r.command(args...)
	var stderr bytes.Buffer
	c.Stdin, c.Stderr = strings.NewReader(stdin), &stderr
	out, err := c.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

func (r gitRepo) write(path, text string) {
	r.t.Helper()
	name := filepath.Join(r.dir, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
		r.t.Fatal(err)
	}
}

func (r gitRepo) id(rev string) ID {
	r.t.Helper()
	id, err := ParseID(strings.TrimSpace(r.git("", "rev-parse", "--verify", rev)))
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// objects reads through one `git cat-file --batch`, so that an object left
// unread would spoil the next.
func (r gitRepo) objects() Objects {
	r.t.Helper()
	c := r.command("cat-file", "--batch")
	in, err := c.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		in.Close()
		c.Wait()
	})
	return &batch{in, bufio.NewReader(out)}
}

type batch struct {
	in  io.Writer
	out *bufio.Reader
}

func (b *batch) Open(id ID) (Object, error) {
	fmt.Fprintf(b.in, "%s\n", id)
	head, err := b.out.ReadString('\n')
	if err != nil {
		return Object{}, err
	}
	var name, kind string
	var size int64
	if n, _ := fmt.Sscan(head, &name, &kind, &size); n != 3 {
		return Object{}, fmt.Errorf("%s: %w", strings.TrimSpace(head), ErrMissing)
	}
	return Object{kind, size, &batchObject{io.LimitReader(b.out, size), b.out}}, nil
}

type batchObject struct {
	io.Reader
	out *bufio.Reader
}

func (o *batchObject) Close() error {
	_, err := io.Copy(io.Discard, o.Reader)
	_, lf := o.out.Discard(1)
	return errors.Join(err, lf)
}
