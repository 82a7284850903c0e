package agent

import (
	"strings"
	"unicode"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// Answer is what a hook says to its agent: what it writes and its exit code.
//
// Without a reason it has no opinion, and the agent goes on as it would have.
// With one the call is denied, in the agent's own words, and the reason names
// what is approved, so that the agent can do better. An event that is no call
// about to happen cannot be denied.
func Answer(e Event, reason string, approved []string) (stdout []byte, stderr string, exit int) {
	if reason == "" || e.Phase != Before {
		return noOpinion(e), "", 0
	}
	words := oneLine(reason)
	if len(approved) > 0 {
		words += "; approved here: " + oneLine(strings.Join(approved, ", "))
	}
	if out := denial(e, words); out != nil {
		return out, "", denialExit(e)
	}
	return nil, "gatekeeper: " + words + "\n", 2
}

// Undecided denies a call because nobody could decide about it. Most agents take
// any failure of a hook but exit code 2 for leave to go on. Cline looks at no
// exit code, so what Answer writes is there, too.
func Undecided(e Event, why string) (stdout []byte, stderr string, exit int) {
	words := "gatekeeper cannot decide: " + oneLine(why)
	return denial(e, words), "gatekeeper: " + words + "\n", 2
}

// denial is the agent's own form of no, or nil where exit code 2 and stderr are it:
// Windsurf, our plugin in OpenCode, and agents not known.
func denial(e Event, words string) []byte {
	text := payload.Quote(words)
	switch e.Tool.Name {
	case "claude-code", "codex", "qwen-code", "copilot-vscode":
		return []byte(`{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":` + text + `}}` + "\n")
	case "copilot-cli":
		if strings.EqualFold(e.Name, "permissionRequest") {
			return []byte(`{"behavior":"deny","message":` + text + `}` + "\n")
		}
		return []byte(`{"permissionDecision":"deny","permissionDecisionReason":` + text + `}` + "\n")
	case "gemini-cli", "crush":
		return []byte(`{"decision":"deny","reason":` + text + `}` + "\n")
	case "cline":
		return []byte(`{"cancel":true,"errorMessage":` + text + `}` + "\n")
	case "cursor":
		return []byte(`{"permission":"deny","user_message":` + text + `,"agent_message":` + text + `}` + "\n")
	}
	return nil
}

// denialExit is 0 where the written answer was seen to deny by itself, and 2 where
// it was not, and the code is documented to.
func denialExit(e Event) int {
	if e.Tool.Name == "copilot-cli" && e.Name != "preToolUse" {
		return 2
	}
	return 0
}

// noOpinion is nothing, but for agents that want JSON: Cursor, which can be set to
// deny when a hook's answer is none, and Cline.
func noOpinion(e Event) []byte {
	switch e.Tool.Name {
	case "cursor":
		return []byte("{}\n")
	case "cline":
		return []byte(`{"cancel":false}` + "\n")
	}
	return nil
}

// oneLine makes text safe to show: names of servers and tools are anybody's.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + "…"
	}
	return text
}
