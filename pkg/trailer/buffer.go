package trailer

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A Buffer says what git will do with the message file once the hooks are
// through (git-commit(1), --cleanup): the file that a hook sees is not yet the
// message. The zero Buffer is cleanup=whitespace.
type Buffer struct {
	Comment  string // core.commentChar or core.commentString, resolved; "" is "#"
	Strip    bool   // comment lines go: cleanup=strip, or default with an editor
	Cut      bool   // everything from the scissors line on goes: cleanup=scissors or commit -v
	Verbatim bool   // no line is trimmed or taken out: cleanup=verbatim. Cut still cuts
}

func (b Buffer) comment() string {
	if b.Comment == "" {
		return "#"
	}
	return b.Comment
}

// kept is one line that git's cleanup leaves, and where it stands in the buffer.
type kept struct {
	text       []byte // as git will store it, LF included
	start, end int    // offsets in the buffer
}

// cleaned is a message as git will store it.
type cleaned struct {
	lines []kept
	text  []byte
}

// clean does to the buffer what git will do.
func (b Buffer) clean(message []byte) cleaned {
	end := len(message)
	if b.Cut {
		end = scissorsAt(message, b.comment())
	}
	var c cleaned
	var blank *kept
	for at := 0; at < end; {
		line := kept{start: at, end: nextLine(message, at)}
		line.text = message[at:line.end]
		at = line.end
		switch {
		case b.Verbatim:
			c.lines = append(c.lines, line)
		case b.Strip && bytes.HasPrefix(line.text, []byte(b.comment())):
		case isBlank(line.text):
			line.text = []byte("\n")
			blank = &line
		default:
			// Runs of blank lines become one; none stands first or last.
			if blank != nil && len(c.lines) > 0 {
				c.lines = append(c.lines, *blank)
			}
			blank = nil
			line.text = append(bytes.TrimRight(slices.Clone(line.text), space), '\n')
			c.lines = append(c.lines, line)
		}
	}
	for _, l := range c.lines {
		c.text = append(c.text, l.text...)
	}
	return c
}

// index is the number of lines that end at or before offset at of the text.
func (c cleaned) index(at int) int {
	n := 0
	for i, l := range c.lines {
		if n += len(l.text); n > at {
			return i
		}
	}
	return len(c.lines)
}

// Read reads what package function Read will once git has cleaned the message.
// Lines in errors are counted in the buffer.
func (b Buffer) Read(message []byte) (Block, error) {
	c := b.clean(message)
	block, err := Read(c.text)
	var ambiguous *AmbiguousError
	var malformed *MalformedError
	switch {
	case errors.As(err, &ambiguous):
		ambiguous.Line = c.bufferLine(message, ambiguous.Line)
	case errors.As(err, &malformed):
		malformed.Line = c.bufferLine(message, malformed.Line)
	}
	return block, err
}

// bufferLine turns the number of a line of the cleaned message into that of the buffer.
func (c cleaned) bufferLine(message []byte, n int) int {
	if n < 1 || n > len(c.lines) {
		return n
	}
	return lineNumber(message, c.lines[n-1].start)
}

// Empty reports whether git would refuse the message as empty: nothing is left
// but white space and Signed-off-by lines, or, with Verbatim, nothing at all.
func (b Buffer) Empty(message []byte) bool {
	c := b.clean(message)
	if b.Verbatim {
		return len(c.text) == 0
	}
	return !slices.ContainsFunc(c.lines, func(l kept) bool {
		return !isBlank(l.text) && !bytes.HasPrefix(l.text, []byte(signedOffBy))
	})
}

// Clean is the message as git will store it.
func (b Buffer) Clean(message []byte) []byte { return b.clean(message).text }

// Untouched reports whether git would refuse the message because nobody added
// to the template but Signed-off-by lines (git-commit(1), --template). The template
// is given as Clean leaves it.
func (b Buffer) Untouched(template, message []byte) bool {
	if b.Verbatim || len(template) == 0 {
		return false
	}
	rest, whole := bytes.CutPrefix(b.Clean(message), template)
	return whole && Buffer{Comment: b.Comment}.Empty(rest)
}

// Stamp takes the reserved lines, and those that equal one of remove, out of
// the final trailer block, and puts the lines of add, in order, at its end. A
// message without a block gets one. The place is the one where
// `git interpret-trailers --no-divider` puts trailers, before trailing comments
// and the scissors line, save that the first paragraph is never cut in two.
// All other bytes stay. Lines of ours end in LF, also in a message of CRLF
// lines: git reads them so, and the CR would be part of a value.
//
// A message that git would refuse as empty comes back unchanged; so that
// our lines alone do not make a commit, a message of nothing else comes back
// without them.
//
// When the message holds, elsewhere, what could be taken for a reserved line,
// the error is an *AmbiguousError that names the line of the buffer. Lines of
// add that cannot be trailers give a *MalformedError.
func (b Buffer) Stamp(message []byte, remove, add []Line) ([]byte, error) {
	if b.Empty(message) {
		return message, nil
	}
	if rest, _ := b.Lift(message); b.Empty(rest) {
		return rest, nil
	}
	if err := checkLines(add); err != nil {
		return nil, err
	}
	if _, err := b.Read(message); isAmbiguous(err) {
		return nil, err
	}
	stamped := b.replace(message, remove, add)
	block, err := b.Read(stamped)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(block.Provenance, values(add, KeyProvenance)) ||
		!slices.Equal(block.Attestation, values(add, KeyAttestation)) {
		return nil, &AmbiguousError{0, "", "there is no place in this message where git would see the trailers"}
	}
	return stamped, nil
}

