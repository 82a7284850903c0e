package change

import "slices"

// search is the greedy forward algorithm of Eugene W. Myers, "An O(ND)
// Difference Algorithm and Its Variations", Algorithmica 1 (1986), section 3,
// without heuristics.
//
// Diagonal k holds the points (x, y) with x-y = k, x lines into old and y lines
// into new. Row e of the search says how far, on each diagonal, e edits reach.
// Every cell of row e starts where a cell of row e-1 ended and one edit led, so
// the rows are kept for the way back.
type search struct {
	reach []int32  // x of the last row and the one before, at k+maxEdits+1
	rows  []row    // where each row stands in trace
	trace []uint16 // x of every cell
	edits []edit
	steps int64
}

// row is part of the trace: the cells of every second diagonal from low on.
type row struct{ low, start int }

// An edit replaces lines old[oldStart:oldEnd] by new[newStart:newEnd].
type edit struct {
	oldStart, oldEnd int
	newStart, newEnd int
}

// nowhere is what a diagonal reaches that no edit has led to.
const nowhere = -1

// run gives the edits from top to bottom, or false when there are more than
// maxEdits. Each side has at most maxLines lines.
func (s *search) run(old, new []int32) ([]edit, bool) {
	s.steps = 0
	if s.reach == nil {
		s.reach = make([]int32, 2*maxEdits+3)
	}
	for i := range s.reach {
		s.reach[i] = nowhere
	}
	s.rows, s.trace, s.edits = s.rows[:0], s.trace[:0], s.edits[:0]
	if !s.forward(old, new) {
		return nil, false
	}
	s.back(len(old), len(new))
	return s.edits, true
}

// forward fills rows until one reaches the end of both sides.
//
// A cell beyond the end of a side is left out, with all cells on the far side
// of it as seen from the diagonal of the end: whatever has such a neighbour lies
// beyond an end too, and so no way to the end leads through it.
func (s *search) forward(old, new []int32) bool {
	n, m := int32(len(old)), int32(len(new))
	end := n - m
	low, high := int32(0), int32(0)
	lowGrows, highGrows := int32(-1), int32(1)
	for e := 0; e <= maxEdits; e++ {
		start := len(s.trace)
		for k := low; k <= high; k += 2 {
			cell := s.reach[k+maxEdits : k+maxEdits+3 : k+maxEdits+3]
			x := cell[0] + 1 // delete a line
			if cell[0] < cell[2] {
				x = cell[2] // add a line
			}
			y := x - k
			if x > n || y > m {
				if k > end {
					high, highGrows = k-2, -1
					break
				}
				low, lowGrows = k+2, 1
				s.trace = s.trace[:start]
				continue
			}
			same := common(old[x:], new[y:])
			s.steps += int64(same) + 1
			x += same
			cell[1] = x
			s.trace = append(s.trace, uint16(x))
			if x == n && y+same == m {
				s.rows = append(s.rows, row{int(low), start})
				return true
			}
		}
		s.rows = append(s.rows, row{int(low), start})
		low += lowGrows
		high += highGrows
	}
	return false
}

func common(a, b []int32) int32 {
	if len(b) < len(a) {
		a = a[:len(b)]
	}
	b = b[:len(a)]
	for i := range a {
		if a[i] != b[i] {
			return int32(i)
		}
	}
	return int32(len(a))
}

// back goes from the end of both sides through the cells that led there, and
// gathers the edits between which no line is unchanged.
func (s *search) back(x, y int) {
	for e := len(s.rows) - 1; e > 0; e-- {
		k := x - y
		// Where the edit started and where it led; what follows until (x, y)
		// is unchanged.
		from := s.cell(e-1, k-1)
		toX, fromY := from+1, from-(k-1)
		if up := s.cell(e-1, k+1); from < up {
			from, toX, fromY = up, up, up-(k+1)
		}
		toY := toX - k
		if n := len(s.edits); n > 0 && s.edits[n-1].oldStart == toX && s.edits[n-1].newStart == toY {
			s.edits[n-1].oldStart, s.edits[n-1].newStart = from, fromY
		} else {
			s.edits = append(s.edits, edit{from, toX, fromY, toY})
		}
		x, y = from, fromY
	}
	slices.Reverse(s.edits)
}

// cell is how far row e reaches on diagonal k.
func (s *search) cell(e, k int) int {
	r := s.rows[e]
	end := len(s.trace)
	if e+1 < len(s.rows) {
		end = s.rows[e+1].start
	}
	i := r.start + (k-r.low)/2
	if k < r.low || i >= end {
		return nowhere
	}
	return int(s.trace[i])
}
