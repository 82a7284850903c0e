package agent

import (
	"slices"
	"testing"
)

// TestWhoseEvent takes away and falsifies what surrounds each payload: another
// agent is never named for it.
func TestWhoseEvent(t *testing.T) {
	claude := Process{Comm: "claude", Exe: "/opt/claude"}
	shell := Process{Comm: "bash", Exe: "/usr/bin/bash"}
	inherited := []string{"CLAUDECODE=1", "AI_AGENT=claude-code_2-1-330_agent", "CLAUDE_CODE_SESSION_ID=outer", "CLAUDE_PROJECT_DIR=/r", "GEMINI_PROJECT_DIR=/r", "AGENT=1"}
	for _, name := range payloads(t) {
		s := readSent(t, name)
		above := s.ancestors()
		for _, c := range []struct {
			name  string
			hint  string
			env   []string
			above []Process
			sure  bool // the agent must be named, not only no other
		}{
			{"as it was", "", s.environ, above, true},
			{"set up in Claude's settings", "claude-code", s.environ, above, true},
			{"without ancestors", "", s.environ, nil, true},
			{"in an empty environment", "", nil, above, true},
			{"through a shell", "", s.environ, append([]Process{shell}, above...), true},
			{"below another agent", "", slices.Concat(s.environ, inherited), append(slices.Clone(above), shell, claude), len(above) > 0},
			{"below another agent, without ancestors", "", slices.Concat(inherited, s.environ), nil, false},
			{"with nothing but a foreign hint", "claude-code", nil, nil, false},
			{"with nothing but its own hint", s.Agent, nil, nil, false},
			{"with nothing", "", nil, nil, false},
		} {
			t.Run(name+" "+c.name, func(t *testing.T) {
				e, notes := Decode(c.hint, s.text, c.env, c.above)
				switch {
				case e.Tool.Name == s.Agent:
				case e.Tool.Name != "":
					t.Errorf("taken for %q", e.Tool.Name)
				case len(notes) == 0:
					t.Error("nobody is named, and nothing said")
				case c.sure:
					t.Errorf("nobody is named: %v", notes)
				}
			})
		}
	}
}

// TestAmbiguousPayload is a payload in the form that several agents share.
func TestAmbiguousPayload(t *testing.T) {
	const text = `{"session_id":"s1","cwd":"/r","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"make"}}`
	copilot := Process{Comm: "MainThread", Exe: "/opt/copilot"}
	for _, c := range []struct {
		name  string
		hint  string
		env   []string
		above []Process
		want  string
	}{
		{"a mark decides", "codex", []string{"COPILOT_CLI=1"}, nil, "copilot-cli"},
		{"an ancestor decides", "claude-code", nil, []Process{copilot}, "copilot-cli"},
		{"the nearest one", "", nil, []Process{{Comm: "claude"}, copilot}, "claude-code"},
		{"the session decides over both", "", []string{"COPILOT_CLI=1", "CLAUDE_CODE_SESSION_ID=s1"}, []Process{copilot}, "claude-code"},
		{"another session does not", "", []string{"CLAUDE_CODE_SESSION_ID=s2", "COPILOT_CLI=1"}, nil, "copilot-cli"},
		{"two marks do not", "", []string{"COPILOT_CLI=1", "CLAUDECODE=1"}, nil, ""},
		{"but the hint, among the marked", "claude-code", []string{"COPILOT_CLI=1", "CLAUDECODE=1"}, nil, "claude-code"},
		{"Claude's settings are run by others, unmarked", "claude-code", nil, nil, ""},
		{"the hint decides for who marks nothing", "codex", nil, nil, "codex"},
		{"a hint that cannot have sent it does not", "windsurf", nil, nil, ""},
		{"project directories are no marks", "", []string{"CLAUDE_PROJECT_DIR=/r"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, notes := Decode(c.hint, []byte(text), c.env, c.above)
			if e.Tool.Name != c.want {
				t.Errorf("got %q (%v), want %q", e.Tool.Name, notes, c.want)
			}
		})
	}
}

// TestUnknownSender still tells what can be judged.
func TestUnknownSender(t *testing.T) {
	e, notes := Decode("", []byte(`{"session_id":"s1","hook_event_name":"PreToolUse","tool_name":"mcp__evil__ping","tool_input":{}}`), nil, nil)
	if e.Kind != MCP || e.Phase != Before || e.MCP.Name != "mcp__evil__ping" || e.Tool.Name != "" || len(notes) != 1 {
		t.Errorf("got %+v, %v", e, notes)
	}
	e, notes = Decode("claude-code", []byte(`{"hello":1}`), nil, nil)
	if e.Kind != Other || e.Tool.Name != "" || len(notes) != 1 {
		t.Errorf("got %+v, %v", e, notes)
	}
}
