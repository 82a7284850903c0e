package signed_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/signed"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

func TestMessage(t *testing.T) {
	t.Run("git reads the trailers, and they bind the commit that git made", func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key")
		if err := gittest.NewKey(key, "ed25519"); err != nil {
			t.Fatal(err)
		}
		w, err := signed.Open(key, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		w.Tool, w.Model = "claude-code/2.1.330", "anthropic/claude-sonnet-4-5"
		r := gittest.New(t)
		if _, err := r.Generate(gittest.History{Commits: 3, Message: w.Message}); err != nil {
			t.Fatal(err)
		}
		for _, id := range strings.Fields(r.Git(t, "rev-list", "main")) {
			judge(t, r, id, w.Signer.PublicKey())
		}
	})
}

func judge(t *testing.T, r *gittest.Repo, id string, key attestation.PublicKey) {
	t.Helper()
	values := func(name string) []string {
		out := r.Git(t, "log", "-1", "--format=%(trailers:key="+name+",valueonly)", id)
		return strings.Split(strings.TrimSpace(out), "\n")
	}
	a, err := attestation.Parse(values(trailer.KeyAttestation)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := attestation.Verify(values(trailer.KeyProvenance), a, key); err != nil {
		t.Errorf("%s: %v", id, err)
	}
	var trees []change.ID
	for _, rev := range strings.Fields(r.Git(t, "log", "-1", "--format=%P %H", id)) {
		tree, err := change.ParseID(r.Git(t, "rev-parse", rev+"^{tree}"))
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
	}
	last := len(trees) - 1
	if want := change.Bind(trees[:last], trees[last]); a.Bind != want {
		t.Errorf("%s: bind is %s, git's trees give %s", id, a.Bind, want)
	}
}
