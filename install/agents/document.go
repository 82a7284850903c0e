package agents

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// A BadFile is a file of an agent that cannot be changed as it stands.
type BadFile struct {
	File      string
	Line, Col int // from 1, in bytes; 0 when the whole file is meant
	Msg       string
}

func (e *BadFile) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
}

const (
	// maxFile bounds a configuration, in bytes.
	maxFile = 4 << 20
	// maxDepth bounds how deep brackets stand in each other.
	maxDepth = 1000
)

const byteOrderMark = "\uFEFF"

// A document is a JSON file with comments, in which entries are placed. What is not
// changed comes back byte for byte.
type document struct {
	file  string
	bytes []byte // as parsed
	mark  bool   // it begins with a byte order mark
	root  hujson.Value
	style style
}

// parseDocument reads a file whose outermost value is an object.
func parseDocument(file string, data []byte) (*document, error) {
	if len(data) > maxFile {
		return nil, &BadFile{File: file, Msg: fmt.Sprintf("larger than %d bytes", maxFile)}
	}
	d := &document{file: file}
	data, d.mark = bytes.CutPrefix(data, []byte(byteOrderMark))
	if at, deep := tooDeep(data); deep {
		return nil, d.bad(data, at, fmt.Sprintf("more than %d brackets in each other", maxDepth))
	}
	// A line comment may be the last thing in a file, without a newline of its own.
	d.bytes = append(slices.Clone(data), '\n')
	var err error
	if d.root, err = hujson.Parse(d.bytes); err != nil {
		e := &BadFile{File: file, Msg: err.Error()}
		if n, _ := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &e.Line, &e.Col); n == 2 {
			e.Msg = fmt.Sprint(errors.Unwrap(err))
		}
		return nil, e
	}
	if _, ok := d.root.Value.(*hujson.Object); !ok {
		return nil, d.wrong(d.root, "want an object")
	}
	d.style = styleOf(d.bytes, d.root)
	return d, nil
}

// pack is the document as it now is.
func (d *document) pack() []byte {
	var b []byte
	if d.mark {
		b = append(b, byteOrderMark...)
	}
	b = append(b, d.root.Pack()...)
	return b[:len(b)-1]
}

// wrong is an error about a value that stands where another shape is needed.
func (d *document) wrong(v hujson.Value, msg string) error {
	return d.bad(d.bytes, v.StartOffset, msg)
}

func (d *document) bad(data []byte, at int, msg string) error {
	before := data[:at]
	return &BadFile{
		File: d.file, Line: 1 + bytes.Count(before, []byte{'\n'}),
		Col: at - bytes.LastIndexByte(before, '\n'), Msg: msg,
	}
}

// tooDeep finds the bracket that is one too many. Brackets in strings and comments
// do not count.
func tooDeep(data []byte) (at int, deep bool) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case c == '/' && i+1 < len(data) && (data[i+1] == '/' || data[i+1] == '*'):
			end := "\n"
			if data[i+1] == '*' {
				end = "*/"
			}
			n := bytes.Index(data[i+2:], []byte(end))
			if n < 0 {
				return 0, false // the parser says what is wrong
			}
			i += n + 1 + len(end)
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return i, true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return 0, false
}

// A style is how a document is laid out.
type style struct {
	eol  string
	unit string // what a level is indented by; "" puts all in one line
}

func styleOf(data []byte, root hujson.Value) style {
	s := style{eol: "\n", unit: "  "}
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		s.eol = "\r\n"
	}
	o := root.Value.(*hujson.Object)
	if len(o.Members) == 0 {
		return s
	}
	line, indent, broken := bytes.Cut(o.Members[0].Name.BeforeExtra, []byte{'\n'})
	switch {
	case !bytes.ContainsRune(data[root.StartOffset:root.EndOffset], '\n'):
		s.unit = ""
	case broken && len(bytes.TrimSpace(line)) == 0 && len(indent) > 0 && len(bytes.Trim(indent, " \t")) == 0:
		s.unit = string(indent)
	}
	return s
}

// newline is what stands before a value at a level of brackets.
func (s style) newline(level int) string {
	if s.unit == "" {
		return " "
	}
	return s.eol + strings.Repeat(s.unit, level)
}

// A list is an object's members or an array's elements. An object has two values to
// a member, of which the first begins it and the last ends it.
type list struct {
	n     int
	first func(i int) *hujson.Value
	last  func(i int) *hujson.Value
	drop  func(i int)
	rest  *hujson.Extra // before the closing bracket
}

func members(o *hujson.Object) list {
	return list{
		n:     len(o.Members),
		first: func(i int) *hujson.Value { return &o.Members[i].Name },
		last:  func(i int) *hujson.Value { return &o.Members[i].Value },
		drop:  func(i int) { o.Members = slices.Delete(o.Members, i, i+1) },
		rest:  &o.AfterExtra,
	}
}

func elements(a *hujson.Array) list {
	at := func(i int) *hujson.Value { return &a.Elements[i] }
	return list{
		n: len(a.Elements), first: at, last: at,
		drop: func(i int) { a.Elements = slices.Delete(a.Elements, i, i+1) },
		rest: &a.AfterExtra,
	}
}

// addMember appends a member to an object.
func (d *document) addMember(o *hujson.Object, level int, name string, value hujson.Value) {
	m := hujson.ObjectMember{Name: hujson.Value{Value: hujson.String(name)}, Value: value}
	if d.style.unit != "" || len(o.Members) == 0 || len(o.Members[0].Value.BeforeExtra) > 0 {
		m.Value.BeforeExtra = hujson.Extra(" ")
	}
	before, after := d.makeRoom(members(o), level)
	m.Name.BeforeExtra, m.Value.AfterExtra = before, after
	o.Members = append(o.Members, m)
}

