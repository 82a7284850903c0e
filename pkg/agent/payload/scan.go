package payload

import (
	"bytes"
	"errors"
)

// errStop ends a scan whose caller has seen enough.
var errStop = errors.New("stop")

// A scanner walks over JSON text once, and remembers nothing but its place.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// space passes over white space and says where it ended.
func (s *scanner) space() int {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
			continue
		}
		break
	}
	return s.pos
}

// peek is the byte at the scanner, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// value passes over one value of any kind.
func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(func(string, []byte) error { return nil })
	case c == '[':
		return s.array(func([]byte) error { return nil })
	case c == '"':
		_, err := s.quoted()
		return err
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case s.pos >= len(s.data):
		return s.fault("it breaks off")
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	return s.fault("want a value")
}

func (s *scanner) object(each func(name string, value []byte) error) error {
	return s.list('}', func() error {
		if s.peek() != '"' {
			return s.fault("want a name in quotes")
		}
		name, err := s.quoted()
		if err != nil {
			return err
		}
		if s.space(); s.peek() != ':' {
			return s.fault("want a colon")
		}
		s.pos++
		start := s.space()
		if err := s.value(); err != nil {
			return err
		}
		return each(string(unquote(name)), s.data[start:s.pos])
	})
}

func (s *scanner) array(each func(value []byte) error) error {
	return s.list(']', func() error {
		start := s.pos
		if err := s.value(); err != nil {
			return err
		}
		return each(s.data[start:s.pos])
	})
}

// list passes over what stands between brackets, separated by commas.
func (s *scanner) list(end byte, item func() error) error {
	if s.depth++; s.depth > maxDepth {
		return s.fault("nested deeper than %d", maxDepth)
	}
	s.pos++ // the opening bracket
	if s.space(); s.peek() == end {
		return s.close()
	}
	for {
		s.space()
		if err := item(); err != nil {
			return err
		}
		switch s.space(); s.peek() {
		case end:
			return s.close()
		case ',':
			s.pos++
		case 0:
			return s.fault("it breaks off, or holds a zero byte")
		default:
			return s.fault("want a comma or %c", end)
		}
	}
}

func (s *scanner) close() error {
	s.pos++
	s.depth--
	return nil
}

// quoted passes over a string and gives what stands between the quotes. Control
// characters are taken as they are.
func (s *scanner) quoted() ([]byte, error) {
	start := s.pos + 1
	for i := start; i < len(s.data); i++ {
		switch s.data[i] {
		case '"':
			s.pos = i + 1
			return s.data[start:i], nil
		case '\\':
			i++
			if !escape(s.data[i:]) {
				s.pos = i
				return nil, s.fault("a wrong escape")
			}
		}
	}
	s.pos = len(s.data)
	return nil, s.fault("it breaks off in a string")
}

// escape reports whether what follows a backslash is an escape.
func escape(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	if s[0] != 'u' {
		return bytes.IndexByte([]byte(`"\/bfnrt`), s[0]) >= 0
	}
	if len(s) < 5 {
		return false
	}
	for _, c := range s[1:5] {
		if hexDigit(c) < 0 {
			return false
		}
	}
	return true
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fault("a number without digits")
	}
	if s.peek() == '.' {
		if s.pos++; !s.digits() {
			return s.fault("a fraction without digits")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fault("an exponent without digits")
		}
	}
	return nil
}

// digits passes over digits and reports whether there was one.
func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}
