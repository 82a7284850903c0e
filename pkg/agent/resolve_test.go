package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// transcripts says where each agent has the files of which excerpts are in testdata.
func transcripts() map[string]struct{ excerpt, path string } {
	return map[string]struct{ excerpt, path string }{
		"claude-code": {"session.jsonl", ".claude/projects/-home-dev-shop/fd328dcb-b966-41b6-ab9a-121ca4fe19ee.jsonl"},
		"cline":       {"session.json", ".cline/data/sessions/1795419614555_o3jji/1795419614555_o3jji.json"},
		"codex":       {"rollout.jsonl", ".codex/sessions/2026/11/23/rollout-2026-11-23T07-46-19-01a2075e-c0ce-7270-8bdd-5c6f5ce9a31e.jsonl"},
		"copilot-cli": {"events.jsonl", ".copilot/session-state/7a7e30aa-ad0a-4cc9-bba0-1b7e7023dfa8/events.jsonl"},
		"gemini-cli":  {"session.jsonl", ".gemini/tmp/repo/chats/session-2026-11-23T07-45-a940936d.jsonl"},
		"qwen-code":   {"session.jsonl", ".qwen/projects/-home-dev-shop/chats/2d9f831b-021c-487b-94a7-e019b1031ee9.jsonl"},
	}
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRealTranscripts finds, for the captured calls, the model in the agents' own files.
func TestRealTranscripts(t *testing.T) {
	want := map[string]Found{
		"claude-code": {provenance.Model{Provider: "anthropic", Name: "claude-sonnet-4-5"}, "2.1.330", true},
		"cline":       {provenance.Model{Name: "stub-model"}, "3.0.65", false},
		"codex":       {provenance.Model{Provider: "openai", Name: "gpt-5.5"}, "0.169.0", true},
		"copilot-cli": {provenance.Model{Name: "stub-model"}, "", true},
		"gemini-cli":  {provenance.Model{Provider: "google", Name: "gemini-2.5-pro"}, "", true},
		"qwen-code":   {provenance.Model{Provider: "alibaba", Name: "qwen3-coder-plus"}, "0.24.4", true},
	}
	home := t.TempDir()
	for agent, file := range transcripts() {
		data, err := os.ReadFile(filepath.Join(agentsDir, agent, "transcripts", file.excerpt))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(home, file.path), data)
		put(t, filepath.Join(home, filepath.Dir(file.path), "another-session.jsonl"), []byte("{}\n"))
	}
	asked := map[string]int{}
	for _, name := range payloads(t) {
		s := readSent(t, name)
		text := bytes.ReplaceAll(s.text, []byte("/home/dev"), []byte(home))
		e, _ := Decode("", text, append(s.capture.environ(), "HOME="+home), s.ancestors())
		if e.Source == "" || strings.Contains(name, "documented") || e.Kind == SessionStart || e.Kind == SessionEnd {
			continue
		}
		asked[s.Agent]++
		t.Run(name, func(t *testing.T) {
			if strings.Contains(e.Source, "\n") || strings.Contains(e.Source, "01a2075e-c0ce-7270") {
				t.Errorf("source %q", e.Source)
			}
			got, err := ResolveModel(e.Source)
			if diff := cmp.Diff(want[s.Agent], got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
	for agent := range transcripts() {
		if asked[agent] == 0 {
			t.Errorf("no event of %s leaves its model to its files", agent)
		}
	}
}

// claudeLine is an answer as Claude Code's transcript has it.
func claudeLine(model, call string) string {
	return fmt.Sprintf(`{"type":"assistant","version":"2.1.330","message":{"model":%q,"content":[{"type":"text","text":"x"},{"type":"tool_use","id":%q}]}}`+"\n", model, call)
}

func TestClaudeTranscripts(t *testing.T) {
	filler := strings.Repeat(`{"type":"user","message":"`+strings.Repeat("x", 1000)+`"}`+"\n", 5000) // 5 MB
	for _, c := range []struct {
		name, text string
		want       string // "" for none
	}{
		{"two models in one session", claudeLine("claude-opus-4-6", "toolu_0") + claudeLine("claude-sonnet-4-5", "toolu_1"), "anthropic/claude-sonnet-4-5"},
		{"a later answer by another model", claudeLine("claude-sonnet-4-5", "toolu_1") + claudeLine("claude-opus-4-6", "toolu_2"), "anthropic/claude-sonnet-4-5"},
		{"the answer is not written yet", claudeLine("claude-opus-4-6", "toolu_0"), ""},
		{"an id that only begins like it", claudeLine("claude-opus-4-6", "toolu_11"), ""},
		{"an answer that no model gave", claudeLine("<synthetic>", "toolu_1"), ""},
		{"a person quotes an answer", `{"type":"user","message":{"model":"evil","content":[{"id":"toolu_1"}]}}` + "\n", ""},
		{"an answer quotes another", `{"type":"assistant","message":{"model":"evil","content":[{"type":"text","text":"toolu_1"}]}}` + "\n", ""},
		{"the last line is torn", claudeLine("claude-sonnet-4-5", "toolu_1") + `{"type":"assistant","message":{"model":"evil","content":[{"id":"toolu_1"`, "anthropic/claude-sonnet-4-5"},
		{"no newline at the end", strings.TrimSuffix(claudeLine("claude-sonnet-4-5", "toolu_1"), "\n"), "anthropic/claude-sonnet-4-5"},
		{"lines that are no JSON", "toolu_1\n\x00\xff toolu_1\n" + claudeLine("claude-sonnet-4-5", "toolu_1") + "[[[ toolu_1\n\n\n", "anthropic/claude-sonnet-4-5"},
		{"near the end of a long file", filler + claudeLine("claude-sonnet-4-5", "toolu_1"), "anthropic/claude-sonnet-4-5"},
		{"too far from the end", claudeLine("claude-sonnet-4-5", "toolu_1") + filler, ""},
		{"a model's name that is none", claudeLine(strings.Repeat("m", 300), "toolu_1"), ""},
		{"an empty file", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "session-of-this-test.jsonl")
			put(t, path, []byte(c.text))
			s := source{"claude-code", path, "", []string{"toolu_1"}}
			found, err := ResolveModel(s.String())
			if c.want == "" {
				if !errors.Is(err, ErrNoModel) || found.Model != (provenance.Model{}) {
					t.Errorf("got %+v, %v", found, err)
				}
			} else if err != nil || found.Model.ID() != c.want || !found.Final {
				t.Errorf("got %+v, %v, want %s", found, err, c.want)
			}
		})
	}
}

func TestSubAgentTranscript(t *testing.T) {
	home := t.TempDir()
	session := filepath.Join(home, ".claude/projects/-home-dev-shop/fd328dcb-b966-41b6-ab9a-121ca4fe19ee")
	put(t, session+".jsonl", []byte(claudeLine("claude-opus-4-6", "toolu_0")))
	s := readSent(t, "claude-code/documented/PostToolUse-subagent.json")
	e, _ := Decode("", bytes.ReplaceAll(s.text, []byte("/home/dev"), []byte(home)), s.environ, s.ancestors())
	if found, err := ResolveModel(e.Source); err == nil || found.Model.Name != "" {
		t.Errorf("before the sub-agent's transcript is there: %+v, %v", found, err)
	}
	put(t, session+"/subagents/agent-another.jsonl", []byte(claudeLine("claude-opus-4-6", "toolu_2")))
	put(t, session+"/subagents/agent-a4d2c8f1e0b3a297.jsonl", []byte(claudeLine("claude-haiku-4-5", "toolu_sub")))
	if found, err := ResolveModel(e.Source); err != nil || found.Model.ID() != "anthropic/claude-haiku-4-5" {
		t.Errorf("got %+v, %v", found, err)
	}
}

// TestCopilotEventFile is written late: what it says becomes better.
func TestCopilotEventFile(t *testing.T) {
	const (
		begin    = `{"type":"session.start","timestamp":"2026-11-23T07:47:47.433Z","data":{"selectedModel":"gpt-5.5"}}` + "\n"
		auto     = `{"type":"session.start","timestamp":"2026-11-23T07:47:47.433Z","data":{"selectedModel":"auto"}}` + "\n"
		change   = `{"type":"session.model_change","timestamp":"2026-11-23T07:47:48.000Z","data":{"previousModel":"gpt-5.5","newModel":"claude-sonnet-4-5"}}` + "\n"
		message  = `{"type":"assistant.message","timestamp":"2026-11-23T07:47:48.242Z","data":{"model":"claude-sonnet-4-5"}}` + "\n"
		tool     = `{"type":"tool.execution_start","timestamp":"2026-11-23T07:47:48.244Z","data":{"toolName":"edit","model":"claude-sonnet-4-5"}}` + "\n"
		parallel = `{"type":"tool.execution_start","timestamp":"2026-11-23T07:47:48.245Z","data":{"toolName":"create","model":"gpt-5.5"}}` + "\n"
		later    = `{"type":"tool.execution_start","timestamp":"2026-11-23T07:47:59.000Z","data":{"toolName":"edit","model":"gpt-6"}}` + "\n"
	)
	for _, c := range []struct {
		name, text, want string
		final            bool
	}{
		{"only the beginning is there", begin, "openai/gpt-5.5", false},
		{"the choice was left to the agent", auto, "", false},
		{"the person chose another", begin + change, "anthropic/claude-sonnet-4-5", false},
		{"the answer is there", begin + message, "anthropic/claude-sonnet-4-5", false},
		{"the call is there", begin + message + tool + parallel + later, "anthropic/claude-sonnet-4-5", true},
		{"only what came later is there", later, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			put(t, path, []byte(c.text))
			found, err := ResolveModel(source{"copilot-cli", path, "", []string{"edit", "2026-11-23T07:47:48.548Z"}}.String())
			if c.want == "" {
				if !errors.Is(err, ErrNoModel) {
					t.Errorf("got %+v, %v", found, err)
				}
			} else if err != nil || found.Model.ID() != c.want || found.Final != c.final {
				t.Errorf("got %+v, %v", found, err)
			}
		})
	}
}

// TestGeminiHandsOver has two models in one session: time tells them apart.
func TestGeminiHandsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session.jsonl")
	put(t, path, []byte(`{"type":"gemini","timestamp":"2026-11-23T07:45:47.292Z","model":"gemini-2.5-pro"}
{"type":"gemini","timestamp":"2026-11-23T07:45:50.419Z","model":"gemini-3-flash"}
{"type":"gemini","timestamp":"soon","model":"evil"}
`))
	for at, want := range map[string]string{
		"2026-11-23T07:45:47.299Z": "google/gemini-2.5-pro",
		"2026-11-23T07:45:50.419Z": "google/gemini-3-flash",
		"2026-11-23T07:45:40.000Z": "unknown/unknown",
		"":                         "unknown/unknown",
	} {
		found, err := ResolveModel(source{"gemini-cli", path, "", []string{at}}.String())
		if found.Model.ID() != want || (err != nil) != (want == "unknown/unknown") {
			t.Errorf("%s: got %+v, %v, want %s", at, found, err, want)
		}
	}
}

