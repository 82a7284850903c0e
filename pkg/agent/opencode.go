package agent

// openCode also sets AGENT=1, which other agents set, too.
func openCode() agent {
	return agent{
		name:     "opencode",
		marks:    []mark{{"OPENCODE", "1"}},
		programs: []string{"opencode"},
		scripts:  []string{"opencode", "opencode-ai/bin/opencode"},
	}
}
