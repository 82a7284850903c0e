package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// version opens the hashed stream.
const version = "gatekeeper change v1\n"

// binaryProbe is how far git looks for a NUL that makes a file binary
// (buffer_is_binary in xdiff-interface.c).
const binaryProbe = 8000

// Compute makes the change digest of FORMAT.md of what differs between two
// trees; "" stands for nothing, as before a root commit.
//
// Blobs on both sides of an equal id are not read, others once for each path
// that has them, old before new, and trees only where they differ. Memory stays
// below about 16 MiB for files and 32 MiB for trees. Between two calls of
// objs.Open, or Read of what it gave, at most one pair of files is compared:
// limited work (see Stats.Steps) of some tenths of a second. How much is read
// and for how long is for objs to limit: its errors come back wrapped, with
// the path. Objects that are a Prefetcher hear beforehand what is opened.
//
// Other errors are ErrTooLarge and *MalformedError, wrapped. The counts are
// right so far when there is an error, too.
func Compute(objs Objects, old, new ID) (provenance.Digest, Stats, error) {
	var d Digester
	return d.Compute(objs, old, new)
}

// OfCommit is the change digest that a commit carries, by the trees of its parents
// in order and its own: Compute against the first parent, and for a merge OfMerge
// of that.
func OfCommit(objs Objects, parentTrees []ID, tree ID) (provenance.Digest, Stats, error) {
	var d Digester
	return d.OfCommit(objs, parentTrees, tree)
}

// OfCommit does what the function OfCommit does.
func (d *Digester) OfCommit(objs Objects, parentTrees []ID, tree ID) (provenance.Digest, Stats, error) {
	var old ID
	if len(parentTrees) > 0 {
		old = parentTrees[0]
	}
	first, stats, err := d.Compute(objs, old, tree)
	if err != nil {
		return first, stats, err
	}
	return OfMerge(len(parentTrees), first), stats, nil
}

// A Digester computes one change digest after another in the same memory. The zero
// value is ready for use, by one goroutine.
type Digester struct {
	// Visit, when set, is told of each file that changes, as it is met.
	Visit func(FileChange) error
	// Touched, when set, is told of each path that changes, as Paths has them; a path is
	// valid during the call.
	Touched func(path []byte) error

	objs  Objects
	out   stream
	diff  differ
	stats Stats
	spare [2][]byte // memory for a text on each side
	copy  []byte    // memory for hashing what is not held
}

// Compute does what the function Compute does.
func (d *Digester) Compute(objs Objects, old, new ID) (provenance.Digest, Stats, error) {
	var digest provenance.Digest
	sum := sha256.New()
	stats, err := d.write(sum, objs, old, new)
	if err != nil {
		return digest, stats, err
	}
	sum.Sum(digest[:0])
	return digest, stats, nil
}

// write writes what is hashed. w must not fail.
func (d *Digester) write(w io.Writer, objs Objects, old, new ID) (Stats, error) {
	d.objs, d.stats, d.diff.steps = objs, Stats{}, 0
	d.out = stream{w: w, buf: d.out.buf[:0]}
	d.out.text(version)
	err := walkTrees(objs, old, new, d.path)
	d.out.flush()
	d.stats.Steps = d.diff.steps
	d.objs, d.out.w = nil, nil
	return d.stats, err
}

// path writes the records of one path that differs.
func (d *Digester) path(path []byte, old, new treeEntry) error {
	d.stats.Files++
	if d.Touched != nil {
		if err := d.Touched(path); err != nil {
			return err
		}
	}
	if old.id == nil || new.id == nil || old.kind() == new.kind() {
		return d.record(path, old, new)
	}
	if err := d.record(path, old, treeEntry{}); err != nil {
		return err
	}
	return d.record(path, treeEntry{}, new)
}

func (d *Digester) record(path []byte, old, new treeEntry) error {
	before, after := leafOf(old), leafOf(new)
	d.out.byte(byte(before.kind))
	d.out.byte(byte(after.kind))
	if before.mode == after.mode {
		d.out.byte('=')
	} else {
		d.out.byte('!')
		d.out.number(uint64(before.mode))
		d.out.number(uint64(after.mode))
	}
	d.out.field(path)
	if before.kind == kindGitlink || after.kind == kindGitlink {
		d.out.field(old.id)
		d.out.field(new.id)
		return nil
	}
	if bytes.Equal(old.id, new.id) {
		d.hunks(nil, nil, nil)
		return nil
	}
	text := before.kind != kindLink && after.kind != kindLink
	if err := d.content(path, old, new, text); err != nil {
		return fmt.Errorf("path %.200q: %w", path, err)
	}
	return nil
}

// A leaf is what of an entry stands in the stream.
type leaf struct {
	kind kind
	mode uint32
}

func leafOf(e treeEntry) leaf {
	if e.id == nil {
		return leaf{kindNone, 0}
	}
	return leaf{e.kind(), e.canonical()}
}

