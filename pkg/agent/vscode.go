package agent

import "strings"

// copilotVSCode is Copilot inside Visual Studio Code. It leaves no mark that is known,
// and the editor is a person's, too: only its own hooks show it. It also runs
// the hooks of Claude Code's settings.
func copilotVSCode() agent { return agent{name: "copilot-vscode"} }

// copilotVSCode reads the payloads of VS Code's agent hooks, from
// https://code.visualstudio.com/docs/agents/reference/hooks-reference and the
// names of tools in the editor's public source. It was not run. No field
// names the model.
func (d *decoding) copilotVSCode() {
	d.claudeShape()
	e, t := &d.event, d.top
	d.session(first(t.At("sessionId"), t.At("session_id")))
	input := t.At("tool_input")
	switch name := t.At("tool_name").String(); name {
	case "create_file", "insert_edit_into_file":
		d.edit(FileEdit{Path: input.At("filePath").String()})
	case "replace_string_in_file":
		d.edit(FileEdit{Path: input.At("filePath").String(), Changes: []Change{change(input, "oldString", "newString")}})
	case "multi_replace_string_in_file":
		for r := range input.At("replacements").Items() {
			d.edit(FileEdit{Path: r.At("filePath").String(), Changes: []Change{change(r, "oldString", "newString")}})
		}
	case "apply_patch":
		e.Kind = Edit
		d.patch(input.At("input").String())
	case "editFiles":
		for file := range input.At("files").Items() {
			d.edit(FileEdit{Path: file.String()})
		}
	case "run_in_terminal":
		e.Kind = Shell
		e.Background = input.At("isBackground").IsTrue()
	default:
		if strings.HasPrefix(name, "mcp_") && e.Phase != "" {
			d.mcp(name, "", "")
		}
	}
}
