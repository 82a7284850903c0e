package agent

import (
	"os"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// cline sets only variables that say how it was launched, none that its
// children alone have, so the process must show it.
func cline() agent {
	return agent{
		name:      "cline",
		hookMarks: []mark{{"CLINE_HOOKS_DIR", ""}},
		programs:  []string{"cline"},
		scripts:   []string{"cline"},
	}
}

// cline reads Cline's payloads, as captured from its command line, version 3.0. The
// editor's extension has other names of tools, documented and not seen, and may
// name the model. Otherwise the session's own file does.
func (d *decoding) cline() {
	e, t := &d.event, d.top
	session := first(t.At("sessionContext", "rootSessionId"), t.At("taskId"))
	d.session(session)
	d.worker(t.At("agent_id"), t.At("parent_agent_id"))
	e.Name = t.At("hookName").String()
	if v := t.At("clineVersion").String(); v != "" {
		e.Tool.Version = bounded(v)
	}
	e.Model = modelOf(t.At("model", "provider").String(), t.At("model", "slug").String())
	e.Dir = first(t.At("workspaceInfo", "rootPath"), firstItem(t.At("workspaceRoots")))
	switch e.Name {
	case "tool_call", "PreToolUse":
		e.Phase = Before
		d.clineTool(t.At("tool_call"), t.At("preToolUse"), session)
	case "tool_result", "PostToolUse":
		e.Phase = After
		done := t.At("postToolUse", "success")
		e.Failed = done.Exists() && !done.IsTrue()
		d.clineTool(t.At("tool_result"), t.At("postToolUse"), session)
	case "agent_start", "agent_resume", "TaskStart", "TaskResume":
		e.Kind = SessionStart
	case "agent_end", "agent_abort", "agent_error", "TaskComplete", "TaskCancel", "TaskError":
		e.Kind = TurnEnd
	case "prompt_submit", "UserPromptSubmit":
		e.Kind = Prompt
	case "session_shutdown", "SessionShutdown":
		e.Kind = SessionEnd
	}
}

func (d *decoding) clineTool(call, summary payload.Value, session string) {
	e := &d.event
	name, input := first(call.At("name"), summary.At("toolName")), call.At("input")
	if !input.Exists() {
		input = summary.At("parameters")
	}
	if e.Call = call.At("id").String(); e.Call == "" {
		e.Call = digest(name, input)
	}
	if e.Model.Name == "" {
		e.Source = d.source(d.clineSessions(session), session)
	}
	switch name {
	case "editor":
		d.edit(FileEdit{Path: input.At("path").String(), Changes: []Change{change(input, "old_text", "new_text")}})
	case "apply_patch":
		e.Kind = Edit
		d.patch(first(input.At("input"), input.At("patch")))
	case "write_to_file", "replace_in_file":
		d.edit(FileEdit{Path: input.At("path").String()})
	case "run_commands", "execute_command":
		e.Kind = Shell
	case "use_mcp_tool":
		d.mcp(input.At("tool_name").String(), input.At("server_name").String(), input.At("tool_name").String())
	default:
		if strings.Contains(name, "__") {
			d.mcp(name, "", "")
		}
	}
}

// clineSessions is the directory of the session's own files.
func (d *decoding) clineSessions(session string) string {
	if dir := d.env.get("CLINE_SESSION_DATA_DIR"); dir != "" {
		return dir + "/" + session
	}
	return d.env.under("CLINE_DATA_DIR", ".cline/data", "sessions/"+session)
}

// cline finds the session's description, which is no log of calls: it names the
// model that is used now.
func (s source) cline() (found Found, err error) {
	dir, err := s.file()
	if err != nil {
		return found, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return found, err
	}
	for _, e := range entries[:min(len(entries), maxFilesOfSession)] {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		data, err := tail(dir + "/" + e.Name())
		if err != nil {
			continue
		}
		v, err := payload.Parse(data)
		if err == nil && SessionID(v.At("session_id").String()) == s.session {
			found.Model = modelOf(v.At("provider").String(), v.At("model").String())
			found.Version = v.At("metadata", "sessionHistoryOrigin", "version").String()
		}
	}
	return found, nil
}

// maxFilesOfSession bounds the files of a session that are looked at. There are three.
const maxFilesOfSession = 16
