package change

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkHunks holds a diff to what every reader of it relies on.
func checkHunks(t *testing.T, old, new []byte) {
	t.Helper()
	var d differ
	hunks, ok := d.lines(old, new)
	if !ok {
		if len(old) < maxEdits && len(new) < maxEdits {
			t.Fatalf("no hunks for %q and %q", old, new)
		}
		return
	}
	var applied []byte
	at, end := 0, -1
	for _, h := range hunks {
		if h.oldStart <= end {
			t.Fatalf("%q → %q: no unchanged line above %+v", old, new, h)
		}
		if !lineStart(old, h.oldStart) || !lineStart(new, h.newStart) || h.step(old, new) != 0 {
			t.Fatalf("%q → %q: %+v is not of whole lines, or not slid up", old, new, h)
		}
		applied = append(applied, old[at:h.oldStart]...)
		if len(applied) != h.newStart {
			t.Fatalf("%q → %q: %+v comes at %d", old, new, h, len(applied))
		}
		if !bytes.Equal(lineBefore(old, h.oldStart), lineBefore(new, h.newStart)) ||
			!bytes.Equal(lineAfter(old, h.oldEnd), lineAfter(new, h.newEnd)) {
			t.Fatalf("%q → %q: %+v has neighbours that are not unchanged", old, new, h)
		}
		applied = append(applied, new[h.newStart:h.newEnd]...)
		at, end = h.oldEnd, h.oldEnd
	}
	applied = append(applied, old[at:]...)
	if !bytes.Equal(applied, new) {
		t.Fatalf("%q → %q: hunks %+v give %q", old, new, hunks, applied)
	}
}

// checkModel compares the stream with that of the model.
func checkModel(t *testing.T, old, new files) {
	t.Helper()
	got, _ := streamOf(t, old, new)
	if want := modelStream(old, new); !bytes.Equal(got, want) {
		t.Fatalf("%v → %v\n got %q\nwant %q", old, new, got, want)
	}
}

func FuzzComputeLines(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"", "a"}, {"a\n", "a"}, {"a\nb\nc\n", "a\nx\nc\n"}, {"}\n}\n", "}\n}\n}\n"},
		{"a\nb\na\nb\n", "a\nb\na\nb\na\nb\n"}, {"x\ny\r\n", "y\r\nx\n"}, {"a\x00b", "a"}, {"q\nx\nx\nr", "p\nx\nx\nx\nx\ns"},
		{"\n\n\n", "\n\n\n\n\n"}, {"a\na\nb\nb\na\n", "b\na\na\nb\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, old, new string) {
		checkHunks(t, []byte(old), []byte(new))
		if len(old)+len(new) < 4<<10 {
			checkModel(t, files{"f": {0o100644, old}}, files{"f": {0o100644, new}})
		}
	})
}

// randomText has lines from a small alphabet, some of them long, and often
// lacks its last line end.
func randomText(r *rand.Rand, lines, alphabet int) string {
	var b strings.Builder
	for range r.IntN(lines + 1) {
		n := r.IntN(alphabet)
		fmt.Fprintf(&b, "%s%d\n", strings.Repeat("-", n%7*n), n)
	}
	text := b.String()
	if r.IntN(4) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

// edited is text with some lines taken out, put in or repeated.
func edited(r *rand.Rand, text string, edits, alphabet int) string {
	lines := modelLines(text)
	for range edits {
		at := r.IntN(len(lines) + 1)
		n := min(r.IntN(3), len(lines)-at)
		extra := modelLines(randomText(r, 2, alphabet))
		if r.IntN(3) == 0 {
			extra = append([]string{}, lines[at:min(len(lines), at+r.IntN(4))]...)
		}
		lines = append(append(append([]string{}, lines[:at]...), extra...), lines[at+n:]...)
	}
	return strings.Join(lines, "")
}

func TestHunks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		alphabet := 1 + r.IntN(1+i%40)
		old := randomText(r, 1+i%60, alphabet)
		new := edited(r, old, r.IntN(6), alphabet)
		if i%5 == 0 {
			new = randomText(r, 1+i%60, alphabet)
		}
		checkHunks(t, []byte(old), []byte(new))
		checkModel(t, files{"f": {0o100644, old}}, files{"f": {0o100644, new}})
	}
}

