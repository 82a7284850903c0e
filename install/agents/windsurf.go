package agents

import "path/filepath"

// windsurf reads ~/.codeium/windsurf/hooks.json, as its documentation says; it was not
// run.
func windsurf() agent {
	return agent{
		name: "windsurf", title: "Windsurf", programs: []string{"windsurf"}, unproven: true,
		dir: func(w World) string { return w.home(".codeium", "windsurf") },
		targets: func(w World, dir string) []target {
			f := plain(on(powershell), "windsurf")
			command := f.command(w.Binary)
			h := hooksFile{ours: f.isOurs, command: flatCommand}
			for _, name := range []string{
				"pre_user_prompt", "pre_write_code", "post_write_code", "pre_run_command", "post_run_command",
				"pre_mcp_tool_use", "post_mcp_tool_use", "post_cascade_response",
			} {
				h.events = append(h.events, event{name, []pair{{"command", command}, {"show_output", false}}})
			}
			return []target{h.target(filepath.Join(dir, "hooks.json"), command)}
		},
	}
}
