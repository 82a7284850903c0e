package gate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxShown bounds a string of a stranger's on its way to a terminal, in bytes.
const MaxShown = 200

// Plain makes a string of a stranger's safe to show on one line of a terminal:
// control characters, invalid UTF-8 and the characters that turn the direction
// of text or have no width become \x.. or \u...., and it is cut at MaxShown bytes.
func Plain(s string) string {
	var b strings.Builder
	for i, r := range s {
		if b.Len() >= MaxShown {
			b.WriteString("…")
			break
		}
		size := utf8.RuneLen(r)
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			writeHex(&b, `\x`, uint32(s[i]), 2)
		case r < 0x20 || r == 0x7f:
			writeHex(&b, `\x`, uint32(r), 2)
		case size > 1 && !unicode.IsPrint(r):
			writeHex(&b, `\u`, uint32(r), 4)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func writeHex(b *strings.Builder, prefix string, v uint32, digits int) {
	const set = "0123456789abcdef"
	b.WriteString(prefix)
	for digits < 8 && v>>(4*digits) != 0 {
		digits++
	}
	for i := digits - 1; i >= 0; i-- {
		b.WriteByte(set[v>>(4*i)&15])
	}
}
