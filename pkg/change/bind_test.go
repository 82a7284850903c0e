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
