package audit_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// opener opens repositories of a past.
func opener(r *past.Repo) func(context.Context, string) (*repo.Repo, error) {
	return func(ctx context.Context, place string) (*repo.Repo, error) { return repo.Open(ctx, place, r.Env) }
}

// rewritten goes on with a history by commits that lose the provenance of others but keep
// their change, by reverts, and by reverts of these.
func rewritten(r *past.Repo, seed uint64, steps int) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	if r.Branches["rel"] == nil {
		r.Branch("rel", r.Commits[0])
	}
	person := func() past.Person { return past.People[rnd.IntN(len(past.People))] }
	for range steps {
		c := r.Reached()[rnd.IntN(len(r.Reached()))]
		if len(c.Parents) != 1 || len(c.Touched()) == 0 {
			continue
		}
		switch rnd.IntN(4) {
		case 0, 1:
			r.Squash("rel", []*past.Commit{c}, person(), past.How{Evidence: "unknown"})
		case 2:
			r.Pick("rel", c, person())
		case 3:
			r.Revert("rel", c, person(), past.How{Evidence: "unknown"})
		}
	}
}

// carried is what is true of a carrier.
type carried struct {
	Kin    bool // not of record
	Undone string
}

// carriers finds again, from the truth alone, what carries what some commits of record do.
func carriers(record func(*past.Commit) bool, repos ...*past.Repo) map[string]carried {
	reached := map[*past.Commit]bool{}
	for _, r := range repos {
		for _, c := range r.Reached() {
			reached[c] = true
		}
	}
	in, kin := map[*past.Commit]bool{}, map[*past.Commit]bool{}
	for c := range reached {
		in[c] = record(c)
	}
	reverts := func(d, c *past.Commit) bool { return d.Kind == "revert" && d.Of[0] == c }
	for grown := true; grown; {
		grown = false
		for d := range reached {
			if in[d] {
				continue
			}
			for c := range reached {
				same := c.Change == d.Change && len(d.Touched()) > 0 && len(d.Parents) < 2 && len(c.Parents) < 2
				picked := d.Kind == "pick" && d.Of[0] == c
				squashed := d.Kind == "squash" && len(d.Of) > 1 && slices.Contains(d.Of, c)
				again := d.Kind == "revert" && d.Of[0].Kind == "revert" && reached[d.Of[0]] && d.Of[0].Of[0] == c
				if in[c] && (same || picked || squashed || again) {
					in[d], kin[d], grown = true, true, true
				}
			}
		}
	}
	var standing func(*past.Commit) bool
	standing = func(c *past.Commit) bool {
		for d := range reached {
			if reverts(d, c) && standing(d) {
				return false
			}
		}
		return true
	}
	found := map[string]carried{}
	for c := range in {
		if !in[c] {
			continue
		}
		undone := ""
		for d := range reached {
			if !reverts(d, c) || !standing(d) {
				continue
			}
			if takesBack(d, c) {
				undone = "whole"
			} else if undone == "" {
				undone = "said"
			}
		}
		found[c.ID] = carried{kin[c], undone}
	}
	return found
}

// takesBack compares a revert with what it reverts, line by line. The lines around them
// belong to a change, too.
func takesBack(d, c *past.Commit) bool {
	return len(d.Parents) == 1 && len(c.Parents) <= 1 && cmp.Equal(hunksOf(d, true), hunksOf(c, false))
}

// hunksOf is what a commit does to which files, where: the line above, those that go, those
// that come, the line below. Lines are unique, and keep their order.
func hunksOf(c *past.Commit, back bool) map[string][]string {
	hunks := map[string][]string{}
	for _, path := range c.Touched() {
		var old []past.Line
		if len(c.Parents) > 0 {
			old = c.Parents[0].Files[path]
		}
		new := c.Files[path]
		if back {
			old, new = new, old
		}
		gone, come := less(old, new), less(new, old)
		above := ""
		for len(old)+len(new) > 0 {
			hunk := ""
			for len(old) > 0 && slices.Contains(gone, old[0].Text) {
				hunk, old = hunk+"-"+old[0].Text+"\n", old[1:]
			}
			for len(new) > 0 && slices.Contains(come, new[0].Text) {
				hunk, new = hunk+"+"+new[0].Text+"\n", new[1:]
			}
			below := ""
			if len(old) > 0 {
				below = old[0].Text
				old, new = old[1:], new[1:]
			}
			if hunk != "" {
				hunks[path] = append(hunks[path], above+"\n"+hunk+below)
			}
			above = below
		}
	}
	return hunks
}

// diffOf is what a commit does to which files: lines that come and go, in their order.
func diffOf(c *past.Commit, back bool) map[string][2][]string {
	diff := map[string][2][]string{}
	for _, path := range c.Touched() {
		var before []past.Line
		if len(c.Parents) > 0 {
			before = c.Parents[0].Files[path]
		}
		gone, come := less(before, c.Files[path]), less(c.Files[path], before)
		if back {
			gone, come = come, gone
		}
		diff[path] = [2][]string{gone, come}
	}
	return diff
}

