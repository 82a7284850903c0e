package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// MaxSize bounds a policy, in bytes.
const MaxSize = 1 << 20

// maxEntries bounds the entries of one kind, as every question walks them and
// each is compared with those before it. Signers are looked up by key instead.
const maxEntries = 1024

// A document is a TOML file with the places of its parts. Reading from it
// collects faults instead of stopping at the first.
type document struct {
	file   string
	root   map[string]any
	schema map[string][]string // the keys of each table, by the table's dotted name
	*places
	faults []*Error
}

// readDocument parses data as TOML.
func readDocument(file string, data []byte, schema map[string][]string) (*document, error) {
	text := string(data)
	if e := notText(text); e != nil {
		e.File = file
		return nil, e
	}
	places, e := locate(text)
	if e != nil {
		e.File = file
		return nil, e
	}
	root, err := decode(text)
	if err != nil {
		return nil, syntaxError(file, text, err)
	}
	if places.stuck != (place{}) {
		return nil, &Error{File: file, Line: places.stuck.line, Col: places.stuck.col,
			Msg: "cannot tell what stands here", Hint: "write it more plainly"}
	}
	return &document{file: file, root: root, schema: schema, places: places}, nil
}

// notText refuses what TOML leaves open or editors add unseen.
func notText(text string) *Error {
	switch {
	case len(text) > MaxSize:
		return &Error{Msg: fmt.Sprintf("is larger than %d bytes", MaxSize), Hint: "no policy needs that"}
	case strings.HasPrefix(text, "\xef\xbb\xbf"):
		return &Error{Line: 1, Col: 1, Msg: "begins with a byte order mark", Hint: "save it as UTF-8 without BOM"}
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"), strings.Contains(text[:min(len(text), 8)], "\x00"):
		return &Error{Line: 1, Col: 1, Msg: "is UTF-16", Hint: "save it as UTF-8 without BOM"}
	case !utf8.ValidString(text):
		at := placeOf(text, len(text)-len(strings.TrimLeftFunc(text, func(r rune) bool { return r != utf8.RuneError })))
		return &Error{Line: at.line, Col: at.col, Msg: "is not UTF-8", Hint: "save it as UTF-8"}
	}
	return nil
}

// decode calls the library, whose parser panics where it finds itself wrong.
func decode(text string) (root map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be read as TOML: %v", r)
		}
	}()
	_, err = toml.Decode(text, &root)
	return root, err
}

// syntaxError gives the library's error its exact place: what it calls the line
// is the last line of the token, and its column is off by one at ends of lines.
func syntaxError(file, text string, err error) *Error {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return &Error{File: file, Msg: printable(err.Error())}
	}
	at := placeOf(text, pe.Position.Start)
	e := &Error{File: file, Line: at.line, Col: at.col, Msg: inOurStyle(pe.Message)}
	if strings.Contains(pe.Message, "expected value but found") {
		e.Hint = "text is written in quotes"
	}
	return e
}

// inOurStyle has no capital at the start and no full stop at the end.
func inOurStyle(msg string) string {
	msg = printable(strings.TrimSuffix(msg, "."))
	return strings.ToLower(msg[:min(1, len(msg))]) + msg[min(1, len(msg)):]
}

