package agents

import "path/filepath"

// claudeCode reads ~/.claude/settings.json, or that of CLAUDE_CONFIG_DIR. Hooks of
// all its settings files run. Timeouts are seconds; a matcher is a regular expression.
//
// A tool that fails calls PostToolUseFailure in the place of PostToolUse: a command
// that fails has mostly changed files before that.
func claudeCode() agent {
	return agent{
		name: "claude-code", title: "Claude Code", programs: []string{"claude"},
		dir: func(w World) string { return w.moved("CLAUDE_CONFIG_DIR", w.home(".claude")) },
		targets: func(w World, dir string) []target {
			f := plain(posix, "claude-code") // on Windows Git's bash, which takes C:/path
			command := f.command(filepath.ToSlash(w.Binary))
			hook := []pair{{"command", command}, {"timeout", 10}}
			const tools = "Write|Edit|MultiEdit|NotebookEdit|Bash|PowerShell|mcp__.*"
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
