package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// capture is what one real agent's commit-msg hook saw; see testdata/agents.
type capture struct {
	Agent   string            `json:"agent"`
	Version string            `json:"version"`
	Env     map[string]string `json:"env_markers"`
	Above   []struct {
		Comm   string `json:"comm"`
		Exe    string `json:"exe"`
		Script string `json:"script"`
	} `json:"ancestors"`
}

func (c capture) environ() []string {
	var env []string
	for k, v := range c.Env {
		env = append(env, k+"="+v)
	}
	return env
}

func (c capture) ancestors() []Process {
	var above []Process
	for _, p := range c.Above {
		above = append(above, Process{Comm: p.Comm, Exe: p.Exe, Script: p.Script})
	}
	return above
}

func readCapture(t *testing.T, path string) capture {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c capture
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

func TestRealCommits(t *testing.T) {
	want := map[string]Observation{
		"claude-code": {
			Tool:    provenance.Tool{Name: "claude-code", Version: "2.1.330"},
			Session: SessionID("fd328dcb-b966-41b6-ab9a-121ca4fe19ee"),
		},
		"codex": {
			Tool:    provenance.Tool{Name: "codex", Version: "0.169.0"},
			Session: SessionID("01a2075e-c0ce-7270-8bdd-5c6f5ce9a31e"),
		},
		"copilot-cli": {
			Tool:    provenance.Tool{Name: "copilot-cli", Version: "1.0.102"},
			Session: SessionID("7a7e30aa-ad0a-4cc9-bba0-1b7e7023dfa8"),
		},
		"opencode": {Tool: provenance.Tool{Name: "opencode"}},
		"qwen-code": {
			Tool:    provenance.Tool{Name: "qwen-code"},
			Model:   provenance.Model{Provider: "alibaba", Name: "qwen3-coder-plus"},
			Session: SessionID("2d9f831b-021c-487b-94a7-e019b1031ee9"),
		},
	}
	files, err := filepath.Glob("../../testdata/agents/*/git-commit-msg.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("captures: got %d, want %d (%v)", len(files), len(want), err)
	}
	for _, file := range files {
		c := readCapture(t, file)
		w := want[c.Agent]
		w.Via = provenance.ViaProcess
		t.Run(c.Agent+" is seen in its environment and above it", func(t *testing.T) {
			if diff := cmp.Diff([]Observation{w}, Detect(c.environ(), c.ancestors())); diff != "" {
				t.Error(diff)
			}
		})
		t.Run(c.Agent+" is seen in its environment alone", func(t *testing.T) {
			if diff := cmp.Diff([]Observation{w}, Detect(c.environ(), nil)); diff != "" {
				t.Error(diff)
			}
		})
		t.Run(c.Agent+" is seen above a clean environment", func(t *testing.T) {
			got := Detect(nil, c.ancestors())
			if len(got) != 1 || got[0].Tool.Name != c.Agent || got[0].Session != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	shell := Process{Comm: "bash", Exe: "/usr/bin/bash"}
	git := Process{Comm: "git", Exe: "/usr/bin/git"}
	claude := Process{Comm: "claude", Exe: "/opt/claude"}
	tests := []struct {
		name  string
		env   []string
		above []Process
		want  []string
	}{
		{name: "nobody", env: []string{"HOME=/home/dev"}, above: []Process{git, shell}},
		{
			name:  "the inner of two nested agents committed",
			env:   []string{"CLAUDECODE=1", "CODEX_CI=1"},
			above: []Process{git, shell, {Comm: "codex"}, shell, claude},
			want:  []string{"codex"},
		},
		{
			name: "without ancestors every mark counts",
			env:  []string{"CODEX_CI=1", "CLAUDECODE=1"},
			want: []string{"claude-code", "codex"},
		},
		{
			name: "project directories are set by other agents, too",
			env:  []string{"CLAUDE_PROJECT_DIR=/r", "GEMINI_PROJECT_DIR=/r", "AGENT=1", "CLAUDE_CODE_SESSION_ID=x"},
		},
		{
			name:  "gemini is a node script",
			above: []Process{git, shell, {Comm: "node", Exe: "/usr/bin/node", Script: "/usr/lib/node_modules/@google/gemini-cli/bundle/gemini.js"}},
			want:  []string{"gemini-cli"},
		},
		{
			name:  "a script that only sounds like gemini's is nobody",
			above: []Process{{Comm: "node", Script: "/srv/notgemini.js"}},
		},
		{
			name:  "continue is a node script linked as cn",
			above: []Process{{Comm: "MainThread", Exe: "/usr/bin/node", Script: "/usr/local/bin/cn"}},
			want:  []string{"continue"},
		},
		{
			name:  "aider runs git itself",
			above: []Process{git, {Comm: "aider", Exe: "/usr/bin/python3.12", Script: "/usr/local/bin/aider"}},
			want:  []string{"aider"},
		},
		{
			name:  "aider as a python module",
			above: []Process{git, {Comm: "python3", Exe: "/usr/bin/python3.12", Script: "aider"}},
			want:  []string{"aider"},
		},
		{
			name:  "a person's terminal in the cursor editor",
			above: []Process{git, shell, {Comm: "cursor", Exe: "/opt/Cursor/cursor"}},
		},
		{
			name:  "cursor's agent",
			env:   []string{"CURSOR_AGENT=1"},
			above: []Process{git, shell, {Comm: "cursor", Exe: "/opt/Cursor/cursor"}},
			want:  []string{"cursor"},
		},
		{name: "crush", env: []string{"CRUSH=1", "AGENT=crush", "AI_AGENT=crush"}, want: []string{"crush"}},
		{name: "amp", above: []Process{git, shell, {Comm: "amp", Exe: "/opt/@ampcode/cli/bin/amp.exe"}}, want: []string{"amp"}},
		{name: "cline", above: []Process{{Comm: "cline"}}, want: []string{"cline"}},
		{name: "windows names", above: []Process{{Comm: "claude.exe", Exe: `C:\bin\claude.exe`}}, want: []string{"claude-code"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, o := range Detect(tt.env, tt.above) {
				got = append(got, o.Tool.Name)
				if o.Via != provenance.ViaProcess {
					t.Errorf("via %q", o.Via)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOpenCodeShell is a commit in a shell that our plugin has told of the session.
func TestOpenCodeShell(t *testing.T) {
	got := Detect([]string{"OPENCODE=1", "GATEKEEPER_OPENCODE_SESSION=ses_1", "GATEKEEPER_OPENCODE_MODEL=anthropic/claude-sonnet-4-5"}, nil)
	want := []Observation{{
		Tool: provenance.Tool{Name: "opencode"}, Model: provenance.Model{Provider: "anthropic", Name: "claude-sonnet-4-5"},
		Session: SessionID("ses_1"), Via: provenance.ViaProcess,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestClaudeVersion(t *testing.T) {
	for in, want := range map[string]string{
		"claude-code_2-1-330_agent":        "2.1.330",
		"claude-code_2-1-330_harness":      "2.1.330",
		"claude-code_2-1-330-beta-1_agent": "2.1.330-beta-1",
		"crush":                            "",
		"":                                 "",
		"claude-code_" + string(make([]byte, 300)): "",
	} {
		o := claudeCode().observe(environment{"CLAUDECODE=1", "AI_AGENT=" + in})
		if o.Tool.Version != want {
			t.Errorf("AI_AGENT=%q: got %q, want %q", in, o.Tool.Version, want)
		}
	}
}

func TestCanonicalModel(t *testing.T) {
	for in, want := range map[string]string{
		"claude-sonnet-4-5":               "anthropic/claude-sonnet-4-5",
		"claude-opus-4-6[1m]":             "anthropic/claude-opus-4-6[1m]",
		"Claude Opus 4.6":                 "anthropic/claude-opus-4-6",
		"Claude Opus 4.6 (1M context)":    "anthropic/claude-opus-4-6[1m]",
		"Claude Opus 4.6 (fast)":          "anthropic/Claude Opus 4.6 (fast)",
		"Claude 3.5 Sonnet":               "anthropic/claude-3-5-sonnet",
		"GPT-5.6 Sol":                     "openai/GPT-5.6 Sol",
		"us.anthropic.claude-opus-4-v1:0": "anthropic/us.anthropic.claude-opus-4-v1:0",
		"gpt-5.6-sol":                     "openai/gpt-5.6-sol",
		"o3-mini":                         "openai/o3-mini",
		"codex-mini-latest":               "openai/codex-mini-latest",
		"models/gemini-3-pro":             "google/gemini-3-pro",
		"qwen3-coder-plus":                "alibaba/qwen3-coder-plus",
		"grok-5":                          "xai/grok-5",
		"Llama-4-Maverick":                "meta/Llama-4-Maverick",
		"devstral-2":                      "mistral/devstral-2",
		"deepseek-v4":                     "deepseek/deepseek-v4",
		"kimi-k3":                         "moonshotai/kimi-k3",
		"acme-coder-2":                    "unknown/acme-coder-2",
		"openrouter/anthropic/claude-x":   "openrouter/anthropic/claude-x",
		"unknown/acme":                    "unknown/acme",
		"acme/default":                    "acme/unknown",
		"<synthetic>":                     "unknown/unknown",
		"default":                         "unknown/unknown",
		"Auto":                            "unknown/unknown",
		" ":                               "unknown/unknown",
	} {
		if got := CanonicalModel(in).ID(); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestCanonicalModelIsStable(t *testing.T) {
	for _, in := range []string{"claude-sonnet-4-5", "acme-coder-2", "openrouter/a/b", "auto"} {
		first := CanonicalModel(in)
		if again := CanonicalModel(first.ID()); again != first {
			t.Errorf("%q: %+v became %+v", in, first, again)
		}
	}
}

func TestSessionID(t *testing.T) {
	// printf %s 01a2075e | sha256sum
	if got, want := SessionID("01a2075e"), "6babf17f729f"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if SessionID("a") == SessionID("b") {
		t.Error("two sessions have one name")
	}
}
