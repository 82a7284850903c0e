package gate

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Words are what a teller says around findings; the server that refuses and the
// laptop that foresees it speak of different things.
type Words struct {
	Refused string // "refused"
	Warned  string // "warning for"
	Last    string // after a refusal: what became of the push, and what to do
}

// columns is the width that fits a terminal once git has put "remote: " in front.
const columns = 69

// shownCommits and shownRefs bound what is told of one ref and of how many; the
// rest are counted.
const (
	shownCommits = 10
	shownRefs    = 20
)

// WriteText tells a verdict to people, in the order of the verdict. An accepted
// push has nothing to tell.
func (v Verdict) WriteText(w io.Writer, words Words) error {
	var b strings.Builder
	told := 0
	for _, r := range v.Refs {
		if r.Verdict == Accepted {
			continue
		}
		if told++; told <= shownRefs {
			v.writeRef(&b, r, words)
		}
	}
	if more := told - shownRefs; more > 0 {
		fmt.Fprintf(&b, "gatekeeper: … and %s\n", plural(more, "more ref"))
	}
	if v.Verdict == Refused && words.Last != "" {
		fmt.Fprintf(&b, "gatekeeper: %s\n", words.Last)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (v Verdict) writeRef(b *strings.Builder, r RefVerdict, words Words) {
	head := words.Refused
	if r.Verdict == Warned {
		head = words.Warned
	}
	fmt.Fprintf(b, "gatekeeper: %s %s%s\n\n", head, name(r.Ref), share(r))
	for _, f := range r.Findings {
		f.write(b, "  ")
		b.WriteByte('\n')
	}
	told := 0
	for _, c := range v.Commits {
		if c.Ref != r.Ref || len(c.Findings) == 0 {
			continue
		}
		if told++; told > shownCommits {
			break
		}
		c.write(b)
		b.WriteByte('\n')
	}
	if more := r.Faulty - min(told, shownCommits); more > 0 {
		fmt.Fprintf(b, "  … and %s\n\n", plural(more, "more commit"))
	}
}

func name(ref string) string {
	if ref == "" {
		return "the push"
	}
	return Plain(ref)
}

func share(r RefVerdict) string {
	if r.Judged == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d of %s)", r.Faulty, plural(r.Judged, "commit"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (c CommitVerdict) write(b *strings.Builder) {
	fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("  %.7s  %s", c.ID, cut(c.Subject, columns-11)), " "))
	for _, f := range c.Findings {
		f.write(b, "    ")
	}
}

// write tells one finding: what is wrong with the rule's name at the right edge,
// then the hint.
func (f Finding) write(b *strings.Builder, indent string) {
	tag := "[" + f.Rule + "]"
	lines := wrap(f.Detail, columns-len(indent))
	last := len(lines) - 1
	for _, l := range lines[:last] {
		fmt.Fprintf(b, "%s%s\n", indent, l)
	}
	if room := columns - len(indent) - utf8.RuneCountInString(lines[last]) - len(tag); room > 0 {
		fmt.Fprintf(b, "%s%s%s%s\n", indent, lines[last], strings.Repeat(" ", room), tag)
	} else {
		fmt.Fprintf(b, "%s%s\n%s%*s\n", indent, lines[last], indent, columns-len(indent), tag)
	}
	if f.Hint == "" {
		return
	}
	for i, l := range wrap(f.Hint, columns-len(indent)-6) {
		lead := "hint: "
		if i > 0 {
			lead = "      "
		}
		fmt.Fprintf(b, "%s%s%s\n", indent, lead, l)
	}
}

// Fold makes a stranger's text safe to show and breaks it into lines that fit a
// terminal, each behind indent and with its end.
func Fold(text, indent string) string {
	var b strings.Builder
	for _, l := range wrap(Plain(text), columns-len(indent)) {
		b.WriteString(indent + l + "\n")
	}
	return b.String()
}

// wrap breaks text at spaces into lines of at most width characters; a longer
// word, such as a key's fingerprint, stays whole so that it can be copied.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
