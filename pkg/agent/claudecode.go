package agent

import "strings"

// claudeCode is one native program since version 2; older ones run cli.js.
func claudeCode() agent {
	return agent{
		name:     "claude-code",
		marks:    []mark{{"CLAUDECODE", "1"}},
		session:  []string{"CLAUDE_CODE_SESSION_ID"},
		version:  claudeVersion,
		programs: []string{"claude"},
		scripts:  []string{"claude", "@anthropic-ai/claude-code/cli.js"},
	}
}

// claudeVersion reads AI_AGENT=claude-code_2-1-330_agent as 2.1.330.
func claudeVersion(env environment) string {
	v, ok := strings.CutPrefix(env.get("AI_AGENT"), "claude-code_")
	if !ok {
		return ""
	}
	v, _, _ = strings.Cut(v, "_")
	// Only the first two hyphens stand for dots: 2-1-330-beta-1 is 2.1.330-beta-1.
	return strings.Replace(v, "-", ".", 2)
}
