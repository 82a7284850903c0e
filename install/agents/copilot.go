package agents

import (
	"path/filepath"

	"github.com/tailscale/hujson"
)

// copilotCLI reads every file of ~/.copilot/hooks, or of COPILOT_HOME, so ours is a
// file of its own. Names of events in camel case choose the payload that names
// things as Copilot does. permissionRequest is the one that names an MCP server
// without doubt. A hook that cannot be started denies the tool.
func copilotCLI() agent {
	return agent{
		name: "copilot-cli", title: "Copilot CLI", programs: []string{"copilot"},
		dir: func(w World) string { return w.moved("COPILOT_HOME", w.home(".copilot")) },
		targets: func(w World, dir string) []target {
			bash, pwsh := guarded(posix, "copilot-cli"), guarded(powershell, "copilot-cli")
			command := bash.command(filepath.ToSlash(w.Binary))
			entry := []pair{{"type", "command"}, {"bash", command}, {"powershell", pwsh.command(w.Binary)}, {"timeoutSec", 10}}
			h := hooksFile{
				base: []pair{{"version", 1}}, ours: bash.isOurs,
				command: func(v hujson.Value) (string, bool) { return text(v, "bash") },
			}
			for _, name := range []string{
				"sessionStart", "userPromptSubmitted", "preToolUse", "permissionRequest", "postToolUse", "agentStop", "sessionEnd",
			} {
				h.events = append(h.events, event{name, entry})
			}
			return []target{h.target(filepath.Join(dir, "hooks", "gatekeeper.json"), command)}
		},
	}
}
