package agent

import (
	"bytes"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// GeminiGitHooks is the git config key that lets git's hooks run in commits that Gemini
// CLI makes, which switches them off in the shells that it starts.
const GeminiGitHooks = "gatekeeper.geminiGitHooks"

// What stands before a command that git's hooks run in, around their directory.
const (
	hooksBack = "export GIT_CONFIG_COUNT=9 GIT_CONFIG_KEY_8=core.hooksPath GIT_CONFIG_VALUE_8="
	hooksEnd  = "; "
)

// withoutHooksBack is the JSON of a call's arguments as the model wrote them, so that the call is
// the same before and after GeminiWithGitHooks.
func withoutHooksBack(input []byte) []byte {
	before, rest, ok := bytes.Cut(input, []byte(`"command":"`+hooksBack))
	if !ok {
		return input
	}
	if _, rest, ok = bytes.Cut(rest, []byte(hooksEnd)); !ok {
		return input
	}
	return slices.Concat(before, []byte(`"command":"`), rest)
}

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
	command = hooksBack + hooks + hooksEnd + command
	return []byte(`{"hookSpecificOutput":{"hookEventName":"BeforeTool","tool_input":{"command":` + payload.Quote(command) + "}}}\n")
}
