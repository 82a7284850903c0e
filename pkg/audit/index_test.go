package audit_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// now is when tests index first: after all commits.
var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// law is a policy under which everybody of the past signs.
func law(t *testing.T, more string) *inforce.Policy {
	t.Helper()
	text := "schema = 1\n" + more + past.Signers(past.People...)
	p, err := policy.Parse("policy.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &inforce.Policy{Policy: p, Where: "policy.toml", Files: map[string][]byte{inforce.File: []byte(text)}}
}

func open(t *testing.T, repos ...*past.Repo) (list []*repo.Repo) {
	t.Helper()
	for _, r := range repos {
		opened, err := repo.Open(context.Background(), r.Dir, r.Env)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, opened)
	}
	return list
}

// index runs the index over repositories, as if at a time.
func index(t *testing.T, file string, at time.Time, p *inforce.Policy, repos ...*past.Repo) audit.Summary {
	t.Helper()
	s, err := store.Create(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sum, err := audit.Index(context.Background(), s, open(t, repos...), audit.Options{Program: "test", Now: at, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func ask(t *testing.T, file string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// kept is what the index says of a commit, in words.
type kept struct {
	ID, Parents, Author, Evidence, Binding, Class string
	Own                                           bool
	Added, Files                                  int
	Claims                                        []string
}

// indexed reads all commits of a repository that count now.
func indexed(t *testing.T, s *store.Store) (all []kept) {
	t.Helper()
	rows, err := s.Query(`SELECT c.id, lower(hex(c.oid)), lower(hex(c.parents)), p.email, c.own, coalesce(c.added, -1), c.files, j.id, j.evidence, j.binding, j.class
		FROM commits c JOIN person p ON p.id = c.author JOIN judgement j ON j.commit_id = c.id
		WHERE j.id NOT IN (SELECT judgement FROM superseded)
		AND coalesce((SELECT present FROM presence WHERE commit_id = c.id ORDER BY run DESC LIMIT 1), 1) ORDER BY 2`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var k kept
		var id, judgement int64
		if err := rows.Scan(&id, &k.ID, &k.Parents, &k.Author, &k.Own, &k.Added, &k.Files, &judgement, &k.Evidence, &k.Binding, &k.Class); err != nil {
			t.Fatal(err)
		}
		claims, err := s.Query(`SELECT u.source, u.tool, u.version, u.provider || '/' || u.model, c.session, coalesce(c.ai, -1), coalesce(c.total, -1),
			coalesce((SELECT group_concat(name) FROM (SELECT name FROM server WHERE judgement = c.judgement AND n = c.n ORDER BY name)), '')
			FROM claim c JOIN use u ON u.id = c.use WHERE judgement = ? ORDER BY c.n`, judgement)
		if err != nil {
			t.Fatal(err)
		}
		for claims.Next() {
			var source, tool, version, model, session, mcp string
			var ai, total int
			if err := claims.Scan(&source, &tool, &version, &model, &session, &ai, &total, &mcp); err != nil {
				t.Fatal(err)
			}
			k.Claims = append(k.Claims, fmt.Sprintf("%s %s/%s %s %s %d/%d %s", source, tool, version, model, session, ai, total, mcp))
		}
		if err := claims.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// truth is the same, from the past itself.
func truth(repos ...*past.Repo) (all []kept) {
	for _, r := range repos {
		for _, c := range r.Reached() {
			all = append(all, trueOf(c))
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func trueOf(c *past.Commit) kept {
	k := kept{ID: c.ID, Author: c.Author.Email, Evidence: c.Evidence, Binding: c.Binding, Own: c.Own(), Added: -1}
	for _, p := range c.Parents {
		k.Parents += p.ID
	}
	if len(c.Parents) < 2 {
		k.Added, k.Files = c.AddedLines(), len(c.Touched())
	} else {
		k.Files = len(c.Unlike())
	}
	if c.Binding != "" {
		k.Class = "developer"
	}
	unknown := func(s string) string {
		if s == "" {
			return "unknown"
		}
		return s
	}
	switch {
	case c.Tool == "":
	case c.Mark != "":
		k.Claims = []string{fmt.Sprintf("mark %s/unknown %s  -1/-1 ", c.Tool, c.Model)}
	default:
		k.Claims = []string{fmt.Sprintf("record %s/%s %s %s %d/%d %s", c.Tool, unknown(c.Version), c.Model, c.Session, c.Claims[0], c.Claims[1], c.MCP)}
	}
	return k
}

func TestIndex(t *testing.T) {
	t.Run("of random histories everything kept is true", func(t *testing.T) {
		a := past.New(t, "a", "--bare")
		b := past.New(t, "b", "--bare", "--object-format=sha256")
		c := past.New(t, "c")
		for i, r := range []*past.Repo{a, b, c} {
			r.Random(uint64(i), 30)
		}
		db := filepath.Join(t.TempDir(), "audit.db")
		p := law(t, "")
		index(t, db, now, p, a, b, c)
		if diff := cmp.Diff(truth(a, b, c), indexed(t, ask(t, db))); diff != "" {
			t.Errorf("want -, got +\n%s", diff)
		}
		// It grows, is rewritten, and loses branches; what the next run adds is true again.
		for round := range 3 {
			for i, r := range []*past.Repo{a, b, c} {
				r.Random(uint64(10*round+10+i), 6)
				for name := range r.Branches {
					if name != "main" {
						r.Delete(name)
						break
					}
				}
			}
			index(t, db, now.Add(time.Duration(round+1)*time.Hour), p, a, b, c)
			if diff := cmp.Diff(truth(a, b, c), indexed(t, ask(t, db))); diff != "" {
				t.Errorf("round %d: want -, got +\n%s", round, diff)
			}
		}
	})
}

// Git takes nearly any bytes for the name of a branch: whoever may push one must not be able
// to stop the index.
func TestRefsOfAnyBytes(t *testing.T) {
	r := past.New(t, "a", "--bare")
	r.Random(1, 4)
	tip := r.Branches["main"].ID
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", r.Dir}, args...)...)
		cmd.Env = r.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	db := filepath.Join(t.TempDir(), "audit.db")
	refs := func() (names []string) {
		v, err := audit.See(context.Background(), ask(t, db), nil)
		if err != nil {
			t.Fatal(err)
		}
		tips, err := v.Tips(context.Background(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for ref := range tips {
			if strings.HasPrefix(ref, "refs/heads/x") {
				names = append(names, ref)
			}
		}
		slices.Sort(names)
		return names
	}
	git("update-ref", "refs/heads/x\xff", tip)
	git("update-ref", "refs/heads/x\xfe", tip)
	git("update-ref", "refs/heads/x\u0085", tip)
	index(t, db, now, law(t, ""), r)
	index(t, db, now.Add(time.Hour), law(t, ""), r)
	if diff := cmp.Diff([]string{`refs/heads/x\xfe`, `refs/heads/x\xff`, "refs/heads/x\u0085"}, refs()); diff != "" {
		t.Error(diff)
	}
	git("update-ref", "-d", "refs/heads/x\xff")
	index(t, db, now.Add(2*time.Hour), law(t, ""), r)
	if diff := cmp.Diff([]string{`refs/heads/x\xfe`, "refs/heads/x\u0085"}, refs()); diff != "" {
		t.Error(diff)
	}
}
