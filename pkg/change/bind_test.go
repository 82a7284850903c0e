package change

import (
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func TestAMergeCarriesADigestOfItsOwn(t *testing.T) {
	first := provenance.Digest{1, 2, 3}
	for parents := range 2 {
		if got := OfMerge(parents, first); got != first {
			t.Errorf("%d parents: %s, want the digest itself", parents, got)
		}
	}
	two, three := OfMerge(2, first), OfMerge(3, first)
	if two == first || three == first || two == three {
		t.Errorf("digests that could be taken for one another: %s, %s, %s", first, two, three)
	}
	if want := "m6yMbfa3EZijU7WGWjOY8d4u-KcD_xcZaPJ2LveC14g"; two.String() != want {
		t.Errorf("two parents: %s, want %s", two, want)
	}
}

func TestACommitCarriesTheDigestOfItsFirstParent(t *testing.T) {
	s := newStore(false)
	text := func(lines string) files { return files{"a": {0o100644, lines}} }
	old, other, tree := s.tree(text("1\n")), s.tree(text("2\n")), s.tree(text("1\n2\n3\n"))
	compute := func(from ID) provenance.Digest {
		d, _, err := Compute(s, from, tree)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		name    string
		parents []ID
		want    provenance.Digest
		added   int
	}{
		{"a root", nil, compute(""), 3},
		{"one parent", []ID{old}, compute(old), 2},
		{"a merge", []ID{old, other}, OfMerge(2, compute(old)), 2},
		{"the other way round", []ID{other, old}, OfMerge(2, compute(other)), 2},
		{"an octopus", []ID{old, other, other}, OfMerge(3, compute(old)), 2},
	} {
		got, stats, err := OfCommit(s, c.parents, tree)
		if err != nil || got != c.want || stats.Added != c.added {
			t.Errorf("%s: %s and %d lines, %v; want %s and %d", c.name, got, stats.Added, err, c.want, c.added)
		}
	}
	if d, _, err := OfCommit(s, []ID{old, other}, "gone"); err == nil || !d.IsZero() {
		t.Errorf("of a tree that is missing: %s, %v", d, err)
	}
}
