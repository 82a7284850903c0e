package agents

import "path/filepath"

// qwenCode reads ~/.qwen/settings.json, or that of QWEN_HOME. It takes a timeout of a
// thousand and more for milliseconds, a smaller one for seconds, and took all of them
// for milliseconds once: only the first is right everywhere.
func qwenCode() agent {
	return agent{
		name: "qwen-code", title: "Qwen Code", programs: []string{"qwen"},
		dir: func(w World) string { return w.moved("QWEN_HOME", w.home(".qwen")) },
		targets: func(w World, dir string) []target {
			f := plain(on(powershell), "qwen-code")
			command := f.command(w.Binary)
			hook := []pair{{"name", "gatekeeper"}, {"command", command}, {"timeout", 10000}}
			const tools = "write_file|edit|run_shell_command|mcp__.*"
			h := claudeLike(f, []event{
				{"SessionStart", group("", hook...)},
				{"UserPromptSubmit", group("", hook...)},
				{"PreToolUse", group(tools, hook...)},
				{"PostToolUse", group(tools, hook...)},
				{"PostToolUseFailure", group(tools, hook...)},
				{"Stop", group("", hook...)},
				{"SessionEnd", group("", hook...)},
			})
			h.off = offSwitch{[]string{"disableAllHooks"}, "true"}
			return []target{h.target(filepath.Join(dir, "settings.json"), command)}
		},
	}
}
