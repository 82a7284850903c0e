package gate

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// notes are a witness that remembers.
type notes struct {
	told []CommitVerdict
	mark int
	fail int // after so many
}

var errFull = errors.New("the disk is full")

func (n *notes) Judged(c CommitVerdict) error {
	if n.fail > 0 && len(n.told) == n.fail {
		return errFull
	}
	n.told = append(n.told, c)
	return nil
}

func (n *notes) Mark() error { n.mark = len(n.told); return nil }

func (n *notes) Back() { n.told = n.told[:n.mark] }

// A witness is told of exactly the commits that a verdict which keeps all would list,
// in its order, whatever is judged together.
func TestAWitnessIsToldOfEveryCommitOnce(t *testing.T) {
	w := newWorld(t)
	good := w.line(w.root(), 30)
	bad := w.line(good, 3, 1)
	other := w.line(w.root(), 5)
	tags := func(tips ...change.ID) (updates []Update) {
		for i, tip := range tips {
			updates = append(updates, Update{Ref: fmt.Sprintf("refs/tags/v%d", i), New: tip})
		}
		return updates
	}
	for _, c := range []struct {
		name    string
		updates []Update
		alike   bool // judged together, so that the first stands for all
	}{
		{"one ref", tags(good), false},
		{"one ref with a fault", tags(bad), false},
		{"several refs by several rules", []Update{{Ref: "refs/heads/main", New: bad}, {Ref: "refs/heads/wip/a", New: bad}, {Ref: "refs/heads/free/a", New: bad}}, false},
		{"a ref that grows", []Update{{Ref: "refs/heads/main", Old: good, New: bad}}, false},
		{"new refs judged together", tags(good, good, other), true},
		{"new refs judged together, then one by one", tags(good, bad, other), false},
		{"the same beside others", append([]Update{{Ref: "refs/heads/wip/a", New: bad}}, tags(good, bad, other)...), false},
		{"what is no commit", tags(w.treeOf(good)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &notes{}
			g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Witness: n, Workers: 7}
			v, err := g.Push(context.Background(), c.updates, KeepFaulty)
			if err != nil {
				t.Fatal(err)
			}
			judged := 0
			for _, r := range v.Refs {
				judged += r.Judged
			}
			if judged != len(n.told) {
				t.Errorf("%d commits judged, and %d told", judged, len(n.told))
			}
			g.Witness = nil
			all, err := g.Push(context.Background(), c.updates, KeepAll)
			if err != nil {
				t.Fatal(err)
			}
			if c.alike {
				seen := map[string]bool{}
				var once []CommitVerdict
				for _, c := range all.Commits {
					if c.Ref = all.Refs[0].Ref; !seen[c.ID] {
						seen[c.ID], once = true, append(once, c)
					}
				}
				all.Commits = once
			}
			if diff := cmp.Diff(all.Commits, append([]CommitVerdict{}, n.told...)); diff != "" {
				t.Errorf("-all +told\n%s", diff)
			}
		})
	}
}

func TestAPushThatCannotBeWrittenDownIsAnError(t *testing.T) {
	w := newWorld(t)
	g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Witness: &notes{fail: 10}}
	if _, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: w.line(w.root(), 600)}}, KeepFaulty); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestAVerdictSaysByWhatRuleARefWasJudged(t *testing.T) {
	w := newWorld(t)
	w.symrefs["refs/heads/alias"] = "refs/heads/main"
	g := Gate{Policy: rules(t, house(t, `binding = "exact"`)), Source: w, Now: now}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/alias", New: w.root()}, {Ref: "refs/heads/wip/a", New: w.root()}}, KeepFaulty)
	if err != nil {
		t.Fatal(err)
	}
	alias, wip := v.Refs[0], v.Refs[1]
	if alias.Target != "refs/heads/main" || alias.Rule.Mode != "enforce" || alias.Rule.Binding != "exact" || wip.Target != "" || wip.Rule.Mode != "warn" {
		t.Errorf("%+v", v.Refs)
	}
}
