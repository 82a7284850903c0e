package agent

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// claudeCode is one native program since version 2; older ones run cli.js.
func claudeCode() agent {
	return agent{
		name:       "claude-code",
		marks:      []mark{{"CLAUDECODE", "1"}},
		marksHooks: true,
		session:    []string{"CLAUDE_CODE_SESSION_ID"},
		version:    claudeVersion,
		programs:   []string{"claude"},
		scripts:    []string{"claude", "@anthropic-ai/claude-code/cli.js"},
	}
}

// claudeVersion reads AI_AGENT=claude-code_2-1-330_agent as 2.1.330.
func claudeVersion(env environment) string {
	v, ok := strings.CutPrefix(env.get("AI_AGENT"), "claude-code_")
	if !ok {
		return ""
	}
	v, _, _ = strings.Cut(v, "_")
	// Only the first two hyphens stand for dots: 2-1-330-beta-1 is 2.1.330-beta-1.
	return strings.Replace(v, "-", ".", 2)
}

// claudeCode reads Claude Code's payloads, as captured from version 2.1. Fields
// of sub-agents (agent_id) and of notebooks are documented and were not seen.
// The model stands only in the transcript, except at a session's start.
func (d *decoding) claudeCode() {
	d.claudeShape()
	e, t := &d.event, d.top
	e.Model = CanonicalModel(t.At("model").String())
	d.worker(t.At("agent_id"), payload.Value{})
	if e.Call != "" && e.Phase != "" {
		e.Source = d.source(t.At("transcript_path").String(), t.At("session_id").String(), e.Call, e.Agent)
	}
	input, response := t.At("tool_input"), t.At("tool_response")
	switch t.At("tool_name").String() {
	case "Write", "Edit", "MultiEdit", "NotebookEdit":
		d.edit(claudeFile(e, input, response))
	case "Bash", "PowerShell":
		e.Kind = Shell
		e.Background = input.At("run_in_background").IsTrue() || response.At("backgroundTaskId").Exists()
	}
	if e.MCP != nil {
		e.MCP.Server = t.At("mcp_server", "name").String()
		e.MCP.Tool = toolBehind(e.MCP.Name, "mcp__", e.MCP.Server, "__")
	}
}

// claudeShape reads what all payloads of Claude Code's form have in common.
// What a tool is called differs, but for those of MCP servers.
func (d *decoding) claudeShape() {
	e, t := &d.event, d.top
	d.session(t.At("session_id").String())
	e.Name = first(t.At("hook_event_name"), t.At("hookEventName"))
	e.Dir = t.At("cwd").String()
	e.Call = t.At("tool_use_id").String()
	switch e.Name {
	case "PreToolUse":
		e.Phase = Before
	case "PostToolUse":
		e.Phase = After
	case "PostToolUseFailure", "PermissionDenied":
		e.Phase, e.Failed = After, true
	case "UserPromptSubmit":
		e.Kind = Prompt
	case "SessionStart":
		e.Kind = SessionStart
	case "SessionEnd":
		e.Kind = SessionEnd
	case "Stop", "StopFailure":
		e.Kind = TurnEnd
	}
	if name := t.At("tool_name").String(); e.Phase != "" && strings.HasPrefix(name, "mcp__") {
		d.mcp(name, "", "")
	}
}

// claudeFile reads the file of one of the editing tools. Content before and
// after comes only with the answer, and the content after an edit is derived. A notebook's
// cell is no text of the file: it has contents, or nothing.
func claudeFile(e *Event, input, response payload.Value) FileEdit {
	f := FileEdit{Path: first(response.At("filePath"), input.At("file_path"), input.At("notebook_path"))}
	if input.At("old_string").Exists() {
		f.Changes = []Change{change(input, "old_string", "new_string")}
	}
	f.Changes = append(f.Changes, changes(input.At("edits"), "old_string", "new_string")...)
	if e.Phase != After || e.Failed {
		return f
	}
	f.UserModified = response.At("userModified").IsTrue()
	if input.At("notebook_path").Exists() {
		f.contents(response.At("original_file"), response.At("updated_file"))
		return f
	}
	f.Before, f.HasBefore = response.At("originalFile").Bytes()
	if response.At("originalFile").IsNull() && response.At("type").String() == "create" {
		f.HasBefore = true
	}
	if !f.UserModified {
		f.After, f.HasAfter = input.At("content").Bytes()
	}
	f.derive()
	return f
}

// claudeCode finds the answer that called the tool. Sub-agents have transcripts of
// their own beside the session's, while their events name the session's. Source:
// https://github.com/anthropics/claude-code/issues/76333.
func (s source) claudeCode() (Found, error) {
	path, err := s.file()
	if err != nil {
		return Found{}, err
	}
	data, err := tail(path)
	found := claudeAnswer(data, s.key(0))
	if worker := s.key(1); found.Model.Name == "" && worker != "" {
		dir := strings.TrimSuffix(path, ".jsonl") + "/subagents/agent-" + sessionHole + ".jsonl"
		if path, err = fill(dir, sessionHole, worker); err != nil {
			return found, err
		}
		data, err = tail(path)
		found = claudeAnswer(data, s.key(0))
	}
	return found, err
}

func claudeAnswer(data []byte, call string) (found Found) {
	if call == "" {
		return found
	}
	backwards(data, func(line payload.Value) bool {
		if line.At("type").String() != "assistant" {
			return false
		}
		for block := range line.At("message", "content").Items() {
			if block.At("id").String() == call {
				found = Found{Model: CanonicalModel(line.At("message", "model").String()), Version: line.At("version").String(), Final: true}
				return true
			}
		}
		return false
	}, call)
	return found
}
