package agent

import (
	"strconv"
	"strings"
)

// sessionHole stands in a Source for the agent's session id, which is kept only as
// its hash: the one name in the directory that hashes to it fills the hole.
const sessionHole = "{session}"

// A source is a Source taken apart: whose file it is, where it stands, and
// what to look for in it.
type source struct {
	tool    string
	path    string // with sessionHole for the session's id
	session string // SessionID
	keys    []string
}

// String writes the one-line text of a source, or "" when there is no file to name.
//
//	claude-code "/home/dev/.claude/projects/-r/{session}.jsonl" 9f2c1b7e0a44 "toolu_01"
func (s source) String() string {
	if s.path == "" || len(s.path) > maxPath {
		return ""
	}
	words := []string{s.tool, strconv.Quote(s.path), s.session}
	for _, k := range s.keys {
		if len(k) > maxPath {
			return ""
		}
		words = append(words, strconv.Quote(k))
	}
	return strings.Join(words, " ")
}

// parseSource accepts what String writes.
func parseSource(text string) (s source, ok bool) {
	s.tool, text, _ = strings.Cut(text, " ")
	s.path, text, ok = cutQuoted(text)
	if !ok || !strings.HasPrefix(text, " ") {
		return s, false
	}
	s.session, text, _ = strings.Cut(text[1:], " ")
	for text != "" {
		var key string
		if key, text, ok = cutQuoted(text); !ok {
			return s, false
		}
		s.keys = append(s.keys, key)
		text = strings.TrimPrefix(text, " ")
	}
	return s, true
}

func cutQuoted(text string) (value, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	value, err = strconv.Unquote(quoted)
	return value, text[len(quoted):], err == nil
}

// key is the i-th thing to look for, or "".
func (s source) key(i int) string {
	if i < len(s.keys) {
		return s.keys[i]
	}
	return ""
}

// source points to a file of the agent that tells more. Without a session id
// of some length nothing is replaced in the path.
func (d *decoding) source(path, session string, keys ...string) string {
	if path == "" || !absolute(path) || strings.Contains(path, sessionHole) {
		return ""
	}
	if len(session) >= 8 {
		path = strings.ReplaceAll(path, session, sessionHole)
	}
	for len(keys) > 0 && keys[len(keys)-1] == "" {
		keys = keys[:len(keys)-1]
	}
	return source{d.event.Tool.Name, path, d.event.Session, keys}.String()
}

// home is the user's directory, or "".
func (e environment) home() string { return e.first([]string{"HOME", "USERPROFILE"}) }

// under is a path below the first of some directories that is set, the user's home
// standing behind them with a path of its own.
func (e environment) under(variable, belowHome, path string) string {
	if dir := e.get(variable); dir != "" {
		return dir + "/" + path
	}
	if home := e.home(); home != "" {
		return home + "/" + belowHome + "/" + path
	}
	return ""
}
