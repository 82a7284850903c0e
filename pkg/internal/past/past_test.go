package past_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
)

func TestPast(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run("git finds a "+format+" history whole, and counts its lines as the truth does", func(t *testing.T) {
			r := past.New(t, "one", "--bare", "--object-format="+format)
			r.Random(1, 40)
			r.Git(t, "fsck", "--strict")
			kinds := map[string]int{}
			for _, c := range r.Commits {
				kinds[c.Kind]++
				if len(c.Parents) > 1 {
					continue
				}
				want := map[string]int{}
				for line := range strings.Lines(r.Git(t, "diff-tree", "--root", "-r", "--numstat", "--no-commit-id", "--no-renames", c.ID)) {
					var added int
					var deleted, path string
					if _, err := fmt.Sscan(line, &added, &deleted, &path); err != nil {
						t.Fatal(err)
					}
					want[path] = added
				}
				if got := c.Added(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s %s adds %v, git says %v", c.Kind, c.ID, got, want)
				}
			}
			if len(kinds) < 7 {
				t.Errorf("only these kinds of commits were made: %v", kinds)
			}
		})
	}
}
