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
		l.class[i] = t.classOf(line, base+from, i)
		l.start[i] = int32(from)
		from += len(line)
	}
	l.start[n] = int32(to)
}

// readLike is read where other was read before, from otherText. Lines that follow
// each other there mostly do so here, and need no look into the table.
func (l *lineList) readLike(other *lineList, otherText []byte, t *table, text []byte, from, to, n, base int) {
	l.class, l.start = resize(l.class, n), resize(l.start, n+1)
	next := 0 // the line of other that is likely to come
	for i := 0; i < n; i++ {
		for run := other.run(otherText, next, text[from:to]); run > 0; run-- {
			l.class[i], l.start[i] = other.class[next], int32(from)
			from += int(other.start[next+1] - other.start[next])
			i, next = i+1, next+1
		}
		if i == n {
			break
		}
		line := lineAfter(text[:to], from)
		l.class[i] = t.classOf(line, base+from, -1)
		l.start[i] = int32(from)
		from += len(line)
		if first := int(t.first[l.class[i]]); first >= 0 {
			next = first + 1
		}
	}
	l.start[n] = int32(to)
}

// run is how many lines from that one on are the first lines of text.
func (l *lineList) run(own []byte, line int, text []byte) int {
	if line >= len(l.class) {
		return 0
	}
	last := len(l.class)
	from := l.start[line]
	end := from + int32(commonPrefix(own[from:l.start[last]], text))
	n := 0
	for line+n < last && l.start[line+n+1] <= end && own[l.start[line+n+1]-1] == '\n' {
		n++
	}
	return n
}

// A table gives equal lines of two texts equal small numbers. Its hash has a
// random seed, so nobody can prepare lines that collide.
type table struct {
	seed     maphash.Seed
	seeded   bool
	old, new []byte
	slots    []slot // a power of two, at least twice as many as lines
	mask     uint32
	classes  []span  // the first line of each class
	first    []int32 // and its number in old, -1 for none
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
	t.classes, t.first = t.classes[:0], t.first[:0]
}

// classOf is the class of line, which stands at that offset and has that number in old,
// -1 in new.
func (t *table) classOf(line []byte, at, number int) int32 {
	hash := uint32(maphash.Bytes(t.seed, line))
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		s := &t.slots[i]
		if s.class == 0 {
			t.classes = append(t.classes, span{int32(at), int32(at + len(line))})
			t.first = append(t.first, int32(number))
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
