package agent

// crush sets CRUSH=1, AGENT=crush and AI_AGENT=crush for its shell. Source:
// the project's internal/shell; it was not run.
func crush() agent {
	return agent{
		name:     "crush",
		marks:    []mark{{"CRUSH", "1"}, {"AI_AGENT", "crush"}},
		session:  []string{"CRUSH_SESSION_ID"},
		programs: []string{"crush"},
	}
}
