package audit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

func TestOwners(t *testing.T) {
	for _, c := range []struct{ rules, path, want string }{
		{"* @all", "a/b.go", "@all"},
		{"* @all\n*.js @js # who else\n", "deep/er/x.js", "@js"},
		{"* @all\n/build/logs/ @doctor", "build/logs/a/b", "@doctor"},
		{"/build/ @doctor", "src/build/a", ""},
		{"apps/ @octocat", "x/apps/y/z", "@octocat"},
		{"docs/* docs@example.com", "docs/a.md", "docs@example.com"},
		{"docs/* docs@example.com", "docs/sub/a.md", ""},
		{"docs/** @docs", "docs/sub/a.md", "@docs"},
		{"**/logs @logs", "deeply/nested/logs/today", "@logs"},
		{"/apps/ @octocat\n/apps/github", "apps/github/x", ""},
		{"/apps @octocat", "apps", "@octocat"},
		{"/src/a\\ b.txt @spaced", "src/a b.txt", "@spaced"},
		{"[Docs] @writers\n*.md\n[Code]\n*.md @coders\n*.go @go", "a/README.md", "@coders @writers"},
		{"^[Optional][2] @some\nx/", "x/y", "@some"},
		{"# nobody\n\n", "x", ""},
		{"no-owner\n", "no-owner", ""},
	} {
		if got := strings.Join(audit.ParseOwners([]byte(c.rules)).Of(c.path), " "); got != c.want {
			t.Errorf("%q of %s: want %q, got %q", c.rules, c.path, c.want, got)
		}
	}
}

// A file of owners is as large and as twisted as whoever pushes it likes.
func TestHostileOwners(t *testing.T) {
	deep := strings.Repeat("a/", 2000) + "b"
	var many strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&many, "%x\n", i)
	}
	many.WriteString("last.go @last\n")
	for name, c := range map[string]struct{ rules, path, want string }{
		"one line of a megabyte":       {strings.Repeat("x", 1<<20) + " @x\nb @b", "b", "@b"},
		"one pattern of 500,000 parts": {strings.Repeat("a/", 500_000) + "b @x", deep, ""},
		"a megabyte of owners":         {"* " + strings.Repeat("@o ", 1<<18), "b", strings.TrimSpace(strings.Repeat("@o ", 1<<18))},
		"a million patterns":           {many.String(), "src/last.go", "@last"},
		"stars":                        {strings.Repeat("*a", 400) + " @x\n", strings.Repeat("a", 4000) + "b", ""},
		"folders":                      {strings.Repeat("**/a/", 300) + "** @x\n", deep, "@x"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(audit.ParseOwners([]byte(c.rules)).Of(c.path), " "); got != c.want {
				t.Errorf("want %.80q, got %.80q", c.want, got)
			}
		})
	}
}
