package agent

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSplitMCP(t *testing.T) {
	for _, c := range []struct {
		name, servers string
		server, tool  string
		err           error
	}{
		{"mcp__github__get_issue", "github", "github", "get_issue", nil},
		{"mcp__a_b__c", "a_b", "a_b", "c", nil},
		{"mcp__a__b__c", "a a__b", "a__b", "c", nil},
		{"mcp__a__b__c", "a", "a", "b__c", nil},
		{"mcp_a_b_c", "a a_b", "a_b", "c", nil},
		{"mcp_a_b_c", "a", "a", "b_c", nil},
		{"mcp_a_b_c", "a_b_c", "", "", ErrNoServer},
		{"a-b-c", "a a-b", "a-b", "c", nil},
		{"a-b-c", "a", "a", "b-c", nil},
		{"good/ping", "good", "good", "ping", nil},
		{"a_b_c", "a_b", "a_b", "c", nil},
		{"git_hub__get_issue", "git_hub", "git_hub", "get_issue", nil},
		{"mcp__claude_ai_Linear__list", "claude.ai Linear", "", "", nil}, // a space in the name: see below
		{"mcp__x__y", "other", "", "", ErrNoServer},
		{"mcp__x__y", "", "", "", ErrNoServer},
		{"mcp__x__", "x", "", "", ErrNoServer},
		{"", "x", "", "", ErrNoServer},
		{"mcp__a_b__c", "a.b a_b", "", "", ErrAmbiguous},
		{"mcp__a_b__c", "a.b", "a.b", "c", nil},
		{"mcp__é_b__c", "é.b", "é.b", "c", nil},
		{"mcp____b__c", "é.b", "é.b", "c", nil},
		{"mcp___b__c", "é-b", "", "", ErrNoServer},
		{"mcp___b__c", "éb", "éb", "c", nil},
		{"mcp_____c", "😀", "", "", ErrNoServer},
		{"mcp__😀__c", "😀", "😀", "c", nil},
		{"mcp_x_y", "mcp x", "", "", ErrAmbiguous},
		{"mcp_x_y", "mcp", "mcp", "x_y", nil},
		{"GITHUB_x", "github", "", "", ErrNoServer},
	} {
		servers := strings.Fields(c.servers)
		if strings.Contains(c.servers, "claude.ai") {
			servers, c.server, c.tool = []string{c.servers}, c.servers, "list"
		}
		server, tool, err := SplitMCP(c.name, servers)
		if server != c.server || tool != c.tool || !errors.Is(err, c.err) {
			t.Errorf("%q among %q: got %q %q %v, want %q %q %v", c.name, c.servers, server, tool, err, c.server, c.tool, c.err)
		}
	}
}

// TestMCPMatches lists what else a name can mean.
func TestMCPMatches(t *testing.T) {
	var got []string
	for _, m := range MCPMatches("mcp_a_b_c", []string{"a", "a_b", "a", "x"}) {
		got = append(got, m.Server+" "+m.Tool)
	}
	if want := []string{"a_b c", "a b_c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// bruteSplit takes every place of a name for the border between server and tool,
// in every form, and compares what is left with each server as JavaScript
// and Go would have written it.
func bruteSplit(name string, servers []string) (server, tool string, found int) {
	type reading struct{ server, tool, prefix string }
	var all []reading
	for _, s := range servers {
		done := s == ""
		for _, form := range [][2]string{{"mcp__", "__"}, {"mcp_", "_"}, {"", "__"}, {"", "/"}, {"", "-"}, {"", "_"}} {
			for i := range name {
				for j := i + 1; j < len(name) && !done; j++ {
					if name[:i] == form[0] && strings.HasPrefix(name[j:], form[1]) && len(name[j:]) > len(form[1]) && couldBe(s, name[i:j]) {
						all = append(all, reading{s, name[j+len(form[1]):], form[0]})
						done = true
					}
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b reading) int { return len(b.server) - len(a.server) })
	for i, r := range all {
		if i > 0 && r.server != all[0].server && (len(r.server) == len(all[0].server) || r.prefix != all[0].prefix) {
			return "", "", 2
		}
	}
	if len(all) == 0 {
		return "", "", 0
	}
	return all[0].server, all[0].tool, 1
}

// couldBe builds a pattern in which each character that an agent may replace is
// itself or an underscore.
func couldBe(server, written string) bool {
	var pattern strings.Builder
	for _, r := range server {
		switch c := regexp.QuoteMeta(string(r)); {
		case strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r):
			pattern.WriteString(c)
		case r > 0xFFFF:
			pattern.WriteString(c)
		default:
			pattern.WriteString("(?:" + c + "|_)")
		}
	}
	return regexp.MustCompile("^(?:" + pattern.String() + ")$").MatchString(written)
}

func FuzzSplitMCP(f *testing.F) {
	f.Add("mcp__a_b__c", "a_b", "a", "b")
	f.Add("mcp_a_b_c", "a", "a_b", "mcp")
	f.Add("a-b-c", "a-b", "a", "")
	f.Add("mcp__a_b__c", "a.b", "a b", "a_b")
	f.Fuzz(func(t *testing.T, name, a, b, c string) {
		if len(name) > 60 || strings.ToValidUTF8(name+a+b+c, "") != name+a+b+c || strings.ContainsAny(name+a+b+c, "\n") {
			return
		}
		servers := []string{a, b, c}
		server, tool, err := SplitMCP(name, servers)
		wantServer, wantTool, found := bruteSplit(name, servers)
		want := []error{ErrNoServer, nil, ErrAmbiguous}[found]
		if server != wantServer || tool != wantTool || !errors.Is(err, want) {
			t.Fatalf("%q among %q: got %q %q %v, want %q %q %v", name, servers, server, tool, err, wantServer, wantTool, want)
		}
	})
}
