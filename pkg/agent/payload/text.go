package payload

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// utf8Text gives the text without byte order mark, in UTF-8. JSON begins with an
// ASCII character, so a zero byte beside the first one shows UTF-16 that lacks its mark.
func utf8Text(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		return data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return fromUTF16(data[2:], binary.BigEndian)
	case len(data) > 1 && data[0] != 0 && data[1] == 0:
		return fromUTF16(data, binary.LittleEndian)
	case len(data) > 1 && data[0] == 0 && data[1] != 0:
		return fromUTF16(data, binary.BigEndian)
	}
	return data
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	out := make([]byte, 0, len(data)/2)
	for ; len(data) >= 2; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) && len(data) >= 4 {
			if r = utf16.DecodeRune(r, rune(order.Uint16(data[2:]))); r != utf8.RuneError {
				data = data[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Plain turns the JSON with comments of configuration files (JSONC: // and /* */
// comments, a comma before a closing bracket) into JSON of the same length, so
// that places in it stay true. It changes nothing else, and judges nothing.
func Plain(jsonc []byte) []byte {
	out := bytes.Clone(jsonc)
	comma := -1 // the last comma that nothing but space and comments followed
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			s := scanner{data: out, pos: i}
			if _, err := s.quoted(); err != nil {
				return out
			}
			i, comma = s.pos-1, -1
		case c == '/' && i+1 < len(out) && (out[i+1] == '/' || out[i+1] == '*'):
			i = blank(out, i) - 1
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
	}
	return out
}

// blank overwrites the comment at i with spaces and gives its end.
func blank(out []byte, i int) int {
	mark, length := []byte("\n"), 0
	if out[i+1] == '*' {
		mark, length = []byte("*/"), 2
	}
	end := len(out)
	if n := bytes.Index(out[i+2:], mark); n >= 0 {
		end = i + 2 + n + length
	} else if length > 0 {
		return end // an open comment stays, and is no JSON
	}
	for ; i < end; i++ {
		if out[i] != '\n' && out[i] != '\r' {
			out[i] = ' '
		}
	}
	return end
}
