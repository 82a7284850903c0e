package trailer

import (
	"bytes"
	"slices"
)

// scissors is the line below which git cuts, after a comment character and a space.
const scissors = "------------------------ >8 ------------------------\n"

// An item is one trailer of a block, or one line in it that is none.
type item struct {
	start, end int  // offsets in the message; end is after its last continuation line
	line       Line // of a trailer: key trimmed, value trimmed and unfolded
	trailer    bool // false for comments and other lines that may stand in a block
	folded     bool // has a continuation line that is not blank
}

// A block is the final trailer block of a message: start == end when there is none.
type block struct {
	start, end int
	items      []item
}

// values are what a block says. Reserved lines must have been checked.
func (b block) values() Block {
	var v Block
	for _, it := range b.items {
		switch {
		case !it.trailer:
		case it.line.Key == KeyProvenance:
			v.Provenance = append(v.Provenance, it.line.Value)
		case it.line.Key == KeyAttestation:
			v.Attestation = append(v.Attestation, it.line.Value)
		default:
			v.Other = append(v.Other, it.line)
		}
	}
	return v
}

func (b block) find(at int) (item, bool) {
	i, ok := slices.BinarySearchFunc(b.items, at, func(it item, at int) int { return it.start - at })
	if !ok {
		return item{}, false
	}
	return b.items[i], b.items[i].trailer
}

// hasItem reports whether a trailer starts at offset at.
func (b block) hasItem(at int) bool { _, ok := b.find(at); return ok }

// folded reports whether the trailer at offset at goes on in the next line.
func (b block) folded(at int) bool { it, _ := b.find(at); return it.folded }

// sameItems reports whether two blocks hold the same trailers at the same offsets.
func (b block) sameItems(c block) bool {
	return slices.EqualFunc(b.items, c.items, func(x, y item) bool {
		return x.start == y.start && x.trailer == y.trailer && x.line == y.line
	})
}

// blockOfLog is the block that `git log --format=%(trailers)` sees: it passes
// over blank lines at the start of the message.
func blockOfLog(message []byte) block {
	text := untilNUL(message)
	from := 0
	for from < len(text) && isBlank(text[from:lineEnd(text, from)]) {
		from = nextLine(text, from)
	}
	return findBlock(text[from:], true).shifted(from)
}

// blockOfInterpretTrailers is the block that `git interpret-trailers` sees in
// the first n bytes. Newer versions end the last line first.
func blockOfInterpretTrailers(message []byte, n int) block {
	text := untilNUL(message[:n])
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(slices.Clip(text), '\n')
	}
	return findBlock(text, true)
}

// readAlike reports whether both look at the same bytes, as they mostly do.
func readAlike(message []byte) bool {
	return len(message) > 0 && message[len(message)-1] == '\n' && !isBlank(message[:lineEnd(message, 0)])
}

func (b block) shifted(by int) block {
	b.start += by
	b.end += by
	for i := range b.items {
		b.items[i].start += by
		b.items[i].end += by
	}
	return b
}

func untilNUL(text []byte) []byte {
	if nul := bytes.IndexByte(text, 0); nul >= 0 {
		return text[:nul]
	}
	return text
}

// findBlock finds the final trailer block of text by git's rules, see the
// package comment. hash says whether lines that start with '#' are comments.
func findBlock(text []byte, hash bool) block {
	g := grammar{hash}
	end := g.contentEnd(text)
	b := block{start: g.blockStart(text[:end]), end: end}
	b.items = g.items(text, b.start, b.end)
	return b
}

// grammar is what git takes lines for.
type grammar struct{ hash bool }

func (g grammar) comment(line []byte) bool { return g.hash && len(line) > 0 && line[0] == '#' }

// contentEnd is where the trailing part that git ignores begins: blank lines,
// comments, an old list of conflicts, and all from a scissors line on.
func (g grammar) contentEnd(text []byte) int {
	cut := scissorsAt(text, "#")
	run := cut
	for run > 0 {
		start := lineStart(text, run-1)
		line := text[start:run]
		if !g.comment(line) && line[0] != '\n' && line[0] != '\t' && string(line) != conflicts {
			break
		}
		run = start
	}
	// A file name, with its tab, belongs to the list only below "Conflicts:".
	// Offset 0 stands for "no such part": a message does not start with it.
	end, inConflicts := 0, false
	for at := run; at < cut; at = nextLine(text, at) {
		line := text[at:nextLine(text, at)]
		if line[0] == '\t' {
			if !inConflicts {
				end = 0
			}
			continue
		}
		inConflicts = inConflicts || string(line) == conflicts
		if end == 0 {
			end = at
		}
	}
	if end == 0 {
		return cut
	}
	return end
}

