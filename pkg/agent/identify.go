package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// identify says whose payload it is. Other agents run the hooks of Claude's
// settings, set each other's variables, and inherit those of the agent that
// started them, so no sign decides alone. The form of the payload says who can
// have sent it. Among several, in this order: the agent whose variable names the
// payload's session; the nearest ancestor; the only one with a mark in the
// environment; the hint, unless that agent is known to mark its hooks, and did not.
func identify(hint string, top payload.Value, env environment, ancestors []Process) (string, error) {
	able := senders(top)
	if len(able) == 1 {
		return able[0], nil
	}
	known := agents()
	among := func(a agent) bool { return able == nil || slices.Contains(able, a.name) }
	for _, a := range known {
		if id := env.first(a.session); id != "" && among(a) && id == top.At("session_id").String() {
			return a.name, nil
		}
	}
	for _, p := range ancestors {
		for _, a := range known {
			if a.is(p, env) && among(a) {
				return a.name, nil
			}
		}
	}
	var marked []string
	for _, a := range known {
		if among(a) && (a.marked(env) || env.has(a.hookMarks)) {
			marked = append(marked, a.name)
		}
	}
	if len(marked) == 1 {
		return marked[0], nil
	}
	for _, a := range known {
		if a.name == hint && among(a) && able != nil && (!a.marksHooks || slices.Contains(marked, hint)) {
			return hint, nil
		}
	}
	if able == nil {
		return "", fmt.Errorf("not the payload of an agent known here")
	}
	return "", fmt.Errorf("cannot tell which agent sent this: %s fit", strings.Join(able, ", "))
}

// senders lists the agents that write payloads of this form.
func senders(top payload.Value) []string {
	has := func(name string) bool { return top.At(name).Exists() }
	switch {
	case has("gatekeeper"):
		return []string{"opencode"}
	case has("agent_action_name"):
		return []string{"windsurf"}
	case has("clineVersion"), has("hookName") && has("taskId"):
		return []string{"cline"}
	case has("conversation_id") && (has("cursor_version") || has("generation_id")):
		return []string{"cursor"}
	case has("hookEventName"):
		return []string{"copilot-vscode"}
	case has("sessionId"):
		return []string{"copilot-cli"}
	case has("hook_event_name"):
		return claudeSenders(top)
	case has("event") && has("tool_name"):
		return []string{"crush"}
	}
	return nil
}

// claudeSenders tells apart those who write Claude Code's form of payload. Each
// has its own place for transcripts, and fields that the others lack.
func claudeSenders(top payload.Value) []string {
	has := func(names ...string) bool { return top.At(names...).Exists() }
	if name := transcriptOf(top.At("transcript_path").String()); name != "" {
		return []string{name}
	}
	switch {
	case strings.HasPrefix(top.At("hook_event_name").String(), "Before"):
		return []string{"gemini-cli"}
	case has("turn_id"):
		return []string{"codex"}
	case has("tool_call_id"):
		return []string{"qwen-code"}
	case has("tool_result"), has("tool_input", "path") && (has("tool_input", "file_text") || has("tool_input", "new_str")):
		return []string{"copilot-cli"}
	case has("mcp_server"):
		return []string{"claude-code"}
	case has("timestamp"):
		return []string{"copilot-cli", "copilot-vscode", "gemini-cli", "qwen-code"}
	}
	return []string{"claude-code", "codex", "copilot-cli", "copilot-vscode", "crush"}
}

// transcriptOf says whose transcript stands at a path:
//
//	…/projects/DIR/SESSION.jsonl                 claude-code
//	…/YYYY/MM/DD/rollout-TIME-SESSION.jsonl      codex
//	…/tmp/PROJECT/chats/session-TIME-ID.jsonl    gemini-cli
//	…/projects/DIR/chats/SESSION.jsonl           qwen-code
//	…/session-state/SESSION/events.jsonl         copilot-cli
func transcriptOf(path string) string {
	parts := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")
	if len(parts) < 4 {
		return ""
	}
	file, dir, above := parts[len(parts)-1], parts[len(parts)-2], parts[len(parts)-3]
	switch {
	case strings.HasPrefix(file, "rollout-"):
		return "codex"
	case dir == "chats" && strings.HasPrefix(file, "session-"):
		return "gemini-cli"
	case dir == "chats":
		return "qwen-code"
	case above == "session-state":
		return "copilot-cli"
	case above == "projects":
		return "claude-code"
	}
	return ""
}
