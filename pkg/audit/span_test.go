package audit

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestBondsAreReadAsTheyWereWritten(t *testing.T) {
	s := span{repo: 1, first: 100, count: 50}
	want := []bond{
		{kind: sameChange, from: 1, to: 100},
		{kind: sameShape, from: 99, to: 149, loose: true},
		{kind: sameShape, from: 98, to: 148, loose: true, signed: 98, digest: strings.Repeat("d", 32)},
		{kind: sameShape, from: 97, to: 147, loose: true, signed: 147, digest: strings.Repeat("e", 32)},
		{kind: sameShape, from: 120, to: 121},
		{kind: pickOf, from: 130, to: 3},     // what picks was indexed before
		{kind: revertOf, from: 140, to: 105}, // and in the same span
		{kind: pickOf, from: 105, to: 140},
	}
	for _, b := range want {
		s.add(b)
	}
	var got []bond
	if err := s.eachBond(func(b bond) { got = append(got, b) }); err != nil || !slices.Equal(got, want) {
		t.Errorf("want %v, got %v: %v", want, got, err)
	}
}

// Whatever stands in the file is read, or refused.
func FuzzSpan(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 1, 0, 1, 1}, []byte{1, 2, 3})
	f.Add([]byte{0, 0, 0, 0}, append([]byte{21, 1, 1}, make([]byte, 32)...))
	f.Add([]byte{1, 1, 1, 1, 3, 0, 0, 0}, []byte{8, 1, 1, 4, 0, 99})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, []byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Fuzz(func(t *testing.T, parents, bonds []byte) {
		s := span{repo: 1, first: 10, count: 4, parents: parents, bonds: bonds}
		g := &graph{}
		g.fill(s.first)
		if err := s.appendTo(g); err != nil && !errors.Is(err, errStrip) {
			t.Errorf("parents: %v", err)
		}
		for id, from := range g.start {
			for _, p := range g.parents[from:] {
				if id == len(g.start)-1 && (p < 0 || int(p) >= id) {
					t.Errorf("%d stands above %d", p, id)
				}
			}
		}
		if err := s.eachBond(func(b bond) {
			if b.from < 1 || b.to < 1 || !s.has(b.from) && !s.has(b.to) {
				t.Errorf("a bond %+v", b)
			}
		}); err != nil && !errors.Is(err, errStrip) {
			t.Errorf("bonds: %v", err)
		}
	})
}
