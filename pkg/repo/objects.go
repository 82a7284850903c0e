package repo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Objects reads objects from git's files: loose ones, packs with an index of
// version 2, and the object directories that alternates name. What it does not
// find or understand there it asks one `git cat-file --batch`, started only then,
// whose answer is final. It is for one goroutine, and reads one object at a time.
//
// Object ids are not verified: these are the user's own files, and git does not
// verify them either.
type Objects struct {
	ctx    context.Context
	repo   *Repo
	trees  Trees
	stores []*store // nil until the first object is read
	batch  *Batch
	in     inflater
	bases  baseCache
}

// Objects returns a reader for the repository. ctx bounds the child, if any.
func (r *Repo) Objects(ctx context.Context) *Objects {
	return &Objects{ctx: ctx, repo: r, trees: Trees{}}
}

// Add makes trees readable that are not in the repository (yet).
func (o *Objects) Add(trees Trees) {
	for id, raw := range trees {
		o.trees[id] = raw
	}
}

// Open reads one object. The error wraps change.ErrMissing when there is none.
func (o *Objects) Open(id change.ID) (change.Object, error) {
	if raw, ok := o.trees[id]; ok {
		return inMemory("tree", raw), nil
	}
	if o.repo.light && len(id) == o.repo.IDSize {
		for _, s := range o.open() {
			if obj, err := s.loose(o, id); err == nil {
				return obj, nil
			}
		}
		for _, s := range o.open() {
			if obj, err := s.packed(o, id); err == nil {
				return obj, nil
			}
		}
	}
	return o.ask(id)
}

// ask has native git read the object: it may be gone, or in a form that is
// unknown here, or have been packed while we looked.
func (o *Objects) ask(id change.ID) (change.Object, error) {
	if o.batch == nil {
		b, err := o.repo.Batch(o.ctx)
		if err != nil {
			return change.Object{}, err
		}
		o.batch = b
	}
	return o.batch.Open(id)
}

// Close closes all files and ends the child.
func (o *Objects) Close() error {
	for _, s := range o.stores {
		for _, p := range s.packs {
			p.close()
		}
	}
	o.stores = nil
	o.in.close()
	if o.batch == nil {
		return nil
	}
	return o.batch.Close()
}

func (o *Objects) open() []*store {
	if o.stores == nil {
		f := storeFinder{seen: map[string]bool{}}
		f.add(o.repo.objectDir(), 0)
		f.addList(lookup(o.repo.env, "GIT_ALTERNATE_OBJECT_DIRECTORIES"), os.PathListSeparator, o.repo.dir, 0)
		o.stores = f.stores
	}
	return o.stores
}

var errNotHere = errors.New("not in this object directory")

// A store is one object directory.
type store struct {
	dir    string
	packs  []*pack // the one that answered last comes first
	listed bool
}

// maxAlternates is how deep git follows alternates of alternates.
const maxAlternates = 5

type storeFinder struct {
	stores []*store
	seen   map[string]bool
	flat   bool // without alternates of alternates
}

func (f *storeFinder) add(dir string, depth int) {
	if f.seen[dir] || depth > maxAlternates {
		return
	}
	f.seen[dir] = true
	f.stores = append(f.stores, &store{dir: dir})
	if f.flat {
		return
	}
	data, err := os.ReadFile(filepath.Join(dir, "info", "alternates"))
	if err == nil {
		f.addList(string(data), '\n', dir, depth+1)
	}
}

// addList adds the directories of a list, some of them perhaps in C's quotes, and
// relative ones from base (gitrepository-layout(5), objects/info/alternates).
func (f *storeFinder) addList(list string, separator rune, base string, depth int) {
	for list != "" {
		dir, rest, ok := "", "", false
		if list[0] == '"' {
			dir, rest, ok = unquoteC(list)
			_, rest, _ = strings.Cut(rest, string(separator))
		}
		if !ok {
			dir, rest, _ = strings.Cut(list, string(separator))
		}
		list = rest
		if dir != "" && dir[0] != '#' {
			f.add(resolve(base, filepath.FromSlash(dir)), depth)
		}
	}
}

