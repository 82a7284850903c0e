package mark

import (
	"bytes"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// footers are whole lines that agents write below a message, without the picture that
// stands before some: what they end in, in parentheses, is the address they give.
//
//	Claude Code   attribution.commit of its settings, before there were trailers alone
//	opencode      packages/opencode/src/session/prompt
//	Crush         internal/agent/templates/bash.md.tpl
var footers = []struct{ tool, text, link string }{
	{"claude-code", "Generated with [Claude Code]", "https://claude.ai/code"},
	{"claude-code", "Generated with [Claude Code]", "https://claude.com/claude-code"},
	{"opencode", "Generated with [opencode]", "https://opencode.ai"},
	{"crush", "Generated with [Crush]", "https://github.com/charmbracelet/crush"},
	{"crush", "Generated with Crush", ""},
}

// pictures may stand before a footer.
var pictures = []string{"🤖 ", "💘 ", ""}

// Body finds marks in a message beside its trailers: the footer that an agent writes as
// a line of its own in the last paragraph or the one before it; and, in a message
// that git or a forge made of several, the marks of each of these. Prose that speaks of
// marks has them inside a line, behind a sign of quotation, indented, or in the middle
// of a text; it is none.
func Body(message []byte) (marks []Mark) {
	if !bytes.Contains(message, []byte("enerated with")) && !squashed(message) {
		return nil
	}
	all := paragraphs(message)
	for i, p := range all {
		if i >= len(all)-2 {
			for _, line := range p {
				if m, ok := footer(line); ok {
					marks = add(marks, m)
				}
			}
		}
	}
	for _, p := range parts(message, all) {
		for _, line := range p {
			if m, ok := footer(line); ok {
				marks = add(marks, m)
			}
		}
		if lines, ok := block(p); ok {
			for _, m := range Find(lines) {
				marks = add(marks, m)
			}
		}
	}
	return marks
}

func footer(line string) (Mark, bool) {
	for _, picture := range pictures {
		rest, ok := strings.CutPrefix(line, picture)
		if !ok {
			continue
		}
		for _, f := range footers {
			if rest == f.text && f.link == "" || f.link != "" && rest == f.text+"("+f.link+")" {
				return Mark{Tool: f.tool}, true
			}
		}
	}
	return Mark{}, false
}

// squashHead begins what `git merge --squash` writes; the messages follow, indented.
const squashHead = "Squashed commit of the following:"

func squashed(message []byte) bool {
	return bytes.Contains(message, []byte(squashHead)) || bytes.Contains(message, []byte("\n* "))
}

// parts are the paragraphs of the messages that a message was made of. GitHub puts
// "* SUBJECT" before each of them.
func parts(message []byte, all [][]string) (parts [][]string) {
	if at := bytes.Index(message, []byte(squashHead)); at == 0 || at > 0 && message[at-1] == '\n' {
		var unindented []byte
		for line := range bytes.Lines(message[at+len(squashHead):]) {
			if rest, ok := bytes.CutPrefix(line, []byte("    ")); ok {
				line = rest
			} else if len(bytes.TrimSpace(line)) > 0 {
				line = []byte("\n") // "commit ID", "Author:", "Date:"
			}
			unindented = append(unindented, line...)
		}
		return paragraphs(unindented)
	}
	if len(all) < 2 || !strings.HasPrefix(all[1][0], "* ") {
		return nil
	}
	return all[1:]
}

// paragraphs are the lines between blank ones. A comment of git's is none.
func paragraphs(message []byte) (all [][]string) {
	var open []string
	for line := range bytes.Lines(message) {
		text := strings.TrimRight(string(line), " \t\r\n")
		if text != "" {
			open = append(open, text)
			continue
		}
		if open != nil {
			all, open = append(all, open), nil
		}
	}
	if open != nil {
		all = append(all, open)
	}
	return all
}

// block reads a paragraph that holds trailers and nothing else.
func block(p []string) (lines []trailer.Line, ok bool) {
	for _, line := range p {
		key, value, ok := strings.Cut(line, ": ")
		if !ok || strings.ContainsAny(key, " \t") {
			return nil, false
		}
		lines = append(lines, trailer.Line{Key: key, Value: strings.TrimSpace(value)})
	}
	return lines, true
}
