package repo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Tree returns the tree that git would make of the index, and the raw objects of
// those trees that the cache tree extension does not vouch for: git may not have
// written them yet. Directories that it does vouch for are taken by id.
func (x *Index) Tree() (change.ID, Trees, error) {
	b := builder{x: x, trees: Trees{}}
	if len(x.nodes) > 0 && x.nodes[0].entries >= 0 {
		if x.nodes[0].entries != x.count {
			return "", nil, odd("the cache tree counts %d entries of %d", x.nodes[0].entries, x.count)
		}
		return x.nodes[0].id, b.trees, nil
	}
	root := -1
	if len(x.nodes) > 0 {
		root = 0
	}
	b.push(0, root)
	for b.i < x.count {
		if err := b.step(); err != nil {
			return "", nil, err
		}
	}
	for b.depth > 1 {
		b.pop()
	}
	id := b.write(b.frames[0].raw)
	return id, b.trees, nil
}

// A builder walks the entries in order, which is also the order of tree objects,
// with one frame for each directory that the current entry is in.
type builder struct {
	x      *Index
	i      int    // next entry
	name   []byte // its path
	last   []byte // version 4: the path before, on which the next one builds
	named  int    // version 4: entries that last has taken in
	frames []frame
	depth  int
	path   []byte // of the innermost frame, with a slash at its end
	trees  Trees
}

type frame struct {
	prefix   int    // length of the frame's path
	raw      []byte // the tree so far
	children []int  // cache tree nodes of subdirectories, in the order of byName
}

func (b *builder) push(prefix, node int) {
	if b.depth == len(b.frames) {
		b.frames = append(b.frames, frame{})
	}
	f := &b.frames[b.depth]
	b.depth++
	f.prefix, f.raw, f.children = prefix, f.raw[:0], f.children[:0]
	if node < 0 {
		return
	}
	nodes := b.x.nodes
	for n := node + 1; n < nodes[node].next; n = nodes[n].next {
		f.children = append(f.children, n)
	}
	slices.SortFunc(f.children, func(i, j int) int { return bytes.Compare(nodes[i].name, nodes[j].name) })
}

// pop ends the innermost directory. git leaves out one that is empty because all
// its entries are only intended to be added.
func (b *builder) pop() {
	b.depth--
	done := &b.frames[b.depth]
	parent := &b.frames[b.depth-1]
	name := b.path[parent.prefix : done.prefix-1]
	b.path = b.path[:parent.prefix]
	if len(done.raw) > 0 {
		parent.add(0o40000, name, []byte(b.write(done.raw)))
	}
}

func (f *frame) add(mode uint32, name, id []byte) {
	f.raw = strconv.AppendUint(f.raw, uint64(mode), 8)
	f.raw = append(f.raw, ' ')
	f.raw = append(f.raw, name...)
	f.raw = append(f.raw, 0)
	f.raw = append(f.raw, id...)
}

// zeroID names no object in either format.
var zeroID [32]byte

// step takes in the next entry, or all entries of a directory that is known.
func (b *builder) step() error {
	mode, id, intended, err := b.entry()
	if err != nil {
		return err
	}
	for !bytes.HasPrefix(b.name, b.path) {
		b.pop()
	}
	for {
		f := &b.frames[b.depth-1]
		rest := b.name[f.prefix:]
		slash := bytes.IndexByte(rest, '/')
		whole := slash >= 0 && slash == len(rest)-1 // a directory of a sparse index
		inner := slash >= 0 && !whole
		switch {
		case slash == 0 || len(rest) == 0 || !inner && whole != (mode == 0o40000):
			return odd("bad path %q", cut(string(b.name)))
		case inner:
			node := b.child(f, rest[:slash])
			if node >= 0 && b.x.nodes[node].entries >= 0 {
				n := b.x.nodes[node]
				f.add(0o40000, rest[:slash], []byte(n.id))
				return b.skip(n.entries, f.prefix+slash+1)
			}
			if b.depth > maxDepth {
				return odd("path too deep")
			}
			b.path = append(b.path, rest[:slash+1]...)
			b.push(len(b.path), node)
			continue
		case intended:
		case bytes.Equal(id, zeroID[:b.x.idSize]):
			return odd("no object for %q", cut(string(b.name)))
		case whole:
			f.add(mode, rest[:slash], id)
		default:
			f.add(mode, rest, id)
		}
		b.i++
		return nil
	}
}

