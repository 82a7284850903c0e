package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A Field is one member of a JSON object that this version does not know.
type Field struct {
	Name  string
	Value json.RawMessage
}

// A builder writes a JSON object, its members in the order of the calls.
type builder struct{ b []byte }

func (o *builder) name(name string) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(appendQuoted(o.b, name), ':')
}

func (o *builder) text(name, value string) {
	o.name(name)
	o.b = appendQuoted(o.b, value)
}

// some writes what is not empty.
func (o *builder) some(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

func (o *builder) number(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

// known writes a number that is null where it is not known, which is 0.
func (o *builder) known(name string, n int64) {
	if n == 0 {
		o.raw(name, []byte("null"))
		return
	}
	o.number(name, n)
}

// count writes a number that is not 0.
func (o *builder) count(name string, n int64) {
	if n != 0 {
		o.number(name, n)
	}
}

func (o *builder) flag(name string, set bool) {
	if set {
		o.raw(name, []byte("true"))
	}
}

func (o *builder) time(name string, t time.Time) { o.text(name, t.UTC().Format(timeLayout)) }

// id writes an object id as git prints it, zeros as long as other for none.
func (o *builder) id(name string, id, other change.ID) {
	if id == "" {
		o.text(name, strings.Repeat("00", max(len(other), 20)))
		return
	}
	o.text(name, id.String())
}

func (o *builder) raw(name string, value []byte) {
	o.name(name)
	o.b = append(o.b, value...)
}

// list writes an array of n values, each by add.
func (o *builder) list(name string, n int, add func(b []byte, i int) []byte) {
	o.name(name)
	o.b = append(o.b, '[')
	for i := range n {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = add(o.b, i)
	}
	o.b = append(o.b, ']')
}

func (o *builder) extra(fields []Field) {
	for _, f := range fields {
		o.raw(f.Name, f.Value)
	}
}

// end is the object.
func (o *builder) end() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}

// appendQuoted writes a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = append(b, `\u00`...)
			b = hex.AppendEncode(b, []byte{byte(r)})
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// plain reports whether JSON needs no escape for s, as is so for most of what is written.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// An object is a JSON object that was read, of which members are taken one by
// one; the first error stays.
type object struct {
	fields []Field
	err    error
}

// parseObject splits a JSON object into its members. No name may come twice, nor
// differ from another in upper and lower case only: readers that do not mind the
// case would see another value.
func parseObject(data []byte) *object {
	if !json.Valid(data) {
		return &object{err: errors.New("not JSON")}
	}
	o := &object{}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return &object{err: errors.New("not a JSON object")}
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return &object{err: errors.New("not a JSON object")}
		}
		if seen[fold(name)] {
			return &object{err: fmt.Errorf("%q comes twice", name)}
		}
		seen[fold(name)] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return &object{err: fmt.Errorf("%q: %w", name, err)}
		}
		o.fields = append(o.fields, Field{name, value})
	}
	return o
}

// fold gives names the same form that differ in upper and lower case only.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

func (o *object) fail(name, format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf("%q "+format, append([]any{name}, args...)...)
	}
}

// take removes a member and returns its value, nil when it is not there.
func (o *object) take(name string) json.RawMessage {
	if o.err != nil {
		return nil
	}
	i := slices.IndexFunc(o.fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		// Most readers would take it for the field all the same.
		if slices.ContainsFunc(o.fields, func(f Field) bool { return strings.EqualFold(f.Name, name) }) {
			o.fail(name, "is spelt with other letters")
		}
		return nil
	}
	value := o.fields[i].Value
	o.fields = slices.Delete(o.fields, i, i+1)
	return value
}

// read takes a member into v. One that is missing, null or of another type is an error.
func (o *object) read(name string, v any) bool {
	value := o.take(name)
	if o.err != nil {
		return false
	}
	if value == nil {
		o.fail(name, "is missing")
	} else if string(value) == "null" || json.Unmarshal(value, v) != nil {
		o.fail(name, "is not %s: %.40s", kindOf(v), value)
	}
	return o.err == nil
}

// may is read for a member that need not be there.
func (o *object) may(name string, v any) bool { return o.has(name) && o.read(name, v) }

// has reports whether a member is there, or one that would be taken for it.
func (o *object) has(name string) bool {
	return o.err == nil && slices.ContainsFunc(o.fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
}

// null takes a member that is null.
func (o *object) null(name string) bool {
	i := slices.IndexFunc(o.fields, func(f Field) bool { return f.Name == name })
	return o.err == nil && i >= 0 && string(o.fields[i].Value) == "null" && o.take(name) != nil
}

func kindOf(v any) string {
	switch v.(type) {
	case *string:
		return "a string"
	case *int64:
		return "a whole number"
	case *bool:
		return "true or false"
	case *[]*string:
		return "an array of strings"
	case *[]json.RawMessage:
		return "an array"
	}
	return "an object"
}

func (o *object) text(name string) (s string) { o.read(name, &s); return s }

func (o *object) some(name string) (s string) { o.may(name, &s); return s }

// number takes a whole number that is not negative.
func (o *object) number(name string) (n int64) {
	if o.read(name, &n) && n < 0 {
		o.fail(name, "is negative: %d", n)
	}
	return n
}

// known takes a number above 0, or null, which is 0 here.
func (o *object) known(name string) int64 {
	if o.null(name) {
		return 0
	}
	n := o.number(name)
	if n == 0 {
		o.fail(name, "is 0")
	}
	return n
}

func (o *object) count(name string) (n int64) {
	if o.may(name, &n) && n < 0 {
		o.fail(name, "is negative: %d", n)
	}
	return n
}

func (o *object) flag(name string) (set bool) { o.may(name, &set); return set }

func (o *object) time(name string) time.Time {
	s := o.text(name)
	t, err := time.Parse(timeLayout, s)
	if o.err == nil && (err != nil || t.Format(timeLayout) != s) {
		o.fail(name, "is not a time such as %s: %.40q", timeLayout, s)
	}
	return t
}

func (o *object) id(name string) change.ID {
	s := o.text(name)
	if o.err != nil {
		return ""
	}
	id, err := change.ParseID(s)
	if err != nil {
		o.fail(name, "is not the id of an object: %.80q", s)
	}
	return id
}

// refName takes the name of a ref.
func (o *object) refName(name string) string {
	s, err := unescapeName(o.text(name))
	if err != nil {
		o.fail(name, "has %w", err)
	}
	return s
}

// orNull takes a string or null, which is "" here.
func (o *object) orNull(name string) string {
	if o.null(name) {
		return ""
	}
	s := o.text(name)
	if s == "" {
		o.fail(name, "is empty")
	}
	return s
}

func (o *object) list(name string) (values []json.RawMessage) { o.read(name, &values); return values }

// words takes an array of strings, which need not be there.
func (o *object) words(name string) []string {
	if !o.has(name) {
		return nil
	}
	return o.mustWords(name)
}

func (o *object) mustWords(name string) (values []string) {
	// A null among them would be read as an empty string.
	var list []*string
	o.read(name, &list)
	for _, s := range list {
		if s == nil {
			o.fail(name, "is not an array of strings")
			return nil
		}
		values = append(values, *s)
	}
	return values
}

// rest is what nobody took.
func (o *object) rest() []Field {
	if len(o.fields) == 0 {
		return nil
	}
	return o.fields
}
