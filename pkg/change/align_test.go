package change

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What Align says is true: matches are in order, do not overlap, and hold equal
// lines; and no longer list of common lines exists, by a slow table.
func TestAlign(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		old := make([]uint64, r.IntN(12))
		for i := range old {
			old[i] = uint64(r.IntN(5))
		}
		new := slices.Clone(old)
		for range r.IntN(6) {
			at := r.IntN(len(new) + 1)
			if r.IntN(2) == 0 || len(new) == 0 {
				new = slices.Insert(new, at, uint64(r.IntN(5)))
			} else {
				new = slices.Delete(new, min(at, len(new)-1), min(at, len(new)-1)+1)
			}
		}
		matches, ok := Align(old, new)
		if !ok {
			t.Fatalf("seed %d: gave up", seed)
		}
		x, y, common := 0, 0, 0
		for _, m := range matches {
			if m.Old < x || m.New < y || m.N < 1 || !slices.Equal(old[m.Old:m.Old+m.N], new[m.New:m.New+m.N]) {
				t.Fatalf("seed %d: %v and %v: %v", seed, old, new, matches)
			}
			x, y, common = m.Old+m.N, m.New+m.N, common+m.N
		}
		if want := longestCommon(old, new); common != want {
			t.Fatalf("seed %d: %v and %v: %d lines in common, want %d", seed, old, new, common, want)
		}
	}
	t.Run("texts that differ too much are not compared", func(t *testing.T) {
		a, b := make([]uint64, 3000), make([]uint64, 3000)
		for i := range a {
			a[i], b[i] = uint64(i), uint64(i+10000)
		}
		if _, ok := Align(a, b); ok {
			t.Error("compared")
		}
	})
}

func longestCommon(a, b []uint64) int {
	best := make([][]int, len(a)+1)
	for i := range best {
		best[i] = make([]int, len(b)+1)
	}
	for i := range a {
		for j := range b {
			best[i+1][j+1] = max(best[i][j+1], best[i+1][j])
			if a[i] == b[j] {
				best[i+1][j+1] = max(best[i+1][j+1], best[i][j]+1)
			}
		}
	}
	return best[len(a)][len(b)]
}
