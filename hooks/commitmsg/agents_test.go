package commitmsg_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/hooks/agentevent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

// agentsDir holds what real agents told their hooks while they did the same work: a new
// file of two lines, a changed line, and a file by a command; see its README.
const agentsDir = "../../testdata/agents"

// A played agent is one whose captured events are told again, around the same work.
type played struct {
	name       string
	transcript [2]string // the excerpt, and where the agent has it below the home directory
	// The events before and after each piece of work. An empty name is an event that the
	// agent does not have.
	write, edit, shell [2]string
	want               string // tool and model
	session            string // as the agent calls it
}

func agentsPlayed() []played {
	return []played{
		{
			name:       "claude-code",
			transcript: [2]string{"session.jsonl", ".claude/projects/-home-dev-shop/fd328dcb-b966-41b6-ab9a-121ca4fe19ee.jsonl"},
			write:      [2]string{"PreToolUse-Write", "PostToolUse-Write"},
			edit:       [2]string{"PreToolUse-Edit", "PostToolUse-Edit"},
			shell:      [2]string{"PreToolUse-Bash", "PostToolUse-Bash"},
			want:       "claude-code/2.1.330 anthropic/claude-sonnet-4-5",
			session:    "fd328dcb-b966-41b6-ab9a-121ca4fe19ee",
		},
		{
			name:       "codex",
			write:      [2]string{"PreToolUse-apply_patch", "PostToolUse-apply_patch"}, // both files in one patch
			shell:      [2]string{"PreToolUse-Bash", "PostToolUse-Bash"},
			transcript: [2]string{"rollout.jsonl", ".codex/sessions/2026/11/23/rollout-2026-11-23T07-46-19-01a2075e-c0ce-7270-8bdd-5c6f5ce9a31e.jsonl"},
			want:       "codex/0.169.0 openai/gpt-5.5",
			session:    "01a2075e-c0ce-7270-8bdd-5c6f5ce9a31e",
		},
		{
			name:       "gemini-cli",
			transcript: [2]string{"session.jsonl", ".gemini/tmp/repo/chats/session-2026-11-23T07-45-a940936d.jsonl"},
			write:      [2]string{"BeforeTool-write_file", "AfterTool-write_file"},
			edit:       [2]string{"BeforeTool-replace", "AfterTool-replace"},
			shell:      [2]string{"BeforeTool-run_shell_command", "AfterTool-run_shell_command"},
			want:       "gemini-cli/unknown google/gemini-2.5-pro",
			session:    "a940936d-6c6b-4434-8749-d7204046d97d",
		},
		{
			name:       "qwen-code",
			transcript: [2]string{"session.jsonl", ".qwen/projects/-home-dev-shop/chats/2d9f831b-021c-487b-94a7-e019b1031ee9.jsonl"},
			write:      [2]string{"PreToolUse-write_file", "PostToolUse-write_file"},
			edit:       [2]string{"PreToolUse-edit", "PostToolUse-edit"},
			shell:      [2]string{"PreToolUse-run_shell_command", "PostToolUse-run_shell_command"},
			want:       "qwen-code/0.24.4 alibaba/qwen3-coder-plus",
			session:    "2d9f831b-021c-487b-94a7-e019b1031ee9",
		},
		{
			name:       "copilot-cli",
			transcript: [2]string{"events.jsonl", ".copilot/session-state/7a7e30aa-ad0a-4cc9-bba0-1b7e7023dfa8/events.jsonl"},
			write:      [2]string{"preToolUse-create", "postToolUse-create"},
			edit:       [2]string{"preToolUse-edit", "postToolUse-edit"},
			shell:      [2]string{"preToolUse-bash", "postToolUse-bash"},
			want:       "copilot-cli/1.0.102 unknown/stub-model",
			session:    "7a7e30aa-ad0a-4cc9-bba0-1b7e7023dfa8",
		},
		{
			name:  "opencode",
			write: [2]string{"tool.execute.before-write", "tool.execute.after-write"},
			edit:  [2]string{"tool.execute.before-edit", "tool.execute.after-edit"},
			shell: [2]string{"tool.execute.before-bash", "tool.execute.after-bash"},
			want:  "opencode/1.18.33 stub/stub-model",
		},
	}
}

