package change

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// What else does somebody sign who signs a digest? These tests take a change, edit
// what it leaves behind once more, and expect another digest. The only excuse is that
// the edit moved hunks, each to a place in the old file with the same line above, the
// same lines deleted and the same line below. Whether it did is judged without any
// diff: by putting the hunks of the stream into the old file wherever they fit.

// mayBecome reports whether a stream can speak of a change from old to new.
func mayBecome(t testing.TB, stream []byte, old, new files) bool {
	t.Helper()
	records, err := decodeStream(stream)
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string][]decoded{}
	for _, r := range records {
		byPath[r.path] = append(byPath[r.path], r)
	}
	paths := maps.Clone(old)
	maps.Copy(paths, new)
	for path := range byPath {
		paths[path] = file{}
	}
	for path := range paths {
		if !recordsFit(byPath[path], canonical(old[path]), canonical(new[path])) {
			return false
		}
	}
	return true
}

// canonical is a file as its mode is read; the zero file is none.
func canonical(f file) file { return file{modelMode(f.mode), f.text} }

// recordsFit reports whether the records of one path can speak of what it was and is.
func recordsFit(records []decoded, old, new file) bool {
	switch len(records) {
	case 0:
		return old == new
	case 1:
		return recordFits(records[0], old, new)
	}
	return len(records) == 2 && old.mode != 0 && new.mode != 0 &&
		recordFits(records[0], old, file{}) && recordFits(records[1], file{}, new)
}

func recordFits(r decoded, old, new file) bool {
	if r.kinds != modelKind(old.mode)+modelKind(new.mode) {
		return false
	}
	if r.changedMode != (old.mode != new.mode) ||
		r.changedMode && (r.oldMode != uint64(old.mode) || r.newMode != uint64(new.mode)) {
		return false
	}
	switch {
	case r.links != nil:
		return r.links[0] == old.text && r.links[1] == new.text
	case !r.hasHunks:
		a, b := sha256.Sum256([]byte(old.text)), sha256.Sum256([]byte(new.text))
		return r.sums == string(a[:])+string(b[:])
	}
	p := placing{old: modelLines(old.text), new: modelLines(new.text), hunks: r.hunks, seen: map[[3]int]bool{}}
	return p.fits(0, 0, 0)
}

// placing puts hunks into the lines of old, in order, so that new comes out.
type placing struct {
	old, new []string
	hunks    [][4]string
	seen     map[[3]int]bool // what has been tried without success
}

// fits reports whether hunks from the n-th on fit behind x lines of old and y of new.
func (p *placing) fits(n, x, y int) bool {
	if p.seen[[3]int{n, x, y}] {
		return false
	}
	p.seen[[3]int{n, x, y}] = true
	if n == len(p.hunks) {
		return slices.Equal(p.old[x:], p.new[y:])
	}
	if dx, dy, ok := p.place(n, x, y); ok {
		if n+1 == len(p.hunks) && p.fits(n+1, x+dx, y+dy) {
			return true
		}
		// Between two hunks there is a line that both leave alone.
		if p.copies(x+dx, y+dy) && p.fits(n+1, x+dx+1, y+dy+1) {
			return true
		}
	}
	return p.copies(x, y) && p.fits(n, x+1, y+1)
}

func (p *placing) copies(x, y int) bool {
	return x < len(p.old) && y < len(p.new) && p.old[x] == p.new[y]
}

// place reports whether a hunk fits exactly there, and how many lines it takes.
func (p *placing) place(n, x, y int) (dx, dy int, ok bool) {
	h := p.hunks[n]
	deleted, added := modelLines(h[1]), modelLines(h[2])
	above, below := "", ""
	if x > 0 {
		above = p.old[x-1]
	}
	if end := x + len(deleted); end < len(p.old) {
		below = p.old[end]
	}
	ok = above == h[0] && below == h[3] && starts(p.old[x:], deleted) && starts(p.new[y:], added)
	return len(deleted), len(added), ok
}

func starts(lines, first []string) bool {
	return len(lines) >= len(first) && slices.Equal(lines[:len(first)], first)
}

// checkConsent compares two changes of one origin, and reports whether they have one
// digest.
func checkConsent(t testing.TB, old, new, other files) (same bool) {
	t.Helper()
	stream, _ := streamOf(t, old, new)
	if !mayBecome(t, stream, old, new) {
		t.Fatalf("%v → %v: the stream %q does not lead there", old, new, stream)
	}
	otherStream, _ := streamOf(t, old, other)
	same = bytes.Equal(stream, otherStream)
	if same && !mayBecome(t, stream, old, other) {
		t.Fatalf("%v → %v has the digest of → %v, and no hunk has moved to its like", old, other, new)
	}
	return same
}

