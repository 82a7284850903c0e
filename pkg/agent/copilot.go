package agent

// copilotCLI shows itself as "MainThread", so only the path of its program
// tells. COPILOT_MODEL is there when the user chose a model by it.
func copilotCLI() agent {
	return agent{
		name:     "copilot-cli",
		marks:    []mark{{"COPILOT_CLI", "1"}},
		session:  []string{"COPILOT_AGENT_SESSION_ID"},
		model:    []string{"COPILOT_MODEL"},
		version:  func(env environment) string { return env.get("COPILOT_CLI_BINARY_VERSION") },
		programs: []string{"copilot"},
		scripts:  []string{"copilot", "@github/copilot/index.js"},
	}
}