// tell gives a captured event to the hook, with its paths moved into this world.
func (w *world) tell(a played, event string) (stdout, stderr string) {
	w.t.Helper()
	if event == "" {
		return "", ""
	}
	data, err := os.ReadFile(filepath.Join(agentsDir, a.name, event+".json"))
	w.must(err)
	var file struct {
		Event     string
		Stdin     json.RawMessage
		Markers   map[string]string `json:"env_markers"`
		Ancestors []agent.Process
	}
	w.must(json.Unmarshal(data, &file))
	if a.name == "opencode" {
		file.Stdin = asPlugin(w.t, file.Event, file.Stdin)
	}
	moved := func(s string) string {
		// Codex told no end of the command whose beginning was captured.
		s = strings.ReplaceAll(s, "call_3_a097694d", "call_4_ad853d51")
		return strings.ReplaceAll(strings.ReplaceAll(s, "/home/dev/shop", w.dir), "/home/dev", w.home)
	}
	env := append([]string{}, w.env...)
	for k, v := range file.Markers {
		env = append(env, k+"="+moved(v))
	}
	var out, errs bytes.Buffer
	code := agentevent.Run(context.Background(), agentevent.Env{
		Hint: a.name, Environ: env, Dir: w.dir, Stdin: strings.NewReader(moved(string(file.Stdin))),
		Stdout: &out, Stderr: &errs, Now: time.Now, Ancestors: func() []agent.Process { return file.Ancestors },
	})
	if code != 0 {
		w.t.Errorf("%s %s: exit code %d\n%s", a.name, event, code, &errs)
	}
	return out.String(), errs.String()
}

// asPlugin wraps the arguments of one of OpenCode's hooks as our plugin there does.
func asPlugin(t testing.TB, event string, stdin []byte) []byte {
	t.Helper()
	var args struct{ Input, Output json.RawMessage }
	if err := json.Unmarshal(stdin, &args); err != nil {
		t.Fatal(err)
	}
	hook, _, _ := strings.Cut(event, "-")
	var input struct{ SessionID string }
	if err := json.Unmarshal(args.Input, &input); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"gatekeeper": "opencode/1", "hook": hook, "session": input.SessionID, "directory": "/home/dev/shop", "version": "1.18.33",
		"model": map[string]string{"providerID": "stub", "modelID": "stub-model"}, "input": args.Input, "output": args.Output,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// With each agent whose events were captured, the commit says which tool, which model
// and how many of its lines, and a person's line is nobody's.
func TestEveryAgent(t *testing.T) {
	for _, a := range agentsPlayed() {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t)
			w.must(os.MkdirAll(filepath.Join(w.dir, ".git/gatekeeper"), 0o755))
			if a.transcript[0] != "" {
				data, err := os.ReadFile(filepath.Join(agentsDir, a.name, "transcripts", a.transcript[0]))
				w.must(err)
				w.put(a.transcript[1], strings.ReplaceAll(string(data), "/home/dev/shop", w.dir), 0o600)
			}
			w.commit("a.txt", "one\ntwo\nthree\n", "Base")
			work := func(events [2]string, do func()) {
				for i, event := range events {
					if _, said := w.tell(a, event); said != "" {
						t.Errorf("%s: %s", event, said)
					}
					if i == 0 {
						do()
					}
				}
			}
			write := func() { w.write("new.txt", "hello\nworld\n") }
			edit := func() { w.write("a.txt", "one\nTWO\nthree\n") }
			if a.edit[0] == "" {
				work(a.write, func() { write(); edit() })
			} else {
				work(a.write, write)
				work(a.edit, edit)
			}
			work(a.shell, func() { w.write("shell.txt", "by shell\n") })
			w.write("a.txt", "human\none\nTWO\nthree\n")
			w.git("add", "-A")
			w.git("commit", "-q", "-m", "Work")
			w.silent()
			got := w.records("HEAD")
			want := a.want + " lines=4/5 via=hook session="
			if a.session != "" {
				want += agent.SessionID(a.session)
			}
			if got != want && (a.session != "" || !strings.HasPrefix(got, want) || strings.Contains(got, "\n")) {
				t.Errorf(" got %q\nwant %q", got, want)
			}
			w.want("trace", strings.Split(w.trace("HEAD"), "\n")[0], "gatekeeper trace v1")
			w.want("binding", w.binding("HEAD"), "exact")
		})
	}
}
