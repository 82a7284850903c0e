package change

// A Match says that lines [Old, Old+N) of one text stand as lines [New, New+N) in
// another.
type Match struct{ Old, New, N int }

// Align finds which lines two texts have in common, in their order, by the same
// search as the change digest's but without moving hunks. A line is a number here:
// equal numbers are equal lines. It reports false when the texts are longer or
// differ more than FORMAT.md allows a pair of files to.
func Align(old, new []uint64) (matches []Match, ok bool) {
	top := 0
	for top < len(old) && top < len(new) && old[top] == new[top] {
		top++
	}
	end := 0
	for end < len(old)-top && end < len(new)-top && old[len(old)-1-end] == new[len(new)-1-end] {
		end++
	}
	a, b := old[top:len(old)-end], new[top:len(new)-end]
	add := func(m Match) {
		if m.N > 0 {
			matches = append(matches, m)
		}
	}
	add(Match{0, 0, top})
	if len(a) > 0 && len(b) > 0 {
		edits, ok := editsOf(a, b)
		if !ok {
			return nil, false
		}
		x, y := 0, 0
		for _, e := range edits {
			add(Match{top + x, top + y, e.oldStart - x})
			x, y = e.oldEnd, e.newEnd
		}
		add(Match{top + x, top + y, len(a) - x})
	}
	add(Match{len(old) - end, len(new) - end, end})
	return matches, true
}

func editsOf(a, b []uint64) ([]edit, bool) {
	if len(a) > maxLines || len(b) > maxLines {
		return nil, false
	}
	classes := make(map[uint64]int32, len(a))
	number := func(lines []uint64) []int32 {
		list := make([]int32, len(lines))
		for i, l := range lines {
			c, ok := classes[l]
			if !ok {
				c = int32(len(classes))
				classes[l] = c
			}
			list[i] = c
		}
		return list
	}
	var s search
	return s.run(number(a), number(b))
}