func (b *builder) child(f *frame, name []byte) int {
	at, ok := slices.BinarySearchFunc(f.children, name, func(n int, name []byte) int {
		return bytes.Compare(b.x.nodes[n].name, name)
	})
	if !ok {
		return -1
	}
	return f.children[at]
}

// skip passes the entries of a known directory, whose path has length prefix. The
// last of them must lie in it and the one after them not, else the count of the
// cache tree is not that of the entries.
func (b *builder) skip(entries, prefix int) error {
	dir := string(b.name[:prefix])
	if entries < 1 || entries > b.x.count-b.i {
		return odd("the cache tree counts %d entries below %q", entries, cut(dir))
	}
	b.i += entries
	for _, at := range []int{b.i - 1, b.i} {
		if at == b.x.count {
			continue
		}
		name, err := b.nameAt(at)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(name, []byte(dir)) != (at < b.i) {
			return odd("the cache tree and the entries below %q disagree", cut(dir))
		}
	}
	return nil
}

// entry reads entry b.i: it sets b.name and returns the rest.
func (b *builder) entry() (mode uint32, id []byte, intended bool, err error) {
	x := b.x
	at := int(x.offsets[b.i])
	mode = binary.BigEndian.Uint32(x.data[at+modeOffset:])
	at += statSize
	id = x.data[at : at+x.idSize]
	at += x.idSize
	if binary.BigEndian.Uint16(x.data[at:])&flagExtended != 0 {
		intended = binary.BigEndian.Uint16(x.data[at+2:])&flagIntentToAdd != 0
	}
	b.name, err = b.nameAt(b.i)
	return mode, id, intended, err
}

// nameAt returns the path of an entry. In version 4 it says how many bytes to cut
// from the end of the path before, and what follows; so there it must not go back.
func (b *builder) nameAt(i int) ([]byte, error) {
	x := b.x
	if x.version < 4 {
		flags, name := x.flags(i)
		length := int(flags & flagNameLength)
		if length == flagNameLength {
			length = bytes.IndexByte(x.data[name:], 0)
		}
		return x.data[name : name+length], nil
	}
	for ; b.named <= i; b.named++ {
		_, name := x.flags(b.named)
		strip, n := offsetVarint(x.data[name:])
		if strip > uint64(len(b.last)) {
			return nil, odd("entry %d: bad prefix length", b.named)
		}
		suffix := x.data[name+n:]
		b.last = append(b.last[:len(b.last)-int(strip)], suffix[:bytes.IndexByte(suffix, 0)]...)
	}
	return b.last, nil
}

// flags returns the flags of an entry, and where its name begins.
func (x *Index) flags(i int) (flags uint16, name int) {
	at := int(x.offsets[i]) + statSize + x.idSize
	flags = binary.BigEndian.Uint16(x.data[at:])
	if flags&flagExtended != 0 {
		at += 2
	}
	return flags, at + 2
}

func (b *builder) write(raw []byte) change.ID {
	id := objectID("tree", raw, b.x.idSize)
	if _, known := b.trees[id]; !known {
		b.trees[id] = bytes.Clone(raw)
	}
	return id
}

// ObjectID is the id that git gives to an object of this repository.
func (r *Repo) ObjectID(objectType string, content []byte) change.ID {
	return objectID(objectType, content, r.IDSize)
}

func objectID(objectType string, content []byte, idSize int) change.ID {
	header := strconv.AppendInt([]byte(objectType+" "), int64(len(content)), 10)
	h := sha1.New()
	if idSize == sha256.Size {
		h = sha256.New()
	}
	h.Write(append(header, 0))
	h.Write(content)
	return change.ID(h.Sum(nil))
}
