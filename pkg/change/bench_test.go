package change

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// BenchmarkCompute makes the digest of ordinary commits, of files of 500 lines
// that differ in a few places.
func BenchmarkCompute(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(15, 16))
			old, new := files{}, files{}
			for i := range 300 {
				path := fmt.Sprintf("dir%d/sub%d/file%d.go", i%5, i%20, i)
				old[path] = file{0o100644, sourceText(r, 500)}
				new[path] = old[path]
				if i < n {
					new[path] = file{0o100644, edited(r, old[path].text, 6, 1000)}
				}
			}
			s := newStore(false)
			from, to := s.tree(old), s.tree(new)
			_, stats, err := Compute(s, from, to)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(stats.Read)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Compute(s, from, to); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(stats.Added+stats.Removed), "lines/op")
		})
	}
}

func sourceText(r *rand.Rand, lines int) string {
	var b strings.Builder
	for range lines {
		switch r.IntN(5) {
		case 0:
			b.WriteString("\t}\n")
		case 1:
			b.WriteString("\n")
		default:
			fmt.Fprintf(&b, "\tvalue%d := compute(%d, name%d)\n", r.IntN(1000), r.IntN(10), r.IntN(50))
		}
	}
	return b.String()
}

// BenchmarkAdded hashes new files, as a root commit does.
func BenchmarkAdded(b *testing.B) {
	r := rand.New(rand.NewPCG(17, 18))
	new := files{}
	for i := range 50 {
		new[fmt.Sprintf("file%d", i)] = file{0o100644, sourceText(r, 1000)}
	}
	s := newStore(false)
	to := s.tree(new)
	_, stats, err := Compute(s, "", to)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(stats.Read)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Compute(s, "", to); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostile compares the worst pairs known; memory is that of the first
// pair of a process.
func BenchmarkHostile(b *testing.B) {
	for name, pair := range hostilePairs() {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			s := newStore(false)
			from, to := s.tree(files{"f": {0o100644, pair[0]}}), s.tree(files{"f": {0o100644, pair[1]}})
			b.ReportAllocs()
			var stats Stats
			for b.Loop() {
				_, stats, _ = Compute(s, from, to)
			}
			b.ReportMetric(float64(stats.Steps), "steps/op")
		})
	}
}
