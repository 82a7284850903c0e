package agent

import "strings"

// crush sets CRUSH=1, AGENT=crush and AI_AGENT=crush for its shell and its hooks.
// Source: the project's internal/shell; it was not run.
func crush() agent {
	return agent{
		name:     "crush",
		marks:    []mark{{"CRUSH", "1"}, {"AI_AGENT", "crush"}},
		session:  []string{"CRUSH_SESSION_ID"},
		programs: []string{"crush"},
	}
}

// crush reads the one event of Crush, before a tool is used. Source: the
// project's documentation; it was not run. Nothing names the model, and nothing
// comes afterwards.
func (d *decoding) crush() {
	e, t := &d.event, d.top
	d.session(t.At("session_id").String())
	e.Name = first(t.At("event"), t.At("hook_event_name"))
	e.Dir = t.At("cwd").String()
	if e.Name != "PreToolUse" {
		return
	}
	e.Phase = Before
	name, input := t.At("tool_name").String(), t.At("tool_input")
	e.Call = digest(name, input)
	switch {
	case name == "edit" || name == "multiedit" || name == "write":
		d.edit(FileEdit{Path: input.At("file_path").String()})
	case name == "bash":
		e.Kind = Shell
		e.Background = input.At("run_in_background").IsTrue()
	case strings.HasPrefix(name, "mcp_"):
		d.mcp(name, "", "")
	}
}
