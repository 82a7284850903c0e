package repair_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
)

func wantActions(t *testing.T, p *repair.Plan, want string) {
	t.Helper()
	if diff := cmp.Diff(want, actions(p)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestHistories(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		in := "--object-format=" + format
		t.Run(format+": a line is stamped from its root on, bound exactly", func(t *testing.T) {
			w := newWorld(t, in)
			w.line("One\n", "Two\n", "Three\n")
			wantActions(t, w.repair(), "stamp One, stamp Two, stamp Three")
			w.accepted("refs/heads/exact")
			for _, c := range w.verify("refs/heads/exact").Commits {
				if c.Binding == nil || *c.Binding != gate.Exact || c.Records[0].Via != "unknown" {
					t.Errorf("%+v", c)
				}
			}
			w.Git(t, "fsck", "--strict")
		})

		t.Run(format+": a merge that brings nothing of its own follows as it is", func(t *testing.T) {
			w := newWorld(t, in)
			tips := w.fork("Left\n", "Right\n")
			tree := w.Git(t, "merge-tree", "--write-tree", tips[0].String(), tips[1].String())
			w.main(w.commit(draft{parents: tips, tree: tree, message: "Merge\n"}))
			wantActions(t, w.repair(), "stamp Base, stamp Left, stamp Right, follow Merge")
			w.accepted("refs/heads/main")
			if got := w.message("HEAD"); got != "Merge\n" {
				t.Errorf("the merge says %q", got)
			}
		})

		t.Run(format+": where binding is exact no merge is exempt, and it is stamped", func(t *testing.T) {
			w := newWorld(t, in)
			tips := w.fork("Left\n", "Right\n")
			tree := w.Git(t, "merge-tree", "--write-tree", tips[0].String(), tips[1].String())
			w.main(w.commit(draft{parents: tips, tree: tree, message: "Merge\n"}))
			exact := func(o *repair.Options) { o.Ref = "refs/heads/exact" }
			wantActions(t, w.repair(exact), "stamp Base, stamp Left, stamp Right, stamp Merge")
			w.accepted("refs/heads/exact")
		})

		t.Run(format+": a merge with something of its own, and one of three, are stamped", func(t *testing.T) {
			w := newWorld(t, in)
			tips := w.fork("Left\n", "Right\n", "Third\n")
			evil := w.commit(draft{name: "evil", parents: tips[:2], message: "Evil\n"})
			octopus := w.commit(draft{name: "more", parents: []change.ID{evil, tips[1], tips[2]}, message: "Octopus\n"})
			w.main(octopus)
			wantActions(t, w.repair(), "stamp Base, stamp Left, stamp Right, stamp Evil, stamp Third, stamp Octopus")
			w.accepted("refs/heads/main")
		})

		t.Run(format+": two roots joined", func(t *testing.T) {
			w := newWorld(t, in)
			a := w.commit(draft{name: "a", message: "A\n"})
			b := w.commit(draft{name: "b", message: "B\n"})
			w.main(w.commit(draft{name: "c", parents: []change.ID{a, b}, message: "Join\n"}))
			wantActions(t, w.repair(), "stamp A, stamp B, stamp Join")
			w.accepted("refs/heads/main")
		})

		t.Run(format+": what is covered stays, byte for byte, where nothing before it moves", func(t *testing.T) {
			w := newWorld(t, in)
			first := w.line("One\n", "Two\n")[0]
			covered := w.stamped(first, []string{hooked}, w.alice)
			w.main(w.commit(draft{name: "two", parents: []change.ID{covered}, message: "Two\n"}))
			wantActions(t, w.repair(), "stamp Two")
			if got := w.id("HEAD~1"); got != covered {
				t.Errorf("the covered commit became %s", got)
			}
			w.accepted("refs/heads/main")
		})

		t.Run(format+": what is covered and stands on what moves keeps its signature", func(t *testing.T) {
			w := newWorld(t, in)
			base := w.line("One\n")[0]
			two := w.commit(draft{name: "two", parents: []change.ID{base}, message: "Two\n"})
			w.main(w.stamped(two, []string{hooked}, signer(t, 1)))
			before := w.message("HEAD")
			wantActions(t, w.repair(), "stamp One, follow Two")
			if got := w.message("HEAD"); got != before {
				t.Errorf("it says\n%s\nand said\n%s", got, before)
			}
			w.accepted("refs/heads/exact")
		})

		t.Run(format+": of a range in the middle the rest follows, silent as it was", func(t *testing.T) {
			w := newWorld(t, in)
			ids := w.line("One\n", "Two\n", "Three\n", "Four\n")
			wantActions(t, w.repair(of(ids[2:3], ids[1])), "stamp Three, follow Four")
			if got := w.id("HEAD~2"); got != ids[1] {
				t.Errorf("what was before the range became %s", got)
			}
			if got := w.message("HEAD"); got != "Four\n" {
				t.Errorf("what follows says %q", got)
			}
		})

		t.Run(format+": one side of a merge alone", func(t *testing.T) {
			w := newWorld(t, in)
			tips := w.fork("Left\n", "Right\n")
			merge := w.commit(draft{name: "evil", parents: tips, message: "Evil\n"})
			w.main(w.commit(draft{name: "last", parents: []change.ID{merge}, message: "Last\n"}))
			wantActions(t, w.repair(of(tips[1:], w.id(tips[1].String()+"^"))), "stamp Right, follow Evil, follow Last")
			if got := w.id("HEAD^^1"); got != tips[0] {
				t.Errorf("the other side became %s", got)
			}
		})
	}

	t.Run("a detached HEAD moves, and no branch", func(t *testing.T) {
		w := newWorld(t)
		ids := w.line("One\n", "Two\n")
		w.Git(t, "checkout", "-q", "--detach")
		wantActions(t, w.repair(), "stamp One, stamp Two")
		if got := w.id("main"); got != ids[1] {
			t.Errorf("main moved to %s", got)
		}
		if got := w.id("HEAD@{1}"); got != ids[1] {
			t.Errorf("the reflog of HEAD has %s", got)
		}
	})

	t.Run("a linked work tree repairs its own branch", func(t *testing.T) {
		w := newWorld(t)
		ids := w.line("One\n")
		w.Git(t, "reset", "-q", "--hard")
		dir := filepath.Join(t.TempDir(), "linked")
		w.Git(t, "worktree", "add", "-q", "-b", "side", dir)
		linked := worldOf(t, &gittest.Repo{Dir: dir, Env: w.Env})
		linked.Write(t, "two", "two\n")
		linked.Commit(t, "Two")
		linked.Write(t, "dirty", "dirty\n")
		status := linked.Git(t, "status", "--porcelain")
		wantActions(t, linked.repair(of(linked.ids("side"), ids[0])), "stamp Two")
		if got := linked.Git(t, "status", "--porcelain"); got != status {
			t.Errorf("status was %q, is %q", status, got)
		}
		if got := w.id("main"); got != ids[0] {
			t.Errorf("main moved to %s", got)
		}
	})

	t.Run("a bare repository keeps the old tip in a reflog, too", func(t *testing.T) {
		w := newWorld(t, "--bare")
		ids := w.line("One\n", "Two\n")
		wantActions(t, w.repair(), "stamp One, stamp Two")
		if got := w.id("main@{1}"); got != ids[1] {
			t.Errorf("the reflog has %s, want %s", got, ids[1])
		}
		w.accepted("refs/heads/main")
	})

	t.Run("a range that is not on the branch is told, and nothing is planned", func(t *testing.T) {
		w := newWorld(t)
		w.line("One\n")
		other := w.commit(draft{name: "other", parents: w.ids("main"), message: "Other\n"})
		_, err := repair.Find(t.Context(), w.options(of([]change.ID{other})))
		if !errors.Is(err, repair.ErrElsewhere) {
			t.Errorf("error is %v", err)
		}
		wantActions(t, w.repair(of([]change.ID{other}, w.id("main")), beside), "beside Other")
	})

	t.Run("more commits than the policy lets a push bring are not half looked at", func(t *testing.T) {
		w := newWorld(t)
		w.line("One\n", "Two\n", "Three\n")
		few := func(o *repair.Options) { o.Policy = policyOf(t, "schema = 1\n[limits]\ncommits = 2\n") }
		_, err := repair.Find(t.Context(), w.options(few))
		if err == nil || !strings.Contains(err.Error(), "more than 2 commits") || !strings.HasSuffix(err.Error(), "name a smaller range") {
			t.Errorf("error is %v", err)
		}
		wantActions(t, w.repair(few, of(w.ids("main"), w.id("main~2"))), "stamp Two, stamp Three")
	})

	t.Run("a tag names a range as well as a commit", func(t *testing.T) {
		w := newWorld(t)
		ids := w.line("One\n", "Two\n", "Three\n")
		w.Git(t, "tag", "-a", "-m", "tag", "v1", ids[0].String())
		w.Git(t, "tag", "-a", "-m", "tag", "v2", ids[1].String())
		wantActions(t, w.repair(of(w.ids("v2"), w.id("v1"))), "stamp Two, follow Three")
	})

	t.Run("a shallow clone says which parent is missing", func(t *testing.T) {
		w := newWorld(t)
		w.line("One\n", "Two\n", "Three\n")
		dir := filepath.Join(t.TempDir(), "shallow")
		w.Git(t, "clone", "-q", "--depth=2", "file://"+w.Dir, dir)
		s := worldOf(t, &gittest.Repo{Dir: dir, Env: w.Env})
		_, err := repair.Find(t.Context(), s.options())
		if !errors.Is(err, change.ErrMissing) || !strings.Contains(err.Error(), w.id("main~2").String()) {
			t.Errorf("error is %v", err)
		}
		wantActions(t, s.repair(of(s.ids("main"), s.id("main~1"))), "stamp Three")
	})
}

// fork makes a base and commits upon it, side by side.
func (w *world) fork(messages ...string) (tips []change.ID) {
	w.t.Helper()
	base := w.commit(draft{name: "base", message: "Base\n"})
	for i, m := range messages {
		tips = append(tips, w.commit(draft{name: fmt.Sprintf("fork%d", i), parents: []change.ID{base}, message: m}))
	}
	return tips
}

func (w *world) main(tip change.ID) {
	w.t.Helper()
	w.Git(w.t, "update-ref", "refs/heads/main", tip.String())
}
