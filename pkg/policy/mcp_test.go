package policy

import (
	"testing"
)

const mcpPolicy = `schema = 1
[[mcp]]
server = "github"
command = ["npx", "-y", "@acme/mcp-github@1.4.2"]
status = "approved"
[[mcp]]
server = "docs"
url = "https://mcp.example.com/docs"
tools = ["search", "read_*"]
status = "approved"
[[mcp]]
server = "local-*"
status = "approved"
[[mcp]]
server = "local-evil"
status = "denied"
[[mcp]]
server = "local-y"
tools = ["delete_*"]
status = "denied"
[[mcp]]
server = "**"
url = "https://evil.example.com"
status = "denied"
`

func TestMCP(t *testing.T) {
	p, err := Parse("policy.toml", []byte(mcpPolicy), nil)
	if err != nil {
		t.Fatal(err)
	}
	npx := []string{"npx", "-y", "@acme/mcp-github@1.4.2"}
	for _, tt := range []struct {
		name  string
		q     MCPQuery
		entry string // that decides
		want  string // the reason of a refusal, "" for leave
	}{
		{"the command as approved", MCPQuery{Server: "github", Command: npx}, "policy.toml:2", ""},
		{"another command under the name", MCPQuery{Server: "github", Command: []string{"npx", "evil"}}, "",
			`MCP server "github" is not approved: it is not the one that is (policy.toml:2)`},
		{"nothing known but the name", MCPQuery{Server: "github"}, "",
			`MCP server "github" is not approved: what stands behind the name is not known (policy.toml:2)`},
		{"by name alone, as in a commit", MCPQuery{Server: "github", NameOnly: true}, "policy.toml:2", ""},
		{"the URL with a slash", MCPQuery{Server: "docs", URL: "https://mcp.example.com/docs/", Tool: "read_page"}, "policy.toml:6", ""},
		{"a tool that is not listed", MCPQuery{Server: "docs", URL: "https://mcp.example.com/docs", Tool: "write"}, "",
			`MCP server "docs" is not approved for its tool "write" (policy.toml:6)`},
		{"a tool that is not known", MCPQuery{Server: "docs", URL: "https://mcp.example.com/docs"}, "",
			`MCP server "docs" is not approved`},
		{"by a pattern", MCPQuery{Server: "local-files"}, "policy.toml:11", ""},
		{"a denial wins, in any case", MCPQuery{Server: "local-evil"}, "policy.toml:14", `MCP server "local-evil" is denied`},
		{"a denial does not mind case", MCPQuery{Server: "Local-Evil"}, "policy.toml:14", `MCP server "Local-Evil" is denied`},
		{"an approval does", MCPQuery{Server: "Local-files"}, "", `MCP server "Local-files" is not approved`},
		{"denied by what it is", MCPQuery{Server: "local-x", URL: "https://evil.example.com"}, "policy.toml:21", `MCP server "local-x" is denied`},
		{"a tool that is denied", MCPQuery{Server: "local-y", Tool: "delete_page"}, "policy.toml:17", `MCP server "local-y" is denied`},
		{"a commit says neither which tool it was, nor what stands behind the name", MCPQuery{Server: "local-y", NameOnly: true}, "policy.toml:11", ""},
		{"a name that is denied", MCPQuery{Server: "LOCAL-evil", NameOnly: true}, "policy.toml:14", `MCP server "LOCAL-evil" is denied`},
		{"nobody named it", MCPQuery{Server: "other"}, "", `MCP server "other" is not approved`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := p.MCP(tt.q)
			reason := ""
			if !d.Allowed {
				reason = d.Reason
			}
			if reason != tt.want || d.Entry != tt.entry || !d.Allowed && (d.Rule != RuleMCPNotApproved || d.Hint == "") {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestMCPNotJudged(t *testing.T) {
	p, err := Parse("policy.toml", []byte("schema = 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := p.MCP(MCPQuery{Server: "anything"}); !d.Allowed || p.JudgesMCP() {
		t.Errorf("%+v", d)
	}
}
