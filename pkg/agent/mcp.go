package agent

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNoServer reports a tool of none of the configured servers.
	ErrNoServer = errors.New("no configured MCP server fits")
	// ErrAmbiguous reports a tool that two configured servers could have.
	ErrAmbiguous = errors.New("more than one MCP server fits")
)

// nameForms are the ways in which agents make one name out of a server and
// its tool: Claude Code, Codex and Qwen Code; Gemini CLI, Crush and VS Code; Cline;
// Copilot CLI when it asks for permission; Copilot CLI; OpenCode.
func nameForms() [6]struct{ prefix, separator string } {
	return [...]struct{ prefix, separator string }{{"mcp__", "__"}, {"mcp_", "_"}, {"", "__"}, {"", "/"}, {"", "-"}, {"", "_"}}
}

// SplitMCP tells the server and the tool of an MCPCall's Name apart, by the names
// of the servers that are configured: separators stand inside names, too. Of
// servers that fit, the one with the longest name counts. Two with equally long
// names are ErrAmbiguous, and so are two that fit by different forms of a name.
//
// A server whose name begins with another's and a separator can be meant by a
// tool of that other one. MCPMatches gives all that fit.
func SplitMCP(name string, servers []string) (server, tool string, err error) {
	matches := MCPMatches(name, servers)
	if len(matches) == 0 {
		return "", "", fmt.Errorf("%q: %w", name, ErrNoServer)
	}
	best := matches[0]
	for _, m := range matches[1:] {
		if m.Server != best.Server && (len(m.Server) == len(best.Server) || m.prefix != best.prefix) {
			return "", "", fmt.Errorf("%q: %w: %q and %q", name, ErrAmbiguous, best.Server, m.Server)
		}
	}
	return best.Server, best.Tool, nil
}

// An MCPMatch is one way to read the name of a tool.
type MCPMatch struct {
	Server, Tool string
	prefix       string
}

// MCPMatches lists every configured server that a tool of this name can belong
// to, each once, the longest name first.
func MCPMatches(name string, servers []string) (matches []MCPMatch) {
	seen := map[string]bool{}
	for _, s := range servers {
		if seen[s] || s == "" {
			continue
		}
		seen[s] = true
		for _, form := range nameForms() {
			if tool := toolBehind(name, form.prefix, s, form.separator); tool != "" {
				matches = append(matches, MCPMatch{s, tool, form.prefix})
				break
			}
		}
	}
	for i := range matches { // few, and in a stable order
		for j := i; j > 0 && len(matches[j].Server) > len(matches[j-1].Server); j-- {
			matches[j], matches[j-1] = matches[j-1], matches[j]
		}
	}
	return matches
}

// toolBehind is what follows a server's name, or "" when the name is not made of
// these parts.
func toolBehind(name, prefix, server, separator string) string {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok || server == "" {
		return ""
	}
	if rest, ok = cutServer(rest, server); !ok {
		return ""
	}
	tool, ok := strings.CutPrefix(rest, separator)
	if !ok {
		return ""
	}
	return tool
}

// cutServer takes a server's name from the front of a tool's. Agents write _ for
// characters that a model's interface does not allow in names; which these are
// differs, so each may stand for itself, too. A character beyond U+FFFF, which
// JavaScript counts as two, does not fit.
func cutServer(name, server string) (rest string, ok bool) {
	for _, r := range server {
		c := string(r)
		switch {
		case strings.HasPrefix(name, c):
			name = name[len(c):]
		case plain(r) || r > 0xFFFF || !strings.HasPrefix(name, "_"):
			return "", false
		default:
			name = name[1:]
		}
	}
	return name, true
}

// plain reports whether every agent keeps the character in a name.
func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
}
