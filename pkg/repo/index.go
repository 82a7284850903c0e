package repo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var (
	// ErrUnmerged reports an index with conflicts: no tree can be made of it.
	ErrUnmerged = errors.New("the index has unmerged entries")
	// ErrUnsupported reports something that only git itself can read.
	ErrUnsupported = errors.New("not readable without git")
)

// Index is a git index file, versions 2 to 4 (gitformat-index(5)). It is mapped
// into memory until Close.
type Index struct {
	data    []byte // nil for a repository that has no index yet
	release func() error
	idSize  int
	version uint32
	count   int
	offsets []uint32 // where each entry begins
	nodes   []node   // the cache tree in preorder; empty when there is none
	stamp   Stamp
}

// Stamp tells one state of an index file from another without reading it again.
// Stamps are compared with ==. With index.skipHash the checksum is all zeros.
type Stamp struct {
	Size     int64     // bytes
	MTime    time.Time // as the file system keeps it, without a location
	Checksum string    // the hash that ends the file, raw
}

// A node is one directory of the cache tree extension.
type node struct {
	name    []byte
	entries int       // index entries below it; negative when they changed since
	id      change.ID // the tree, when entries is not negative
	next    int       // the node that follows this one and all below it
}

// Trees are raw tree objects by id.
type Trees map[change.ID][]byte

// IndexStamp stamps an index file without reading its entries.
func (r *Repo) IndexStamp(path string) (Stamp, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, nil
	}
	if err != nil {
		return Stamp{}, fmt.Errorf("read index: %w", err)
	}
	defer f.Close()
	return r.stampIndex(f)
}

func (r *Repo) stampIndex(f *os.File) (Stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return Stamp{}, fmt.Errorf("read index: %w", err)
	}
	sum := make([]byte, r.IDSize)
	if _, err := f.ReadAt(sum, max(0, info.Size()-int64(r.IDSize))); err != nil {
		return Stamp{}, fmt.Errorf("read index %s: too short: %w", f.Name(), ErrUnsupported)
	}
	return Stamp{Size: info.Size(), MTime: time.Unix(0, info.ModTime().UnixNano()).UTC(), Checksum: string(sum)}, nil
}

// Index opens an index file. One that does not exist is empty, as git has it. The
// error is or wraps ErrUnmerged or ErrUnsupported where those are the reason.
//
// The checksum at its end is not verified: git itself does so only in fsck.
func (r *Repo) Index(path string) (*Index, error) {
	if !r.light {
		return nil, fmt.Errorf("read index: %w", ErrUnsupported)
	}
	x := &Index{idSize: r.IDSize, release: func() error { return nil }}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	defer f.Close()
	if x.stamp, err = r.stampIndex(f); err != nil {
		return nil, err
	}
	if x.stamp.Size > 1<<32-1 || x.stamp.Size != int64(int(x.stamp.Size)) {
		return nil, fmt.Errorf("read index: %d bytes: %w", x.stamp.Size, ErrUnsupported)
	}
	if x.data, x.release, err = mapFile(f, x.stamp.Size); err != nil {
		return nil, fmt.Errorf("read index %s: %w", path, err)
	}
	if err := x.parse(); err != nil {
		x.release()
		return nil, fmt.Errorf("read index %s: %w", path, err)
	}
	return x, nil
}

// Stamp tells this state of the index from others.
func (x *Index) Stamp() Stamp { return x.stamp }

// Len is the number of entries.
func (x *Index) Len() int { return x.count }

// Close lets go of the file.
func (x *Index) Close() error {
	x.data, x.count = nil, 0
	release := x.release
	x.release = func() error { return nil }
	return release()
}

const (
	flagExtended    = 0x4000
	flagStage       = 0x3000
	flagNameLength  = 0x0fff
	flagIntentToAdd = 0x2000 // in the second word of flags
	statSize        = 40     // times, inode, mode, owner, size
	modeOffset      = 24     // within them
)

func odd(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrUnsupported)...)
}

func (x *Index) parse() error {
	end := len(x.data) - x.idSize
	if end < 12 || string(x.data[:4]) != "DIRC" {
		return odd("no index header")
	}
	x.version = binary.BigEndian.Uint32(x.data[4:])
	if x.version < 2 || x.version > 4 {
		return odd("version %d", x.version)
	}
	count := binary.BigEndian.Uint32(x.data[8:])
	if int64(count)*int64(statSize+x.idSize+3) > int64(end) {
		return odd("%d entries in %d bytes", count, end)
	}
	x.count = int(count)
	x.offsets = make([]uint32, x.count)
	at := 12
	for i := range x.offsets {
		x.offsets[i] = uint32(at)
		next, err := x.entryEnd(at, end)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		at = next
	}
	return x.extensions(at, end)
}

// entryEnd returns where the entry at an offset ends.
func (x *Index) entryEnd(at, end int) (int, error) {
	header := statSize + x.idSize + 2
	if at+header > end {
		return 0, odd("cut short")
	}
	flags := binary.BigEndian.Uint16(x.data[at+header-2:])
	if flags&flagStage != 0 {
		return 0, ErrUnmerged
	}
	if flags&flagExtended != 0 {
		if x.version < 3 {
			return 0, odd("extended flags in version %d", x.version)
		}
		header += 2
	}
	name := at + header
	if name > end {
		return 0, odd("cut short")
	}
	if x.version == 4 {
		_, n := offsetVarint(x.data[name:end])
		if n == 0 {
			return 0, odd("bad prefix length")
		}
		length := bytes.IndexByte(x.data[name+n:end], 0)
		if length < 0 {
			return 0, odd("name without end")
		}
		return name + n + length + 1, nil
	}
	length := int(flags & flagNameLength)
	if length == flagNameLength { // or longer
		if length = bytes.IndexByte(x.data[name:end], 0); length < 0 {
			return 0, odd("name without end")
		}
	}
	next := at + (header+length+8)&^7 // padded with one to eight NULs
	if next > end || x.data[name+length] != 0 {
		return 0, odd("bad name length")
	}
	return next, nil
}

