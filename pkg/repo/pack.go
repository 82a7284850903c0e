package repo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sort"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// packTypes are the numbers of object types in packs (gitformat-pack(5)).
var packTypes = map[string]byte{"commit": 1, "tree": 2, "blob": 3, "tag": 4}

var typeNames = [...]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}

const (
	offsetDelta = 6 // the base is so many bytes before
	refDelta    = 7 // the base has this id
)

const (
	maxChain = 4095     // deltas on deltas; what git pack-objects allows
	maxDelta = 64 << 20 // bytes of an object that is put together in memory
)

// A pack is one packfile with its index of version 2, opened when first asked.
type pack struct {
	path   string // without suffix
	idSize int
	opened bool
	err    error // why it cannot be used
	idx    *os.File
	data   *os.File
	fanout [256]uint32
	count  int64
	size   int64 // bytes of data
}

func (p *pack) close() {
	if p.idx != nil {
		p.idx.Close()
	}
	if p.data != nil {
		p.data.Close()
	}
}

func (p *pack) open() error {
	if !p.opened {
		p.opened = true
		p.err = p.openFiles()
	}
	return p.err
}

const idxHeader = 8 + 256*4

func (p *pack) openFiles() (err error) {
	if p.idx, err = os.Open(p.path + ".idx"); err != nil {
		return err
	}
	var head [idxHeader]byte
	if _, err := p.idx.ReadAt(head[:], 0); err != nil {
		return err
	}
	if string(head[:8]) != "\xfftOc\x00\x00\x00\x02" {
		return odd("pack index version")
	}
	for i := range p.fanout {
		p.fanout[i] = binary.BigEndian.Uint32(head[8+4*i:])
		if i > 0 && p.fanout[i] < p.fanout[i-1] {
			return odd("pack index fan-out")
		}
	}
	p.count = int64(p.fanout[255])
	if p.data, err = os.Open(p.path + ".pack"); err != nil {
		return err
	}
	info, err := p.data.Stat()
	if err != nil {
		return err
	}
	p.size = info.Size()
	return nil
}

// find returns where the object begins in the pack. It reads a few hundred bytes
// around where the id, being a hash, must be.
func (p *pack) find(id change.ID) (int64, error) {
	if err := p.open(); err != nil {
		return 0, err
	}
	lo, hi := int64(0), int64(p.fanout[id[0]])
	if id[0] > 0 {
		lo = int64(p.fanout[id[0]-1])
	}
	size := int64(p.idSize)
	const window = 4096
	for (hi-lo)*size > window {
		mid := lo + (hi-lo)/2
		var at [32]byte
		if _, err := p.idx.ReadAt(at[:size], idxHeader+mid*size); err != nil {
			return 0, err
		}
		if string(at[:size]) <= string(id) {
			lo = mid
		} else {
			hi = mid
		}
	}
	var buf [window]byte
	ids := buf[:(hi-lo)*size]
	if _, err := p.idx.ReadAt(ids, idxHeader+lo*size); err != nil {
		return 0, err
	}
	n := int(hi - lo)
	i := sort.Search(n, func(i int) bool { return string(ids[i*p.idSize:(i+1)*p.idSize]) >= string(id) })
	if i == n || string(ids[i*p.idSize:(i+1)*p.idSize]) != string(id) {
		return 0, errNotHere
	}
	return p.offset(lo + int64(i))
}

// offset reads entry n of the offset table, or of the one for packs above 2 GiB.
func (p *pack) offset(n int64) (int64, error) {
	var b [8]byte
	table := idxHeader + p.count*int64(p.idSize+4) // behind ids and checksums
	if _, err := p.idx.ReadAt(b[:4], table+4*n); err != nil {
		return 0, err
	}
	at := int64(binary.BigEndian.Uint32(b[:4]))
	if at&(1<<31) != 0 {
		if _, err := p.idx.ReadAt(b[:], table+4*p.count+8*(at&^(1<<31))); err != nil {
			return 0, err
		}
		at = int64(binary.BigEndian.Uint64(b[:]))
	}
	if at < 12 || at >= p.size {
		return 0, odd("pack offset %d", at)
	}
	return at, nil
}

// An entry is the head of one object in a pack.
type entry struct {
	kind byte
	size int64     // of the content, or of the delta
	data int64     // where the zlib stream begins
	base int64     // of an offsetDelta
	ref  change.ID // of a refDelta
}

func (p *pack) entry(at int64) (entry, error) {
	var b [64]byte
	n, err := p.data.ReadAt(b[:], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return entry{}, err
	}
	head := b[:n]
	e := entry{}
	used, shift := 0, 0
	for {
		if used == len(head) || shift > 56 {
			return entry{}, odd("pack entry at %d", at)
		}
		c := head[used]
		if used == 0 {
			e.kind, e.size, shift = c>>4&7, int64(c&15), 4
		} else {
			e.size |= int64(c&0x7f) << shift
			shift += 7
		}
		used++
		if c&0x80 == 0 {
			break
		}
	}
	switch {
	case e.kind == offsetDelta:
		back, n := offsetVarint(head[used:])
		used += n
		if n == 0 || back == 0 || back >= uint64(at) {
			return entry{}, odd("pack entry at %d", at)
		}
		e.base = at - int64(back)
	case e.kind == refDelta:
		if len(head) < used+p.idSize {
			return entry{}, odd("pack entry at %d", at)
		}
		e.ref = change.ID(head[used : used+p.idSize])
		used += p.idSize
	case e.kind == 0 || e.kind == 5:
		return entry{}, odd("pack entry of type %d", e.kind)
	}
	e.data = at + int64(used)
	return e, nil
}

