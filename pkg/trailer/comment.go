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
// That comment holds lines of words and bare comment characters. It decides also
// when lines were written in the editor that start with the same character.
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
	bare, words := false, false
	for end := len(text); end > 0; {
		start := lineStart(text, end-1)
		if text[start] != first {
			break
		}
		if len(bytes.TrimRight(text[start:end], space)) == 1 {
			bare = true
		} else {
			words = true
		}
		end = start
	}
	return string(first), bare && words
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