func TestHunksNearTheirLimits(t *testing.T) {
	lines := func(prefix string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%s%d\n", prefix, i)
		}
		return b.String()
	}
	// apart keeps two edits so far from each other that what is between them
	// is not trimmed.
	apart := func(first, middle, last string) string { return first + middle + last }
	for _, tt := range []struct {
		name     string
		old, new string
		ok       bool
	}{
		{"as many edits as allowed", lines("a", 1024), lines("b", 1024), true},
		{"one edit more", lines("a", 1024), lines("b", 1025), false},
		{"as many edits as allowed among others", apart("x\n", lines("", 3000), lines("a", 1023)), apart("y\n", lines("", 3000), lines("b", 1023)), true},
		{"too many edits among others", apart("x\n", lines("", 3000), lines("a", 1024)), apart("y\n", lines("", 3000), lines("b", 1023)), false},
		// Every line has its like on the other side, so only the search can tell.
		{"too many edits in equal lines", lines("a", 1025) + lines("b", 1025), lines("b", 1025) + lines("a", 1025), false},
		{"as many edits in equal lines", lines("a", 1024) + lines("b", 1024), lines("b", 1024) + lines("a", 1024), true},
		{"as many lines as allowed", apart("x\n", strings.Repeat("=\n", 65533), "x\n"), apart("y\n", strings.Repeat("=\n", 65533), "y\n"), true},
		{"one line more", apart("x\n", strings.Repeat("=\n", 65534), "x\n"), apart("y\n", strings.Repeat("=\n", 65533), "y\n"), false},
		{"many lines outside the common ends", strings.Repeat("=\n", 1<<19) + "x\n" + strings.Repeat("=\n", 1<<19),
			strings.Repeat("=\n", 1<<19) + "y\n" + strings.Repeat("=\n", 1<<19), true},
		{"a side that is empty between the common ends", "x\n", "x\n" + lines("", 200000), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d differ
			if _, ok := d.lines([]byte(tt.old), []byte(tt.new)); ok != tt.ok {
				t.Errorf("got hunks: %v, want %v", ok, tt.ok)
			}
			checkHunks(t, []byte(tt.old), []byte(tt.new))
		})
	}
}

