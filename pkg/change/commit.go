package change

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// A Commit is a commit object that every reader understands in the same way.
type Commit struct {
	Tree      ID
	Parents   []ID
	Author    Ident
	Committer Ident
	Encoding  string // of the message, as its header spells it; "" says UTF-8
	Message   []byte // all after the blank line, in the memory of the raw object
}

// An Ident is who made or committed a commit, and when. Name and Email are
// claims, in bytes of any encoding and with control characters left in: quote
// them before they reach a terminal. When is in the zone that was
// written, or in UTC where that is none: old histories have zones such as -7000.
type Ident struct {
	Name, Email string
	When        time.Time
}

// MalformedError reports an object that its readers might understand
// differently.
type MalformedError struct {
	Object string // "commit" or "tree"
	Line   int    // line of the commit or entry of the tree, from 1
	Reason string
}

func (e *MalformedError) Error() string {
	place := "line"
	if e.Object == "tree" {
		place = "entry"
	}
	return fmt.Sprintf("malformed %s, %s %d: %s", e.Object, place, e.Line, e.Reason)
}

// ParseCommit reads the bytes of a commit object by this grammar, in which
// every line ends in LF and no byte is NUL:
//
//	commit  = "tree " id LF
//	          *( "parent " id LF )
//	          "author " ident LF
//	          "committer " ident LF
//	          *( name " " value LF *( " " more LF ) )
//	          LF message
//	ident   = name " <" email "> " seconds " " ( "+" / "-" ) 4DIGIT
//
// Ids are lower-case hexadecimal of one size and none is all zeros. An ident
// holds no "<" or ">" of its own, and its seconds no leading zero and no day
// beyond the year 9999. Further headers have printable ASCII names of any meaning, since
// real histories hold many; but none of the four above comes twice, nor
// encoding, gpgsig or gpgsig-sha256, nor one of them in another letter case;
// encoding is not folded.
//
// git itself is laxer (unless receive.fsckObjects is set): of a repeated header
// some readers take the first and some the last; git ends a message at a NUL
// where others read on; and where no blank line ends the headers, git 2.39 takes
// memory behind the object for the message. An error is a *MalformedError.
func ParseCommit(raw []byte) (Commit, error) {
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		return Commit{}, malformedCommit(1+bytes.Count(raw[:i], []byte{'\n'}), "NUL byte")
	}
	var c Commit
	h := headers{rest: raw}
	c.Tree = h.id("tree", "")
	for h.at("parent") {
		c.Parents = append(c.Parents, h.id("parent", c.Tree))
	}
	c.Author = h.ident("author")
	c.Committer = h.ident("committer")
	c.Encoding = h.others()
	c.Message = h.message()
	if h.err != nil {
		return Commit{}, h.err
	}
	return c, nil
}

func malformedCommit(line int, format string, args ...any) error {
	return &MalformedError{Object: "commit", Line: line, Reason: fmt.Sprintf(format, args...)}
}

// headers reads the header lines of a commit in order. After an error it reads
// nothing more.
type headers struct {
	rest []byte
	line int // lines read so far
	err  error
}

func (h *headers) fail(format string, args ...any) {
	if h.err == nil {
		h.err = malformedCommit(h.line, format, args...)
	}
}

// at reports whether the next line is a header of that name.
func (h *headers) at(name string) bool {
	return h.err == nil && len(h.rest) > len(name) && string(h.rest[:len(name)]) == name && h.rest[len(name)] == ' '
}

func (h *headers) next() []byte {
	line, rest, ended := bytes.Cut(h.rest, []byte{'\n'})
	h.line++
	h.rest = rest
	if !ended {
		h.fail("header line does not end")
	}
	return line
}

// value takes the next line, which must be the header of that name.
func (h *headers) value(name string) []byte {
	if h.err != nil {
		return nil
	}
	if !h.at(name) {
		h.line++
		h.fail("want a header %q", name)
		return nil
	}
	return h.next()[len(name)+1:]
}

// id reads an object id, of the size of like unless that is empty.
func (h *headers) id(name string, like ID) ID {
	value := h.value(name)
	if h.err != nil {
		return ""
	}
	id, err := ParseID(string(value))
	switch {
	case err != nil:
		h.fail("%s: %v", name, err)
	case id == "":
		h.fail("%s: id of no object", name)
	case like != "" && len(id) != len(like):
		h.fail("%s: id of another size than the tree's", name)
	}
	return id
}

