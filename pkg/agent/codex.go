package agent

// codex wraps a native program in a small node script, which may be what
// stands above a shell on systems without the native one.
func codex() agent {
	return agent{
		name:     "codex",
		marks:    []mark{{"CODEX_CI", "1"}, {"CODEX_THREAD_ID", ""}},
		session:  []string{"CODEX_SESSION_ID", "CODEX_THREAD_ID"},
		version:  func(env environment) string { return env.get("CODEX_VERSION") },
		programs: []string{"codex"},
		scripts:  []string{"codex", "@openai/codex/bin/codex.js"},
	}
}
