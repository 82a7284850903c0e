package audit_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/artifact"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
)

func claimOf(t *testing.T, s artifact.Strength, of ...*past.Commit) artifact.Claim {
	t.Helper()
	c := artifact.Claim{Strength: s, Source: "a test"}
	for _, commit := range of {
		id, err := change.ParseID(commit.ID)
		if err != nil {
			t.Fatal(err)
		}
		c.Commits = append(c.Commits, artifact.Commit{ID: id})
	}
	return c
}

// inside counts again what commits have, with all that they reach: commits by tool and
// model, and all that count.
func inside(of ...*past.Commit) (rows map[string]int64, all int64) {
	rows, seen := map[string]int64{}, map[*past.Commit]bool{}
	for _, c := range of {
		for a := range c.Ancestors() {
			seen[a] = true
		}
	}
	for c := range seen {
		if c.Evidence == "unknown" && !c.Own() {
			continue
		}
		all++
		if c.Tool != "" {
			rows[c.Tool+" "+c.Model]++
		}
	}
	return rows, all
}

func TestArtifacts(t *testing.T) {
	ctx := context.Background()
	a, b := past.New(t, "a", "--bare"), past.New(t, "b", "--bare", "--object-format=sha256")
	a.Random(500, 40)
	b.Random(501, 30)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, approvals), a, b)
	s := ask(t, db)
	mid := a.Branches["main"].Parents[0]
	for mid.Parents != nil && len(mid.Ancestors()) > 20 {
		mid = mid.Parents[0]
	}
	tip, other := a.Branches["main"], b.Branches["main"]
	digest := func(n int) string { return strings.Repeat(fmt.Sprintf("%02x", n), 32) }
	for n, claims := range [][]artifact.Claim{
		{claimOf(t, artifact.BuildInfo, mid)},
		{claimOf(t, artifact.Declared, tip), claimOf(t, artifact.SignedProvenance, mid)},                                  // the better one counts
		{claimOf(t, artifact.Document, mid, other)},                                                                       // of two repositories
		{claimOf(t, artifact.Document, &past.Commit{ID: strings.Repeat("12", 20)}), claimOf(t, artifact.Declared, other)}, // one is nobody's
	} {
		if err := audit.KeepArtifact(ctx, s, now, fmt.Sprint("artifact ", n), digest(n), -1, claims); err != nil {
			t.Fatal(err)
		}
	}
	v, err := audit.See(ctx, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []struct {
		of       []*past.Commit
		strength artifact.Strength
		absent   int
	}{{[]*past.Commit{mid}, artifact.BuildInfo, 0}, {[]*past.Commit{mid}, artifact.SignedProvenance, 0}, {[]*past.Commit{mid, other}, artifact.Document, 0},
		{[]*past.Commit{other}, artifact.Declared, 1}} {
		t.Run(fmt.Sprint("what is in artifact ", n), func(t *testing.T) {
			found, err := v.FindArtifact(ctx, "sha256:"+digest(n)[:12])
			if err != nil {
				t.Fatal(err)
			}
			u, err := v.ArtifactUse(ctx, found, nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, all := inside(want.of...)
			got := map[string]int64{}
			for _, r := range u.Usage.Rows {
				got[strings.Join(r.Key, " ")] = r.Commits.Known
			}
			if diff := cmp.Diff(rows, got); diff != "" {
				t.Errorf("counted -, asked +\n%s", diff)
			}
			if u.Usage.Total.Commits != all || u.Strength != string(want.strength) || len(u.Absent) != want.absent || u.Gone != 0 {
				t.Errorf("%d commits, %s, %d absent, %d gone; want %d, %s, %d, 0", u.Usage.Total.Commits, u.Strength, len(u.Absent), u.Gone, all, want.strength, want.absent)
			}
		})
	}
	t.Run("looking back names the artifacts that a carrier is in", func(t *testing.T) {
		found, err := v.Timetravel(ctx, audit.Quest{Model: "acme/*", Artifacts: true})
		if err != nil {
			t.Fatal(err)
		}
		in, in2 := mid.Ancestors(), other.Ancestors()
		for _, c := range found.Commits {
			var want []string
			for _, truth := range append(slices.Clone(a.Commits), b.Commits...) {
				switch {
				case truth.ID == c.Commit && in[truth]:
					want = []string{"artifact 0", "artifact 1", "artifact 2"}
				case truth.ID == c.Commit && in2[truth]:
					want = []string{"artifact 2", "artifact 3"}
				}
			}
			if strings.Join(c.Artifacts, ",") != strings.Join(want, ",") {
				t.Errorf("%s is in %q, want %q", c.Commit, c.Artifacts, want)
			}
		}
		if len(found.Commits) == 0 {
			t.Error("nothing carries it: this shows nothing")
		}
	})
	t.Run("before it was added nobody knew of it", func(t *testing.T) {
		before := now.Add(-1)
		v, err := audit.See(ctx, s, &before)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.FindArtifact(ctx, "artifact 0"); !errors.Is(err, audit.ErrNoArtifact) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of a name that two bear neither is meant", func(t *testing.T) {
		if err := audit.KeepArtifact(ctx, s, now, "artifact 0", digest(9), 7, []artifact.Claim{claimOf(t, artifact.Declared, mid)}); err != nil {
			t.Fatal(err)
		}
		if _, err := v.FindArtifact(ctx, "artifact 0"); err == nil || !strings.Contains(err.Error(), "2 artifacts are called") {
			t.Errorf("got %v", err)
		}
	})
}