// content writes how a file's text changed, or the sums of what it was and is.
func (d *Digester) content(path []byte, old, new treeEntry, text bool) error {
	before, err := d.load(old.id, 0, text)
	if err != nil {
		return err
	}
	after, err := d.load(new.id, 1, text && before.isText)
	if err != nil {
		return err
	}
	if before.isText && after.isText {
		if hunks, ok := d.diff.lines(before.text, after.text); ok {
			d.hunks(hunks, before.text, after.text)
			return d.visit(path, old, new, after.text, hunks)
		}
	}
	if err := d.visit(path, old, new, nil, nil); err != nil {
		return err
	}
	d.out.byte('b')
	d.out.bytes(before.digest())
	d.out.bytes(after.digest())
	return nil
}

func (d *Digester) hunks(hunks []hunk, old, new []byte) {
	d.out.byte('h')
	d.out.number(uint64(len(hunks)))
	for _, h := range hunks {
		d.out.field(lineBefore(old, h.oldStart))
		d.out.field(old[h.oldStart:h.oldEnd])
		d.out.field(new[h.newStart:h.newEnd])
		d.out.field(lineAfter(old, h.oldEnd))
		d.stats.Removed += countLines(old[h.oldStart:h.oldEnd])
		d.stats.Added += countLines(new[h.newStart:h.newEnd])
	}
}

// A blob is a file's content: held when it can be compared line by line,
// else only its sum.
type blob struct {
	isText bool
	text   []byte
	sum    [sha256.Size]byte
}

func (b *blob) digest() []byte {
	if b.isText {
		b.sum = sha256.Sum256(b.text)
	}
	return b.sum[:]
}

// load reads a blob; no id gives the empty text. The text lives until the next
// load on the same side.
func (d *Digester) load(id []byte, side int, text bool) (blob, error) {
	if id == nil {
		return blob{isText: true}, nil
	}
	obj, err := open(d.objs, ID(id), "blob")
	if err != nil {
		return blob{}, err
	}
	b, err := d.read(obj, side, text)
	if err = errors.Join(err, obj.Close()); err != nil {
		return blob{}, fmt.Errorf("read blob %s: %w", ID(id), err)
	}
	d.stats.Read += obj.Size
	return b, nil
}

func (d *Digester) read(obj Object, side int, text bool) (blob, error) {
	if !text || obj.Size > maxText {
		return d.sum(obj)
	}
	content, err := readAll(obj, &d.spare[side])
	if err != nil {
		return blob{}, err
	}
	if bytes.IndexByte(content[:min(len(content), binaryProbe)], 0) >= 0 {
		return blob{sum: sha256.Sum256(content)}, nil
	}
	return blob{isText: true, text: content}, nil
}

// sum hashes an object without holding it.
func (d *Digester) sum(obj Object) (blob, error) {
	if d.copy == nil {
		d.copy = make([]byte, 32<<10)
	}
	var b blob
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{obj}, d.copy)
	if err == nil && n != obj.Size {
		err = errSize(n, obj.Size)
	}
	h.Sum(b.sum[:0])
	return b, err
}

// open asks for an object of one type.
func open(objs Objects, id ID, kind string) (Object, error) {
	obj, err := objs.Open(id)
	if err != nil {
		return Object{}, fmt.Errorf("open %s %s: %w", kind, id, err)
	}
	if obj.Type != kind || obj.Size < 0 {
		obj.Close()
		return Object{}, fmt.Errorf("open %s: want a %s, found a %.20q of %d bytes", id, kind, obj.Type, obj.Size)
	}
	return obj, nil
}

// readAll gives the content of an object whose size the caller has found bearable:
// as it is in memory already, or read into that of spare, which grows with it. It is
// not to be changed, and lasts until spare is used again.
func readAll(obj Object, spare *[]byte) ([]byte, error) {
	if held, ok := obj.ReadCloser.(interface{ Whole() []byte }); ok {
		if n := int64(len(held.Whole())); n != obj.Size {
			return nil, errSize(n, obj.Size)
		}
		return held.Whole(), nil
	}
	size := int(obj.Size)
	if cap(*spare) <= size {
		*spare = make([]byte, max(size+1, 8<<10))
	}
	buf := (*spare)[:size+1]
	// Room for one byte more shows an object that is too long.
	n, err := io.ReadFull(obj, buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if n != size {
		return nil, errSize(int64(n), obj.Size)
	}
	return buf[:size], nil
}

func errSize(got, want int64) error {
	return fmt.Errorf("has %d bytes or more, said to have %d", got, want)
}

// A stream gathers small writes for a hash.
type stream struct {
	w   io.Writer
	buf []byte
}

func (s *stream) byte(b byte) { s.buf = append(s.buf, b) }

func (s *stream) text(t string) { s.buf = append(s.buf, t...) }

func (s *stream) number(n uint64) { s.buf = binary.BigEndian.AppendUint64(s.buf, n) }

// field writes bytes after their number.
func (s *stream) field(b []byte) {
	s.number(uint64(len(b)))
	s.bytes(b)
}

func (s *stream) bytes(b []byte) {
	if len(s.buf)+len(b) < 4<<10 {
		s.buf = append(s.buf, b...)
		return
	}
	s.flush()
	s.w.Write(b)
}

func (s *stream) flush() {
	s.w.Write(s.buf)
	s.buf = s.buf[:0]
}
