package audit

import (
	"strings"
	"testing"
)

func TestUnpinned(t *testing.T) {
	for command, pinned := range map[string]bool{
		"npx -y @acme/mcp@1.4.2":                               true,
		"npx -y @acme/mcp":                                     false,
		"npx -y @acme/mcp@latest":                              false,
		"npx -y @acme/mcp@^1.4.2":                              false,
		"npx -y @acme/mcp@1":                                   false,
		"npx -y --package=mcp@1.0.0 mcp":                       true,
		"npx --package mcp mcp":                                false,
		"/usr/bin/npx mcp":                                     false,
		`C:\node\npx.cmd mcp`:                                  false,
		"npx ./local":                                          true,
		"bunx mcp@2.0.0-beta.1":                                true,
		"pnpm dlx mcp":                                         false,
		"pnpm install":                                         true,
		"uvx mcp-files==1.2.3":                                 true,
		"uvx mcp-files":                                        false,
		"uvx --from mcp-files==1.2.3 files":                    true,
		"pipx run mcp-files":                                   false,
		"uv tool run mcp-files":                                false,
		"docker run -i --rm -e TOKEN ghcr.io/acme/mcp":         false,
		"docker run -i --rm ghcr.io/acme/mcp:1.0":              false,
		"docker run -i ghcr.io/acme/mcp@sha256:0123":           true,
		"docker run -e A=b --rm ghcr.io/acme/mcp@sha256:0 x:y": true,
		"go run example.com/mcp@v1.2.3":                        true,
		"go run example.com/mcp@latest":                        false,
		"/opt/mcp/server --port 1":                             true,
		"node server.js":                                       true,
		"":                                                     true,
	} {
		if why := unpinned(strings.Fields(command)); (why == "") != pinned {
			t.Errorf("%q: %q, want pinned %v", command, why, pinned)
		}
	}
}

func TestCell(t *testing.T) {
	for in, want := range map[string]string{"": "", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "-1", "-1+x": "'-1+x", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx"} {
		if got := Cell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMonthOf(t *testing.T) {
	for seconds, want := range map[int64]string{0: "1970-01", -1: "1969-12", 951782399: "2000-02", 951868800: "2000-03", 1767225599: "2025-12", 1767225600: "2026-01", 253402300799: "9999-12"} {
		if got := monthName(monthOf(seconds)); got != want {
			t.Errorf("%d: %s, want %s", seconds, got, want)
		}
	}
}
