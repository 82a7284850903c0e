package report_test

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/report"
)

var update = flag.Bool("update", false, "rewrite the golden report")

// asOf is when the index of tests knew.
var asOf = time.Date(2027, 1, 15, 0, 0, 0, 0, time.UTC)

const rules = `schema = 1
[defaults]
mode = "enforce"
evidence = "attested"
[[ref]]
match = "refs/heads/wip/**"
mode = "warn"
[[model]]
id = "anthropic/claude-sonnet-4-*"
status = "approved"
owner = "platform@example.com"
[[model]]
id = "openai/*"
status = "approved"
until = 2026-02-10
reason = "a trial"
[[model]]
id = "acme/**"
status = "denied"
reason = "no contract"
[[mcp]]
server = "github"
tools = ["*"]
status = "approved"
`

// a scene is an index of a past, and how to ask it.
type scene struct {
	repos []*past.Repo
	store *store.Store
}

func stage(t *testing.T, names ...string) *scene {
	t.Helper()
	s := &scene{}
	for i, name := range names {
		r := past.New(t, name, "--bare")
		named := filepath.Join(t.TempDir(), name+".git")
		if err := os.Rename(r.Dir, named); err != nil {
			t.Fatal(err)
		}
		r.Dir = named
		r.Random(uint64(300+i), 60)
		s.repos = append(s.repos, r)
	}
	s.index(t)
	return s
}

func (s *scene) index(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	text := rules + past.Signers(past.People...)
	p, err := policy.Parse("policy.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.store, err = store.Create(ctx, filepath.Join(t.TempDir(), "audit.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	var list []*repo.Repo
	for _, r := range s.repos {
		list = append(list, s.open(t, r.Dir))
	}
	if _, err := audit.Index(ctx, s.store, list, audit.Options{Program: "test", Now: asOf,
		Policy: &inforce.Policy{Policy: p, Where: "policy.toml", Files: map[string][]byte{inforce.File: []byte(text)}}}); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) open(t *testing.T, dir string) *repo.Repo {
	t.Helper()
	r, err := repo.Open(context.Background(), dir, s.repos[0].Env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *scene) questions(t *testing.T) report.Questions {
	t.Helper()
	var mapping strings.Builder
	for _, p := range past.People {
		mapping.WriteString(p.Email + " " + p.Team + "\n")
	}
	mapping.WriteString("platform@example.com platform\n")
	teams, err := audit.ParseTeams("teams", []byte(mapping.String()))
	if err != nil {
		t.Fatal(err)
	}
	return report.Questions{Parameters: report.Parameters{Title: "Acme: use of assistants"}, Teams: teams,
		Open: func(ctx context.Context, place string) (*repo.Repo, error) {
			return repo.Open(ctx, place, s.repos[0].Env)
		},
		Count: func(ctx context.Context, r audit.Repository, tips []change.ID) (int64, error) {
			n, err := s.open(t, r.Place).Count(ctx, tips, nil, 1<<30)
			return int64(n), err
		}}
}

func (s *scene) gather(t *testing.T, q report.Questions) *report.Report {
	t.Helper()
	v, err := audit.See(context.Background(), s.store, &asOf)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Gather(context.Background(), v, q, "0.0.0-test")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drawn(t *testing.T, r *report.Report) map[string][]byte {
	t.Helper()
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	if files[report.ManifestFile], err = r.Manifest(files).Bytes(); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestGoldenReport(t *testing.T) {
	s := stage(t, "ledger", "shop")
	q := s.questions(t)
	q.Incidents, q.Living = []string{"acme/*"}, true
	files := drawn(t, s.gather(t, q))
	golden := filepath.Join("testdata", "golden")
	if *update {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(golden, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(golden, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files -golden +got\n%s", diff)
	}
	for name, got := range files {
		want, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
			t.Errorf("%s: -golden +got (rewrite with -update, and read the difference)\n%s", name, diff)
		}
	}
	t.Run("the same questions give the same bytes", func(t *testing.T) {
		for name, again := range drawn(t, s.gather(t, q)) {
			if string(again) != string(files[name]) {
				t.Errorf("%s is another", name)
			}
		}
	})
	t.Run("JSON holds the figures that were gathered", func(t *testing.T) {
		var r report.Report
		if err := json.Unmarshal(files[report.DataFile], &r); err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		for _, of := range s.repos {
			for _, c := range of.Reached() {
				if c.Evidence != "unknown" || c.Own() {
					want++
				}
			}
		}
		if r.All.Total.Commits != want {
			t.Errorf("%d commits, want %d", r.All.Total.Commits, want)
		}
	})
}

func TestPersonsAreTeamsUnlessAskedFor(t *testing.T) {
	s := stage(t, "ledger")
	q := s.questions(t)
	q.Incidents = []string{"acme/*"}
	for _, people := range []bool{false, true} {
		if q.People = people; people {
			q.Purpose = "to ask them"
		}
		r := s.gather(t, q)
		c := &r.Controls[0]
		c.Overrides = append(c.Overrides, audit.Override{Time: "2026-01-01T00:00:00Z", Pusher: "erin@contractor.example"})
		c.Keys = append(c.Keys, audit.StolenKey{Key: "SHA256:x", Holder: "erin@contractor.example", Since: "2026-01-01T00:00:00Z", After: 1})
		files := drawn(t, r)
		for name, data := range files {
			for _, p := range past.People {
				if !people && (strings.Contains(string(data), p.Email) || strings.Contains(string(data), p.Name)) {
					t.Errorf("%s names %s", name, p.Email)
				}
			}
		}
		for _, name := range []string{"overrides.csv", "compromised-keys.csv"} {
			want := map[bool]string{false: "contractors", true: "erin@contractor.example"}[people]
			if !strings.Contains(string(files[name]), want) {
				t.Errorf("%s has no %s:\n%s", name, want, files[name])
			}
		}
	}
}

func TestRefsThatAreNoUTF8(t *testing.T) {
	s := stage(t, "ledger")
	r := s.repos[0]
	for _, ref := range []string{"refs/heads/a\xff", "refs/heads/a\x85", "refs/heads/a\u0085"} {
		if out, err := exec.Command("git", "-C", r.Dir, "update-ref", ref, r.Branches["main"].ID).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s.index(t)
	got := s.gather(t, s.questions(t))
	files := drawn(t, got)
	d := &desk{T: t, report: got, files: files, checker: report.Checker{Program: got.Program, Now: asOf,
		Again: func(context.Context, *report.Manifest) (*report.Report, error) {
			return s.gather(t, s.questions(t)), nil
		},
		Count: func(_ context.Context, of report.Source) (int64, error) { return s.reached(of) }}}
	d.wants(d.lay(files, nil), "signature not checked|files agrees|figures agrees|repositories agrees")
	for _, ref := range []string{`refs/heads/a\xff`, `refs/heads/a\x85`, "refs/heads/a\u0085"} {
		if got.Held[0].Tips[ref] == "" {
			t.Errorf("no tip of %s in %v", ref, got.Held[0].Tips)
		}
	}
}