// unquoteC reads a string as git's quote.c writes it and returns what follows.
func unquoteC(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
			if at := strings.IndexByte(`abfnrtv\"`, s[i]); at >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v\\\""[at])
				continue
			}
			if i+3 > len(s) {
				return "", "", false
			}
			n, err := strconv.ParseUint(s[i:i+3], 8, 8)
			if err != nil {
				return "", "", false
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// loose reads an object from its own file: zlib over "type size NUL content".
func (s *store) loose(o *Objects, id change.ID) (change.Object, error) {
	hex := id.String()
	f, err := os.Open(filepath.Join(s.dir, hex[:2], hex[2:]))
	if err != nil {
		return change.Object{}, err
	}
	r, err := o.in.open(f)
	if err != nil {
		f.Close()
		return change.Object{}, err
	}
	objectType, size, err := looseHeader(r)
	if err != nil {
		f.Close()
		return change.Object{}, err
	}
	return change.Object{Type: objectType, Size: size, ReadCloser: &content{r: r, left: size, id: id, file: f}}, nil
}

func looseHeader(r io.Reader) (objectType string, size int64, err error) {
	var b [32]byte
	for n := range b {
		if _, err := io.ReadFull(r, b[n:n+1]); err != nil {
			return "", 0, err
		}
		if b[n] != 0 {
			continue
		}
		objectType, digits, _ := strings.Cut(string(b[:n]), " ")
		size, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || size < 0 || packTypes[objectType] == 0 {
			return "", 0, odd("loose object header %q", b[:n])
		}
		return objectType, size, nil
	}
	return "", 0, odd("loose object header %q", b)
}

// packed looks the object up in each pack.
func (s *store) packed(o *Objects, id change.ID) (change.Object, error) {
	if !s.listed {
		s.listed = true
		names, _ := os.ReadDir(filepath.Join(s.dir, "pack"))
		for _, n := range names {
			if base, ok := strings.CutSuffix(n.Name(), ".idx"); ok {
				s.packs = append(s.packs, &pack{path: filepath.Join(s.dir, "pack", base), idSize: len(id)})
			}
		}
	}
	for i, p := range s.packs {
		offset, err := p.find(id)
		if err != nil {
			continue
		}
		copy(s.packs[1:i+1], s.packs[:i])
		s.packs[0] = p
		return p.object(o, id, offset)
	}
	return change.Object{}, errNotHere
}

// An inflater is a zlib reader that is used again for each object: a new one
// allocates forty kilobytes.
type inflater struct {
	buf *bufio.Reader
	z   io.ReadCloser
}

func (in *inflater) open(r io.Reader) (io.Reader, error) {
	if in.z == nil {
		in.buf = bufio.NewReaderSize(r, 16<<10)
		z, err := zlib.NewReader(in.buf)
		if err != nil {
			return nil, err
		}
		in.z = z
		return z, nil
	}
	in.buf.Reset(r)
	return in.z, in.z.(zlib.Resetter).Reset(in.buf, nil)
}

func (in *inflater) close() {
	if in.z != nil {
		_ = in.z.Close()
	}
}

// content is what remains of an object. Its end is checked: neither a byte more
// nor less than was said, and zlib's checksum.
type content struct {
	r    io.Reader
	left int64
	id   change.ID
	file *os.File // closed with it; nil for one that stays open
}

func (c *content) Read(p []byte) (int, error) {
	if c.left > 0 {
		n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
		switch {
		case errors.Is(err, io.EOF) && c.left > 0:
			return n, fmt.Errorf("read object %s: %w", c.id, io.ErrUnexpectedEOF)
		case err != nil && !errors.Is(err, io.EOF):
			return n, fmt.Errorf("read object %s: %w", c.id, err)
		}
		return n, nil
	}
	if n, err := io.ReadFull(c.r, make([]byte, 1)); n > 0 {
		return 0, fmt.Errorf("read object %s: longer than it says", c.id)
	} else if !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read object %s: %w", c.id, err)
	}
	return 0, io.EOF
}

func (c *content) Close() error {
	if c.file == nil {
		return nil
	}
	f := c.file
	c.file = nil
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

func inMemory(objectType string, raw []byte) change.Object {
	return change.Object{Type: objectType, Size: int64(len(raw)), ReadCloser: io.NopCloser(bytes.NewReader(raw))}
}
