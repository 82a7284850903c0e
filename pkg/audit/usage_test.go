package audit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// approvals is a policy that allows some, some of them from a time on.
const approvals = `
[[model]]
id = "anthropic/claude-sonnet-4-*"
status = "approved"
from = 2026-01-20
[[model]]
id = "openai/*"
status = "approved"
until = 2026-02-10
[[model]]
id = "anthropic/claude-opus-4-6"
status = "approved"
tools = ["aider"]
`

// allowed says the same without package policy.
func allowed(c *past.Commit) bool {
	day := c.When.Format(time.DateOnly)
	switch c.Model {
	case "anthropic/claude-sonnet-4-5":
		return day >= "2026-01-20"
	case "openai/gpt-5":
		return day < "2026-02-10"
	case "anthropic/claude-opus-4-6":
		return c.Tool == "aider"
	}
	return false
}

func mapping(t *testing.T) audit.Teams {
	t.Helper()
	var text strings.Builder
	for _, p := range past.People {
		fmt.Fprintf(&text, "%s\t%s\n", p.Email, p.Team)
	}
	teams, err := audit.ParseTeams("teams", []byte("# everybody\n*@example.com nobody\n\n"+text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return teams
}

// counted is what a row of usage says, and the same counted from the truth.
type counted struct {
	Commits, Unknown, Of, Approved, Unsanctioned int64
	LinesLeast, LinesMost, LinesOf               int64
	First, Last                                  string
}

func rowsOf(u *audit.Usage) map[string]counted {
	rows := map[string]counted{}
	for _, r := range u.Rows {
		rows[strings.Join(r.Key, " | ")] = counted{r.Commits.Known, r.Commits.Unknown, r.Commits.Of, r.Approval.Approved, r.Approval.Unsanctioned,
			r.Added.Known, min(r.Added.Known+r.Added.Unknown, r.Added.Of), r.Added.Of, r.First, r.Last}
	}
	return rows
}

// recount counts again, commit by commit, from the truth alone.
func recount(by []string, repos ...*past.Repo) map[string]counted {
	groups, rows := map[string]counted{}, map[string]counted{}
	groupOf := map[string]string{}
	for _, r := range repos {
		for _, c := range r.Reached() {
			unknownLines, lines := int64(0), c.Added()
			if len(c.Parents) > 1 {
				lines = map[string]int{}
				for _, path := range c.Unlike() {
					lines[path] = 0
				}
			}
			all, folders := 0, map[string]int{}
			for path, n := range lines {
				folder, _, ok := strings.Cut(path, "/")
				if !ok {
					folder = ""
				} else {
					folder += "/"
				}
				folders["./"+folder] += n
				all += n
			}
			if !slices.Contains(by, "path") {
				folders = map[string]int{"": all}
			}
			for folder, here := range folders {
				values := map[string]string{"repository": filepath.Base(r.Dir), "month": c.When.Format("2006-01"), "team": c.Author.Team, "path": folder}
				group := fmt.Sprint(pick(by, values, "repository", "month", "team", "path"))
				g := groups[group]
				if c.Evidence == "unknown" && !c.Own() {
					continue
				}
				g.Of++
				g.LinesOf += int64(here)
				if c.Evidence == "unknown" {
					g.Unknown++
					unknownLines = int64(here)
				}
				g.LinesMost += unknownLines
				groups[group] = g
				if c.Tool == "" {
					continue
				}
				version := c.Version
				if version == "" {
					version = "unknown"
				}
				values["tool"], values["model"], values["version"] = c.Tool, c.Model, c.Tool+"/"+version
				values["provider"], _, _ = strings.Cut(c.Model, "/")
				values["evidence"] = c.Evidence
				key := strings.Join(pick(by, values, by...), " | ")
				groupOf[key] = group
				n := rows[key]
				n.Commits++
				if allowed(c) {
					n.Approved++
				} else {
					n.Unsanctioned++
				}
				// Lines of the claim are anywhere in the commit: all elsewhere, or all here.
				ai := min(c.Claims[0], all)
				switch {
				case len(c.Parents) > 1:
				case c.Claims[0] < 0:
					n.LinesMost += int64(here)
				default:
					n.LinesLeast += int64(max(0, ai-(all-here)))
					n.LinesMost += int64(min(ai, here))
				}
				if day := c.When.Format(time.DateOnly); n.First == "" || day < n.First {
					n.First = day
				}
				n.Last = max(n.Last, c.When.Format(time.DateOnly))
				rows[key] = n
			}
		}
	}
	for key, n := range rows {
		g := groups[groupOf[key]]
		n.Unknown, n.Of, n.LinesOf = g.Unknown, g.Of, g.LinesOf
		n.LinesMost = min(n.LinesMost+g.LinesMost, g.LinesOf)
		rows[key] = n
	}
	return rows
}

// pick are the values of those dimensions of by that are among some.
func pick(by []string, values map[string]string, some ...string) (picked []string) {
	for _, d := range by {
		if slices.Contains(some, d) {
			picked = append(picked, values[d])
		}
	}
	return picked
}

func TestUsage(t *testing.T) {
	repos := []*past.Repo{past.New(t, "a", "--bare"), past.New(t, "b"), past.New(t, "c", "--bare", "--object-format=sha256")}
	db := filepath.Join(t.TempDir(), "audit.db")
	p := law(t, approvals)
	ways := [][]string{nil, {"tool"}, {"model"}, {"version"}, {"provider"}, {"evidence"}, {"repository"}, {"path"}, {"team"}, {"month"},
		{"tool", "model", "month"}, {"repository", "tool"}, {"team", "evidence"}, {"path", "tool"}, {"month", "path", "team", "model", "repository"}}
	known := map[int]map[string]map[string]counted{}
	for round := range 3 {
		for i, r := range repos {
			r.Random(uint64(round*10+i), 12)
		}
		at := now.Add(time.Duration(round) * 24 * time.Hour)
		index(t, db, at, p, repos...)
		known[round] = map[string]map[string]counted{}
		for _, by := range ways {
			known[round][fmt.Sprint(by)] = recount(by, repos...)
		}
	}
	s := ask(t, db)
	for round := range 3 {
		asOf := now.Add(time.Duration(round)*24*time.Hour + time.Hour)
		for _, by := range ways {
			t.Run(fmt.Sprintf("by %v as of day %d", by, round), func(t *testing.T) {
				v, err := audit.See(context.Background(), s, &asOf)
				if err != nil {
					t.Fatal(err)
				}
				u, err := v.Usage(context.Background(), audit.Question{By: by, Teams: mapping(t)})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(known[round][fmt.Sprint(by)], rowsOf(u)); diff != "" {
					t.Errorf("counted -, asked +\n%s", diff)
				}
			})
		}
	}
	t.Run("before the first run nothing is known", func(t *testing.T) {
		asOf := now.Add(-time.Hour)
		v, err := audit.See(context.Background(), s, &asOf)
		if err != nil {
			t.Fatal(err)
		}
		u, err := v.Usage(context.Background(), audit.Question{By: []string{"tool"}})
		if err != nil || len(u.Rows) > 0 || u.Total.Commits > 0 {
			t.Errorf("%v, and %+v", err, u)
		}
	})
}

func TestGroupsHoldAllCommitsByEvidence(t *testing.T) {
	repos := []*past.Repo{past.New(t, "a", "--bare"), past.New(t, "b")}
	db := filepath.Join(t.TempDir(), "audit.db")
	want := map[string]map[audit.Evidence]int64{}
	held := map[string]int64{}
	for i, r := range repos {
		r.Random(uint64(70+i), 30)
		for _, c := range r.Reached() {
			held[filepath.Base(r.Dir)]++
			if c.Evidence == "unknown" && !c.Own() {
				continue
			}
			key := c.When.Format("2006-01") + " " + c.Author.Team
			if want[key] == nil {
				want[key] = map[audit.Evidence]int64{}
			}
			want[key][audit.Evidence(c.Evidence)]++
		}
	}
	index(t, db, now, law(t, approvals), repos...)
	v, err := audit.See(context.Background(), ask(t, db), nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := v.Usage(context.Background(), audit.Question{By: []string{"month", "tool", "team"}, Teams: mapping(t)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[audit.Evidence]int64{}
	for _, g := range u.Groups {
		tiers := map[audit.Evidence]int64{}
		for e, n := range g.Evidence {
			if n > 0 {
				tiers[e] = n
			}
		}
		if len(tiers) > 0 {
			got[strings.Join(g.Key, " ")] = tiers
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counted -, asked +\n%s", diff)
	}
	byID, err := v.Held(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range v.Repositories {
		if byID[id] != held[r.Name] {
			t.Errorf("%s: the index holds %d commits, want %d", r.Name, byID[id], held[r.Name])
		}
	}
}

func usageBy(t *testing.T, db string, by ...string) map[string]counted {
	t.Helper()
	v, err := audit.See(context.Background(), ask(t, db), nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := v.Usage(context.Background(), audit.Question{By: by})
	if err != nil {
		t.Fatal(err)
	}
	return rowsOf(u)
}

func TestMatchesModel(t *testing.T) {
	for _, tt := range []struct {
		pattern, provider, name string
		want                    bool
	}{
		{"anthropic/claude-opus-4-7", "anthropic", "claude-opus-4-7", true},
		{"claude-opus-4-7", "anthropic", "claude-opus-4-7", true},
		{"Claude-Opus-*", "anthropic", "claude-opus-4-7", true},
		{"anthropic/claude-opus-4-7", "anthropic", "claude-opus-4-7[1m]", true},
		{"claude-opus-4-7", "anthropic", "claude-opus-4-7[1m]", true},
		{"claude-opus-4-7[1m]", "anthropic", "claude-opus-4-7[1m]", true},
		{"claude-opus-4-7[1m]", "anthropic", "claude-opus-4-7", false},
		{"claude-opus-4", "anthropic", "claude-opus-4-7", false},
		{"openai/*", "anthropic", "claude-opus-4-7", false},
		{"*/claude-*", "", "claude-opus-4-7", true},
		{"unknown", "", "", true},
	} {
		if got := audit.MatchesModel(tt.pattern, provenance.Model{Provider: tt.provider, Name: tt.name}); got != tt.want {
			t.Errorf("%q asks for %s/%s: %v", tt.pattern, tt.provider, tt.name, got)
		}
	}
}
