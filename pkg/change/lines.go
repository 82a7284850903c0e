package change

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// lineList is a run of lines: for each its class, and where it starts. start
// has one element more, the end of the last line.
type lineList struct {
	class, start []int32
}

// read splits text[from:to], which has n lines. The table knows the text at
// offset base.
func (l *lineList) read(t *table, text []byte, from, to, n, base int) {
	l.class, l.start = resize(l.class, n), resize(l.start, n+1)
	for i := range l.class {
		line := lineAfter(text[:to], from)
		l.class[i] = t.classOf(line, base+from)
		l.start[i] = int32(from)
		from += len(line)
	}
	l.start[n] = int32(to)
}

// A table gives equal lines of two texts equal small numbers. Its hash has a
// random seed, so nobody can prepare lines that collide.
type table struct {
	seed     maphash.Seed
	seeded   bool
	old, new []byte
	slots    []slot // a power of two, at least twice as many as lines
	mask     uint32
	classes  []span // the first line of each class
	balance  []int32
}

type slot struct {
	hash  uint32
	class int32 // one more than the number of the class; 0 is a free slot
}

// A span is a place in old, or in new behind the end of old.
type span struct{ start, end int32 }

func (t *table) reset(old, new []byte, lines int) {
	if !t.seeded {
		t.seed, t.seeded = maphash.MakeSeed(), true
	}
	size := 1 << bits.Len(uint(2*lines-1))
	t.old, t.new = old, new
	t.slots = resize(t.slots, size)
	clear(t.slots)
	t.mask = uint32(size - 1)
	t.classes = t.classes[:0]
}

func (t *table) classOf(line []byte, at int) int32 {
	hash := uint32(maphash.Bytes(t.seed, line))
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		s := &t.slots[i]
		if s.class == 0 {
			t.classes = append(t.classes, span{int32(at), int32(at + len(line))})
			*s = slot{hash, int32(len(t.classes))}
			return s.class - 1
		}
		if s.hash == hash && bytes.Equal(t.line(s.class-1), line) {
			return s.class - 1
		}
	}
}

func (t *table) line(class int32) []byte {
	s := t.classes[class]
	if n := int32(len(t.old)); s.start >= n {
		return t.new[s.start-n : s.end-n]
	}
	return t.old[s.start:s.end]
}

// distance is the number of edits that no order of the lines can save: a bound
// below the edit distance, known without a search.
func (t *table) distance(old, new []int32) int {
	t.balance = resize(t.balance, len(t.classes))
	clear(t.balance)
	for _, c := range old {
		t.balance[c]++
	}
	for _, c := range new {
		t.balance[c]--
	}
	sum := 0
	for _, b := range t.balance {
		sum += int(max(b, -b))
	}
	return sum
}

// resize gives a slice of n elements of any value.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
