// Package payload reads the JSON that coding agents write: what they hand to
// their hooks, the lines of their session files, their configuration.
//
// It forgives what agents are known to get wrong, which encoding/json does not:
// raw control characters inside strings, UTF-16, a byte order mark. Of a text
// that breaks off it keeps the members that came before. Names of members match
// exactly; of two with one name the last counts, as JSON.parse has it. And
// it is a tenth of the size of encoding/json, which matters to the binaries that
// run on every commit.
//
// A Value stays text until somebody asks, so that memory grows with the input
// and not with the number of values in it. This package knows the form and no
// meaning.
package payload

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxSize is what Parse reads of a text, in bytes.
	MaxSize = 32 << 20
	// maxDepth bounds nesting: each level is a frame of the stack.
	maxDepth = 500
	// maxMembers bounds the members of the outermost object, which are kept in a table.
	maxMembers = 1 << 14
)

// ErrTooLarge reports a text of more than MaxSize bytes.
var ErrTooLarge = errors.New("more than 32 MiB")

// A Value is one JSON value. The zero Value stands for one that is not there,
// and may be asked anything.
type Value struct {
	text    []byte   // without space around it
	members []member // of the outermost object
}

type member struct {
	name  string
	value []byte
}

// Parse reads one JSON value. With an error, the value holds the members of the
// outermost object that came before the fault, and nothing of any other value.
// The value refers to data, which must not change.
func Parse(data []byte) (Value, error) {
	var large error
	if len(data) > MaxSize {
		data, large = data[:MaxSize], ErrTooLarge
	}
	s := scanner{data: utf8Text(data)}
	v, err := s.document()
	return v, errors.Join(large, err)
}

func (s *scanner) document() (v Value, err error) {
	start := s.space()
	if s.peek() == '{' {
		err = s.object(func(name string, value []byte) error {
			if len(v.members) == maxMembers {
				return s.fault("more than %d members", maxMembers)
			}
			v.members = append(v.members, member{name, value})
			return nil
		})
	} else {
		err = s.value()
	}
	if err != nil {
		return v, err
	}
	v.text = s.data[start:s.pos]
	if s.space(); s.pos < len(s.data) {
		return v, s.fault("more text behind the value")
	}
	return v, nil
}

// At is the member that a path of names leads to, or the zero Value.
func (v Value) At(names ...string) Value {
	for _, name := range names {
		v = v.member(name)
	}
	return v
}

func (v Value) member(name string) (found Value) {
	if v.members != nil {
		for _, m := range v.members {
			if m.name == name {
				found = Value{text: m.value}
			}
		}
		return found
	}
	for n, value := range v.Members() {
		if n == name {
			found = value
		}
	}
	return found
}

// Members are the members of an object in their order, repeated names included.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.members != nil {
			for _, m := range v.members {
				if !yield(m.name, Value{text: m.value}) {
					return
				}
			}
			return
		}
		if len(v.text) == 0 || v.text[0] != '{' {
			return
		}
		s := scanner{data: v.text}
		_ = s.object(func(name string, value []byte) error {
			if !yield(name, Value{text: value}) {
				return errStop
			}
			return nil
		})
	}
}

// Items are the values of an array in their order.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if len(v.text) == 0 || v.text[0] != '[' {
			return
		}
		s := scanner{data: v.text}
		_ = s.array(func(value []byte) error {
			if !yield(Value{text: value}) {
				return errStop
			}
			return nil
		})
	}
}

// Exists reports whether the value is there, null included.
func (v Value) Exists() bool { return len(v.text) > 0 || v.members != nil }

// IsNull reports whether the value is there and is null.
func (v Value) IsNull() bool { return string(v.text) == "null" }

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { return v.members != nil || len(v.text) > 0 && v.text[0] == '{' }

// IsTrue reports whether the value is true.
func (v Value) IsTrue() bool { return string(v.text) == "true" }

// Bytes is the content of a string.
func (v Value) Bytes() ([]byte, bool) {
	if len(v.text) < 2 || v.text[0] != '"' {
		return nil, false
	}
	return unquote(v.text[1 : len(v.text)-1]), true
}

// String is the content of a string, and "" of any other value.
func (v Value) String() string {
	b, _ := v.Bytes()
	return string(b)
}

// Strings are the strings of an array. A value that is there and is anything
// else, items that are no strings included, is not ok.
func (v Value) Strings() (list []string, ok bool) {
	if v.Exists() && (len(v.text) == 0 || v.text[0] != '[') {
		return nil, false
	}
	for item := range v.Items() {
		b, ok := item.Bytes()
		if !ok {
			return nil, false
		}
		list = append(list, string(b))
	}
	return list, true
}

// Int is the value of a number without fraction or exponent.
func (v Value) Int() (int64, bool) {
	n, err := strconv.ParseInt(string(v.text), 10, 64)
	return n, err == nil
}

// Text is the value as it was written, outer space taken away. It must not be changed.
func (v Value) Text() []byte { return v.text }

// unquote resolves the escapes of a string that was scanned before.
func unquote(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(0)
				if i+6 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
					low = hex4(s[i+3:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default: // " \ /
			out = append(out, s[i])
		}
	}
	return out
}

func hex4(s []byte) (r rune) {
	for _, c := range s[:4] {
		r = r<<4 | rune(hexDigit(c))
	}
	return r
}

// hexDigit is the value of a hex digit, or -1.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func (s *scanner) fault(format string, args ...any) error {
	return fmt.Errorf("JSON broken at byte %d: %s", s.pos, fmt.Sprintf(format, args...))
}

// Compact is the value as it was written, without space between its parts.
func (v Value) Compact() []byte {
	out := make([]byte, 0, len(v.text))
	s := scanner{data: v.text}
	for s.space(); s.pos < len(s.data); s.space() {
		start := s.pos
		if s.data[start] != '"' {
			s.pos++
		} else if _, err := s.quoted(); err != nil {
			return out
		}
		out = append(out, s.data[start:s.pos]...)
	}
	return out
}

// Quote writes a string as JSON, ASCII only, so that no terminal or agent can
// read more than text in it.
func Quote(text string) string {
	out := []byte{'"'}
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case ' ' <= r && r < 0x7F:
			out = append(out, byte(r))
		case r == '\n':
			out = append(out, `\n`...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return string(append(out, '"'))
}
