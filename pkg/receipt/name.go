package receipt

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// The names of refs are bytes, and JSON has only text: a byte that is not UTF-8 is
// written as \xHH, and a backslash, which no name that git accepts has, as two. Two
// names never look alike.

func escapeName(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, `\`) {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && !strings.HasPrefix(name[i:], "\uFFFD"):
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[name[i]>>4])
			b.WriteByte(hexDigits[name[i]&15])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

var errEscape = errors.New(`a \ in it that is neither \\ nor \xHH for a byte that needs it`)

// unescapeName reads what escapeName wrote, and nothing else.
func unescapeName(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		switch {
		case rest[0] != '\\':
			b.WriteByte(rest[0])
			rest = rest[1:]
		case strings.HasPrefix(rest, `\\`):
			b.WriteByte('\\')
			rest = rest[2:]
		case len(rest) >= 4 && rest[1] == 'x':
			hi, lo := strings.IndexByte(hexDigits, rest[2]), strings.IndexByte(hexDigits, rest[3])
			if hi < 0 || lo < 0 {
				return "", errEscape
			}
			b.WriteByte(byte(hi<<4 | lo))
			rest = rest[4:]
		default:
			return "", errEscape
		}
	}
	if escapeName(b.String()) != s {
		return "", errEscape
	}
	return b.String(), nil
}

const hexDigits = "0123456789abcdef"