func less(a, b []past.Line) (list []string) {
	for _, l := range a {
		if !slices.ContainsFunc(b, func(o past.Line) bool { return o.Text == l.Text }) {
			list = append(list, l.Text)
		}
	}
	return list
}

func look(t *testing.T, db string, asOf *time.Time, q audit.Quest) *audit.Timetravel {
	t.Helper()
	v, err := audit.See(context.Background(), ask(t, db), asOf)
	if err != nil {
		t.Fatal(err)
	}
	found, err := v.Timetravel(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Open) > 0 {
		t.Errorf("left open: %q", found.Open)
	}
	return found
}

func TestTimetravel(t *testing.T) {
	repos := []*past.Repo{past.New(t, "a", "--bare"), past.New(t, "b"), past.New(t, "c", "--bare", "--object-format=sha256")}
	for i, r := range repos {
		r.Random(uint64(i+40), 20)
		rewritten(r, uint64(i), 14)
	}
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, ""), repos...)
	middle := repos[0].Commits[len(repos[0].Commits)/2].When
	claims := func(f func(*past.Commit) bool) func(*past.Commit) bool {
		return func(c *past.Commit) bool { return c.Tool != "" && f(c) }
	}
	for name, ask := range map[string]struct {
		quest  audit.Quest
		record func(*past.Commit) bool
	}{
		"a model":             {audit.Quest{Model: "acme/*"}, claims(func(c *past.Commit) bool { return c.Model == "acme/rogue-1" })},
		"a model by its name": {audit.Quest{Model: "claude-*"}, claims(func(c *past.Commit) bool { return strings.HasPrefix(c.Model, "anthropic/claude-") })},
		"a tool":              {audit.Quest{Tool: "cursor"}, claims(func(c *past.Commit) bool { return c.Tool == "cursor" })},
		"a tool with a model": {audit.Quest{Tool: "claude-code", Model: "claude-opus*"}, claims(func(c *past.Commit) bool {
			return c.Tool == "claude-code" && strings.Contains(c.Model, "opus")
		})},
		"a session": {audit.Quest{Session: "00112233aabb"}, claims(func(c *past.Commit) bool { return c.Session == "00112233aabb" })},
		"a server":  {audit.Quest{MCP: "file*"}, claims(func(c *past.Commit) bool { return strings.Contains(c.MCP, "files") })},
		"a server with a model": {audit.Quest{MCP: "github", Model: "claude*"}, claims(func(c *past.Commit) bool {
			return strings.Contains(c.MCP, "github") && strings.Contains(c.Model, "claude")
		})},
		"a time":  {audit.Quest{Model: "acme/*", Until: middle}, claims(func(c *past.Commit) bool { return c.Model == "acme/rogue-1" && c.When.Before(middle) })},
		"nothing": {audit.Quest{Model: "no-such"}, func(*past.Commit) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			want := carriers(ask.record, repos...)
			ask.quest.Open = opener(repos[0])
			for range 2 { // the second time with the digests that the first one left
				found := look(t, db, nil, ask.quest)
				got := map[string]carried{}
				for _, c := range found.Commits {
					got[c.Commit] = carried{c.How != audit.OfRecord, c.Undone}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("true -, asked +\n%s", diff)
				}
				unknown := 0
				for _, r := range repos {
					for _, c := range r.Reached() {
						_, in := want[c.ID]
						if c.Evidence == "unknown" && c.Own() && !in && (ask.quest.Until.IsZero() || c.When.Before(ask.quest.Until)) {
							unknown++
						}
					}
				}
				if b := found.Bounds; b.Least != int64(len(want)) || b.Unknown != int64(unknown) || b.Most != b.Least+b.Unknown+b.Unnamed {
					t.Errorf("want %d known and %d unknown, got %+v", len(want), unknown, b)
				}
			}
		})
	}
	t.Run("who signed", func(t *testing.T) {
		key := past.People[0].Key().PublicKey().Fingerprint()
		want := carriers(func(c *past.Commit) bool {
			if c.Binding == "" {
				return false
			}
			for c.Kind == "pick" || c.Kind == "rebase" {
				c = c.Of[0]
			}
			return c.Committer == past.People[0]
		}, repos...)
		found := look(t, db, nil, audit.Quest{Key: key, Open: opener(repos[0])})
		got := map[string]carried{}
		for _, c := range found.Commits {
			got[c.Commit] = carried{c.How != audit.OfRecord, c.Undone}
		}
		if diff := cmp.Diff(want, got); diff != "" || found.Bounds.Unknown > 0 {
			t.Errorf("true -, asked +\n%s%+v", diff, found.Bounds)
		}
	})
	t.Run("branches and files", func(t *testing.T) {
		type where struct {
			Refs, UndoneIn []string
			Files          []audit.Touched
		}
		found := look(t, db, nil, audit.Quest{Tool: "*", Open: opener(repos[0]), Refs: true, Files: true})
		got, want := map[string]where{}, map[string]where{}
		in := map[string]bool{}
		for _, c := range found.Commits {
			in[c.Commit] = true
			got[c.Commit] = where{c.Refs, c.UndoneIn, c.Files}
		}
		for _, r := range repos {
			for _, c := range r.Reached() {
				if in[c.ID] {
					refs, undone := heads(r, c)
					want[c.ID] = where{refs, undone, touches(r, c)}
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("true -, asked +\n%s", diff)
		}
	})
	t.Run("lines that live", func(t *testing.T) {
		type lives map[string]int
		found := look(t, db, nil, audit.Quest{Model: "*", Open: opener(repos[0]), Living: []string{"refs/heads/main", "refs/heads/rel"}})
		got, want := map[string]lives{}, map[string]lives{}
		for _, c := range found.Commits {
			for _, a := range c.Living {
				if got[c.Commit] == nil {
					got[c.Commit], want[c.Commit] = lives{}, lives{}
				}
				got[c.Commit][a.Ref+" "+a.Path] = a.Lines
				if a.Least > a.Most || a.Most > a.Lines {
					t.Errorf("%s: %+v", c.Commit, a)
				}
			}
			want[c.Commit] = lives{}
		}
		for _, r := range repos {
			for _, ref := range []string{"main", "rel"} {
				for path, lines := range r.Branches[ref].Files {
					for _, l := range lines {
						if at := want[wroteHere(r.Branches[ref], path, l.Text).ID]; at != nil {
							at["refs/heads/"+ref+" "+path]++
						}
					}
				}
			}
		}
		maps.DeleteFunc(want, func(_ string, l lives) bool { return len(l) == 0 })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("true -, asked +\n%s", diff)
		}
	})
	t.Run("taking back", func(t *testing.T) {
		found := look(t, db, nil, audit.Quest{Tool: "*", Open: opener(repos[0]), Inverse: true})
		of := map[string]*past.Commit{}
		for _, r := range repos {
			for _, c := range r.Commits {
				of[c.ID] = c
			}
		}
		seen := map[string]bool{}
		for _, c := range found.Commits {
			main := of[c.Commit].Repo.Branches["main"]
			if !main.Ancestors()[of[c.Commit]] { // its lines may stand there elsewhere in a file
				continue
			}
			if c.Inverse == audit.InverseNothing && holds(main, of[c.Commit]) || c.Inverse == audit.InverseClean && !holds(main, of[c.Commit]) {
				t.Errorf("%s %s: %q", of[c.Commit].Kind, c.Commit, c.Inverse)
			}
			seen[c.Inverse] = true
		}
		if !seen[audit.InverseClean] || !seen[audit.InverseConflict] {
			t.Errorf("only %v", seen)
		}
	})
	t.Run("the histories have all kinds of kin", func(t *testing.T) {
		all := map[string]bool{}
		for id, c := range carriers(func(c *past.Commit) bool { return c.Tool != "" }, repos...) {
			all[fmt.Sprint(c)] = id != ""
		}
		if keys := slices.Sorted(maps.Keys(all)); len(keys) < 5 {
			t.Errorf("only %q", keys)
		}
	})
}

