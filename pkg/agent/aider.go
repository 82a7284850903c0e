package agent

// aider runs git itself, as a python console script, so the kernel names the
// process after the script. It sets no variable for its children. Source:
// aider/main.py and setup of aider-chat.
func aider() agent {
	return agent{
		name:     "aider",
		programs: []string{"aider"},
		scripts:  []string{"aider", "aider/__main__.py", "aider/main.py"},
	}
}
