package audit_test

import (
	"cmp"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

func TestLookingBackAsOfATime(t *testing.T) {
	r := past.New(t, "a", "--bare")
	db := filepath.Join(t.TempDir(), "audit.db")
	known := map[int]map[string]carried{}
	for round := range 3 {
		r.Random(uint64(600+round), 12)
		rewritten(r, uint64(round), 4)
		index(t, db, now.AddDate(0, 0, round), law(t, approvals), r)
		known[round] = carriers(func(c *past.Commit) bool { return c.Model == "acme/rogue-1" }, r)
	}
	for round := range 3 {
		at := now.AddDate(0, 0, round).Add(time.Hour)
		got := map[string]carried{}
		for _, c := range look(t, db, &at, audit.Quest{Model: "acme/*", Open: opener(r)}).Commits {
			got[c.Commit] = carried{c.How != audit.OfRecord, c.Undone}
		}
		if diff := gocmp.Diff(known[round], got); diff != "" {
			t.Errorf("as of day %d: true -, asked +\n%s", round, diff)
		}
	}
}

// withdrawal is a policy that approves one provider alone.
const withdrawal = "schema = 1\n[[model]]\nid = \"openai/*\"\nstatus = \"approved\"\n"

func TestReplayJudgesThePastByAnotherPolicy(t *testing.T) {
	r := past.New(t, "a", "--bare")
	r.Random(610, 60)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, approvals), r)
	other, err := policy.Parse("other.toml", []byte(withdrawal), nil)
	if err != nil {
		t.Fatal(err)
	}
	type judged struct{ before, after bool }
	want := map[string]judged{}
	approvedBefore, approvedAfter := int64(0), int64(0)
	for _, c := range r.Reached() {
		if c.Tool == "" || c.Model == "unknown/unknown" {
			continue
		}
		j := judged{allowed(c), c.Model == "openai/gpt-5"}
		if j.before {
			approvedBefore++
		}
		if j.after {
			approvedAfter++
		}
		if j.before != j.after {
			want[c.ID] = j
		}
	}
	found := look(t, db, nil, audit.Quest{Model: "*/*-*", Open: opener(r), Replay: other})
	got := map[string]judged{}
	for _, d := range found.Replay.Differ {
		got[d.Commit] = judged{d.Before == "approved", d.After == "approved"}
		if d.Rule == "" {
			t.Errorf("%s: no rule is named", d.Commit)
		}
	}
	kin := map[string]bool{} // what carries it without a claim of its own is judged by none
	for _, c := range found.Commits {
		kin[c.Commit] = c.How != audit.OfRecord
	}
	for id := range want {
		if _, ok := kin[id]; !ok {
			t.Errorf("%s is not found", id)
		}
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(judged{})); diff != "" {
		t.Errorf("counted -, asked +\n%s", diff)
	}
	if found.Replay.Before.Approved != approvedBefore || found.Replay.After.Approved != approvedAfter || found.Replay.Policy != other.Digest() {
		t.Errorf("%+v; want %d approved before and %d after", found.Replay, approvedBefore, approvedAfter)
	}
	if len(want) == 0 {
		t.Error("no commit is judged otherwise: this shows nothing")
	}
}

func TestTheWorkListIsInOrderOfReach(t *testing.T) {
	r := past.New(t, "a", "--bare")
	r.Random(620, 40)
	rewritten(r, 62, 10)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, approvals), r)
	found := look(t, db, nil, audit.Quest{Model: "acme/*", Open: opener(r), Refs: true, Files: true, Owners: true, Inverse: true, Work: true, Living: []string{"HEAD", "refs/heads/side620-1"}})
	type sum struct {
		commits, refs map[string]bool
		living        map[string]int
		clean, later  int
	}
	want := map[string]*sum{}
	at := func(path string) *sum {
		if want[path] == nil {
			want[path] = &sum{commits: map[string]bool{}, refs: map[string]bool{}, living: map[string]int{}}
		}
		return want[path]
	}
	for _, c := range found.Commits {
		standing := slices.DeleteFunc(slices.Clone(c.Refs), func(ref string) bool { return slices.Contains(c.UndoneIn, ref) })
		if c.Undone == "whole" && len(standing) == 0 && len(c.Living) == 0 {
			continue
		}
		paths := map[string]bool{}
		for _, f := range c.Files {
			s := at(f.Path)
			s.later = max(s.later, f.Later)
			for _, ref := range standing {
				s.refs[ref] = true
			}
			paths[f.Path] = true
		}
		for _, a := range c.Living {
			at(a.Path).living[a.Ref] += a.Lines
			paths[a.Path] = true
		}
		for path := range paths {
			s := at(path)
			s.commits[c.Commit] = true
			if c.Inverse == audit.InverseClean {
				s.clean++
			}
		}
	}
	if len(found.Work) != len(want) || len(want) == 0 {
		t.Fatalf("%d files to be looked at, want %d", len(found.Work), len(want))
	}
	reach := func(w audit.WorkItem) [3]int { return [3]int{w.Living, w.Refs, len(w.Commits)} }
	for i, w := range found.Work {
		s := want[w.Path]
		if s == nil {
			t.Errorf("%s: why?", w.Path)
			continue
		}
		living := 0
		for _, n := range s.living {
			living = max(living, n)
		}
		if len(w.Commits) != len(s.commits) || w.Refs != len(s.refs) || w.Living != living || w.Clean != s.clean || w.Later != s.later {
			t.Errorf("%+v; want %d commits, %d refs, %d living, %d clean, %d later", w, len(s.commits), len(s.refs), living, s.clean, s.later)
		}
		if i > 0 {
			a, b := reach(found.Work[i-1]), reach(w)
			if cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2])) < 0 {
				t.Errorf("%s stands before %s, which reaches further", found.Work[i-1].Path, w.Path)
			}
		}
	}
}
