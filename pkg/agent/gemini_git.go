package agent

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// GeminiGitHooks is the git config key that lets git's hooks run in commits that Gemini
// CLI makes, which switches them off in the shells that it starts.
const GeminiGitHooks = "gatekeeper.geminiGitHooks"

// GeminiWithGitHooks is the answer to Gemini CLI's BeforeTool event of a shell command
// with which git runs the hooks of a directory in that command; nil when the event is
// none, or the directory's name cannot stand in a command.
//
// Gemini CLI 0.61 sets eight settings of git by GIT_CONFIG_COUNT in each shell, an empty
// core.hooksPath among them. A ninth wins over it. Its check for injected commands
// lets an export of plain words pass, and nothing that a shell would expand.
func GeminiWithGitHooks(event []byte, hooks string) []byte {
	top, err := payload.Parse(event)
	if err != nil || strings.ContainsAny(hooks, "'\"`$\\\n;&|<>(){}*?[]! \t#~") || hooks == "" {
		return nil
	}
	input := top.At("tool_input")
	command := input.At("command").String()
	if top.At("hook_event_name").String() != "BeforeTool" || command == "" {
		return nil
	}
	command = "export GIT_CONFIG_COUNT=9 GIT_CONFIG_KEY_8=core.hooksPath GIT_CONFIG_VALUE_8=" + hooks + "; " + command
	return []byte(`{"hookSpecificOutput":{"hookEventName":"BeforeTool","tool_input":{"command":` + payload.Quote(command) + `}}}`)
}