const conflicts = "Conflicts:\n"

// scissorsAt is the offset of the first scissors line with a comment prefix,
// or the length of text.
func scissorsAt(text []byte, comment string) int {
	line := []byte(comment + " " + scissors)
	if bytes.HasPrefix(text, line) {
		return 0
	}
	if n := bytes.Index(text, append([]byte("\n"), line...)); n >= 0 {
		return n + 1
	}
	return len(text)
}

// blockStart is where the last paragraph of text starts if it is a trailer
// block, else the length of text.
func (g grammar) blockStart(text []byte) int {
	var trailers, others, indented int
	generated, started := false, false
	title := g.titleEnd(text)
	for end := len(text); end > title; {
		start := lineStart(text, end-1)
		line := text[start:end]
		switch {
		case g.comment(line):
			others += indented
			indented = 0
		case isBlank(line) && !started:
			// blank lines below the block belong to it
		case isBlank(line):
			others += indented
			if trailers > 0 && others == 0 || generated && trailers*3 >= others {
				return end
			}
			return len(text)
		default:
			started = true
			switch {
			case isGenerated(line):
				generated = true
				trailers++
				indented = 0
			case isSpace(line[0]):
				indented++ // of the trailer above, if it is one
			case separator(line) > 0:
				trailers++
				indented = 0
			default:
				others += 1 + indented
				indented = 0
			}
		}
		end = start
	}
	return len(text)
}

// titleEnd is the offset of the blank line that ends the first paragraph. Its
// lines are never trailers.
func (g grammar) titleEnd(text []byte) int {
	at := 0
	for at < len(text) {
		line := text[at:nextLine(text, at)]
		if !g.comment(line) && isBlank(line) {
			break
		}
		at += len(line)
	}
	return at
}

// items takes the block between start and end apart.
func (g grammar) items(text []byte, start, end int) []item {
	var items []item
	for at := start; at < end; {
		next := min(nextLine(text, at), end)
		line := text[at:next]
		if last := len(items) - 1; last >= 0 && items[last].trailer && isSpace(line[0]) {
			items[last].end = next
			items[last].folded = items[last].folded || !isBlank(line)
		} else {
			items = append(items, item{start: at, end: next, trailer: separator(line) > 0 && !g.comment(line)})
		}
		at = next
	}
	for i := range items {
		if items[i].trailer {
			items[i].line = split(text[items[i].start:items[i].end])
		}
	}
	return items
}

// split takes a trailer apart: both sides trimmed, the value unfolded.
func split(raw []byte) Line {
	sep := separator(raw)
	return Line{
		Key:   string(bytes.Trim(raw[:sep], space)),
		Value: string(unfold(bytes.Trim(raw[sep+1:], space))),
	}
}

// unfold puts one space for each line end and the white space after it.
func unfold(value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 {
		return value
	}
	var out []byte
	for i := 0; i < len(value); i++ {
		if value[i] != '\n' {
			out = append(out, value[i])
			continue
		}
		for i+1 < len(value) && isSpace(value[i+1]) {
			i++
		}
		out = append(out, ' ')
	}
	return bytes.Trim(out, space)
}

// space is what git's isspace takes for white space; VT and FF are none.
const space = " \t\n\r"

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isBlank(line []byte) bool { return len(bytes.TrimLeft(line, space)) == 0 }

// isGenerated reports whether git itself writes such a line: it makes a block
// of the paragraph even with other lines in it.
func isGenerated(line []byte) bool {
	return bytes.HasPrefix(line, []byte(signedOffBy)) || bytes.HasPrefix(line, []byte("(cherry picked from commit "))
}

const signedOffBy = "Signed-off-by: "

// separator is the offset of the colon that ends the key of a trailer, or -1.
// A key is made of letters, digits and dashes, and white space may follow it.
func separator(line []byte) int {
	spaces := false
	for i, c := range line {
		switch {
		case c == ':':
			return i
		case c == ' ' || c == '\t':
			if i == 0 {
				return -1
			}
			spaces = true
		case spaces || !isKeyByte(c):
			return -1
		}
	}
	return -1
}

func isKeyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// divider is the offset of the first line that starts with three dashes and
// white space, or the length of message.
func divider(message []byte) int {
	for at := 0; at < len(message); at = nextLine(message, at) {
		rest := message[at:]
		if bytes.HasPrefix(rest, []byte("---")) && (len(rest) == 3 || isSpace(rest[3])) {
			return at
		}
	}
	return len(message)
}