func (h *headers) ident(name string) Ident {
	value := h.value(name)
	if h.err != nil {
		return Ident{}
	}
	who, reason := parseIdent(value)
	if reason != "" {
		h.fail("%s: %s", name, reason)
	}
	return who
}

// others reads the headers up to the blank line or the end of the object, and
// gives the value of the one that says how the message is encoded.
func (h *headers) others() (encoding string) {
	var seen [len(known)]bool
	for h.err == nil && len(h.rest) > 0 && h.rest[0] != '\n' {
		line := h.next()
		name, value, ok := bytes.Cut(line, []byte{' '})
		switch {
		case h.err != nil:
			return ""
		case len(line) > 0 && line[0] == ' ':
			h.fail("continues a header that has one line only")
			return ""
		case !ok || !printable(name):
			h.fail("want a header: name, space, value")
			return ""
		}
		which := index(name)
		if which >= 0 && (seen[which] || which < mandatory || string(name) != known[which]) {
			h.fail("repeated header %.64q", name)
			return ""
		}
		if which >= 0 {
			seen[which] = true
		}
		if string(name) == "encoding" {
			encoding = string(value)
			continue // so that a continuation is refused above
		}
		for h.err == nil && len(h.rest) > 0 && h.rest[0] == ' ' {
			h.next()
		}
	}
	return encoding
}

// known are the headers that git gives a meaning and writes once; the first
// ones, mandatory in number, have their place at the head of the commit.
var known = [...]string{"tree", "parent", "author", "committer", "encoding", "gpgsig", "gpgsig-sha256"}

const mandatory = 4

func index(name []byte) int {
	for i, k := range known {
		if len(k) == len(name) && strings.EqualFold(k, string(name)) {
			return i
		}
	}
	return -1
}

func printable(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) > 0
}

// message takes what follows the blank line.
func (h *headers) message() []byte {
	if h.err == nil && len(h.rest) == 0 {
		h.line++
		h.fail("no blank line behind the headers")
	}
	if h.err != nil {
		return nil
	}
	return h.rest[1:]
}

// parseIdent reads `name <email> seconds ±hhmm`, or gives the reason why it
// cannot. The rules are those of git fsck.
func parseIdent(value []byte) (Ident, string) {
	open := bytes.IndexAny(value, "<>")
	if open < 1 || value[open] != '<' || value[open-1] != ' ' {
		return Ident{}, "want a name, a space and an address in <>"
	}
	mail, date, ok := bytes.Cut(value[open+1:], []byte("> "))
	if !ok || bytes.ContainsAny(mail, "<>") {
		return Ident{}, "want an address in <>, a space and a date"
	}
	when, ok := parseDate(date)
	if !ok {
		return Ident{}, "want a date: seconds, space, sign, four digits"
	}
	// The space that git log leaves out of a name.
	name := bytes.TrimRight(value[:open], " \t\r\n")
	return Ident{Name: string(name), Email: string(mail), When: when}, ""
}

// lastSecond is the last one that lies before the year 10000 in every zone, so
// that every date has an RFC 3339 form.
const lastSecond = 253402214399

func parseDate(date []byte) (time.Time, bool) {
	digits, zone, ok := bytes.Cut(date, []byte{' '})
	seconds, valid := decimal(digits)
	if !ok || !valid || len(digits) > 1 && digits[0] == '0' || seconds > lastSecond {
		return time.Time{}, false
	}
	if len(zone) != 5 || zone[0] != '+' && zone[0] != '-' {
		return time.Time{}, false
	}
	hhmm, valid := decimal(zone[1:])
	if !valid {
		return time.Time{}, false
	}
	when := time.Unix(seconds, 0).UTC()
	hours, minutes := int(hhmm/100), int(hhmm%100)
	if hours > 23 || minutes > 59 || string(zone) == "+0000" {
		return when, true
	}
	offset := (hours*60 + minutes) * 60
	if zone[0] == '-' {
		offset = -offset
	}
	return when.In(time.FixedZone(string(zone), offset)), true
}

// decimal reads 1 to 12 digits.
func decimal(digits []byte) (int64, bool) {
	if len(digits) == 0 || len(digits) > 12 {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
