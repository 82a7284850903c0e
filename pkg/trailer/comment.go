package trailer

import (
	"bytes"
	"strings"
)

// commentChars are what git chooses from, in this order, for core.commentChar=auto.
const commentChars = "#;@!$%^&|:"

// Comment is the comment prefix of a message file, given core.commentChar (or
// core.commentString): "" is "#", and "auto" is the character that git chose
// for this file. git takes the first of "#;@!$%^&|:" that starts no line of the
// message and then adds its own comment lines, so the choice is read back from
// these: from the scissors line, or from the comment at the end of the buffer.
// Without either, no line is a comment.
//
// A user who writes comments of his own in the editor cannot be told from
// content by the algorithm alone; the comment at the end, which git breaks with
// bare comment characters, decides then.
func Comment(commentChar string, message []byte) string {
	switch commentChar {
	case "":
		return "#"
	case "auto":
		return autoComment(message)
	}
	return commentChar
}

func autoComment(message []byte) string {
	end := len(message)
	char := ""
	for _, c := range commentChars {
		if at := scissorsAt(message, string(c)); at < end {
			char, end = string(c), at
		}
	}
	if char != "" {
		return char
	}
	if char, ok := trailingComment(message); ok {
		return char
	}
	return freeComment(message)
}

// trailingComment is the character of the comment that git put at the end.
func trailingComment(message []byte) (char string, ok bool) {
	text := bytes.TrimRight(message, space)
	if len(text) == 0 {
		return "", false
	}
	first := text[lineStart(text, len(text))]
	if strings.IndexByte(commentChars, first) < 0 {
		return "", false
	}
	char = string(first)
	start, bare := len(text), false
	for start > 0 {
		s := lineStart(text, start-1)
		if text[s] != first {
			break
		}
		bare = bare || len(bytes.TrimRight(text[s:start], space)) == 1
		start = s
	}
	return char, bare || freeComment(text[:start]) == char
}

// freeComment is the first character that starts no line of text. git gives up
// when there is none; so does the commit then, and any answer will do.
func freeComment(text []byte) string {
	taken := make(map[byte]bool)
	for i, c := range text {
		if i == 0 || text[i-1] == '\n' || text[i-1] == '\r' {
			taken[c] = true
		}
	}
	for i := range len(commentChars) {
		if !taken[commentChars[i]] {
			return commentChars[i : i+1]
		}
	}
	return "#"
}
