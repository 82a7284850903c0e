package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// The TOML library says where a file stops being TOML, but not where a key
// stands that it took. places finds that out: it walks a text that the library
// accepts and notes where every key, table, array item and value begins.

// A place is a line and a column of a file, both from 1, the column in bytes.
type place struct{ line, col int }

// A keyPath names a key or an item of a document: keys joined by NUL, places in an
// array after SOH. The zero keyPath is the document itself.
type keyPath string

func (p keyPath) key(name string) keyPath { return p + "\x00" + keyPath(name) }
func (p keyPath) item(i int) keyPath      { return p + "\x01" + keyPath(strconv.Itoa(i)) }

// schema is the path without places in arrays, dotted: "model.paths".
func (p keyPath) schema() string {
	var b strings.Builder
	for _, key := range strings.Split(string(p), "\x00") {
		key, _, _ = strings.Cut(key, "\x01")
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key)
	}
	return b.String()
}

// places tells where the parts of a document stand.
type places struct {
	keys   map[keyPath]place // of the key; of an array item, where it begins
	values map[keyPath]place // of what stands after the `=`
	order  []keyPath         // as the library's MetaData.Keys: each header and each assignment
	first  []keyPath         // every key keyPath, in the order of first mention, parents included
	stuck  place             // where the text stopped being TOML; zero when it did not
}

const (
	maxDepth = 16 // arrays and inline tables inside each other
	maxParts = 16 // parts of one dotted key
)

// locate notes the places of text. It gives up without an error where text stops
// being TOML, because the library says that better, and with one where text is
// nested so deep that the library, which recurses, had better not see it.
func locate(text string) (*places, *Error) {
	w := &walker{text: text, line: 1, tables: map[keyPath]int{}, places: &places{keys: map[keyPath]place{}, values: map[keyPath]place{}}}
	table := keyPath("")
	for w.ok() {
		w.blank()
		switch {
		case w.peek() == 0:
			return w.places, nil
		case w.peek() == '[':
			table = w.header()
		default:
			w.assignment(table)
		}
	}
	w.places.stuck = w.here()
	return w.places, w.tooMuch
}

// walker reads valid TOML; on anything else it stops.
type walker struct {
	text    string
	at      int // offset of the next byte
	line    int
	begin   int // offset where the line begins
	stopped bool
	tooMuch *Error
	depth   int
	tables  map[keyPath]int // how often an array of tables was opened
	*places
}

func (w *walker) ok() bool { return !w.stopped }

func (w *walker) stop() { w.stopped = true }

func (w *walker) refuse(msg string) {
	here := w.here()
	w.tooMuch = &Error{Line: here.line, Col: here.col, Msg: msg, Hint: "no policy needs that"}
	w.stop()
}

func (w *walker) here() place { return place{w.line, w.at - w.begin + 1} }

// peek is the next byte, 0 at the end and once the walker has stopped.
func (w *walker) peek() byte {
	if w.stopped || w.at >= len(w.text) {
		return 0
	}
	return w.text[w.at]
}

func (w *walker) skip(n int) {
	for ; n > 0 && w.at < len(w.text); n-- {
		w.at++
		if w.text[w.at-1] == '\n' {
			w.line, w.begin = w.line+1, w.at
		}
	}
}

// take steps over s, or stops.
func (w *walker) take(s string) {
	if !strings.HasPrefix(w.text[w.at:], s) {
		w.stop()
		return
	}
	w.skip(len(s))
}

func (w *walker) spaces() {
	for w.peek() == ' ' || w.peek() == '\t' {
		w.skip(1)
	}
}

// blank steps over white space, ends of lines and comments.
func (w *walker) blank() {
	for {
		switch w.peek() {
		case ' ', '\t', '\r', '\n':
			w.skip(1)
		case '#':
			w.restOfLine()
		default:
			return
		}
	}
}

func (w *walker) restOfLine() {
	if n := strings.IndexByte(w.text[w.at:], '\n'); n >= 0 {
		w.skip(n)
		return
	}
	w.skip(len(w.text) - w.at)
}

// header reads [a.b] or [[a.b]] and returns the path of the table it opens.
func (w *walker) header() keyPath {
	start := w.here()
	w.skip(1)
	array := w.peek() == '['
	if array {
		w.skip(1)
	}
	w.spaces()
	names, at := w.dotted()
	if !w.ok() {
		return ""
	}
	w.take("]")
	if array {
		w.take("]")
	}
	table := keyPath("")
	for i, name := range names {
		table = table.key(name)
		w.mention(table, at[i])
		if n := w.tables[table]; n > 0 && i < len(names)-1 {
			table = table.item(n - 1)
		}
	}
	w.order = append(w.order, table)
	if !array {
		return table
	}
	w.tables[table]++
	table = table.item(w.tables[table] - 1)
	w.keys[table] = start
	return table
}

