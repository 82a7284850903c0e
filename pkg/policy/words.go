package policy

import (
	"strconv"
	"strings"
	"unicode"
)

// maxQuoted bounds a stranger's text inside a message, in bytes.
const maxQuoted = 120

// quote shows a text that somebody else wrote: in double quotes, without control
// or invisible characters or letters that only look Latin, cut to length.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// printable replaces what could move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func didYouMean(near string) string { return "did you mean " + near + "?" }

// nearest is the word that s was probably meant to be, or "".
func nearest(s string, words []string) string {
	best, far := "", 3
	for _, w := range words {
		d := distance(strings.ToLower(s), strings.ToLower(w))
		if d < far && d < max(len(w)/2, 1)+1 && d < len(s) {
			best, far = w, d
		}
	}
	return best
}

// distance counts letters to add, drop, change or swap with their neighbour.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// either joins words as people do: a, b or c.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