func isAmbiguous(err error) bool {
	var ambiguous *AmbiguousError
	return errors.As(err, &ambiguous)
}

func values(lines []Line, key string) []string {
	var out []string
	for _, l := range lines {
		if l.Key == key {
			out = append(out, l.Value)
		}
	}
	return out
}

// checkLines makes sure that each line is one trailer, as git reads it.
func checkLines(lines []Line) error {
	for _, l := range lines {
		text := l.String()
		if l.Key == "" || separator([]byte(text)) != len(l.Key) || hasBreak([]byte(text)) ||
			strings.Trim(l.Value, space) != l.Value || l.Value == "" {
			return &MalformedError{0, text, "is not a trailer"}
		}
		if !l.Reserved() {
			continue
		}
		var bad *provenance.MalformedError
		if errors.As(provenance.CheckValue(l.Value), &bad) {
			return &MalformedError{0, text, "the value " + bad.Reason}
		}
	}
	return nil
}

// block finds the block that new lines join. '#' starts a comment for all who
// read the commit without configuration; where the user chose another character,
// lines with '#' are content, and git puts trailers below them.
func (b Buffer) block(c cleaned) block { return findBlock(c.text, b.comment() == "#") }

// replace takes reserved lines, and those of remove, out of the final block and
// puts add at its end. Where the old lines end the block already, the new ones
// take their place, so that nothing around them has to be guessed again.
func (b Buffer) replace(message []byte, remove, add []Line) []byte {
	c := b.clean(message)
	old, last, alone := oldLines(c, remove)
	if len(old) == 0 {
		return b.insert(message, add)
	}
	first := old[0]
	var out []byte
	done := 0
	for _, l := range old {
		out = append(out, message[done:l.start]...)
		if done == 0 && last {
			out = appendLines(out, add)
		}
		if done == 0 && alone && len(add) == 0 && c.blankAfter(old[len(old)-1]) && bytes.HasSuffix(message[:first.start], []byte("\n\n")) {
			out = out[:len(out)-1]
		}
		done = l.end
	}
	out = append(out, message[done:]...)
	if last {
		return out
	}
	return b.insert(out, add)
}

// oldLines are the lines of c that belong to reserved trailers of the final
// block, or to trailers that equal one of remove. last reports that no other
// line of the block follows them or stands between them, alone that there is none.
func oldLines(c cleaned, remove []Line) (old []kept, last, alone bool) {
	last, alone = true, true
	for _, it := range blockOfLog(c.text).items {
		switch {
		case it.trailer && (it.line.Reserved() || slices.Contains(remove, it.line)):
			for _, l := range c.lines[c.index(it.start):c.index(it.end)] {
				if !isBlank(l.text) {
					old = append(old, l)
				}
			}
		case !isBlank(c.text[it.start:it.end]):
			alone = false
			last = last && len(old) == 0
		}
	}
	return old, last, alone
}

// blankAfter reports whether nothing, or a blank line, comes after l.
func (c cleaned) blankAfter(l kept) bool {
	for _, next := range c.lines {
		if next.start >= l.end {
			return isBlank(next.text)
		}
	}
	return true
}

// insert puts lines at the end of the final block, or in a new one.
func (b Buffer) insert(message []byte, lines []Line) []byte {
	if len(lines) == 0 {
		return message
	}
	c := b.clean(message)
	at, joins := b.place(c)
	if at == 0 {
		return message
	}
	above := c.lines[at-1]
	out := slices.Clone(message[:above.end])
	if out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	if !joins && !isBlank(above.text) {
		out = append(out, '\n')
	}
	return append(appendLines(out, lines), message[above.end:]...)
}

func appendLines(out []byte, lines []Line) []byte {
	for _, l := range lines {
		out = append(append(out, l.String()...), '\n')
	}
	return out
}

// place is the number of lines of c that come before the trailers, and whether
// they join a block there.
func (b Buffer) place(c cleaned) (at int, joins bool) {
	block := b.block(c)
	if block.start < block.end {
		at = c.index(block.end)
		for at > 0 && isBlank(c.lines[at-1].text) {
			at--
		}
		return at, true
	}
	return max(c.index(block.end), c.titleLines()), false
}

// titleLines is the number of lines up to the end of the first paragraph: git
// makes the subject of them, comments or not.
func (c cleaned) titleLines() int {
	n := 0
	for n < len(c.lines) && isBlank(c.lines[n].text) {
		n++
	}
	for n < len(c.lines) && !isBlank(c.lines[n].text) {
		n++
	}
	return n
}

// Lift takes reserved lines out of the message wherever they stand whole, also
// indented as `git merge --squash` leaves them, and returns them in order. Every
// other byte stays. Lines that git will drop, and lines with a value that no
// reserved trailer can have, stay too.
func (b Buffer) Lift(message []byte) (rest []byte, lifted []Line) {
	done := 0
	for _, l := range b.clean(message).lines {
		line, ok := reservedLine(message[l.start:l.end])
		if !ok {
			continue
		}
		lifted = append(lifted, line)
		rest = append(rest, message[done:l.start]...)
		done = l.end
	}
	if lifted == nil {
		return message, nil
	}
	return append(rest, message[done:]...), lifted
}

// reservedLine reads a reserved line with nothing around it but white space.
func reservedLine(text []byte) (Line, bool) {
	text = bytes.TrimRight(bytes.TrimLeft(text, " \t"), space)
	key := keyAt(text)
	if key == "" || !bytes.HasPrefix(text, []byte(key+": ")) {
		return Line{}, false
	}
	l := Line{key, string(text[len(key)+2:])}
	return l, provenance.CheckValue(l.Value) == nil
}
