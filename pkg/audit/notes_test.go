package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// wellFormed is what every decoder promises, whatever it reads: few claims, words that fit
// a database and a record, counts that can be added up.
func wellFormed(t *testing.T, list []told, err error) {
	t.Helper()
	if err != nil && len(list) > 0 {
		t.Errorf("an error and %d claims", len(list))
	}
	if len(list) > maxTold {
		t.Errorf("%d claims", len(list))
	}
	for _, c := range list {
		for _, s := range append([]string{c.Tool, c.Version, c.Provider, c.Model, c.Session}, c.Files...) {
			if strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s {
				t.Errorf("%q does not fit a database", s)
			}
		}
		if strings.Contains(c.Tool, "/") {
			t.Errorf("tool %q has a slash", c.Tool)
		}
		if c.AI != nil && (*c.AI < 0 || *c.AI > maxLines) {
			t.Errorf("%d lines", *c.AI)
		}
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var back []told
	if err := json.Unmarshal(data, &back); err != nil || fmt.Sprint(len(back)) != fmt.Sprint(len(list)) {
		t.Errorf("what is kept does not come back: %v", err)
	}
}

func FuzzGitAINote(f *testing.F) {
	f.Add([]byte("a.go\n  s_1::t_2 1-3,5\n---\n{\"schema_version\":\"authorship/3.0.0\",\"sessions\":{\"s_1\":{\"agent_id\":{\"tool\":\"claude\",\"id\":\"x\",\"model\":\"claude-opus-4-6\"}}}}"))
	f.Add([]byte("---\n{\"schema_version\":\"authorship/2\",\"prompts\":{\"0123456789abcdef\":{\"agent_id\":{}}}}"))
	f.Add([]byte("a\n  k 9999999999-99999999999999,1-16777216,1-16777216\n---\n{\"schema_version\":\"authorship/3\",\"prompts\":{\"k\":{\"agent_id\":{\"tool\":\"a/b\"}}}}"))
	f.Fuzz(func(t *testing.T, note []byte) {
		list, err := gitAINote(note)
		wellFormed(t, list, err)
	})
}

func FuzzQwenNote(f *testing.F) {
	f.Add([]byte(`{"a.go":50}`))
	f.Fuzz(func(t *testing.T, note []byte) {
		list, err := qwenNote(note)
		wellFormed(t, list, err)
	})
}

func FuzzAgentTraces(f *testing.F) {
	f.Add([]byte(`{"version":"0.1","vcs":{"type":"git","revision":"` + strings.Repeat("ab", 20) + `"},"tool":{"name":"Cursor"},"files":[{"path":"a","conversations":[{"contributor":{"type":"ai","model_id":"a/b"}}]}]}`))
	f.Add([]byte("{}\n[]\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		about, bad := agentTraces(data)
		if lines := strings.Count(string(data), "\n") + 1; bad+len(about) > lines {
			t.Errorf("%d records and %d bad lines of %d", len(about), bad, lines)
		}
		for id, list := range about {
			if _, err := change.ParseID(id.String()); err != nil || id == "" {
				t.Errorf("%q is no id", id)
			}
			wellFormed(t, bounded(list), nil)
		}
	})
}

func FuzzEntireLines(f *testing.F) {
	f.Add("73% agent (146/200 lines)")
	f.Fuzz(func(t *testing.T, value string) {
		ai, total := entireLines(value)
		if (ai == nil) != (total == nil) || ai != nil && (*ai < 0 || *ai > *total) {
			t.Errorf("%q is read as %v of %v", value, ai, total)
		}
	})
}

func TestRangesLines(t *testing.T) {
	for ranges, want := range map[string]int{"1": 1, "1-5,7,9-10": 8, "": 0, "5-1": 0, "0": 0, "x,2": 1, "1-999999999999": maxLines} {
		if got := rangesLines(ranges); got != want {
			t.Errorf("%q: %d lines, want %d", ranges, got, want)
		}
	}
}