// addElement appends an element to an array.
func (d *document) addElement(a *hujson.Array, level int, v hujson.Value) {
	v.BeforeExtra, v.AfterExtra = d.makeRoom(elements(a), level)
	a.Elements = append(a.Elements, v)
}

// makeRoom says what stands around a new last item, in a way that remove can undo:
// comments before the closing bracket stay where they are, before the item; white
// space after them stays after it; and a comma is the last thing, if it was.
//
// The first item of what was empty gets no white space before it. What we make
// ourselves has some there: that is how remove tells the one from the other.
func (d *document) makeRoom(l list, level int) (before, after hujson.Extra) {
	comments, space := splitComments(*l.rest)
	*l.rest = space
	if l.n == 0 {
		return d.join(comments), nil
	}
	if l.last(l.n-1).AfterExtra != nil {
		after = hujson.Extra{}
	}
	return d.join(comments, hujson.Extra(d.separator(l, level))), after
}

// separator is the white space before the last item, which serves for the next one.
func (d *document) separator(l list, level int) string {
	_, space := splitComments(l.first(l.n - 1).BeforeExtra)
	if s := string(space); strings.Contains(s, "\n") {
		return s[max(0, strings.LastIndex(s, d.style.eol)):]
	}
	if l.n > 1 || d.style.unit == "" {
		return " "
	}
	return d.style.newline(level)
}

// remove takes out item i.
func (d *document) remove(l list, i int) {
	comments, _ := splitComments(l.first(i).BeforeExtra)
	after := l.last(i).AfterExtra
	switch {
	case i < l.n-1:
		next := l.first(i + 1)
		if tail, _ := splitComments(after); len(comments)+len(tail) > 0 {
			next.BeforeExtra = d.join(comments, tail, next.BeforeExtra)
		}
	case i > 0 && after != nil: // the comma after the last item stays
		prev := l.last(i - 1)
		if prev.AfterExtra == nil {
			prev.AfterExtra = hujson.Extra{}
		}
		*l.rest = d.join(comments, after, *l.rest)
	case i > 0:
		prev := l.last(i - 1)
		*l.rest = d.join(prev.AfterExtra, comments, *l.rest)
		prev.AfterExtra = nil
	default:
		*l.rest = d.join(comments, after, *l.rest)
	}
	l.drop(i)
}

// made reports whether the first item stands as in a container that we made, not as
// in one that we found empty.
func made(l list) bool {
	before := l.first(0).BeforeExtra
	return len(before) > 0 && len(bytes.TrimSpace(before)) == 0
}

// splitComments cuts what stands between two values behind its last comment. The
// newline that ends a line comment is not part of it.
func splitComments(e hujson.Extra) (comments, space hujson.Extra) {
	end, _ := lastComment(e)
	return e[:end:end], e[end:]
}

// lastComment says where the last comment ends, and whether a newline must follow.
func lastComment(e hujson.Extra) (end int, line bool) {
	for i := 0; i+1 < len(e); i++ {
		if e[i] != '/' {
			continue
		}
		stop := "*/"
		if line = e[i+1] == '/'; line {
			stop = "\n"
		}
		n := bytes.Index(e[i+2:], []byte(stop))
		switch {
		case n < 0:
			return len(e), line
		case line:
			i += 2 + n
			end = i - bytes.Count(e[i-1:i], []byte{'\r'})
		default:
			i += 1 + n + len(stop)
			end = i + 1
		}
	}
	return end, line
}

// join puts white space and comments behind each other, each line comment with a
// newline behind it.
func (d *document) join(parts ...hujson.Extra) (all hujson.Extra) {
	for _, part := range parts {
		if len(part) > 0 {
			all = append(d.endLine(all, part), part...)
		}
	}
	return d.endLine(all, nil)
}

// endLine ends a line comment, if one is open at the end of e and next does not.
func (d *document) endLine(e, next hujson.Extra) hujson.Extra {
	end, line := lastComment(e)
	if line && end == len(e) && !bytes.HasPrefix(bytes.TrimPrefix(next, []byte{'\r'}), []byte{'\n'}) {
		return append(e[:end:end], d.style.eol...)
	}
	return e
}

// same reports whether two values mean the same, with members in the same order.
func same(a, b hujson.Value) bool {
	a, b = a.Clone(), b.Clone()
	a.Minimize()
	b.Minimize()
	return bytes.Equal(a.Pack(), b.Pack())
}

// A pair is a member of an object; members keep the order in which they are written.
type pair struct {
	name  string
	value any // string, int, bool, []pair, or []any
}

// render lays out a value that stands at a level of brackets.
func (s style) render(v any, level int) hujson.Value {
	value, err := hujson.Parse([]byte(s.text(v, level)))
	if err != nil {
		panic(fmt.Sprintf("a value of ours does not parse: %v", err)) // only we write them
	}
	return value
}

func (s style) text(v any, level int) string {
	var items []string
	open, end := "{", "}"
	switch v := v.(type) {
	case string:
		return string(hujson.String(v))
	case []pair:
		for _, p := range v {
			items = append(items, string(hujson.String(p.name))+": "+s.text(p.value, level+1))
		}
	case []any:
		open, end = "[", "]"
		for _, e := range v {
			items = append(items, s.text(e, level+1))
		}
	default:
		return fmt.Sprint(v)
	}
	inside := s.newline(level + 1)
	return open + inside + strings.Join(items, ","+inside) + s.newline(level) + end
}
