package agents

import "path/filepath"

// geminiCLI reads ~/.gemini/settings.json; GEMINI_CLI_HOME stands for the home.
// Timeouts are milliseconds.
func geminiCLI() agent {
	return agent{
		name: "gemini-cli", title: "Gemini CLI", programs: []string{"gemini"},
		dir: func(w World) string {
			home := w.moved("GEMINI_CLI_HOME", w.home())
			if home == "" {
				return ""
			}
			return filepath.Join(home, ".gemini")
		},
		targets: func(w World, dir string) []target {
			f := plain(on(powershell), "gemini-cli")
			command := f.command(w.Binary)
			hook := []pair{{"name", "gatekeeper"}, {"command", command}, {"timeout", 10000}}
			const tools = "write_file|replace|run_shell_command|mcp_.*"
			h := claudeLike(f, []event{
				{"SessionStart", group("", hook...)},
				{"BeforeAgent", group("", hook...)},
				{"BeforeTool", group(tools, hook...)},
				{"AfterTool", group(tools, hook...)},
				{"AfterAgent", group("", hook...)},
				{"SessionEnd", group("", hook...)},
			})
			h.off = offSwitch{[]string{"hooksConfig", "enabled"}, "false"}
			return []target{h.target(filepath.Join(dir, "settings.json"), command)}
		},
	}
}