// offsetVarint reads git's "offset encoding": seven bits a byte, most significant
// first, one added for each byte that follows. It returns the bytes used, 0 when
// the number does not end or is too large.
func offsetVarint(b []byte) (value uint64, n int) {
	for i := 0; i < len(b) && i < 9; i++ {
		if i > 0 {
			value++
		}
		value = value<<7 | uint64(b[i]&0x7f)
		if b[i]&0x80 == 0 {
			return value, i + 1
		}
	}
	return 0, 0
}

// extensions reads what follows the entries. A signature in lower case must be
// understood (gitformat-index(5)): "link" is a split index, whose other half is
// elsewhere; "sdir" allows whole directories as entries.
func (x *Index) extensions(at, end int) error {
	for at < end {
		if at+8 > end {
			return odd("extension cut short")
		}
		name, size := string(x.data[at:at+4]), int64(binary.BigEndian.Uint32(x.data[at+4:]))
		at += 8
		if int64(at)+size > int64(end) {
			return odd("extension %q cut short", name)
		}
		body := x.data[at : at+int(size)]
		at += int(size)
		switch {
		case name == "TREE":
			if err := x.cacheTree(body); err != nil {
				return err
			}
		case name == "sdir":
		case name[0] < 'A' || name[0] > 'Z':
			return odd("extension %q", name)
		}
	}
	return nil
}

// maxDepth bounds the directories inside one another that are followed.
const maxDepth = 4096

// cacheTree reads the tree ids that git remembers: in preorder, for each directory
// its name, the number of entries below it (or -1), of subdirectories, and its id.
func (x *Index) cacheTree(b []byte) error {
	open := make([]int, 0, 16) // nodes with children to come
	left := make([]int, 0, 16) // how many
	for len(b) > 0 {
		n := node{}
		var entries, children []byte
		var ok1, ok2, ok3 bool
		n.name, b, ok1 = bytes.Cut(b, []byte{0})
		entries, b, ok2 = bytes.Cut(b, []byte{' '})
		children, b, ok3 = bytes.Cut(b, []byte{'\n'})
		count, err1 := strconv.Atoi(string(entries))
		subtrees, err2 := strconv.Atoi(string(children))
		if !ok1 || !ok2 || !ok3 || err1 != nil || err2 != nil || subtrees < 0 {
			return odd("bad cache tree")
		}
		if n.entries = count; count >= 0 {
			if len(b) < x.idSize {
				return odd("cache tree cut short")
			}
			n.id, b = change.ID(b[:x.idSize]), b[x.idSize:]
		}
		if len(x.nodes) > 0 && len(open) == 0 {
			return odd("two roots in the cache tree")
		}
		x.nodes = append(x.nodes, n)
		open, left = append(open, len(x.nodes)-1), append(left, subtrees)
		if len(open) > maxDepth {
			return odd("cache tree too deep")
		}
		for len(open) > 0 && left[len(left)-1] == 0 {
			last := len(open) - 1
			x.nodes[open[last]].next = len(x.nodes)
			open, left = open[:last], left[:last]
			if last > 0 {
				left[last-1]--
			}
		}
	}
	if len(open) > 0 {
		return odd("cache tree cut short")
	}
	return nil
}

// IndexTree returns the tree that git would commit from an index file, the trees
// that may not be in the object store yet, and the index's stamp. It reads the
// index itself where it can, else asks `git write-tree`.
func (r *Repo) IndexTree(ctx context.Context, path string) (change.ID, Trees, Stamp, error) {
	x, err := r.Index(path)
	if err == nil {
		defer x.Close()
		var id change.ID
		var trees Trees
		if id, trees, err = x.Tree(); err == nil {
			return id, trees, x.Stamp(), nil
		}
	}
	if !errors.Is(err, ErrUnsupported) {
		return "", nil, Stamp{}, err
	}
	stamp, err := r.IndexStamp(path)
	if err != nil && !errors.Is(err, ErrUnsupported) {
		return "", nil, Stamp{}, err
	}
	id, err := r.WriteTree(ctx, path)
	return id, nil, stamp, err
}

// WriteTree has git write the trees of an index file into the object store and
// returns the root. It works on a copy, since git is about to commit the file
// itself, and may hold its lock.
func (r *Repo) WriteTree(ctx context.Context, path string) (change.ID, error) {
	dir, err := os.MkdirTemp("", "gatekeeper-index-")
	if err != nil {
		return "", fmt.Errorf("write tree: %w", err)
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "index")
	if err := copyFile(copied, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("write tree: %w", err)
	}
	cmd := r.Command(ctx, "write-tree")
	cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+copied)
	out, err := run(cmd, nil)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("write tree: %w", err)
	}
	return change.ParseID(string(bytes.TrimSpace(out)))
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