func placeOf(text string, offset int) place {
	before := text[:max(0, min(offset, len(text)))]
	return place{1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')}
}

// fault notes what is wrong at a place.
func (d *document) fault(at place, hint, format string, args ...any) {
	d.faults = append(d.faults, &Error{File: d.file, Line: at.line, Col: at.col, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// err is all faults in the order of the file, then those of files beside it.
func (d *document) err() error {
	slices.SortStableFunc(d.faults, func(a, b *Error) int {
		switch {
		case a.File != b.File && a.File == d.file:
			return -1
		case a.File != b.File && b.File == d.file:
			return 1
		case a.Line != b.Line:
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	switch len(d.faults) {
	case 0:
		return nil
	case 1:
		return d.faults[0]
	}
	return Errors(d.faults)
}

// A table is one table of a document. Its readers return the zero value where
// the key is missing or faulty; a fault makes the whole document fail.
type table struct {
	d    *document
	at   keyPath
	name string // dotted, without places in arrays; "" is the document
	m    map[string]any
}

func (d *document) top() *table { return &table{d: d, m: d.root} }

// written is how a person would write the table's header.
func (t *table) written() string {
	switch {
	case t.name == "":
		return "the top of the file"
	case repeated[t.name]:
		return "[[" + t.name + "]]"
	}
	return "[" + t.name + "]"
}

func (t *table) has(key string) bool { _, ok := t.m[key]; return ok }

func (t *table) place() place {
	if t.at == "" {
		return place{1, 1}
	}
	return t.d.keys[t.at]
}

func (t *table) keyPlace(key string) place { return t.d.keys[t.at.key(key)] }

// valuePlace is where the value of key begins. What a header or a dotted key makes
// a table stands after no `=`; then it is the place of the key.
func (t *table) valuePlace(key string) place {
	if at, ok := t.d.values[t.at.key(key)]; ok {
		return at
	}
	return t.keyPlace(key)
}

// line is where the table begins.
func (t *table) line() int { return t.place().line }

// entry is where the table begins, as answers name it.
func (t *table) entry() string { return entryAt(t.d.file, t.line()) }

func entryAt(file string, line int) string {
	return path.Base(strings.ReplaceAll(file, `\`, "/")) + ":" + strconv.Itoa(line)
}

// wrong notes a fault of a key's value.
func (t *table) wrong(key, hint, format string, args ...any) {
	t.d.fault(t.valuePlace(key), hint, "%s "+format, append([]any{key}, args...)...)
}

// need notes a fault where one of keys is missing.
func (t *table) need(keys ...string) {
	for _, key := range keys {
		if !t.has(key) {
			t.d.fault(t.place(), "add "+key+" = "+examples[t.name+"."+key], "%s has no %s", t.written(), key)
		}
	}
}

// str reads text of one line.
func (t *table) str(key string) string {
	v, ok := t.m[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		t.wrong(key, "write it in quotes", "wants text, not %s", kind(v))
	case s == "":
		t.wrong(key, "leave the key out instead", "is empty")
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		t.wrong(key, "", "has a control character")
		return ""
	}
	return s
}

// text reads text that may have several lines.
func (t *table) text(key string) string {
	v, ok := t.m[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		t.wrong(key, "write it in quotes", "wants text, not %s", kind(v))
	}
	return s
}

// word reads one of words; absent stands for itself where the key is missing.
func word[T ~string](t *table, key string, words []T, absent T) T {
	if !t.has(key) {
		return absent
	}
	s := T(t.str(key))
	if s == "" || slices.Contains(words, s) {
		return s
	}
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	hint := "write one of: " + strings.Join(list, ", ")
	if near := nearest(string(s), list); near != "" {
		hint = didYouMean(near)
	}
	t.wrong(key, hint, "is %s", quote(string(s)))
	return absent
}

// A text is a string of a list and where it stands.
type text struct {
	place
	string
}

// strs reads a list of texts. A list that is there has something in it.
func (t *table) strs(key string) []text {
	v, ok := t.m[key]
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		t.wrong(key, `write ["…"]`, "wants a list of texts, not %s", kind(v))
		return nil
	}
	if len(list) == 0 {
		t.wrong(key, "leave the key out instead", "is an empty list")
	}
	var texts []text
	for i, v := range list {
		at := t.d.keys[t.at.key(key).item(i)]
		s, ok := v.(string)
		switch {
		case !ok:
			t.d.fault(at, "write it in quotes", "%s wants texts, not %s", key, kind(v))
		case s == "":
			t.d.fault(at, "leave it out", "%s has an empty text", key)
		case strings.IndexFunc(s, unicode.IsControl) >= 0:
			t.d.fault(at, "", "%s has a text with a control character", key)
		default:
			texts = append(texts, text{at, s})
		}
	}
	return texts
}

// globs reads a list of patterns, each approved by check.
func (t *table) globs(key string, check func(glob) error) []glob {
	var globs []glob
	for _, s := range t.strs(key) {
		g, err := compileGlob(s.string)
		if err == nil {
			err = check(g)
		}
		if err != nil {
			t.d.fault(s.place, hintOf(err), "%s %s %v", key, quote(s.string), err)
			continue
		}
		globs = append(globs, g)
	}
	return globs
}

func (t *table) glob(key string, check func(glob) error) glob {
	s := t.str(key)
	if s == "" {
		return glob{}
	}
	g, err := compileGlob(s)
	if err == nil {
		err = check(g)
	}
	if err != nil {
		t.wrong(key, hintOf(err), "%s %v", quote(s), err)
	}
	return g
}

// hinted is an error that knows what to do.
type hinted struct{ msg, hint string }

func (h *hinted) Error() string { return h.msg }

func hintOf(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// date reads a TOML date or date-time. Without an offset it is UTC.
func (t *table) date(key string) time.Time {
	v, ok := t.m[key]
	if !ok {
		return time.Time{}
	}
	d, ok := v.(time.Time)
	if !ok {
		hint := "write for instance 2026-01-31 or 2026-01-31T12:00:00Z"
		if _, text := v.(string); text {
			hint += ", without quotes"
		}
		t.wrong(key, hint, "wants a date, not %s", kind(v))
		return time.Time{}
	}
	// The library marks dates without an offset by the name of their zone, and
	// gives them the machine's own.
	switch d.Location().String() {
	case "time-local":
		t.wrong(key, "write for instance 2026-01-31T12:00:00Z", "is a time without a date")
	case "date-local", "datetime-local":
		return time.Date(d.Year(), d.Month(), d.Day(), d.Hour(), d.Minute(), d.Second(), d.Nanosecond(), time.UTC)
	}
	return d.UTC()
}

// period notes a fault when the date under until is not after that under from.
func (t *table) period(from, until string, a, b time.Time) {
	if !a.IsZero() && !b.IsZero() && !a.Before(b) {
		t.wrong(until, "the end is exclusive", "is not after %s", from)
	}
}

func (t *table) duration(key string, absent time.Duration) time.Duration {
	s := t.str(key)
	if s == "" {
		return absent
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		hint := `write for instance "10m" or "336h"`
		if n, err := strconv.Atoi(strings.TrimSuffix(s, "d")); err == nil && n > 0 && n < 100000 {
			hint = fmt.Sprintf(`write "%dh"`, n*24)
		}
		t.wrong(key, hint, "is %s, which is not a duration", quote(s))
	case d < 0:
		t.wrong(key, "", "is negative")
	}
	return d
}

func (t *table) size(key string, absent int64) int64 {
	s := t.str(key)
	if s == "" {
		return absent
	}
	n, err := parseSize(s)
	if err != nil {
		t.wrong(key, hintOf(err), "%s %v", quote(s), err)
	}
	return n
}

var sizeUnits = []struct {
	suffix string
	shift  uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}

// maxBytes bounds a size, so that sums of sizes fit.
const maxBytes = 1 << 50

func parseSize(s string) (int64, error) {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 {
			break
		}
		if n == 0 {
			return 0, &hinted{"would refuse everything", "write the largest size allowed"}
		}
		if n > maxBytes>>u.shift {
			return 0, &hinted{"is too large", `at most "1024TiB"`}
		}
		return n << u.shift, nil
	}
	return 0, &hinted{"is not a size", `write for instance "512KiB", "1MiB" or "4GiB"`}
}

func (t *table) count(key string, absent int) int {
	v, ok := t.m[key]
	if !ok {
		return absent
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		t.wrong(key, "", "wants a whole number, not %s", kind(v))
	case n <= 0:
		t.wrong(key, "write the largest number allowed", "would refuse everything")
	case n > 1<<31-1:
		t.wrong(key, "", "is too large")
	}
	return int(n)
}

// sub reads the table under key; nil when there is none.
func (t *table) sub(key string) *table {
	v, ok := t.m[key]
	if !ok {
		return nil
	}
	s := &table{d: t.d, at: t.at.key(key), name: strings.TrimPrefix(t.name+"."+key, ".")}
	if s.m, ok = v.(map[string]any); !ok {
		t.d.fault(t.keyPlace(key), "write "+s.written(), "%s is a table, not %s", key, kind(v))
		return nil
	}
	s.onlyKnown()
	return s
}

// list reads the tables of an array of tables.
func (t *table) list(key string) []*table {
	v, ok := t.m[key]
	if !ok {
		return nil
	}
	var items []any
	switch v := v.(type) {
	case []any:
		items = v
	case []map[string]any:
		for _, m := range v {
			items = append(items, m)
		}
	default:
		t.d.fault(t.keyPlace(key), "write [["+key+"]]", "%s is a list of tables, not %s", key, kind(v))
		return nil
	}
	if len(items) > maxEntries && key != "signer" {
		t.d.fault(t.keyPlace(key), "use patterns", "%d entries [[%s]] are more than %d", len(items), key, maxEntries)
		return nil
	}
	var list []*table
	for i, v := range items {
		s := &table{d: t.d, at: t.at.key(key).item(i), name: strings.TrimPrefix(t.name+"."+key, ".")}
		if s.m, ok = v.(map[string]any); !ok {
			t.d.fault(s.place(), "write [["+key+"]]", "%s is a list of tables, not of %s", key, kind(v))
			continue
		}
		s.onlyKnown()
		list = append(list, s)
	}
	return list
}

// onlyKnown notes every key that the table's schema does not have.
func (t *table) onlyKnown() {
	known := t.d.schema[t.name]
	for _, key := range sortedKeys(t.m) {
		if !slices.Contains(known, key) {
			t.d.fault(t.keyPlace(key), t.unknownHint(key), "%s has no key %s", t.written(), quote(key))
		}
	}
}

func (t *table) unknownHint(key string) string {
	near := nearest(key, t.d.schema[t.name])
	if t.name == "" && near != "" && t.d.schema[near] != nil {
		near = (&table{name: near}).written()
	}
	home := t.d.homes(key)
	if k := kind(t.m[key]); t.name == "" && home != "" && k != "a table" && k != "a list" {
		near = "" // a plain value at the top is no misspelt table
	}
	switch {
	case near != "":
		return didYouMean(near)
	case home != "":
		return "it belongs in " + home
	}
	return "known here: " + strings.Join(t.d.schema[t.name], ", ")
}

// homes names the tables that have a key.
func (d *document) homes(key string) string {
	var homes []string
	for _, name := range sortedKeys(d.schema) {
		if slices.Contains(d.schema[name], key) {
			homes = append(homes, (&table{name: name}).written())
		}
	}
	return strings.Join(homes, " or ")
}

// kind names the type of a decoded value.
func kind(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case bool:
		return "true or false"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "a list"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (d *document) note(key keyPath, text string) Note {
	return Note{File: d.file, Line: d.keys[key].line, Key: strings.TrimPrefix(key.schema(), "."), Text: text}
}
