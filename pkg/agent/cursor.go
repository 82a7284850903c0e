package agent

// cursor is an editor, too: a person's terminal inside it has the editor for
// an ancestor, so the editor counts only where its agent set CURSOR_AGENT. The
// command line agent is a program of its own. Reported by others; it was not run.
func cursor() agent {
	return agent{
		name:     "cursor",
		marks:    []mark{{"CURSOR_AGENT", "1"}},
		programs: []string{"cursor-agent"},
		scripts:  []string{"cursor-agent"},
		editor:   []string{"cursor", "Cursor"},
	}
}