// object reads the object at an offset: as a stream when it is whole, put together
// in memory when it is a chain of deltas.
func (p *pack) object(o *Objects, id change.ID, at int64) (change.Object, error) {
	e, err := p.entry(at)
	if err != nil {
		return change.Object{}, err
	}
	if e.kind < offsetDelta {
		r, err := o.in.open(io.NewSectionReader(p.data, e.data, p.size-e.data))
		if err != nil {
			return change.Object{}, err
		}
		return change.Object{Type: typeNames[e.kind], Size: e.size, ReadCloser: &content{r: r, left: e.size, id: id}}, nil
	}
	kind, raw, err := p.undelta(o, at, e)
	if err != nil {
		return change.Object{}, err
	}
	return inMemory(typeNames[kind], raw), nil
}

// undelta follows a chain to its whole base, or to one that is remembered, and
// applies the deltas on the way back.
func (p *pack) undelta(o *Objects, at int64, e entry) (kind byte, raw []byte, err error) {
	type link struct{ at, data, size int64 }
	var chain []link
	for e.kind >= offsetDelta {
		if len(chain) == maxChain || e.size > maxDelta {
			return 0, nil, odd("delta chain too large")
		}
		chain = append(chain, link{at, e.data, e.size})
		if at = e.base; e.kind == refDelta {
			// On disk a base is in the same pack; a thin pack is only for the wire.
			if at, err = p.find(e.ref); err != nil {
				return 0, nil, err
			}
		}
		if cached, ok := o.bases.get(p, at); ok {
			kind, raw = cached.kind, cached.raw
			break
		}
		if e, err = p.entry(at); err != nil {
			return 0, nil, err
		}
	}
	if raw == nil {
		kind = e.kind
		if raw, err = p.inflate(o, e.data, e.size); err != nil {
			return 0, nil, err
		}
		o.bases.put(p, at, kind, raw)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		delta, err := p.inflate(o, chain[i].data, chain[i].size)
		if err != nil {
			return 0, nil, err
		}
		if raw, err = applyDelta(raw, delta); err != nil {
			return 0, nil, err
		}
		o.bases.put(p, chain[i].at, kind, raw)
	}
	return kind, raw, nil
}

func (p *pack) inflate(o *Objects, at, size int64) ([]byte, error) {
	if size > maxDelta {
		return nil, odd("%d bytes in a delta chain", size)
	}
	r, err := o.in.open(io.NewSectionReader(p.data, at, p.size-at))
	if err != nil {
		return nil, err
	}
	// Grown as it comes: the size is only what the pack says.
	var b bytes.Buffer
	b.Grow(int(min(size, 1<<20)))
	n, err := b.ReadFrom(io.LimitReader(r, size+1))
	if err != nil {
		return nil, err
	}
	if n != size {
		return nil, odd("pack entry at %d has another size than it says", at)
	}
	if b.Len() == 0 {
		return []byte{}, nil
	}
	return b.Bytes(), nil
}

// applyDelta makes an object of its base: copies from it, and new bytes
// (gitformat-pack(5), "Deltified representation").
func applyDelta(base, delta []byte) ([]byte, error) {
	bad := odd("bad delta")
	from, n := sizeVarint(delta)
	if n == 0 || from != uint64(len(base)) {
		return nil, bad
	}
	delta = delta[n:]
	size, n := sizeVarint(delta)
	if n == 0 || size > maxDelta {
		return nil, bad
	}
	delta = delta[n:]
	out := make([]byte, 0, min(size, uint64(len(base)+len(delta))))
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			if op == 0 || int(op) > len(delta) {
				return nil, bad
			}
			out = append(out, delta[:op]...)
			delta = delta[op:]
			continue
		}
		var arg [7]uint64 // four bytes of offset, three of length
		for bit := range arg {
			if op&(1<<bit) != 0 {
				if len(delta) == 0 {
					return nil, bad
				}
				arg[bit] = uint64(delta[0])
				delta = delta[1:]
			}
		}
		offset := arg[0] | arg[1]<<8 | arg[2]<<16 | arg[3]<<24
		length := arg[4] | arg[5]<<8 | arg[6]<<16
		if length == 0 {
			length = 0x10000
		}
		if offset+length > uint64(len(base)) || uint64(len(out))+length > size {
			return nil, bad
		}
		out = append(out, base[offset:offset+length]...)
	}
	if uint64(len(out)) != size {
		return nil, bad
	}
	return out, nil
}

// sizeVarint reads seven bits a byte, least significant first.
func sizeVarint(b []byte) (value uint64, n int) {
	for i := 0; i < len(b) && i < 9; i++ {
		value |= uint64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return value, i + 1
		}
	}
	return 0, 0
}

// baseCache remembers objects that others are deltas of: neighbouring versions of
// a tree share most of their chain.
type baseCache struct {
	m    map[baseKey]base
	size int
}

type baseKey struct {
	p  *pack
	at int64
}

type base struct {
	kind byte
	raw  []byte
}

const maxBases = 16 << 20 // bytes

func (c *baseCache) get(p *pack, at int64) (base, bool) {
	b, ok := c.m[baseKey{p, at}]
	return b, ok
}

func (c *baseCache) put(p *pack, at int64, kind byte, raw []byte) {
	if len(raw) > maxBases/4 {
		return
	}
	if c.m == nil || c.size+len(raw) > maxBases {
		c.m, c.size = map[baseKey]base{}, 0
	}
	if _, ok := c.m[baseKey{p, at}]; !ok {
		c.m[baseKey{p, at}] = base{kind, raw}
		c.size += len(raw)
	}
}
