package agents

import "path/filepath"

// codex reads hooks.json beside its config.toml, which is never written to: one layer
// should not have both. It runs a hook only when its user trusts it as it stands, so
// neither its text nor its place among others must change. Timeouts are seconds, at
// the end of a session 3 at the most.
func codex() agent {
	return agent{
		name: "codex", title: "Codex", programs: []string{"codex"}, dir: codexDir,
		targets: func(w World, dir string) []target {
			f := codexForm()
			command := f.command(w.Binary)
			hook := []pair{{"command", command}, {"timeout", 10}}
			const tools = "apply_patch|Bash|mcp__.*"
			h := claudeLike(f, []event{
				{"SessionStart", group("", hook...)},
				{"UserPromptSubmit", group("", hook...)},
				{"PreToolUse", group(tools, hook...)},
				{"PostToolUse", group(tools, hook...)},
				{"Stop", group("", hook...)},
				{"SessionEnd", group("", pair{"command", command}, pair{"timeout", 3})},
			})
			return []target{h.target(codexHooks(dir), command)}
		},
	}
}

func codexDir(w World) string { return w.moved("CODEX_HOME", w.home(".codex")) }

func codexHooks(dir string) string { return filepath.Join(dir, "hooks.json") }

func codexForm() form { return plain(on(cmdExe), "codex") }
