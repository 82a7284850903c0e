package agent

// continueCLI is the command cn of Continue. It sets no variable.
func continueCLI() agent {
	return agent{
		name:    "continue",
		scripts: []string{"cn", "cn.js", "@continuedev/cli/dist/index.js"},
	}
}
