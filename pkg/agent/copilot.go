package agent

import (
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// copilotCLI shows itself as "MainThread", so only the path of its program
// tells. COPILOT_MODEL is there when the user chose a model by it.
func copilotCLI() agent {
	return agent{
		name:       "copilot-cli",
		marks:      []mark{{"COPILOT_CLI", "1"}},
		marksHooks: true,
		session:    []string{"COPILOT_AGENT_SESSION_ID"},
		model:      []string{"COPILOT_MODEL"},
		version:    func(env environment) string { return env.get("COPILOT_CLI_BINARY_VERSION") },
		programs:   []string{"copilot"},
		scripts:    []string{"copilot", "@github/copilot/index.js"},
	}
}

// copilotCLI reads Copilot CLI's payloads, as captured from version 1.0. The
// spelling of the event in its configuration chooses between two forms; that
// with Claude Code's names is documented, and keeps Copilot's own names inside
// tool_input. Calls have no id, and the event file that names the model is
// written late.
func (d *decoding) copilotCLI() {
	e, t := &d.event, d.top
	session := first(t.At("sessionId"), t.At("session_id"))
	d.session(session)
	e.Dir = t.At("cwd").String()
	e.Name = first(t.At("hook_event_name"), t.At("hookName"))
	if e.Name == "" {
		e.Name = copilotEvent(t)
	}
	switch e.Name {
	case "preToolUse", "PreToolUse", "permissionRequest", "PermissionRequest":
		e.Phase = Before
	case "postToolUse", "PostToolUse":
		e.Phase = After
		result := first(t.At("toolResult", "resultType"), t.At("tool_result", "result_type"), t.At("tool_result", "resultType"))
		e.Failed = result != "" && result != "success"
	case "postToolUseFailure", "PostToolUseFailure":
		e.Phase, e.Failed = After, true
	case "userPromptSubmitted", "UserPromptSubmit":
		e.Kind = Prompt
	case "sessionStart", "SessionStart":
		e.Kind = SessionStart
	case "sessionEnd", "SessionEnd":
		e.Kind = SessionEnd
	case "agentStop", "Stop":
		e.Kind = TurnEnd
	}
	if e.Phase != "" {
		d.copilotTool(session)
	}
}

// copilotEvent tells the event of a payload that does not name it.
func copilotEvent(t payload.Value) string {
	has := func(name string) bool { return t.At(name).Exists() }
	switch {
	case has("toolName") && has("toolResult"):
		return "postToolUse"
	case has("toolName") && has("error"):
		return "postToolUseFailure"
	case has("toolName"):
		return "preToolUse"
	case has("agentName"):
		return "subagentStop" // or Start: neither is of interest
	case has("stopReason"):
		return "agentStop"
	case has("source"):
		return "sessionStart"
	case has("reason"):
		return "sessionEnd"
	case has("prompt"):
		return "userPromptSubmitted"
	}
	return ""
}

func (d *decoding) copilotTool(session string) {
	e, t := &d.event, d.top
	name := first(t.At("toolName"), t.At("tool_name"))
	var input payload.Value
	for _, member := range []string{"toolArgs", "tool_input", "toolInput"} {
		if v := t.At(member); v.Exists() {
			input = v
		}
	}
	tool := strings.ReplaceAll(copilotName(name), "/", "-")
	e.Call = digest(tool, input)
	e.Source = d.source(d.env.under("COPILOT_HOME", ".copilot", "session-state/"+session+"/events.jsonl"),
		session, tool, copilotTime(t.At("timestamp")))
	if asks := strings.EqualFold(e.Name, "permissionRequest"); asks {
		tool = "" // reported by preToolUse, too, which has more; but it alone parts server and tool
	}
	switch tool {
	case "create", "edit":
		f := FileEdit{Path: first(input.At("path"), input.At("file_path"))}
		if input.At("old_str").Exists() {
			f.Changes = []Change{change(input, "old_str", "new_str")}
		}
		if e.Phase == After && !e.Failed {
			f.After, f.HasAfter = input.At("file_text").Bytes()
		}
		d.edit(f)
	case "bash", "powershell":
		e.Kind = Shell
		e.Background = input.At("mode").String() == "async" || input.At("detach").IsTrue()
	default:
		d.copilotMCP(name)
	}
}

// copilotMCP tells calls to MCP servers by their names, the only ones with a hyphen
// or slash in them. Only where permission is asked is there one way to read them.
func (d *decoding) copilotMCP(name string) {
	switch server, tool, slash := strings.Cut(name, "/"); {
	case slash && server != "" && tool != "" && !strings.Contains(tool, "/"):
		d.mcp(name, server, tool)
	case slash, strings.Contains(name, "-"), strings.HasPrefix(name, "mcp__"):
		d.mcp(name, "", "")
	}
}

// copilotName is Copilot's own name of a tool that it shows under Claude Code's.
func copilotName(name string) string {
	switch name {
	case "Write":
		return "create"
	case "Edit":
		return "edit"
	case "Bash":
		return "bash"
	case "PowerShell":
		return "powershell"
	}
	return name
}

// copilotTime is the time of an event as the event file writes it. Payloads give
// milliseconds, or the same text.
func copilotTime(v payload.Value) string {
	if ms, err := strconv.ParseInt(string(v.Text()), 10, 64); err == nil {
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return v.String()
}

// copilotCLI finds the start of the call: the last of this tool before the event.
// As long as that is not written, the last line that names a model must do, down
// to the one selected when the session began. (session.model_change stands in
// the documentation of the project's SDK, and was not seen.)
func (s source) copilotCLI() (found Found, err error) {
	path, err := s.file()
	if err != nil {
		return found, err
	}
	data, err := tail(path)
	tool, event := s.key(0), s.key(1)
	backwards(data, func(line payload.Value) bool {
		if !notAfter(line.At("timestamp").String(), event) {
			return false
		}
		said := line.At("data")
		switch line.At("type").String() {
		case "tool.execution_start":
			found.Final = said.At("toolName").String() == tool
			if !found.Final {
				return false
			}
		case "assistant.message", "session.start", "session.model_change":
		default:
			return false
		}
		found.Model = CanonicalModel(first(said.At("model"), said.At("newModel"), said.At("selectedModel")))
		return true
	}, `odel"`)
	return found, err
}