func TestHostileSources(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{
		"", "claude-code", `claude-code "`, `claude-code "/x" `, `evil "/x" 123456789012`, `claude-code "/x"y`,
		source{"claude-code", dir, "", []string{"a"}}.String(),
		source{"claude-code", "/dev/zero", "", []string{"a"}}.String(),
		source{"claude-code", dir + "/none/{session}.jsonl", "123456789012", []string{"a"}}.String(),
		source{"claude-code", dir + "/{session}.jsonl", "123456789012", []string{"a"}}.String(),
		source{"cline", dir + "/none", "123456789012", nil}.String(),
		source{"codex", "/dev/zero", "", nil}.String(),
		"codex \"/a\x00b\" ", `codex "relative" x "y`,
	} {
		if found, err := ResolveModel(text); err == nil || found != (Found{}) {
			t.Errorf("%q: got %+v, %v", text, found, err)
		}
	}
}

func FuzzSource(f *testing.F) {
	f.Add("claude-code", "/home/dev/{session}.jsonl", "9f2c1b7e0a44", "toolu_01", "")
	f.Add("codex", "C:\\a \"b\"\n", "", "\x00", "é")
	f.Fuzz(func(t *testing.T, tool, path, session, a, b string) {
		if tool == "" || path == "" || len(path)+len(a)+len(b) > maxPath || strings.ContainsAny(tool+session, " \"\n") {
			return
		}
		want := source{tool, path, session, []string{a, b}}
		text := want.String()
		if strings.Contains(text, "\n") {
			t.Fatalf("%q is more than a line", text)
		}
		got, ok := parseSource(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(source{})); !ok || diff != "" {
			t.Fatalf("%q: %v %s", text, ok, diff)
		}
	})
}
