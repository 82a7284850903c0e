package change

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Limits on a pair of texts. Beyond them a file counts as binary. They keep the
// worst pair below 2^28 steps and about 16 MiB.
const (
	maxText  = 4 << 20   // bytes a side
	maxLines = 1<<16 - 1 // lines a side between the common ends, when both sides have any
	maxEdits = 2048      // lines deleted and added
	maxSlide = 32 << 20  // bytes of lines that hunks are slid over
)

// A hunk replaces old[oldStart:oldEnd] by new[newStart:newEnd]: bytes, whole
// lines. One of the two may be empty, and the line above and below is unchanged.
type hunk struct {
	oldStart, oldEnd int
	newStart, newEnd int
}

// A differ compares texts. It keeps memory from one pair to the next.
type differ struct {
	table    table
	search   search
	old, new lineList
	result   []hunk
	steps    int64
}

// lines gives the hunks that turn old into new, from top to bottom, or false
// when a limit is passed. They are valid until the next call.
func (d *differ) lines(old, new []byte) ([]hunk, bool) {
	mid := trim(old, new)
	d.result = d.result[:0]
	switch {
	case mid.oldStart == mid.oldEnd && mid.newStart == mid.newEnd:
		return nil, true
	case mid.oldStart == mid.oldEnd || mid.newStart == mid.newEnd:
		d.result = append(d.result, mid)
	default:
		if !d.compare(old, new, mid) {
			return nil, false
		}
	}
	return slide(old, new, d.result)
}

// compare searches for the hunks inside mid.
func (d *differ) compare(old, new []byte, mid hunk) bool {
	n, m := countLines(old[mid.oldStart:mid.oldEnd]), countLines(new[mid.newStart:mid.newEnd])
	if n > maxLines || m > maxLines {
		return false
	}
	d.table.reset(old, new, n+m)
	d.old.read(&d.table, old, mid.oldStart, mid.oldEnd, n, 0)
	d.new.readLike(&d.old, old, &d.table, new, mid.newStart, mid.newEnd, m, len(old))
	if d.table.distance(d.old.class, d.new.class) > maxEdits {
		return false
	}
	edits, ok := d.search.run(d.old.class, d.new.class)
	d.steps += d.search.steps
	if !ok {
		return false
	}
	for _, e := range edits {
		d.result = append(d.result, hunk{
			int(d.old.start[e.oldStart]), int(d.old.start[e.oldEnd]),
			int(d.new.start[e.newStart]), int(d.new.start[e.newEnd]),
		})
	}
	return true
}

// trim gives what remains between the common first lines and, after these, the
// common last ones.
func trim(old, new []byte) hunk {
	p := commonPrefix(old, new)
	if p < len(old) || p < len(new) {
		p = bytes.LastIndexByte(old[:p], '\n') + 1
	}
	s := commonSuffix(old[p:], new[p:])
	// The common bytes may begin inside a line of either side: then the
	// common lines begin behind the next line end, unless there is none.
	if !lineStart(old, len(old)-s) || !lineStart(new, len(new)-s) {
		tail := old[len(old)-s:]
		s = len(tail) - 1 - bytes.IndexByte(tail, '\n')
		if s == len(tail) {
			s = 0
		}
	}
	return hunk{p, len(old) - s, p, len(new) - s}
}

func lineStart(text []byte, at int) bool { return at == 0 || text[at-1] == '\n' }

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[len(a)-n:], b[len(b)-n:]
	i := n
	for ; i >= 8; i -= 8 {
		if x := binary.LittleEndian.Uint64(a[i-8:]) ^ binary.LittleEndian.Uint64(b[i-8:]); x != 0 {
			return n - i + bits.LeadingZeros64(x)/8
		}
	}
	for i > 0 && a[i-1] == b[i-1] {
		i--
	}
	return n - i
}

// slide moves each hunk that only adds or only deletes up as long as the line
// above it is its own last line, and joins it with the hunk above when nothing
// unchanged is left between them. Which of several equal lines was added then
// no longer depends on what the search met first.
func slide(old, new []byte, hunks []hunk) ([]hunk, bool) {
	slid := 0
	done := hunks[:0]
	for _, h := range hunks {
		for {
			if n := len(done); n > 0 && done[n-1].oldEnd == h.oldStart {
				h.oldStart, h.newStart = done[n-1].oldStart, done[n-1].newStart
				done = done[:n-1]
			}
			step := h.step(old, new)
			if step == 0 {
				break
			}
			if slid += step; slid > maxSlide {
				return nil, false
			}
			h.oldStart, h.oldEnd, h.newStart, h.newEnd = h.oldStart-step, h.oldEnd-step, h.newStart-step, h.newEnd-step
		}
		done = append(done, h)
	}
	return done, true
}

// step is the length of the line over which h can be moved up, or 0.
func (h hunk) step(old, new []byte) int {
	var above, last []byte
	switch {
	case h.oldStart == h.oldEnd:
		above, last = lineBefore(new, h.newStart), lineBefore(new, h.newEnd)
	case h.newStart == h.newEnd:
		above, last = lineBefore(old, h.oldStart), lineBefore(old, h.oldEnd)
	}
	if !bytes.Equal(above, last) {
		return 0
	}
	return len(above)
}

// lineBefore is the line that ends where another starts; none is empty.
func lineBefore(text []byte, at int) []byte {
	if at == 0 {
		return nil
	}
	return text[bytes.LastIndexByte(text[:at-1], '\n')+1 : at]
}

// lineAfter is the line that starts there; none is empty.
func lineAfter(text []byte, at int) []byte {
	rest := text[at:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		return rest[:end+1]
	}
	return rest
}

func countLines(text []byte) int {
	n := bytes.Count(text, []byte{'\n'})
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}
