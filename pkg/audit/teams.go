package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// NoTeam is the team of people whom no line of the mapping names.
const NoTeam = "(no team)"

// Teams say which team a person belongs to, by address.
type Teams struct{ rules []teamRule }

type teamRule struct{ pattern, team string }

// ParseTeams reads a mapping: on each line an address, or a pattern with * and ?, and
// behind white space the name of the team. The last line that matches counts, as in
// CODEOWNERS. Blank lines and those that begin with # are passed over.
func ParseTeams(name string, data []byte) (Teams, error) {
	var t Teams
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		pattern, team, ok := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		if team = strings.TrimSpace(team); !ok || team == "" {
			return t, fmt.Errorf("%s:%d: %q: want an address or pattern, and behind it the name of a team", name, n, line)
		}
		t.rules = append(t.rules, teamRule{strings.ToLower(pattern), team})
	}
	if err := lines.Err(); err != nil {
		return t, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// Of is the team of an address.
func (t Teams) Of(email string) string {
	email = strings.ToLower(email)
	for i := len(t.rules) - 1; i >= 0; i-- {
		if trust.Match(t.rules[i].pattern, email) {
			return t.rules[i].team
		}
	}
	return NoTeam
}

// matches reports whether a name fits a pattern with * and ?, whatever the case.
func matches(pattern, name string) bool {
	return trust.Match(strings.ToLower(pattern), strings.ToLower(name))
}
