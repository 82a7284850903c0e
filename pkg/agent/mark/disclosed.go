package mark

import (
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// A nickname is how people call a tool.
type nickname struct {
	name, tool string
	alone      bool // the name says enough
}

// disclosed are the names by which people say what they used, in lower case, and the tools
// that they mean: "" where the name is that of a model, too, or of a chat. People bear some
// of them, so these count only beside a model.
var disclosed = []nickname{
	{"claude code", "claude-code", true},
	{"claude-code", "claude-code", true},
	{"claude", "", false},
	{"openai codex", "codex", true},
	{"codex cli", "codex", true},
	{"codex", "codex", true},
	{"gemini cli", "gemini-cli", true},
	{"gemini-cli", "gemini-cli", true},
	{"gemini", "", false},
	{"github copilot", "copilot", true},
	{"copilot", "copilot", true},
	{"chatgpt", "chatgpt", true},
	{"cursor", "cursor", true},
	{"opencode", "opencode", true},
	{"qwen code", "qwen-code", true},
	{"qwen-code", "qwen-code", true},
	{"aider", "aider", true},
	{"cline", "cline", true},
	{"crush", "crush", false},
	{"windsurf", "windsurf", true},
	{"amp", "amp", false},
	{"devin", "devin", false},
	{"jules", "jules", false},
	{"pi", "pi", false},
	{"generic llm chatbot", "", true},
	{"llm", "", true},
}

// Disclosed returns what people say themselves that they used, in the trailers in which projects
// ask for it:
//
//	Assisted-by: AGENT:MODEL [AGENT:MODEL...] [TOOL OF ANALYSIS...]   Linux to 7.2, Zephyr
//	Assisted-by: AGENT (MODEL)                                       Mesa, Calcite, OpenInfra
//	Assisted-by: AGENT                                               LLVM, Fedora
//	Assisted-by: LLM [TOOL OF ANALYSIS...]                           Linux from 7.3
//	Generated-by: as above
//
// It is not the agent's own mark, which Find returns. Other projects thank people in these
// lines; so a name counts that is nobody's, and with a model one that may be somebody's.
func Disclosed(trailers []trailer.Line) (marks []Mark) {
	for at, l := range trailers {
		if !strings.EqualFold(l.Key, trailer.KeyAssistedBy) && !strings.EqualFold(l.Key, "Generated-by") {
			continue
		}
		for _, m := range disclosure(l.Value) {
			m.At = at
			marks = add(marks, m)
		}
	}
	return marks
}

// disclosure reads one value.
func disclosure(value string) (marks []Mark) {
	if strings.ContainsAny(value, "@<") { // an address: it is a person, or a mark of an agent's own
		return nil
	}
	rest := strings.TrimSpace(value)
	for rest != "" {
		m, behind, ok := oneDisclosure(rest)
		if !ok && len(marks) == 0 {
			return nil
		}
		if ok {
			marks = append(marks, m)
		} else {
			_, behind, _ = strings.Cut(rest, " ") // a tool of analysis
		}
		rest = strings.TrimSpace(behind)
	}
	return marks
}

// oneDisclosure reads a name with what belongs to it, from the start of a text.
func oneDisclosure(text string) (m Mark, behind string, ok bool) {
	i := slices.IndexFunc(disclosed, func(d nickname) bool { return named(text, d.name) })
	if i < 0 {
		return Mark{}, "", false
	}
	d := disclosed[i]
	rest := text[len(d.name):]
	switch {
	case strings.HasPrefix(rest, ":"):
		model, behind, _ := strings.Cut(rest[1:], " ")
		return Mark{Tool: d.tool, Model: model}, behind, model != ""
	case strings.HasPrefix(rest, " ("):
		model, behind, closed := strings.Cut(rest[2:], ")")
		if !closed || !strings.ContainsAny(model, "0123456789") {
			return Mark{Tool: d.tool}, behind, closed && d.alone
		}
		return Mark{Tool: d.tool, Model: model}, behind, true
	case rest == "":
		return Mark{Tool: d.tool}, "", d.alone
	case d.name == "llm": // behind it stand tools of analysis
		return Mark{}, rest, true
	}
	return Mark{}, "", false
}

// named reports whether a text begins with a name, and that ends there.
func named(text, name string) bool {
	if len(text) < len(name) || !strings.EqualFold(text[:len(name)], name) {
		return false
	}
	return len(text) == len(name) || strings.ContainsRune(": ", rune(text[len(name)]))
}
