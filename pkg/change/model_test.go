package change

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// The model writes the stream from the words of FORMAT.md with nothing of the
// package: files from a map instead of trees, lines as strings, every step of the
// search with its whole path, cells beyond the ends kept. It is slow.

func modelStream(old, new files) []byte {
	out := "gatekeeper change v1\n"
	paths := map[string]bool{}
	for p := range old {
		paths[p] = true
	}
	for p := range new {
		paths[p] = true
	}
	sorted := []string{}
	for p := range paths {
		sorted = append(sorted, p)
	}
	sort.Strings(sorted)
	for _, p := range sorted {
		a, b := old[p], new[p]
		a.mode, b.mode = modelMode(a.mode), modelMode(b.mode)
		switch {
		case a == b:
		case a.mode != 0 && b.mode != 0 && modelKind(a.mode) != modelKind(b.mode):
			out += modelRecord(p, a, file{}) + modelRecord(p, file{}, b)
		default:
			out += modelRecord(p, a, b)
		}
	}
	return []byte(out)
}

func modelMode(mode uint32) uint32 {
	switch {
	case mode == 0:
		return 0
	case mode>>12 == 8 && mode&0o100 > 0:
		return 0o100755
	case mode>>12 == 8:
		return 0o100644
	case mode>>12 == 10:
		return 0o120000
	}
	return 0o160000
}

func modelKind(mode uint32) string {
	return map[uint32]string{0: "-", 0o100644: "f", 0o100755: "f", 0o120000: "l", 0o160000: "g"}[mode]
}

func modelNumber(n int) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func modelField(s string) string { return modelNumber(len(s)) + s }

func modelRecord(path string, a, b file) string {
	out := modelKind(a.mode) + modelKind(b.mode)
	if a.mode == b.mode {
		out += "="
	} else {
		out += "!" + modelNumber(int(a.mode)) + modelNumber(int(b.mode))
	}
	out += modelField(path)
	kinds := out[:2]
	if strings.Contains(kinds, "g") {
		return out + modelField(a.text) + modelField(b.text)
	}
	binary := func(s string) bool { return strings.Contains(s[:min(len(s), 8000)], "\x00") }
	if !strings.Contains(kinds, "l") && len(a.text) <= 4194304 && len(b.text) <= 4194304 && !binary(a.text) && !binary(b.text) {
		if hunks, ok := modelHunks(a.text, b.text); ok {
			return out + "h" + modelNumber(len(hunks)) + strings.Join(hunks, "")
		}
	}
	x, y := sha256.Sum256([]byte(a.text)), sha256.Sum256([]byte(b.text))
	return out + "b" + string(x[:]) + string(y[:])
}

