package trailer

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// candidates are the offsets of all reserved keys in message that some reader
// could take for the key of a trailer, by the rule of the package comment.
func candidates(message []byte) []int {
	var found []int
	for i := 0; i < len(message); {
		dash := bytes.IndexByte(message[i:], '-')
		if dash < 0 {
			break
		}
		i += dash + 1
		at := i - len("AI-")
		if at < 0 {
			continue
		}
		if key := keyAt(message[at:]); key != "" && startsLine(message[:at]) && separated(message[at+len(key):]) {
			found = append(found, at)
		}
	}
	return found
}

// keyAt is the reserved key that text starts with, in any case, or "".
func keyAt(text []byte) string {
	for _, key := range []string{KeyProvenance, KeyAttestation} {
		if len(text) >= len(key) && equalFold(text[:len(key)], key) {
			return key
		}
	}
	return ""
}

// equalFold compares in ASCII: no reader takes a long s for an s.
func equalFold(a []byte, b string) bool {
	for i := range b {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// startsLine reports whether only characters that a reader may overlook part
// the end of before from the start of a line.
func startsLine(before []byte) bool {
	for len(before) > 0 {
		r, size := utf8.DecodeLastRune(before)
		if isBreak(r, before[len(before)-size]) {
			return true
		}
		if !overlooked(r, size) {
			return false
		}
		before = before[:len(before)-size]
	}
	return true
}

// separated reports whether a separator follows, perhaps after characters that
// a reader may overlook. A line end does not: a bare key is prose.
func separated(after []byte) bool {
	for len(after) > 0 {
		r, size := utf8.DecodeRune(after)
		if strings.IndexByte(":=#", after[0]) >= 0 {
			return true
		}
		if r == '\n' || !overlooked(r, size) {
			return false
		}
		after = after[size:]
	}
	return false
}

// isBreak reports whether some reader ends a line at r: those of Python's
// str.splitlines, and NUL. first is the first byte of r, so that U+0085 is
// known in Latin-1, too.
func isBreak(r rune, first byte) bool {
	switch r {
	case '\n', '\r', 0, '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return first == 0x85
}

// hasBreak reports whether some reader ends a line within value.
func hasBreak(value []byte) bool {
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRune(value[i:])
		if isBreak(r, value[i]) {
			return true
		}
		i += size
	}
	return false
}

// overlooked reports whether readers differ on seeing r: white space, control
// and format characters, and bytes that are no UTF-8.
func overlooked(r rune, size int) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f
	}
	return r == utf8.RuneError && size == 1 || unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// CheckEncoding reports, as an *AmbiguousError, an encoding header of a commit
// under which bytes of ASCII need not be ASCII: git log would convert the
// message before it looks for trailers, other readers would not. The header's
// absence is UTF-8.
func CheckEncoding(encoding string) error {
	if encoding == "" {
		return nil
	}
	name := strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(encoding))
	switch name {
	case "", "utf8", "ascii", "usascii", "gbk", "gb2312", "gb18030", "euccn", "eucjp", "euckr", "euctw",
		"shiftjis", "sjis", "cp932", "windows31j", "cp936", "cp949", "big5", "cp950", "koi8r", "koi8u", "tis620":
		return nil
	}
	for _, family := range []string{"iso8859", "latin", "windows125", "cp125", "cp437", "cp850", "cp866"} {
		if strings.HasPrefix(name, family) {
			return nil
		}
	}
	return &AmbiguousError{0, encoding, "in this encoding git log could read other trailers than other readers"}
}

// UTF8 reports whether a commit with this encoding header has its message in UTF-8,
// which a message that carries provenance must have.
func UTF8(encoding string) bool {
	return encoding == "" || strings.EqualFold(encoding, "UTF-8") || strings.EqualFold(encoding, "UTF8")
}
