package repo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Batch reads objects through one `git cat-file --batch`. It sees what git sees:
// quarantine, alternates, every pack and hash. It is for one goroutine.
type Batch struct {
	p     *process
	in    io.WriteCloser
	out   *bufio.Reader
	limit io.LimitedReader // what is unread of the object last opened, and its LF
	line  []byte           // memory for requests
	err   error            // once set, nothing can be read any more
}

// Batch starts the child, which lives until Close or until ctx is done.
func (r *Repo) Batch(ctx context.Context) (*Batch, error) {
	cmd := r.Command(ctx, "cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("read objects: %w", err)
	}
	p, err := start(ctx, cmd, nil)
	if err != nil {
		return nil, fmt.Errorf("read objects: %w", err)
	}
	b := &Batch{p: p, in: in, out: bufio.NewReaderSize(p.out, 64<<10)}
	b.limit.R = b.out
	return b, nil
}

// Open asks for one object. What is left of the one before is passed over, in
// constant memory. The error wraps change.ErrMissing when it is not there.
func (b *Batch) Open(id change.ID) (change.Object, error) {
	if err := b.ask(id); err != nil {
		return change.Object{}, err
	}
	return b.answer(id)
}

// ask writes requests. Answers come in the same order, and each must be taken with
// answer. Whoever asks for several keeps to maxRequests.
func (b *Batch) ask(ids ...change.ID) error {
	if b.err != nil {
		return b.fail(ids[0], b.err)
	}
	b.line = b.line[:0]
	for _, id := range ids {
		b.line = append(hex.AppendEncode(b.line, []byte(id)), '\n')
	}
	if _, err := b.in.Write(b.line); err != nil {
		return b.fail(ids[0], err)
	}
	return nil
}

// answer opens the object that was asked for first, which is id.
func (b *Batch) answer(id change.ID) (change.Object, error) {
	if err := b.skip(); err != nil {
		return change.Object{}, b.fail(id, err)
	}
	h, err := readHeader(b.out)
	if err != nil {
		return change.Object{}, b.fail(id, err)
	}
	if h.missing {
		return change.Object{}, fmt.Errorf("read object %s: %w", id, change.ErrMissing)
	}
	if h.id != id {
		return change.Object{}, b.fail(id, fmt.Errorf("git answered with %s", h.id))
	}
	b.limit.N = h.size + 1
	return change.Object{Type: h.objectType, Size: h.size, ReadCloser: &batchObject{b: b, id: id, left: h.size}}, nil
}

// whole reads all of the object that was opened last into memory of its own.
func (b *Batch) whole(o change.Object) ([]byte, error) {
	if o.Size <= int64(b.out.Buffered()) { // copied at once, and not cleared before
		raw, _ := b.out.Peek(int(o.Size))
		raw = bytes.Clone(raw)
		n, _ := b.out.Discard(len(raw))
		b.limit.N -= int64(n)
		return raw, nil
	}
	raw := make([]byte, o.Size)
	_, err := io.ReadFull(o, raw)
	return raw, err
}

// Close ends the child.
func (b *Batch) Close() error {
	if b.err == nil {
		b.err = errClosed
	}
	_ = b.in.Close()
	b.p.stop()
	return nil
}

// unread is how much the next Open would pass over, in bytes.
func (b *Batch) unread() int64 { return b.limit.N }

func (b *Batch) skip() error {
	if b.err != nil {
		return b.err
	}
	return discard(&b.limit)
}

// discard reads l to its end and reports when the stream ends before.
func discard(l *io.LimitedReader) error {
	if l.N == 0 {
		return nil
	}
	if _, err := io.Copy(io.Discard, l); err != nil {
		return err
	}
	if l.N > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// fail makes err the last word: after half an answer, nothing that follows can be
// trusted. The child's own words, if it has ended, say more.
func (b *Batch) fail(id change.ID, err error) error {
	if b.err == nil {
		_ = b.in.Close()
		if said := b.p.reason(); said != nil {
			err = said
		}
		b.err = err
	}
	return fmt.Errorf("read object %s: %w", id, b.err)
}

type batchObject struct {
	b    *Batch
	id   change.ID
	left int64
}

func (o *batchObject) Read(p []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	n, err := o.b.limit.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, o.b.fail(o.id, err)
	}
	return n, nil
}

// Close leaves what was not read to the next Open, and to nobody when there is none.
func (o *batchObject) Close() error {
	o.left = 0
	return nil
}

// A header is the line that cat-file prints before an object's content.
type header struct {
	id         change.ID
	objectType string
	size       int64
	missing    bool
}

