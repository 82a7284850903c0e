package audit_test

import (
	"cmp"
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// histories are some with all kinds of kin.
func histories(t *testing.T) []*past.Repo {
	repos := []*past.Repo{past.New(t, "a", "--bare"), past.New(t, "b")}
	for i, r := range repos {
		r.Random(uint64(i+60), 20)
		rewritten(r, uint64(i+7), 14)
	}
	return repos
}

// answer is what is told of carriers, by commit.
func answer(found *audit.Timetravel) map[string]carried {
	got := map[string]carried{}
	for _, c := range found.Commits {
		got[c.Commit] = carried{c.How != audit.OfRecord, c.Undone}
	}
	return got
}

func usesATool(c *past.Commit) bool { return c.Tool != "" }

// What joins commits is found in whatever order they get into the index: the copy before
// what it is a copy of, and the revert of another run.
func TestTheAnswerDoesNotDependOnHowItWasIndexed(t *testing.T) {
	repos := histories(t)
	want := carriers(usesATool, repos...)
	for name, batch := range map[string]int{"a commit at a time": 1, "seven at a time": 7, "all at once": 0} {
		for _, list := range [][]*past.Repo{{repos[0], repos[1]}, {repos[1], repos[0]}} {
			db := filepath.Join(t.TempDir(), "audit.db")
			for _, r := range list { // a run each
				s, err := store.Create(context.Background(), db)
				if err != nil {
					t.Fatal(err)
				}
				_, err = audit.Index(context.Background(), s, open(t, r), audit.Options{Program: "test", Now: now, Policy: law(t, ""), Batch: batch})
				if s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			found := look(t, db, nil, audit.Quest{Tool: "*", Open: opener(repos[0])})
			if diff := gocmp.Diff(want, answer(found)); diff != "" {
				t.Errorf("%s: true -, asked +\n%s", name, diff)
			}
		}
	}
}

// As of the time of a run, the answer is what it was then, whatever became known later.
func TestTheAnswerAsOfATimeIsTheOneOfThen(t *testing.T) {
	r := past.New(t, "a", "--bare")
	db := filepath.Join(t.TempDir(), "audit.db")
	type state struct {
		at   time.Time
		want map[string]carried
		refs map[string][]string
	}
	var states []state
	for i := range 4 {
		if i == 3 { // what was there is let go
			r.Delete("rel")
		} else {
			r.Random(uint64(i+90), 8)
			rewritten(r, uint64(i), 6)
		}
		at := now.Add(time.Duration(i) * time.Hour)
		index(t, db, at, law(t, ""), r)
		s := state{at, carriers(usesATool, r), map[string][]string{}}
		for _, c := range r.Reached() {
			if _, in := s.want[c.ID]; in {
				s.refs[c.ID], _ = heads(r, c)
			}
		}
		states = append(states, s)
	}
	for i, s := range states {
		found := look(t, db, &s.at, audit.Quest{Tool: "*", Refs: true, Open: opener(r)})
		if diff := gocmp.Diff(s.want, answer(found)); diff != "" {
			t.Errorf("run %d: true -, asked +\n%s", i+1, diff)
		}
		refs := map[string][]string{}
		for _, c := range found.Commits {
			refs[c.Commit] = c.Refs
		}
		if diff := gocmp.Diff(s.refs, refs); diff != "" {
			t.Errorf("run %d, refs: true -, asked +\n%s", i+1, diff)
		}
	}
	if len(states[0].want) == len(states[2].want) || len(states[2].want) == len(states[3].want) {
		t.Error("the histories have not changed")
	}
	before := now.Add(-time.Hour)
	if found := look(t, db, &before, audit.Quest{Tool: "*", Open: opener(r)}); len(found.Commits) > 0 || found.Bounds.Most > 0 {
		t.Errorf("before the first run: %+v", found.Bounds)
	}
}

// Every judgement by another policy is counted again without package policy.
func TestReplay(t *testing.T) {
	repos := histories(t)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, approvals), repos...)
	instead, err := policy.Parse("other.toml", []byte("schema = 1\n[[model]]\nid = \"openai/*\"\nstatus = \"approved\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	word := map[bool]string{true: "approved", false: "unsanctioned"}
	type pair struct{ Before, After string }
	var before, after [2]int64
	want := map[string]pair{}
	found := look(t, db, nil, audit.Quest{Tool: "*", Replay: instead, Open: opener(repos[0])})
	in := answer(found)
	for _, r := range repos {
		for _, c := range r.Reached() {
			if _, ok := in[c.ID]; !ok || c.Tool == "" {
				continue
			}
			was, is := allowed(c), strings.HasPrefix(c.Model, "openai/")
			for i, ok := range []bool{was, !was} {
				if ok {
					before[i]++
				}
			}
			for i, ok := range []bool{is, !is} {
				if ok {
					after[i]++
				}
			}
			if was != is {
				want[c.ID] = pair{word[was], word[is]}
			}
		}
	}
	got := map[string]pair{}
	for _, d := range found.Replay.Differ {
		got[d.Commit] = pair{d.Before, d.After}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("true -, asked +\n%s", diff)
	}
	b, a := found.Replay.Before, found.Replay.After
	if got := [2]int64{b.Approved, b.Unsanctioned}; got != before {
		t.Errorf("before: want %v, got %v", before, got)
	}
	if got := [2]int64{a.Approved, a.Unsanctioned}; got != after {
		t.Errorf("after: want %v, got %v", after, got)
	}
	if len(want) < 4 || found.Replay.Policy != instead.Digest() {
		t.Errorf("only %d differ, by %s", len(want), found.Replay.Policy)
	}
}

// The work list is made again from the histories: which file, by how many commits, in how
// many branches, with how many lines.
func TestWork(t *testing.T) {
	repos := histories(t)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, ""), repos...)
	q := audit.Quest{Model: "*", Open: opener(repos[0]), Refs: true, Living: []string{"refs/heads/main", "refs/heads/rel"}, Owners: true, Inverse: true, Work: true}
	found := look(t, db, nil, q)
	clean := map[string]bool{}
	for _, c := range found.Commits {
		clean[c.Commit] = c.Inverse == audit.InverseClean // see TestInversesAreThoseOfGit
	}
	var want []audit.WorkItem
	for _, r := range repos {
		want = append(want, workOf(r, carriers(usesATool, repos...), clean)...)
	}
	slices.SortFunc(want, func(a, b audit.WorkItem) int {
		return cmp.Or(b.Living-a.Living, b.Refs-a.Refs, len(b.Commits)-len(a.Commits), strings.Compare(a.Repository, b.Repository), strings.Compare(a.Path, b.Path))
	})
	for i := range found.Work {
		slices.Sort(found.Work[i].Commits)
	}
	if diff := gocmp.Diff(want, found.Work); diff != "" || len(want) < 4 {
		t.Errorf("%d files; true -, asked +\n%s", len(want), diff)
	}
}