// An again edits one more time what a change left behind; it may find nothing to do.
type again struct {
	name string
	edit func(r *rand.Rand, all files)
}

// onLines edits the lines of some file that has lines.
func onLines(edit func(r *rand.Rand, lines []string) []string) func(*rand.Rand, files) {
	return func(r *rand.Rand, all files) {
		paths := slices.Sorted(maps.Keys(all))
		if len(paths) == 0 {
			return
		}
		path := paths[r.IntN(len(paths))]
		f := all[path]
		lines := modelLines(f.text)
		if f.mode == 0o160000 || len(lines) == 0 {
			return
		}
		all[path] = file{f.mode, strings.Join(edit(r, lines), "")}
	}
}

// onFile edits some file as a whole.
func onFile(edit func(r *rand.Rand, all files, path string, f file)) func(*rand.Rand, files) {
	return func(r *rand.Rand, all files) {
		if paths := slices.Sorted(maps.Keys(all)); len(paths) > 0 {
			path := paths[r.IntN(len(paths))]
			edit(r, all, path, all[path])
		}
	}
}

var agains = []again{
	{"a line changed", onLines(func(r *rand.Rand, lines []string) []string {
		lines[r.IntN(len(lines))] = fmt.Sprintf("%d\n", r.IntN(9))
		return lines
	})},
	{"a byte changed", onLines(func(r *rand.Rand, lines []string) []string {
		at := r.IntN(len(lines))
		text := []byte(lines[at])
		text[r.IntN(len(text))] ^= 1 << r.IntN(8)
		lines[at] = string(text)
		return lines
	})},
	{"a line deleted", onLines(func(r *rand.Rand, lines []string) []string {
		at := r.IntN(len(lines))
		return slices.Delete(lines, at, at+1)
	})},
	{"a line inserted", onLines(func(r *rand.Rand, lines []string) []string {
		return slices.Insert(lines, r.IntN(len(lines)+1), fmt.Sprintf("%d\n", r.IntN(9)))
	})},
	{"a line repeated", onLines(func(r *rand.Rand, lines []string) []string {
		return slices.Insert(lines, r.IntN(len(lines)+1), lines[r.IntN(len(lines))])
	})},
	{"lines moved", onLines(func(r *rand.Rand, lines []string) []string {
		at := r.IntN(len(lines))
		some := slices.Clone(lines[at : at+1+r.IntN(min(3, len(lines)-at))])
		rest := slices.Delete(lines, at, at+len(some))
		return slices.Insert(rest, r.IntN(len(rest)+1), some...)
	})},
	{"two lines swapped", onLines(func(r *rand.Rand, lines []string) []string {
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
		return lines
	})},
	{"two neighbours swapped", onLines(func(r *rand.Rand, lines []string) []string {
		if at := r.IntN(len(lines)); at > 0 {
			lines[at-1], lines[at] = lines[at], lines[at-1]
		}
		return lines
	})},
	{"a line end made CRLF", onLines(func(r *rand.Rand, lines []string) []string {
		at := r.IntN(len(lines))
		lines[at] = strings.TrimSuffix(lines[at], "\n") + "\r\n"
		return lines
	})},
	{"all line ends made CRLF", onLines(func(_ *rand.Rand, lines []string) []string {
		for i, line := range lines {
			lines[i] = strings.ReplaceAll(line, "\n", "\r\n")
		}
		return lines
	})},
	{"the last line end taken or given", onLines(func(_ *rand.Rand, lines []string) []string {
		last := lines[len(lines)-1]
		if lines[len(lines)-1] = strings.TrimSuffix(last, "\n"); len(last) == 1 || lines[len(lines)-1] == last {
			lines[len(lines)-1] = last + "\n"
		}
		return lines
	})},
	{"white space added", onLines(func(r *rand.Rand, lines []string) []string {
		at := r.IntN(len(lines))
		lines[at] = " " + lines[at]
		return lines
	})},
	{"a NUL added", onLines(func(r *rand.Rand, lines []string) []string {
		at := r.IntN(len(lines))
		lines[at] = "\x00" + lines[at]
		return lines
	})},
	{"a file deleted", onFile(func(_ *rand.Rand, all files, path string, _ file) { delete(all, path) })},
	{"a file emptied", onFile(func(_ *rand.Rand, all files, path string, f file) {
		if f.mode != 0o160000 {
			all[path] = file{f.mode, ""}
		}
	})},
	{"a file moved", onFile(func(_ *rand.Rand, all files, path string, f file) {
		delete(all, path)
		all[path+"x"] = f
	})},
	{"a file moved into a folder", onFile(func(_ *rand.Rand, all files, path string, f file) {
		delete(all, path)
		all[path+"/x"] = f
	})},
	{"a file copied", onFile(func(_ *rand.Rand, all files, path string, f file) { all["x"+path] = f })},
	{"two files swapped", onFile(func(r *rand.Rand, all files, path string, f file) {
		paths := slices.Sorted(maps.Keys(all))
		other := paths[r.IntN(len(paths))]
		all[path], all[other] = all[other], f
	})},
	{"a mode changed", onFile(func(r *rand.Rand, all files, path string, f file) {
		if modes := []uint32{0o100644, 0o100755, 0o120000}; f.mode != 0o160000 {
			all[path] = file{modes[r.IntN(len(modes))], f.text}
		}
	})},
	{"a gitlink put in its place", onFile(func(_ *rand.Rand, all files, path string, _ file) {
		all[path] = file{0o160000, strings.Repeat("\x33", 20)}
	})},
}

