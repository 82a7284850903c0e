package agent

import "strings"

// windsurf is an editor whose agent, Cascade, leaves no mark that is known: only
// its own hooks show it.
func windsurf() agent { return agent{name: "windsurf"} }

// windsurf reads the payloads of Cascade's hooks, from
// https://docs.windsurf.com/windsurf/cascade/hooks. It was not run. model_name
// was reported by others, and may be missing.
func (d *decoding) windsurf() {
	e, t := &d.event, d.top
	d.session(t.At("trajectory_id").String())
	e.Model = CanonicalModel(t.At("model_name").String())
	e.Name = t.At("agent_action_name").String()
	info := t.At("tool_info")
	e.Dir = info.At("cwd").String()
	action, before := strings.CutPrefix(e.Name, "pre_")
	e.Phase = Before
	if !before {
		action, _ = strings.CutPrefix(e.Name, "post_")
		e.Phase = After
	}
	turn := action + " " + t.At("execution_id").String()
	switch action {
	case "write_code":
		d.edit(FileEdit{Path: info.At("file_path").String(), Changes: changes(info.At("edits"), "old_string", "new_string")})
		e.Call = digest(turn+" "+e.Files[0].Path, info.At("edits"))
	case "run_command":
		e.Kind = Shell
		e.Call = digest(turn, info.At("command_line"))
	case "mcp_tool_use":
		name := info.At("mcp_tool_name").String()
		d.mcp(name, info.At("mcp_server_name").String(), name)
		e.Call = digest(turn+" "+name, info.At("mcp_tool_arguments"))
	case "user_prompt":
		e.Kind = Prompt
	case "cascade_response", "cascade_response_with_transcript":
		e.Kind = TurnEnd
	}
}
