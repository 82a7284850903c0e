package agent

import "strings"

// homes are where agents keep what a user has set: the variable that moves it, else the
// folders below the home directory, of which one is enough.
var homes = []struct {
	name     string
	variable string
	folders  []string
}{
	{"aider", "", []string{".aider.conf.yml", ".aider"}},
	{"amp", "", []string{".config/amp"}},
	{"claude-code", "CLAUDE_CONFIG_DIR", []string{".claude"}},
	{"cline", "", []string{".cline"}},
	{"codex", "CODEX_HOME", []string{".codex"}},
	{"continue", "", []string{".continue"}},
	{"copilot-cli", "COPILOT_HOME", []string{".copilot"}},
	{"crush", "", []string{".config/crush"}},
	{"cursor", "", []string{".cursor"}},
	{"gemini-cli", "", []string{".gemini"}},
	{"opencode", "", []string{".config/opencode"}},
	{"qwen-code", "", []string{".qwen"}},
	{"windsurf", "", []string{".codeium/windsurf"}},
}

// Present lists the agents that the user with this environment has used or set up,
// going by the folders that they keep; exists looks at a path with slashes. One that
// was never started leaves none.
func Present(getenv func(string) string, exists func(path string) bool) (names []string) {
	home := getenv("HOME")
	for _, h := range homes {
		moved := ""
		if h.variable != "" {
			moved = getenv(h.variable)
		}
		if moved != "" && exists(moved) {
			names = append(names, h.name)
			continue
		}
		for _, folder := range h.folders {
			path := home + "/" + folder
			if rest, ok := strings.CutPrefix(folder, ".config/"); ok && getenv("XDG_CONFIG_HOME") != "" {
				path = getenv("XDG_CONFIG_HOME") + "/" + rest
			}
			if home != "" && exists(path) {
				names = append(names, h.name)
				break
			}
		}
	}
	return names
}