// isSame reports whether two sets of files are the same to every reader of git's.
func isSame(a, b files) bool {
	return maps.EqualFunc(a, b, func(x, y file) bool { return canonical(x) == canonical(y) })
}

// TestAnotherEditHasAnotherDigest is the promise, in files that repeat their lines as
// much as in such that do not.
func TestAnotherEditHasAnotherDigest(t *testing.T) {
	for _, e := range agains {
		t.Run(e.name, func(t *testing.T) {
			edits, kept := 0, 0
			for seed := range uint64(600) {
				r := rand.New(rand.NewPCG(31, seed))
				old, new := randomEdit(r, 1+int(seed%30))
				other := maps.Clone(new)
				e.edit(r, other)
				dropConflicts(other)
				if isSame(other, new) {
					continue
				}
				edits++
				if checkConsent(t, old, new, other) {
					kept++
				}
			}
			if edits < 100 {
				t.Errorf("only %d edits", edits)
			}
			t.Logf("%d edits, of which %d moved a hunk to its like", edits, kept)
		})
	}
}

// randomEdit is a change of a few files of lines from an alphabet.
func randomEdit(r *rand.Rand, alphabet int) (old, new files) {
	old, new = files{}, files{}
	for i := range 1 + r.IntN(3) {
		path := []string{"f", "d/f", "d/g"}[i]
		f := file{randomModes[r.IntN(6)], randomText(r, 24, alphabet)}
		old[path] = f
		new[path] = file{f.mode, edited(r, f.text, r.IntN(3), alphabet)}
	}
	if r.IntN(4) == 0 {
		new["n"] = file{0o100644, randomText(r, 6, alphabet)}
	}
	return old, new
}

// TestWhereNoLineComesTwiceNothingKeepsADigest has no excuse: there no hunk has
// another place to go.
func TestWhereNoLineComesTwiceNothingKeepsADigest(t *testing.T) {
	edits := 0
	for seed := range uint64(8000) {
		r := rand.New(rand.NewPCG(32, seed))
		var lines []string
		for i := range 3 + r.IntN(20) {
			lines = append(lines, fmt.Sprintf("old %d\n", i))
		}
		changed := slices.Clone(lines)
		for range 1 + r.IntN(3) {
			at := r.IntN(len(changed))
			switch r.IntN(3) {
			case 0:
				changed[at] = fmt.Sprintf("new %d\n", r.IntN(1000))
			case 1:
				changed = slices.Insert(changed, at, fmt.Sprintf("new %d\n", r.IntN(1000)))
			case 2:
				if len(changed) > 1 {
					changed = slices.Delete(changed, at, at+1)
				}
			}
		}
		old := files{"f": {0o100644, strings.Join(lines, "")}}
		new := files{"f": {0o100644, strings.Join(changed, "")}}
		other := maps.Clone(new)
		agains[r.IntN(len(agains))].edit(r, other)
		if isSame(other, new) {
			continue
		}
		edits++
		if checkConsent(t, old, new, other) {
			t.Fatalf("%v → %v and → %v have one digest", old, new, other)
		}
	}
	if edits < 5000 {
		t.Errorf("only %d edits", edits)
	}
}