// assignment reads `key = value` inside table.
func (w *walker) assignment(table keyPath) {
	names, at := w.dotted()
	if !w.ok() {
		return
	}
	w.take("=")
	w.spaces()
	key := table
	for i, name := range names {
		key = key.key(name)
		w.mention(key, at[i])
	}
	w.order = append(w.order, key)
	w.value(key)
}

// mention notes the first place of a key; a table may be opened more than once
// by its children.
func (w *walker) mention(key keyPath, at place) {
	if _, ok := w.keys[key]; !ok {
		w.keys[key] = at
		w.first = append(w.first, key)
	}
}

// dotted reads a key of one or more parts, up to what follows it.
func (w *walker) dotted() (names []string, at []place) {
	for w.ok() {
		if len(names) == maxParts {
			w.refuse(fmt.Sprintf("a key of more than %d parts", maxParts))
			return nil, nil
		}
		at = append(at, w.here())
		names = append(names, w.name())
		w.spaces()
		if w.peek() != '.' {
			break
		}
		w.skip(1)
		w.spaces()
	}
	return names, at
}

// name reads one part of a key.
func (w *walker) name() string {
	start := w.at
	switch w.peek() {
	case '"', '\'':
		w.quoted()
		return unquote(w.text[start:w.at])
	}
	for bare(w.peek()) {
		w.skip(1)
	}
	if w.at == start {
		w.stop()
	}
	return w.text[start:w.at]
}

func bare(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// unquote leaves the escapes of a quoted key to the library.
func unquote(s string) string {
	var v struct{ X string }
	if _, err := toml.Decode("X = "+s, &v); err != nil {
		return s
	}
	return v.X
}

// quoted steps over a string on one line, with its quotes.
func (w *walker) quoted() {
	quote := w.peek()
	w.skip(1)
	for {
		switch c := w.peek(); {
		case c == 0 || c == '\n':
			w.stop()
			return
		case c == '\\' && quote == '"':
			w.skip(2)
		case c == quote:
			w.skip(1)
			return
		default:
			w.skip(1)
		}
	}
}

// value notes and steps over the value of key.
func (w *walker) value(key keyPath) {
	w.values[key] = w.here()
	switch w.peek() {
	case '"', '\'':
		w.str()
	case '[':
		w.nested(func() { w.array(key) })
	case '{':
		w.nested(func() { w.inline(key) })
	default:
		// A number, word or date; a date may have a space inside.
		n := strings.IndexAny(w.text[w.at:], ",]}#\r\n")
		if n < 0 {
			n = len(w.text) - w.at
		}
		w.skip(n)
	}
}

func (w *walker) nested(read func()) {
	if w.depth == maxDepth {
		w.refuse(fmt.Sprintf("arrays or tables nested more than %d deep", maxDepth))
		return
	}
	w.depth++
	read()
	w.depth--
}

// str steps over any kind of string.
func (w *walker) str() {
	quote := w.text[w.at : w.at+1]
	long := strings.Repeat(quote, 3)
	if !strings.HasPrefix(w.text[w.at:], long) {
		w.quoted()
		return
	}
	w.skip(3)
	for !strings.HasPrefix(w.text[w.at:], long) {
		switch {
		case w.peek() == 0:
			w.stop()
			return
		case w.peek() == '\\' && quote == `"`:
			w.skip(2)
		default:
			w.skip(1)
		}
	}
	w.skip(3)
	// One or two more quotes belong to the string: """a""""" ends in `a""`.
	for i := 0; i < 2 && strings.HasPrefix(w.text[w.at:], quote); i++ {
		w.skip(1)
	}
}

func (w *walker) array(key keyPath) {
	w.skip(1)
	for i := 0; w.ok(); i++ {
		w.blank()
		if w.peek() == ']' {
			w.skip(1)
			return
		}
		w.keys[key.item(i)] = w.here()
		w.value(key.item(i))
		w.blank()
		if w.peek() != ']' {
			w.take(",")
		}
	}
}

func (w *walker) inline(key keyPath) {
	w.skip(1)
	for w.ok() {
		w.blank()
		if w.peek() == '}' {
			w.skip(1)
			return
		}
		w.assignment(key)
		w.blank()
		if w.peek() != '}' {
			w.take(",")
		}
	}
}
