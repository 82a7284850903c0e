package agent

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// cursor is an editor, too: a person's terminal inside it has the editor for
// an ancestor, so the editor counts only where its agent set CURSOR_AGENT. The
// command line agent is a program of its own. Reported by others; it was not run.
func cursor() agent {
	return agent{
		name:     "cursor",
		marks:    []mark{{"CURSOR_AGENT", "1"}},
		programs: []string{"cursor-agent"},
		scripts:  []string{"cursor-agent"},
		editor:   []string{"cursor", "Cursor"},
	}
}

// cursor reads the payloads of Cursor's hooks, from https://cursor.com/docs/agent/hooks.
// It was not run. Shell commands and MCP tools are reported by two events each, before
// and after, of which only preToolUse and postToolUse have an id of the call.
func (d *decoding) cursor() {
	e, t := &d.event, d.top
	d.session(t.At("conversation_id").String())
	e.Name = t.At("hook_event_name").String()
	e.Tool.Version = bounded(t.At("cursor_version").String())
	e.Model = cursorModel(t)
	e.Dir = cursorPath(first(t.At("cwd"), firstItem(t.At("workspace_roots"))))
	e.Call = t.At("tool_use_id").String()
	switch e.Name {
	case "preToolUse":
		e.Phase = Before
		d.cursorTool()
	case "postToolUse":
		e.Phase = After
		d.cursorTool()
	case "postToolUseFailure":
		e.Phase, e.Failed = After, true
		d.cursorTool()
	case "beforeShellExecution":
		e.Kind, e.Phase, e.Call = Shell, Before, d.cursorCall("command")
	case "afterShellExecution":
		e.Kind, e.Phase, e.Call = Shell, After, d.cursorCall("command")
	case "beforeMCPExecution":
		e.Phase = Before
		d.cursorMCP()
	case "afterMCPExecution":
		e.Phase = After
		d.cursorMCP()
	case "afterFileEdit", "afterTabFileEdit":
		e.Phase = After
		d.edit(FileEdit{Path: cursorPath(t.At("file_path").String()), Changes: changes(t.At("edits"), "old_string", "new_string")})
	case "beforeSubmitPrompt":
		e.Kind = Prompt
	case "sessionStart":
		e.Kind = SessionStart
	case "sessionEnd":
		e.Kind = SessionEnd
	case "stop":
		e.Kind = TurnEnd
	}
}

func (d *decoding) cursorTool() {
	e, t := &d.event, d.top
	input := t.At("tool_input")
	switch name := t.At("tool_name").String(); name {
	case "Shell":
		e.Kind = Shell
		e.Background = input.At("is_background").IsTrue()
	case "Write", "Edit", "MultiEdit", "StrReplace", "Delete":
		d.edit(FileEdit{Path: cursorPath(first(input.At("file_path"), input.At("path"))), Deleted: name == "Delete"})
	default:
		if tool, ok := strings.CutPrefix(name, "MCP:"); ok {
			d.mcp(tool, t.At("mcp_server_name").String(), tool)
		}
	}
}

// cursorMCP reads a call whose server is told by name, or at least by what it
// runs or reaches.
func (d *decoding) cursorMCP() {
	e, t := &d.event, d.top
	name := t.At("tool_name").String()
	d.mcp(name, t.At("mcp_server_name").String(), name)
	e.MCP.URL = t.At("url").String()
	e.MCP.Command = strings.Fields(t.At("command").String())
	e.Call = d.cursorCall("tool_input")
}

// cursorCall pairs the events of one act in one turn.
func (d *decoding) cursorCall(member string) string {
	return digest(d.top.At("generation_id").String()+" "+d.top.At("tool_name").String(), d.top.At(member))
}

// cursorModel prefers the id over the name that people see.
func cursorModel(t payload.Value) provenance.Model {
	if m := CanonicalModel(t.At("model_id").String()); m.Name != "" {
		return m
	}
	return CanonicalModel(t.At("model").String())
}

// cursorPath mends paths of Windows, which come as /c:/src/a.go.
func cursorPath(path string) string {
	if len(path) > 3 && path[0] == '/' && path[2] == ':' && path[3] == '/' {
		return path[1:]
	}
	return path
}

func firstItem(list payload.Value) payload.Value {
	for v := range list.Items() {
		return v
	}
	return payload.Value{}
}
