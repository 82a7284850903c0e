package repair_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
)

// A tired signer signs so often and then does something else.
type tired struct {
	attestation.Signer
	left *int
	then func() error
}

func (s tired) Sign(ctx context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	if *s.left == 0 {
		if err := s.then(); err != nil {
			return "", nil, err
		}
	}
	*s.left--
	return s.Signer.Sign(ctx, statement)
}

func TestApply(t *testing.T) {
	prepare := func(t *testing.T) *world {
		w := newWorld(t)
		w.line("One\n", "Two\n\n---\n", "Three\n")
		return w
	}
	take := func(t *testing.T, w *world) gittest.Snapshot {
		s, err := gittest.Take(w.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}

	t.Run("a signer that fails in the middle leaves every byte", func(t *testing.T) {
		w := prepare(t)
		before, gone := take(t, w), errors.New("the key was pulled out")
		left := 2
		err := w.find().Apply(t.Context(), tired{w.alice, &left, func() error { return gone }}, "refs/heads/main")
		if !errors.Is(err, gone) || !strings.HasPrefix(err.Error(), "commit ") {
			t.Errorf("error is %v", err)
		}
		if diff := before.Diff(take(t, w)); len(diff) > 0 {
			t.Errorf("it changed %v", diff)
		}
	})

	t.Run("stopped while it signs, it leaves every byte", func(t *testing.T) {
		w := prepare(t)
		before := take(t, w)
		ctx, stop := context.WithCancel(t.Context())
		left := 2
		err := w.find().Apply(ctx, tired{w.alice, &left, func() error { stop(); return nil }}, "refs/heads/main")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		if diff := before.Diff(take(t, w)); len(diff) > 0 {
			t.Errorf("it changed %v", diff)
		}
	})

	t.Run("a branch that moves meanwhile stays where it went", func(t *testing.T) {
		w := prepare(t)
		plan := w.find()
		next := w.commit(draft{name: "next", parents: w.ids("main"), message: "Next\n"})
		w.main(next)
		err := plan.Apply(t.Context(), w.alice, "refs/heads/main")
		if want := "refs/heads/main has moved meanwhile and stays as it is now; repair again"; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
		if got := w.id("main"); got != next || plan.Tip == next {
			t.Errorf("main is %s, want %s", got, next)
		}
		wantActions(t, w.repair(), "stamp One, follow Two, stamp Three, stamp Next")
		w.accepted("refs/heads/main")
	})

	t.Run("cut off before the branch moves, it is done again from the start", func(t *testing.T) {
		w := prepare(t)
		tip := w.id("main")
		lock := filepath.Join(w.repo.CommonDir, "refs", "heads", "main.lock")
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		err := w.find().Apply(t.Context(), w.alice, "refs/heads/main")
		if err == nil || !strings.Contains(err.Error(), "main.lock") || w.id("main") != tip {
			t.Errorf("error is %v, main is %s", err, w.id("main"))
		}
		w.Git(t, "fsck", "--strict")
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		wantActions(t, w.repair(), "stamp One, follow Two, stamp Three")
		w.accepted("refs/heads/main")
	})

	t.Run("what cannot be stored moves nothing", func(t *testing.T) {
		w := prepare(t)
		plan, tip := w.find(), w.id("main")
		t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gone"))
		if err := plan.Apply(t.Context(), w.alice, "refs/heads/main"); err == nil || !strings.Contains(err.Error(), "write commits") {
			t.Errorf("error is %v", err)
		}
		if got := w.id("main"); got != tip {
			t.Errorf("main is %s", got)
		}
		if refs := w.Git(t, "for-each-ref", "refs/gatekeeper/"); refs != "" {
			t.Errorf("records were made: %s", refs)
		}
	})

	t.Run("the old tip is in the reflog, and a soft reset brings it back", func(t *testing.T) {
		w := prepare(t)
		tip := w.id("main")
		w.Git(t, "reset", "-q", "--hard")
		w.Write(t, "file0", "dirty\n")
		w.Write(t, "staged", "staged\n")
		w.Git(t, "add", "staged")
		index := w.Git(t, "ls-files", "--stage", "--debug")
		status := w.Git(t, "status", "--porcelain")
		w.repair()
		if got := w.Git(t, "status", "--porcelain"); got != status {
			t.Errorf("status was %q, is %q", status, got)
		}
		if got := w.Git(t, "ls-files", "--stage", "--debug"); got != index {
			t.Errorf("the index was\n%s\nis\n%s", index, got)
		}
		w.Git(t, "reset", "--soft", "main@{1}")
		if w.id("main") != tip || w.Git(t, "status", "--porcelain") != status {
			t.Errorf("main is %s, want %s", w.id("main"), tip)
		}
	})
}
