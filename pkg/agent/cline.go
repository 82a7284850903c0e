package agent

// cline sets only variables that say how it was launched, none that its
// children alone have, so the process must show it.
func cline() agent {
	return agent{
		name:     "cline",
		programs: []string{"cline"},
		scripts:  []string{"cline"},
	}
}