// heads are the branches that contain a commit, and those of them in which it is undone.
func heads(r *past.Repo, c *past.Commit) (in, undone []string) {
	in, undone = []string{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(r.Branches)) {
		all := r.Branches[name].Ancestors()
		if !all[c] {
			continue
		}
		in = append(in, "refs/heads/"+name)
		if undoneIn(r, all, c) {
			undone = append(undone, "refs/heads/"+name)
		}
	}
	return in, undone
}

func undoneIn(r *past.Repo, all map[*past.Commit]bool, c *past.Commit) bool {
	for _, d := range r.Reached() {
		if !all[d] || d.Kind != "revert" {
			continue
		}
		of := d.Of[0]
		like := of.Change == c.Change && d != c && d.Ancestors()[c]
		if (of == c || like) && !undoneIn(r, all, d) {
			return true
		}
	}
	return false
}

// touches are the files of a commit, with what came later.
func touches(r *past.Repo, c *past.Commit) []audit.Touched {
	list := []audit.Touched{}
	paths := c.Touched()
	if len(c.Parents) > 1 {
		paths = c.Unlike()
	}
	added := c.Added()
	for _, path := range paths {
		f := audit.Touched{Path: path, Added: added[path], Deleted: len(diffOf(c, false)[path][0])}
		if len(c.Parents) > 1 {
			f.Added, f.Deleted = -1, -1
		}
		for _, d := range r.Reached() {
			later := d.Touched()
			if len(d.Parents) > 1 {
				later = d.Unlike()
			}
			if d.When.After(c.When) && slices.Contains(later, path) {
				f.Later, f.Last = f.Later+1, d.ID
			}
		}
		list = append(list, f)
	}
	return list
}

// holds reports whether any line that a commit adds stands at a tip.
func holds(tip, c *past.Commit) bool {
	for path, diff := range diffOf(c, false) {
		for _, text := range diff[1] {
			if slices.ContainsFunc(tip.Files[path], func(l past.Line) bool { return l.Text == text }) {
				return true
			}
		}
	}
	return false
}
