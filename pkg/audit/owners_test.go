package audit_test

import (
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