// hostilePairs are made to cost as much as they can.
func hostilePairs() map[string][2]string {
	rep := strings.Repeat
	r := rand.New(rand.NewPCG(3, 4))
	noise := func(n, alphabet int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "%c\n", 'a'+r.IntN(alphabet))
		}
		return b.String()
	}
	// marked has a line of noise after each run of equal ones, so that all
	// diagonals go forward together, a little in each row.
	marked := func(run int) string {
		var b strings.Builder
		for range 65535 / (run + 1) {
			b.WriteString(rep("=\n", run))
			fmt.Fprintf(&b, "%c\n", 'a'+r.IntN(26))
		}
		return b.String()
	}
	// dotted has lines to delete so far apart that each of them leads along a
	// long run.
	dotted := func(marks, run int) string {
		var b strings.Builder
		for i := range marks {
			fmt.Fprintf(&b, "%d\n%s", i, rep("=\n", run))
		}
		return b.String()
	}
	return map[string][2]string{
		"marks between runs":            {dotted(2040, 31), "x\n" + rep("=\n", 63240) + "x\n"},
		"marks between runs, reversed":  {"x\n" + rep("=\n", 63240) + "x\n", dotted(2040, 31)},
		"marks on both sides":           {dotted(1020, 63), strings.ReplaceAll(dotted(1020, 63), "7\n", "x\n")},
		"noise after runs of 8":         {marked(8), marked(8)},
		"noise after runs of 16":        {marked(16), marked(16)},
		"noise after runs of 32":        {marked(32), marked(32)},
		"noise after runs of 64":        {marked(64), marked(64)},
		"runs of different length":      {"x\n" + rep("=\n", 65533) + "x\n", "y\n" + rep("=\n", 65533-2000) + "y\n"},
		"runs with other ends":          {rep("x\n", 500) + rep("=\n", 64500) + rep("p\n", 500), rep("y\n", 500) + rep("=\n", 64500) + rep("q\n", 500)},
		"two lines at random":           {noise(65535, 2), noise(65535, 2)},
		"three lines at random":         {noise(65535, 3), noise(65535, 3)},
		"periods that do not fit":       {rep("a\nb\nc\n", 21845), rep("a\nb\nb\n", 21845)},
		"a period and a longer one":     {rep("a\na\na\nb\n", 16383), rep("a\na\na\na\nb\n", 13107)},
		"blank lines before an insert":  {rep("\n", 1<<21) + "x\n", rep("\n", 1<<21+5000) + "y\n"},
		"a delete that slides far":      {rep("ab\ncd\n", 600000) + "x", rep("ab\ncd\n", 590000) + "x"},
		"unlike in every line":          {noise(65535, 26), rep("0\n", 65535)},
		"swapped halves":                {rep("a\n", 30000) + rep("b\n", 30000), rep("b\n", 30000) + rep("a\n", 30000)},
		"long lines":                    {rep(rep("z", 4000)+"\n", 1000) + "x\n", "y\n" + rep(rep("z", 4000)+"\n", 1000)},
		"one line without end":          {rep("z", maxText), rep("z", maxText-1)},
		"many inserts of the same line": {rep("a\nb\n", 30000), rep("a\nb\na\na\nb\n", 700) + rep("a\nb\n", 29000)},
	}
}

// TestWorkIsBounded counts, since a clock says little on a shared machine.
func TestWorkIsBounded(t *testing.T) {
	// Cells, and equal lines met in chains of cells: see FORMAT.md.
	const bound = 2_099_200 + 2049*maxLines
	for name, pair := range hostilePairs() {
		t.Run(name, func(t *testing.T) {
			var d differ
			_, ok := d.lines([]byte(pair[0]), []byte(pair[1]))
			if d.steps > bound {
				t.Errorf("%d steps, more than %d", d.steps, bound)
			}
			held := cap(d.search.rows)*32 + cap(d.search.reach)*4 + cap(d.table.slots)*8 + cap(d.table.classes)*8 +
				4*(cap(d.table.balance)+cap(d.old.class)+cap(d.old.start)+cap(d.new.class)+cap(d.new.start))
			for _, b := range d.search.blocks {
				held += cap(b) * 2
			}
			if held > 16<<20-2*maxText {
				t.Errorf("%d bytes held beside the texts", held)
			}
			t.Logf("%s: hunks %v, %d steps, %d KiB", name, ok, d.steps, held>>10)
		})
	}
}

// A differ has its memory from the pair before, which must not shine through.
func TestADifferForgetsThePairBefore(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	large := hostilePairs()
	names := slices.Sorted(maps.Keys(large))
	var d differ
	for i := range 3000 {
		alphabet := 1 + r.IntN(1+i%40)
		old := randomText(r, 1+i%60, alphabet)
		new := edited(r, old, r.IntN(9), alphabet)
		if i%300 == 0 {
			pair := large[names[i/300]]
			old, new = pair[0], pair[1]
		}
		var fresh differ
		want, wantOK := fresh.lines([]byte(old), []byte(new))
		got, ok := d.lines([]byte(old), []byte(new))
		if ok != wantOK || !slices.Equal(got, want) {
			t.Fatalf("pair %d: got %v, %v, want %v, %v", i, got, ok, want, wantOK)
		}
	}
}
