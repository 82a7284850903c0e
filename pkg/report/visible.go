package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible writes every character that is not to be seen as its number, \u202e: those that
// a terminal obeys, that turn the direction of text or have no width. Bytes that are no
// UTF-8 become \xff. The runes of keep stay.
func visible(s, keep string) string {
	if plain(s, keep) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case seen(r, keep):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func plain(s, keep string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !seen(r, keep) {
			return false
		}
	}
	return true
}

func seen(r rune, keep string) bool { return unicode.IsPrint(r) || strings.ContainsRune(keep, r) }
