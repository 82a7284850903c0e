package agents

import (
	"path/filepath"
	"slices"
)

// cursor reads ~/.cursor/hooks.json, as its documentation says; it was not run. A
// hook that fails lets the call through unless it says failClosed, which the one before
// a call to an MCP server does. Edits, commands and calls have events of their own;
// preToolUse is there for the content of a file before an edit.
func cursor() agent {
	return agent{
		name: "cursor", title: "Cursor", programs: []string{"cursor", "cursor-agent"}, unproven: true,
		dir: func(w World) string { return w.home(".cursor") },
		targets: func(w World, dir string) []target {
			f := plain(on(powershell), "cursor")
			command := f.command(w.Binary)
			h := hooksFile{base: []pair{{"version", 1}}, ours: f.isOurs, command: flatCommand}
			entry := []pair{{"command", command}}
			closed := append(slices.Clone(entry), pair{"failClosed", true})
			edits := append([]pair{{"matcher", "Write"}}, entry...)
			h.events = []event{
				{"sessionStart", entry}, {"beforeSubmitPrompt", entry},
				{"preToolUse", edits}, {"afterFileEdit", entry}, {"afterTabFileEdit", entry},
				{"beforeShellExecution", entry}, {"afterShellExecution", entry},
				{"beforeMCPExecution", closed}, {"afterMCPExecution", entry},
				{"stop", entry}, {"sessionEnd", entry},
			}
			return []target{h.target(filepath.Join(dir, "hooks.json"), command)}
		},
	}
}
