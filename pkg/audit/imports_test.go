package audit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
)

// evidenceOf is the evidence of a commit with its claims, as of a time.
func evidenceOf(t *testing.T, db, id string, asOf *time.Time) string {
	t.Helper()
	s := ask(t, db)
	v, err := audit.See(context.Background(), s, asOf)
	if err != nil {
		t.Fatal(err)
	}
	var number int64
	if err := s.QueryRow("SELECT id FROM commits WHERE lower(hex(oid)) = ?", id).Scan(&number); err != nil {
		t.Fatal(err)
	}
	said := "(not there)"
	found := make(chan string, 1)
	if err := v.Entries(context.Background(), false, func(_ int, e *audit.Entry) {
		if e.Commit != number {
			return
		}
		words := []string{string(e.Evidence)}
		for _, u := range e.Uses {
			use := v.Uses[u.Use]
			words = append(words, fmt.Sprintf("%s:%s/%s:%d", use.Source, use.Tool.Name, use.Model.ID(), u.AI))
		}
		found <- strings.Join(words, " ")
	}); err != nil {
		t.Fatal(err)
	}
	select {
	case said = <-found:
	default:
	}
	return said
}

const gitAI = `src/a.go
  s_0123456789abcd::t_00000000000001 1-3,5
  h_0123456789abcd 4
src/b.go
  s_0123456789abcd::t_00000000000002 7
---
{"schema_version":"authorship/3.0.0","base_commit_sha":"x","prompts":{},
 "sessions":{"s_0123456789abcd":{"agent_id":{"tool":"claude","id":"conversation","model":"claude-sonnet-4-5"}}},"humans":{}}
`

func TestImports(t *testing.T) {
	r := past.New(t, "a")
	silent := past.How{Evidence: "unknown"}
	first := r.Edit("main", past.Edit{Author: past.People[0], How: silent, Add: map[string]int{"src/a.go": 5, "src/b.go": 3}})
	second := r.Edit("main", past.Edit{Author: past.People[0], How: silent, Add: map[string]int{"src/a.go": 1}})
	third := r.Edit("main", past.Edit{Author: past.People[0], How: past.Ways[0], Add: map[string]int{"src/a.go": 4}})
	db := filepath.Join(t.TempDir(), "audit.db")
	p := law(t, "")
	note := func(ref string, c *past.Commit, text string) {
		if _, stderr, err := r.Run(text, "notes", "--ref="+ref, "add", "-f", "-F", "-", c.ID); err != nil {
			t.Fatal(stderr)
		}
	}
	index(t, db, now, p, r)
	yesterday := now.Add(time.Hour)
	note("ai", first, gitAI)
	note("ai", third, gitAI)
	note("ai-attribution", second, `{"files":{"src/a.go":{"percent":40}}}`)
	if sum := index(t, db, now.Add(24*time.Hour), p, r); sum.Judged != 2 || sum.Commits != 0 || len(sum.Notes) != 0 {
		t.Errorf("after notes came: %+v; want 2 commits judged anew", sum)
	}
	for _, tt := range []struct {
		what string
		c    *past.Commit
		asOf *time.Time
		want string
	}{
		{"before the note nothing was known", first, &yesterday, "unknown"},
		{"a note of git-ai is an import", first, nil, "import git-ai:claude-code/anthropic/claude-sonnet-4-5:5"},
		{"a note of Qwen Code names no model", second, nil, "import qwen-code:qwen-code/unknown/unknown:-1"},
		{"what is attested already stays so", third, nil, "attested record:claude-code/anthropic/claude-sonnet-4-5:2"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			if got := evidenceOf(t, db, tt.c.ID, tt.asOf); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("a note that is taken away is known no more, and was known then", func(t *testing.T) {
		then := now.Add(25 * time.Hour)
		r.Git(t, "notes", "--ref=ai", "remove", first.ID)
		index(t, db, now.Add(48*time.Hour), p, r)
		if got := evidenceOf(t, db, first.ID, nil); got != "unknown" {
			t.Errorf("now %s", got)
		}
		if got := evidenceOf(t, db, first.ID, &then); !strings.HasPrefix(got, "import") {
			t.Errorf("then %s", got)
		}
	})
	t.Run("a note that is none is told of and changes nothing", func(t *testing.T) {
		note("ai", second, "hello")
		sum := index(t, db, now.Add(72*time.Hour), p, r)
		if len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "1 notes in refs/notes/ai could not be read") {
			t.Errorf("notes %q", sum.Notes)
		}
		if got := evidenceOf(t, db, second.ID, nil); got != "import qwen-code:qwen-code/unknown/unknown:-1" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("an Agent Trace is about the commits that follow and touch the file", func(t *testing.T) {
		r.Git(t, "checkout", "-qf", "main")
		r.Write(t, ".agent-trace/traces.jsonl", fmt.Sprintf(`{"version":"0.1","id":"1","timestamp":"2026-01-01T00:00:00Z","vcs":{"type":"git","revision":%q},"tool":{"name":"Cursor","version":"1.7"},`+
			`"files":[{"path":"src/a.go","conversations":[{"contributor":{"type":"ai","model_id":"openai/gpt-5"},"ranges":[{"start_line":1,"end_line":2}]}]}]}`+"\nnot JSON\n", first.ID))
		r.Commit(t, "Traces")
		sum := index(t, db, now.Add(96*time.Hour), p, r)
		if got := evidenceOf(t, db, second.ID, nil); got != "import qwen-code:qwen-code/unknown/unknown:-1 agent-trace:cursor/openai/gpt-5:-1" {
			t.Errorf("got %s", got)
		}
		if len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "1 lines of .agent-trace/traces.jsonl") {
			t.Errorf("notes %q", sum.Notes)
		}
	})
	t.Run("trailers of Entire are an import", func(t *testing.T) {
		r.Git(t, "commit", "-q", "--allow-empty", "-m", "Work\n\nEntire-Checkpoint: 0123456789ab\nEntire-Agent: Claude Code\nEntire-Session: 2026-01-01-abc\nEntire-Attribution: 73% agent (146/200 lines)")
		index(t, db, now.Add(120*time.Hour), p, r)
		if got := evidenceOf(t, db, r.Git(t, "rev-parse", "HEAD"), nil); got != "import entire:claude-code/unknown/unknown:146" {
			t.Errorf("got %s", got)
		}
	})
}
