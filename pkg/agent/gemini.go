package agent

// geminiCLI is a node script that starts itself a second time.
func geminiCLI() agent {
	return agent{
		name:    "gemini-cli",
		marks:   []mark{{"GEMINI_CLI", "1"}},
		session: []string{"GEMINI_SESSION_ID"},
		scripts: []string{"gemini", "gemini.js", "@google/gemini-cli/dist/index.js"},
	}
}
