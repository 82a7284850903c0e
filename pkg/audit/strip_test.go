package audit

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var want []Entry
	s := &strip{}
	for n := range 2000 {
		e := Entry{Back: rnd.IntN(9) == 0, Commit: int64(n*3 - rnd.IntN(50)), Repo: 7, Author: rnd.Int64N(1 << 40), Committed: rnd.Int64N(1<<33) - 1<<32,
			Evidence: tiers[rnd.IntN(len(tiers))], Class: classes[rnd.IntN(len(classes))], Merge: rnd.IntN(2) == 0, Own: rnd.IntN(2) == 0, Added: rnd.IntN(1000) - 1}
		e.At = e.Committed + rnd.Int64N(3)*1000
		for range rnd.IntN(3) {
			e.Uses = append(e.Uses, EntryUse{rnd.Int64N(500), rnd.IntN(40) - 1})
			e.Places = append(e.Places, EntryPlace{rnd.Int64N(500), rnd.IntN(40)})
		}
		s.add(e)
		want = append(want, e)
	}
	read := func(facts, places []byte) (got []Entry, err error) {
		err = readStrip(7, facts, places, func(e *Entry) {
			c := *e
			c.Uses, c.Places = append([]EntryUse(nil), e.Uses...), append([]EntryPlace(nil), e.Places...)
			got = append(got, c)
		})
		return got, err
	}
	t.Run("what goes in comes out", func(t *testing.T) {
		got, err := read(s.facts, s.places)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a strip that breaks off is an error, or holds fewer entries", func(t *testing.T) {
		for range 300 {
			cut := rnd.IntN(len(s.facts))
			got, err := read(s.facts[:cut], s.places)
			if err == nil && len(got) >= len(want) {
				t.Fatalf("cut at %d of %d bytes it reads whole", cut, len(s.facts))
			}
			for i, e := range got {
				if diff := cmp.Diff(want[i], e); diff != "" {
					t.Fatalf("cut at %d, entry %d differs:\n%s", cut, i, diff)
				}
			}
		}
	})
}
