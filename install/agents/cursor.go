package agents

import (
	"path/filepath"

	"github.com/tailscale/hujson"
)

// cursor reads ~/.cursor/hooks.json, as its documentation says; it was not run. A
// hook that fails lets the call through unless it says failClosed, which those before
// a call to an MCP server do.
func cursor() agent {
	return agent{
		name: "cursor", title: "Cursor", programs: []string{"cursor", "cursor-agent"}, unproven: true,
		dir: func(w World) string { return w.home(".cursor") },
		targets: func(w World, dir string) []target {
			f := plain(on(powershell), "cursor")
			command := f.command(w.Binary)
			h := hooksFile{base: []pair{{"version", 1}}, ours: f.isOurs, command: flatCommand}
			for _, name := range []string{
				"sessionStart", "beforeSubmitPrompt", "preToolUse", "postToolUse", "beforeShellExecution", "afterShellExecution",
				"beforeMCPExecution", "afterMCPExecution", "afterFileEdit", "afterTabFileEdit", "stop", "sessionEnd",
			} {
				entry := []pair{{"command", command}}
				if name == "beforeMCPExecution" {
					entry = append(entry, pair{"failClosed", true})
				}
				h.events = append(h.events, event{name, entry})
			}
			return []target{h.target(filepath.Join(dir, "hooks.json"), command)}
		},
	}
}

func flatCommand(v hujson.Value) (string, bool) { return text(v, "command") }
