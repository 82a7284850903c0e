package agents

import (
	"path/filepath"
	"strings"

	events "github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

// openCode calls no programs; it loads every plugin of its configuration directory,
// so ours is a file of its own there.
func openCode() agent {
	return agent{
		name: "opencode", title: "OpenCode", programs: []string{"opencode"},
		dir: func(w World) string { return w.config("opencode") },
		targets: func(w World, dir string) []target {
			plugin := events.OpenCodePlugin(w.Binary)
			_, from, _ := strings.Cut(plugin, "const program = ")
			program, _, _ := strings.Cut(from, "\n")
			return []target{{
				file: filepath.Join(dir, "plugins", "gatekeeper.js"),
				text: program, whole: []byte(plugin),
			}}
		},
	}
}