func workOf(r *past.Repo, in map[string]carried, clean map[string]bool) (list []audit.WorkItem) {
	living := map[string]map[string]map[string]int{} // by commit, file and branch
	for _, branch := range []string{"main", "rel"} {
		for path, lines := range r.Branches[branch].Files {
			for _, l := range lines {
				id := wroteHere(r.Branches[branch], path, l.Text).ID
				if living[id] == nil {
					living[id] = map[string]map[string]int{}
				}
				if living[id][path] == nil {
					living[id][path] = map[string]int{}
				}
				living[id][path][branch]++
			}
		}
	}
	items, refs, lines := map[string]*audit.WorkItem{}, map[string]map[string]bool{}, map[string]map[string]int{}
	for _, c := range r.Reached() {
		carrier, ok := in[c.ID]
		all, undone := heads(r, c)
		if !ok || carrier.Undone == "whole" && len(living[c.ID]) == 0 && len(all) == len(undone) {
			continue
		}
		files := map[string]audit.Touched{}
		for _, f := range touches(r, c) {
			files[f.Path] = f
		}
		for path := range living[c.ID] {
			if _, ok := files[path]; !ok {
				files[path] = audit.Touched{Path: path, Later: -1}
			}
		}
		for path, f := range files {
			if items[path] == nil {
				items[path] = &audit.WorkItem{Repository: filepath.Base(strings.TrimSuffix(strings.TrimSuffix(r.GitDir(), "/.git"), ".git")), Path: path, Owners: []string{}}
				refs[path], lines[path] = map[string]bool{}, map[string]int{}
			}
			w := items[path]
			w.Commits = append(w.Commits, c.ID)
			w.Later = max(w.Later, f.Later)
			if clean[c.ID] {
				w.Clean++
			}
			for _, ref := range all {
				if f.Later >= 0 && !slices.Contains(undone, ref) {
					refs[path][ref] = true
				}
			}
			for branch, n := range living[c.ID][path] {
				lines[path][branch] += n
			}
		}
	}
	for path, w := range items {
		w.Refs = len(refs[path])
		for _, n := range lines[path] {
			w.Living = max(w.Living, n)
		}
		slices.Sort(w.Commits)
		list = append(list, *w)
	}
	return list
}

// What is said of taking a commit back is what git revert does in a work tree, and the tree
// of a clean one is the one that git makes.
func TestInversesAreThoseOfGit(t *testing.T) {
	r := past.New(t, "a")
	r.Random(60, 30)
	rewritten(r, 7, 10)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, ""), r)
	opened := open(t, r)[0]
	clone := filepath.Join(t.TempDir(), "clone")
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Env = r.Env
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	in := func(args ...string) (string, error) { return git(append([]string{"-C", clone}, args...)...) }
	must := func(out string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(out, err)
		}
		return out
	}
	must(git("clone", "-q", "-b", "main", r.GitDir(), clone))
	main := must(in("rev-parse", "HEAD"))
	before := must(in("rev-parse", "HEAD^{tree}"))
	seen := map[string]int{}
	for _, c := range look(t, db, nil, audit.Quest{Tool: "*", Open: opener(r), Inverse: true}).Commits {
		if strings.HasPrefix(c.Inverse, "not tried") {
			if n := len(strings.Fields(must(in("rev-list", "--parents", "-1", c.Commit)))); n == 2 {
				t.Errorf("%s has one parent: %s", c.Commit, c.Inverse)
			}
			continue
		}
		must(in("reset", "-q", "--hard", main))
		want, tree := audit.InverseConflict, ""
		if _, err := in("revert", "--no-commit", c.Commit); err == nil {
			tree = must(in("write-tree"))
			if want = audit.InverseClean; tree == before {
				want = audit.InverseNothing
			}
		}
		if seen[want]++; c.Inverse != want {
			t.Errorf("%s: git says %s, asked %s", c.Commit, want, c.Inverse)
		}
		if tree == "" {
			continue
		}
		got, clean, err := opened.RevertTree(t.Context(), idOf(t, main), idOf(t, c.Commit))
		if err != nil || !clean || got.String() != tree {
			t.Errorf("%s: tree %s, %v, %v; git makes %s", c.Commit, got, clean, err, tree)
		}
	}
	if seen[audit.InverseClean] < 2 || seen[audit.InverseConflict] < 2 {
		t.Errorf("only %v", seen)
	}
}

func idOf(t *testing.T, word string) change.ID {
	t.Helper()
	id, err := change.ParseID(word)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