func readHeader(r *bufio.Reader) (header, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return header{}, err
	}
	hex, rest, _ := strings.Cut(string(line[:len(line)-1]), " ")
	id, err := change.ParseID(hex)
	if err != nil {
		return header{}, fmt.Errorf("git answered %q", cut(string(line)))
	}
	if rest == "missing" {
		return header{id: id, missing: true}, nil
	}
	objectType, digits, _ := strings.Cut(rest, " ")
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || size < 0 {
		return header{}, fmt.Errorf("git answered %q", cut(string(line)))
	}
	return header{id: id, objectType: objectType, size: size}, nil
}

// maxHeaders bounds what is read of a commit's or tag's headers: far more than
// any id that stands first in them needs.
const maxHeaders = 64 << 10

// maxTags bounds the annotated tags that point at one another.
const maxTags = 64

// TreeOf returns the tree of a commit.
func TreeOf(objs change.Objects, commit change.ID) (change.ID, error) {
	o, err := objs.Open(commit)
	if err != nil {
		return "", err
	}
	defer o.Close()
	if o.Type != "commit" {
		return "", fmt.Errorf("read object %s: a %s, not a commit", commit, o.Type)
	}
	tree, err := firstHeader(o, "tree ")
	if err != nil {
		return "", fmt.Errorf("read commit %s: %w", commit, err)
	}
	return tree, nil
}

// ReadCommit reads a commit, whatever its size.
func ReadCommit(objs change.Objects, id change.ID) (change.Commit, error) {
	o, err := objs.Open(id)
	if err != nil {
		return change.Commit{}, fmt.Errorf("read commit %.7s: %w", id, err)
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err == nil && o.Type != "commit" {
		err = fmt.Errorf("it is a %s", o.Type)
	}
	var c change.Commit
	if err == nil {
		c, err = change.ParseCommit(data)
	}
	if err != nil {
		return c, fmt.Errorf("read commit %.7s: %w", id, err)
	}
	return c, nil
}

// Peel follows annotated tags from id. It returns the commit at their end, or the
// type of what stands there instead.
func Peel(objs change.Objects, id change.ID) (commit change.ID, objectType string, err error) {
	for range maxTags {
		next, objectType, err := peelOnce(objs, id)
		switch {
		case err != nil:
			return "", "", err
		case objectType == "commit":
			return id, objectType, nil
		case objectType != "tag":
			return "", objectType, nil
		}
		id = next
	}
	return "", "tag", nil
}

func peelOnce(objs change.Objects, id change.ID) (next change.ID, objectType string, err error) {
	o, err := objs.Open(id)
	if err != nil {
		return "", "", err
	}
	defer o.Close()
	if o.Type != "tag" {
		return "", o.Type, nil
	}
	next, err = firstHeader(o, "object ")
	if err != nil {
		return "", "", fmt.Errorf("read tag %s: %w", id, err)
	}
	return next, "tag", nil
}

// firstHeader reads the id that the first line of a commit or tag must name.
func firstHeader(r io.Reader, name string) (change.ID, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxHeaders), 128).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	hex, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name)
	if !ok {
		return "", fmt.Errorf("it begins with %q", cut(line))
	}
	return change.ParseID(hex)
}

// exists asks a Batch for nothing but an object's header.
func (b *Batch) exists(id change.ID) (bool, error) {
	o, err := b.Open(id)
	if errors.Is(err, change.ErrMissing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, o.Close()
}

// BlobAt finds the file at a path in a commit; "" when no file stands there.
func BlobAt(objs change.Objects, commit change.ID, path string) (change.ID, error) {
	id, err := TreeOf(objs, commit)
	if err != nil {
		return "", err
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		e, err := entryOf(objs, id, part)
		if err != nil || e.ID == "" {
			return "", err
		}
		if last := i == len(parts)-1; last != e.IsFile() || !last && !e.IsTree() {
			return "", nil
		}
		id = e.ID
	}
	return id, nil
}

// FileAt reads the file at a path in a commit, and its blob's id; "" when no file
// stands there. The content of one above limit bytes is nil.
func FileAt(objs change.Objects, commit change.ID, path string, limit int64) (content []byte, blob change.ID, err error) {
	id, err := BlobAt(objs, commit, path)
	if err != nil || id == "" {
		return nil, "", err
	}
	o, err := objs.Open(id)
	if err != nil {
		return nil, "", err
	}
	defer o.Close()
	if o.Size > limit {
		return nil, id, nil
	}
	content, err = io.ReadAll(o)
	return content, id, err
}

// entryOf finds a name in a tree; the zero Entry when it is not there.
func entryOf(objs change.Objects, tree change.ID, name string) (change.Entry, error) {
	o, err := objs.Open(tree)
	if err != nil {
		return change.Entry{}, err
	}
	defer o.Close()
	raw, err := io.ReadAll(o)
	if err != nil {
		return change.Entry{}, err
	}
	entries, err := change.ParseTree(raw, len(tree))
	if err != nil {
		return change.Entry{}, err
	}
	for _, e := range entries {
		if e.Name == name {
			return e, nil
		}
	}
	return change.Entry{}, nil
}