// TestSwappingUntouchedLinesNeverKeepsADigest swaps two lines that the change has left
// alone. The result has its digest only where it is, at the same time, what comes of
// moving a hunk to its like, as in the last of the examples.
func TestSwappingUntouchedLinesNeverKeepsADigest(t *testing.T) {
	swaps := 0
	for seed := range uint64(6000) {
		r := rand.New(rand.NewPCG(33, seed))
		alphabet := 2 + int(seed%30)
		old := randomText(r, 30, alphabet)
		new := edited(r, old, 1+r.IntN(2), alphabet)
		lines := modelLines(new)
		untouched := untouchedLines(old, new)
		if len(untouched) < 2 {
			continue
		}
		i, j := untouched[r.IntN(len(untouched))], untouched[r.IntN(len(untouched))]
		if lines[i] == lines[j] {
			continue
		}
		swaps++
		lines[i], lines[j] = lines[j], lines[i]
		checkConsent(t, files{"f": {0o100644, old}}, files{"f": {0o100644, new}}, files{"f": {0o100644, strings.Join(lines, "")}})
	}
	if swaps < 3000 {
		t.Errorf("only %d swaps", swaps)
	}
	for _, tt := range []struct {
		name            string
		old, new, other string
		same            bool
	}{
		{"return values elsewhere", "a return:true b return:false c", "x return:true b return:false c", "x return:false b return:true c", false},
		{"neighbours of the hunk", "a b c d", "a b X c d", "a c X b d", false},
		{"lines of another block like the hunk's", "{ a } { b }", "{ N a } { b }", "{ N b } { a }", false},
		{"a move of the hunk that looks like a swap", "a a b a a", "a a b a b a a", "a a b a a b a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			one := func(words string) files { return files{"f": text(strings.Fields(words)...)} }
			if same := checkConsent(t, one(tt.old), one(tt.new), one(tt.other)); same != tt.same {
				t.Errorf("one digest: %v, want %v", same, tt.same)
			}
		})
	}
}

// untouchedLines are the numbers of lines of new that no hunk has added.
func untouchedLines(old, new string) (numbers []int) {
	var d differ
	hunks, _ := d.lines([]byte(old), []byte(new))
	at := 0
	for i, line := range modelLines(new) {
		if !slices.ContainsFunc(hunks, func(h hunk) bool { return h.newStart <= at && at < h.newEnd }) {
			numbers = append(numbers, i)
		}
		at += len(line)
	}
	return numbers
}

// TestAHunkMayMoveToItsLike pins what the digest does not tell apart, so that what is
// said of it stays true: binding tells these apart.
func TestAHunkMayMoveToItsLike(t *testing.T) {
	moved := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(34, seed))
		block := modelLines(randomText(r, 4, 50) + "a\nb\n")
		var old []string
		for range 2 + r.IntN(3) {
			old = append(append(old, block...), fmt.Sprintf("end %d\n", r.IntN(1000)))
		}
		at := 1 + r.IntN(len(block)-1) // between two lines of a block
		var results [2]files
		for i := range results {
			place := at + i*(len(block)+1)
			results[i] = files{"f": {0o100644, strings.Join(slices.Insert(slices.Clone(old), place, "added\n"), "")}}
		}
		if checkConsent(t, files{"f": {0o100644, strings.Join(old, "")}}, results[0], results[1]) {
			moved++
		}
	}
	if moved != 2000 {
		t.Errorf("%d of 2000 moves kept the digest", moved)
	}
}

// FuzzConsent looks for two results of one origin under one digest.
func FuzzConsent(f *testing.F) {
	for _, seed := range [][3]string{
		{"a\na\nb\na\na\n", "a\na\nb\na\nb\na\na\n", "a\na\nb\na\na\nb\na\n"},
		{"a\nb\n", "a\nx\nb\n", "a\nx\nb"}, {"}\n}\n", "}\nx\n}\n", "x\n}\n}\n"},
		{"", "a\n", "a\r\n"}, {"a\x00", "b\x00", "c\x00"}, {"x\ny\nx\ny\n", "x\nz\ny\nx\ny\n", "x\ny\nx\nz\ny\n"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, old, new, other string) {
		if new == other || len(old)+len(new)+len(other) > 2<<10 {
			return
		}
		checkConsent(t, files{"f": {0o100644, old}}, files{"f": {0o100644, new}}, files{"f": {0o100644, other}})
	})
}
