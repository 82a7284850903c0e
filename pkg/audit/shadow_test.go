package audit_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
)

// seenOf is what shadow and mcp say of something, in words, counted from the truth.
type seenOf struct {
	commits, people int
	first, last     string
	teams, repos    map[string]bool
}

func (s *seenOf) add(c *past.Commit, emails map[string]bool) {
	if s.repos == nil {
		s.repos, s.teams = map[string]bool{}, map[string]bool{}
	}
	s.commits++
	day := c.When.Format(time.DateOnly)
	if s.first == "" || day < s.first {
		s.first = day
	}
	s.last = max(s.last, day)
	s.repos[filepath.Base(c.Repo.Dir)], s.teams[c.Author.Team], emails[c.Author.Email] = true, true, true
	s.people = len(emails)
}

func list(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), " ") }

func TestShadowAndMCP(t *testing.T) {
	repos := []*past.Repo{past.New(t, "a", "--bare"), past.New(t, "b")}
	db := filepath.Join(t.TempDir(), "audit.db")
	policy := approvals + "[[mcp]]\nserver = \"github\"\ntools = [\"*\"]\nstatus = \"approved\"\n"
	for round := range 2 {
		for i, r := range repos {
			r.Random(uint64(40+10*round+i), 25)
		}
		index(t, db, now.AddDate(0, 0, round), law(t, policy), repos...)
	}
	v, err := audit.See(context.Background(), ask(t, db), nil)
	if err != nil {
		t.Fatal(err)
	}
	shadows, servers := map[string]*seenOf{}, map[string]*seenOf{}
	people := map[string]map[string]bool{}
	count := func(into map[string]*seenOf, key string, c *past.Commit) {
		if into[key] == nil {
			into[key], people[key] = &seenOf{}, map[string]bool{}
		}
		into[key].add(c, people[key])
	}
	for _, r := range repos {
		for _, c := range r.Reached() {
			if c.Tool != "" && !allowed(c) {
				count(shadows, c.Tool+" "+c.Model, c)
			}
			if c.MCP == "" || c.Tool == "" {
				continue
			}
			for server := range strings.SplitSeq(c.MCP, ",") {
				count(servers, server+" "+c.Tool, c)
			}
		}
	}
	t.Run("shadow lists what was not approved at the time", func(t *testing.T) {
		want := map[string]string{}
		for key, s := range shadows {
			want[key] = fmt.Sprint(s.commits, s.people, s.first, s.last, list(s.teams), list(s.repos))
		}
		s, err := v.Shadow(context.Background(), audit.Period{}, mapping(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range s.Rows {
			got[r.Tool+" "+r.Model] = fmt.Sprint(r.Commits, r.People, r.First, r.Last, strings.Join(r.Teams, " "), strings.Join(r.Repositories, " "))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counted -, asked +\n%s", diff)
		}
	})
	t.Run("mcp lists the servers that commits record", func(t *testing.T) {
		want := map[string]string{}
		for key, s := range servers {
			approval := "approved"
			if !strings.HasPrefix(key, "github ") {
				approval = "unsanctioned"
			}
			want[key] = fmt.Sprint(s.commits, s.first, s.last, list(s.repos), approval)
		}
		m, err := v.MCP(context.Background(), audit.Period{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, u := range m.Used {
			got[u.Server+" "+u.Tool] = fmt.Sprint(u.Commits, u.First, u.Last, strings.Join(u.Repositories, " "), u.Approval)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counted -, asked +\n%s", diff)
		}
	})
}

func TestWithdrawnIsWhatWasApprovedThenAndIsNotNow(t *testing.T) {
	r := past.New(t, "a")
	db := filepath.Join(t.TempDir(), "audit.db")
	r.Random(90, 40)
	index(t, db, now, law(t, approvals), r)
	v, err := audit.See(context.Background(), ask(t, db), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at, withdrawn := range map[string]func(*past.Commit) bool{
		"2026-02-01": func(*past.Commit) bool { return false },
		"2026-03-01": func(c *past.Commit) bool { return strings.HasPrefix(c.Model, "openai/gpt-5") },
		"2026-01-01": func(c *past.Commit) bool { return c.Model == "anthropic/claude-sonnet-4-5" },
	} {
		want := map[string]int64{}
		for _, c := range r.Reached() {
			if c.Tool != "" && allowed(c) && withdrawn(c) {
				want[c.Tool+" "+c.Model]++
			}
		}
		day, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		w, err := v.Withdrawn(context.Background(), audit.Period{}, mapping(t), day)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, row := range w.Rows {
			got[row.Tool+" "+row.Model] = row.Commits
		}
		found += len(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("as of %s: counted -, asked +\n%s", at, diff)
		}
	}
	if found == 0 {
		t.Error("nothing was withdrawn in this past: it shows nothing")
	}
}
