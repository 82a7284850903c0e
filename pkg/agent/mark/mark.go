// Package mark finds, among the trailers of a commit message, those that coding agents
// write of themselves: a co-author line, a bot's address, a link to the session.
//
// A mark is a claim, and a weak one: a model may omit it, copy it from its
// instructions, or name another model than itself. Find says which tool it is the mark
// of and, letter for letter, the model that it names. It reads nothing into anything
// else: not into people who are called Claude or Devin, not into Assisted-by lines of
// projects that thank people in them, not into an address of which the registry
// does not know. An address tells the tool and never the model or its maker.
//
// It sees trailers alone. Which lines of a message are trailers, and so that prose,
// quotations and the bodies of squashed commits are none, is decided by package trailer;
// how strong a mark is beside what was observed, by those who ask. The footer "Generated
// with ..." that some agents write is no trailer, and does not count.
package mark

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// Most is how many marks Find returns; those of a message that holds more are not of an
// agent's making.
const Most = 16

// A Mark is one tool, with one model, that a message names.
type Mark struct {
	Tool  string // TOOL of a record
	Model string // as the trailer writes it, "" when it names none
	At    int    // index of the trailer, of several that say the same the first
}

// Of reports whether the mark may be that of a tool: those called Copilot write each
// other's.
func (m Mark) Of(tool string) bool {
	const copilot = "copilot-"
	return tool == m.Tool || strings.HasPrefix(tool, copilot) && strings.HasPrefix(m.Tool, copilot)
}

// Find returns the marks among the trailers of a message, each tool and model once, in the
// order in which they first appear. A tool that is marked with a model is not
// returned without one, too: a link to the session beside a co-author line is one mark.
func Find(trailers []trailer.Line) (marks []Mark) {
	for at, l := range trailers {
		if m, ok := read(l); ok {
			m.At = at
			marks = add(marks, m)
		}
	}
	return marks
}

func add(marks []Mark, m Mark) []Mark {
	for i := range marks {
		switch known := &marks[i]; {
		case known.Tool != m.Tool:
		case known.Model == m.Model || m.Model == "":
			return marks
		case known.Model == "":
			*known = m
			return marks
		}
	}
	if len(marks) == Most {
		return marks
	}
	return append(marks, m)
}

// read says whose mark one trailer is.
func read(l trailer.Line) (Mark, bool) {
	switch {
	case strings.EqualFold(l.Key, "Co-authored-by"):
		return coAuthor(l.Value)
	case strings.EqualFold(l.Key, trailer.KeyAssistedBy):
		return crush(l.Value)
	}
	for i := range signs {
		s := &signs[i]
		if strings.EqualFold(l.Key, s.key) {
			rest, ok := strings.CutPrefix(l.Value, s.start)
			return Mark{Tool: s.tool}, ok && (strings.Contains(rest, s.within) || s.within == whole && rest == "")
		}
	}
	return Mark{}, false
}

// coAuthor reads `NAME <ADDRESS>`, and nothing that looks otherwise.
func coAuthor(value string) (Mark, bool) {
	name, rest, _ := strings.Cut(value, "<")
	address, ok := strings.CutSuffix(rest, ">")
	if !ok {
		return Mark{}, false
	}
	return OfAddress(strings.TrimSpace(name), address)
}

// OfAddress returns the mark that a tool leaves by its address, as an author, committer or
// co-author; false where the address is nobody's whom the registry knows.
func OfAddress(name, address string) (Mark, bool) {
	address = withoutNumber(strings.ToLower(address))
	for i := range authors {
		a := &authors[i]
		// People give this address to ChatGPT, too.
		if a.address == address && (address != "noreply@openai.com" || strings.HasPrefix(name, "Codex")) {
			return Mark{Tool: a.tool, Model: modelIn(name, a.tool)}, true
		}
	}
	return Mark{}, false
}

// withoutNumber takes the account's number off the GitHub address of a bot. No person
// can have brackets in a login; where there are none, the number is all that tells.
func withoutNumber(address string) string {
	number, rest, ok := strings.Cut(address, "+")
	if ok && strings.Contains(rest, "[bot]@") && strings.Trim(number, "0123456789") == "" {
		return rest
	}
	return address
}