func modelLines(s string) []string {
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// modelHunk replaces del lines from old line i on by add lines from new line j
// on.
type modelHunk struct{ i, del, j, add int }

func modelHunks(a, b string) ([]string, bool) {
	old, new := modelLines(a), modelLines(b)
	hunks, ok := modelEdits(old, new)
	if !ok {
		return nil, false
	}
	hunks, ok = modelSlide(old, new, hunks)
	if !ok {
		return nil, false
	}
	var out []string
	for _, h := range hunks {
		above, below := "", ""
		if h.i > 0 {
			above = old[h.i-1]
		}
		if h.i+h.del < len(old) {
			below = old[h.i+h.del]
		}
		out = append(out, modelField(above)+modelField(strings.Join(old[h.i:h.i+h.del], ""))+
			modelField(strings.Join(new[h.j:h.j+h.add], ""))+modelField(below))
	}
	return out, true
}

func modelEdits(old, new []string) ([]modelHunk, bool) {
	head := 0
	for head < len(old) && head < len(new) && old[head] == new[head] {
		head++
	}
	a, b := old[head:], new[head:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 0 && len(b) == 0 {
		return nil, true
	}
	if len(a) == 0 || len(b) == 0 {
		return []modelHunk{{head, len(a), head, len(b)}}, true
	}
	if len(a) > 65535 || len(b) > 65535 {
		return nil, false
	}
	path, ok := modelSearch(a, b)
	if !ok {
		return nil, false
	}
	var hunks []modelHunk
	for _, p := range path {
		n := len(hunks)
		if n == 0 || hunks[n-1].i+hunks[n-1].del != p.x+head || hunks[n-1].j+hunks[n-1].add != p.y+head {
			hunks = append(hunks, modelHunk{i: p.x + head, j: p.y + head})
			n++
		}
		if p.add {
			hunks[n-1].add++
		} else {
			hunks[n-1].del++
		}
	}
	return hunks, true
}

// modelPoint is an edit at old line x and new line y.
type modelPoint struct {
	x, y int
	add  bool
	from *modelPoint
}

type modelCell struct {
	x    int
	last *modelPoint
}

func modelSearch(a, b []string) ([]modelPoint, bool) {
	v := map[int]modelCell{1: {}}
	for d := 0; d <= 2048; d++ {
		for k := -d; k <= d; k += 2 {
			var c modelCell
			if k == -d || k != d && v[k-1].x < v[k+1].x {
				p := v[k+1]
				c = modelCell{p.x, &modelPoint{p.x, p.x - k - 1, true, p.last}}
			} else {
				p := v[k-1]
				c = modelCell{p.x + 1, &modelPoint{p.x, p.x - k + 1, false, p.last}}
			}
			for c.x < len(a) && c.x-k < len(b) && a[c.x] == b[c.x-k] {
				c.x++
			}
			v[k] = c
			if c.x != len(a) || c.x-k != len(b) {
				continue
			}
			var path []modelPoint
			for p := c.last; p.from != nil; p = p.from { // the first one is the way into V[0]
				path = append(path, *p)
			}
			slices.Reverse(path)
			return path, true
		}
	}
	return nil, false
}

func modelSlide(old, new []string, hunks []modelHunk) ([]modelHunk, bool) {
	moved := 0
	for at := 0; at < len(hunks); at++ {
		for {
			if at > 0 && hunks[at-1].i+hunks[at-1].del == hunks[at].i {
				hunks[at-1].del += hunks[at].del
				hunks[at-1].add += hunks[at].add
				hunks = slices.Delete(hunks, at, at+1)
				at--
			}
			h := &hunks[at]
			adds := h.del == 0 && h.j > 0 && new[h.j-1] == new[h.j+h.add-1]
			deletes := h.add == 0 && h.i > 0 && old[h.i-1] == old[h.i+h.del-1]
			if !adds && !deletes {
				break
			}
			h.i, h.j = h.i-1, h.j-1
			if moved += len(old[h.i]); moved > 33554432 {
				return nil, false
			}
		}
	}
	return hunks, true
}

// A change that is read back from its stream.
type decoded struct {
	kinds       string
	changedMode bool
	oldMode     uint64
	newMode     uint64
	path        string
	links       []string
	hunks       [][4]string
	sums        string
	hasHunks    bool
}

// decodeStream reads the grammar of FORMAT.md.
func decodeStream(stream []byte) (records []decoded, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("stream breaks off: %v", p)
		}
	}()
	rest := string(stream)
	take := func(n int) string {
		s := rest[:n]
		rest = rest[n:]
		return s
	}
	number := func() uint64 { return binary.BigEndian.Uint64([]byte(take(8))) }
	field := func() string { return take(int(number())) }
	if take(21) != "gatekeeper change v1\n" {
		return nil, fmt.Errorf("not a stream of this version")
	}
	for rest != "" {
		r := decoded{kinds: take(2)}
		if r.changedMode = take(1) == "!"; r.changedMode {
			r.oldMode, r.newMode = number(), number()
		}
		r.path = field()
		switch {
		case strings.Contains(r.kinds, "g"):
			r.links = []string{field(), field()}
		case take(1) == "b":
			r.sums = take(64)
		default:
			r.hasHunks = true
			for n := number(); n > 0; n-- {
				r.hunks = append(r.hunks, [4]string{field(), field(), field(), field()})
			}
		}
		records = append(records, r)
	}
	return records, nil
}
