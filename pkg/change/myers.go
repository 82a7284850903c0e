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
	reach []int32 // x of the last row and the one before, at k+maxEdits+1
	rows  []row
	edits []edit
	steps int64

	blocks [][]uint16 // memory of rows, in use up to their lengths
	block  int        // the one to take from
}

// row has x of the cells on every second diagonal from low on.
type row struct {
	low   int
	cells []uint16
}

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
		s.forget(maxEdits + 1)
	}
	s.forget(len(s.rows)) // row e has left its cells from -e to e
	for i := range s.blocks {
		s.blocks[i] = s.blocks[i][:0]
	}
	s.rows, s.edits, s.block = s.rows[:0], s.edits[:0], 0
	if !s.forward(old, new) {
		return nil, false
	}
	s.back(len(old), len(new))
	return s.edits, true
}

// forget clears the diagonals from -n to n.
func (s *search) forget(n int) {
	for k := -n; k <= n; k++ {
		s.reach[k+maxEdits+1] = nowhere
	}
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
		cells := s.room(int(high-low)/2 + 1)
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
				cells = cells[:0]
				continue
			}
			same := common(old[x:], new[y:])
			s.steps += int64(same) + 1
			x += same
			cell[1] = x
			cells = append(cells, uint16(x))
			if x == n && y+same == m {
				s.rows = append(s.rows, row{int(low), cells})
				return true
			}
		}
		s.rows = append(s.rows, row{int(low), cells})
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
	if i := (k - r.low) / 2; k >= r.low && i < len(r.cells) {
		return int(r.cells[i])
	}
	return nowhere
}

// room gives memory for a row of n cells. Blocks grow, so that small searches
// need little, and are never copied.
func (s *search) room(n int) []uint16 {
	for ; ; s.block++ {
		if s.block == len(s.blocks) {
			size := min(1<<(8+s.block), 1<<16)
			s.blocks = append(s.blocks, make([]uint16, 0, max(size, n)))
		}
		b := s.blocks[s.block]
		if used := len(b); cap(b)-used >= n {
			s.blocks[s.block] = b[:used+n]
			return b[used : used : used+n]
		}
	}
}
