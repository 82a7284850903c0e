package mcp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

// servers reads what stands in a world, and nothing of the machine's.
func servers(tool, dir, home string, environ []string) ([]Server, []error) {
	return read(filepath.Join(filepath.Dir(home), "machine"), tool, dir, home, environ)
}

// world is a home and a project below one directory, with files in both.
func world(t *testing.T, files map[string]string) (dir, home string) {
	t.Helper()
	top := t.TempDir()
	for name, text := range files {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "TOP", top)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir = filepath.Join(top, "shop", "sub")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(top, "home")
}

// local and remote are a server of each kind, as most agents write them.
const (
	local  = `{"command":"npx","args":["-y","@acme/mcp"],"env":{"TOKEN":"secret"}}`
	remote = `{"type":"http","url":"https://mcp.example.com/x"}`
)

func TestServers(t *testing.T) {
	npx := func(name string) Server { return Server{Name: name, Command: []string{"npx", "-y", "@acme/mcp"}} }
	web := func(name string) Server { return Server{Name: name, URL: "https://mcp.example.com/x"} }
	mcpServers := func(name, server string) string { return `{"mcpServers":{"` + name + `":` + server + `}}` }
	for _, c := range []struct {
		name  string
		tool  string
		files map[string]string
		env   []string
		want  []Server
	}{
		{"the user's, the project's and those of this place", "claude-code", map[string]string{
			"home/.claude.json": `{"numStartups":3,"mcpServers":{"u":` + local + `},"projects":{"TOP/shop":{"mcpServers":{"p":` + remote + `}},"TOP/other":{"mcpServers":{"o":` + local + `}}}}`,
			"shop/.mcp.json":    mcpServers("s", local),
		}, nil, []Server{npx("s"), npx("u"), web("p")}},
		{"a directory of its own", "claude-code", map[string]string{"conf/.claude.json": mcpServers("u", local)}, []string{"CLAUDE_CONFIG_DIR=TOP/conf"}, []Server{npx("u")}},
		{"tables, quoted and not, inline and dotted", "codex", map[string]string{
			"home/.codex/config.toml": "model = \"gpt-5.5\" # c\n[mcp_servers.a]\ncommand = \"npx\"\nargs = [ # list\n  '-y',\n  \"@acme/mcp\",\n]\nenv = { TOKEN = \"secret\" }\n[mcp_servers.\"b c\"]\nurl = \"https://mcp.example.com/x\"\nstartup_timeout_sec = 20\n",
			"shop/.codex/config.toml": "mcp_servers.d = { command = \"npx\", args = [\"-y\", \"@acme/mcp\"] }\n",
		}, nil, []Server{npx("a"), web("b c"), npx("d")}},
		{"CODEX_HOME", "codex", map[string]string{"ch/config.toml": "[mcp_servers.a]\nurl=\"https://mcp.example.com/x\"\n"}, []string{"CODEX_HOME=TOP/ch"}, []Server{web("a")}},
		{"settings with comments", "gemini-cli", map[string]string{
			"home/.gemini/settings.json": "{ // mine\n\"theme\":\"x\",\"mcpServers\":{\"a\":" + local + ",},}",
			"shop/.gemini/settings.json": `{"mcpServers":{"b":{"httpUrl":"https://mcp.example.com/x"}}}`,
		}, nil, []Server{npx("a"), web("b")}},
		{"Qwen reads .mcp.json, too", "qwen-code", map[string]string{
			"home/.qwen/settings.json": mcpServers("a", local), "shop/sub/.qwen/settings.json": mcpServers("b", local), "shop/.mcp.json": mcpServers("c", remote),
		}, nil, []Server{npx("a"), npx("b"), web("c")}},
		{"three places", "copilot-cli", map[string]string{
			"home/.copilot/mcp-config.json": mcpServers("a", local), "shop/.mcp.json": mcpServers("b", local), "shop/.github/mcp.json": mcpServers("c", remote),
			"shop/.vscode/mcp.json": `{"servers":{"not-its-own":` + local + `}}`,
		}, nil, []Server{npx("a"), npx("b"), web("c")}},
		{"the editor's", "copilot-vscode", map[string]string{"shop/.vscode/mcp.json": `{"servers":{"a":` + remote + `}}`}, nil, []Server{web("a")}},
		{"commands as lists, in five places", "opencode", map[string]string{
			"home/.config/opencode/opencode.jsonc": `{"mcp":{"a":{"type":"local","command":["npx","-y","@acme/mcp"],"enabled":true}}} // c`,
			"shop/opencode.json":                   `{"mcp":{"b":{"type":"remote","url":"https://mcp.example.com/x"}}}`,
			"shop/.opencode/opencode.json":         `{"mcp":{"c":{"type":"remote","url":"https://mcp.example.com/x"}}}`,
			"other.json":                           `{"mcp":{"d":{"type":"remote","url":"https://mcp.example.com/x"}}}`,
		}, []string{"OPENCODE_CONFIG=TOP/other.json", `OPENCODE_CONFIG_CONTENT={"mcp":{"e":{"url":"https://mcp.example.com/x"}}}`},
			[]Server{npx("a"), web("b"), web("c"), web("d"), web("e")}},
		{"XDG_CONFIG_HOME", "opencode", map[string]string{"x/opencode/config.json": `{"mcp":{"a":` + remote + `}}`}, []string{"XDG_CONFIG_HOME=TOP/x"}, []Server{web("a")}},
		{"below its data", "cline", map[string]string{"home/.cline/data/settings/cline_mcp_settings.json": mcpServers("a", local)}, nil, []Server{npx("a")}},
		{"a file that the environment names", "cline", map[string]string{"m.json": mcpServers("a", local)}, []string{"CLINE_MCP_SETTINGS_PATH=TOP/m.json"}, []Server{npx("a")}},
		{"both", "cursor", map[string]string{"home/.cursor/mcp.json": mcpServers("a", local), "shop/.cursor/mcp.json": mcpServers("b", remote)}, nil, []Server{npx("a"), web("b")}},
		{"serverUrl", "windsurf", map[string]string{"home/.codeium/windsurf/mcp_config.json": `{"mcpServers":{"a":{"serverUrl":"https://mcp.example.com/x"}}}`}, nil, []Server{web("a")}},
		{"crush.json", "crush", map[string]string{"shop/crush.json": `{"mcp":{"a":{"type":"stdio","command":"npx","args":["-y","@acme/mcp"]}}}`}, nil, []Server{npx("a")}},
		{"one name, two definitions", "cursor", map[string]string{"home/.cursor/mcp.json": mcpServers("a", local), "shop/.cursor/mcp.json": mcpServers("a", remote)}, nil, []Server{npx("a"), web("a")}},
		{"one definition, twice", "cursor", map[string]string{"home/.cursor/mcp.json": mcpServers("a", local), "shop/.cursor/mcp.json": mcpServers("a", local)}, nil, []Server{npx("a")}},
		{"a server that says nothing of itself", "cursor", map[string]string{"home/.cursor/mcp.json": mcpServers("a", `{"args":["x"]}`)}, nil, []Server{{Name: "a"}}},
		{"the machine's", "claude-code", map[string]string{"machine/etc/claude-code/managed-mcp.json": mcpServers("a", local)}, nil, []Server{npx("a")}},
		{"the machine's", "codex", map[string]string{"machine/etc/codex/config.toml": "[mcp_servers.a]\nurl=\"https://mcp.example.com/x\"\n"}, nil, []Server{web("a")}},
		{"nothing configured", "claude-code", nil, nil, nil},
		{"an agent without such files", "aider", map[string]string{"shop/.mcp.json": mcpServers("s", local)}, nil, nil},
	} {
		t.Run(c.tool+": "+c.name, func(t *testing.T) {
			dir, home := world(t, c.files)
			for i := range c.env {
				c.env[i] = strings.ReplaceAll(c.env[i], "TOP", filepath.Dir(home))
			}
			got, notes := servers(c.tool, dir, home, c.env)
			byName := cmpopts.SortSlices(func(a, b Server) bool { return a.Name+a.URL < b.Name+b.URL })
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Server{}, "File"), byName, cmpopts.EquateEmpty()); diff != "" || len(notes) > 0 {
				t.Error(notes, diff)
			}
			for _, s := range got {
				if s.File == "" {
					t.Errorf("%s has no file", s.Name)
				}
			}
		})
	}
}

// TestBrokenFiles are reported, and hide no other file.
func TestBrokenFiles(t *testing.T) {
	for name, c := range map[string]struct{ tool, file, text, note string }{
		"JSON that breaks off":          {"cursor", "shop/.cursor/mcp.json", `{"mcpServers":{"b":{"url":"x"`, "breaks off"},
		"JSON with an open end":         {"cursor", "shop/.cursor/mcp.json", `{"mcpServers":{}} /* `, "more text"},
		"args that are no list":         {"cursor", "shop/.cursor/mcp.json", `{"mcpServers":{"b":{"command":"x","args":"y"}}}`, "no list"},
		"args that are no strings":      {"cursor", "shop/.cursor/mcp.json", `{"mcpServers":{"b":{"command":"x","args":["y",1]}}}`, "no list"},
		"a command of numbers":          {"opencode", "shop/opencode.json", `{"mcp":{"b":{"command":[1]}}}`, "no list"},
		"TOML args that are no strings": {"codex", "shop/.codex/config.toml", "[mcp_servers.b]\ncommand = \"x\"\nargs = [\"y\", 1]\n", "no list"},
		"TOML that breaks off":          {"codex", "shop/.codex/config.toml", "[mcp_servers.b\n", "config.toml"},
		"TOML of another kind":          {"codex", "shop/.codex/config.toml", "mcp_servers = 3\n", "config.toml"},
		"TOML with other args":          {"codex", "shop/.codex/config.toml", "[mcp_servers.b]\ncommand = \"x\"\nargs = 1\n", "config.toml"},
		"TOML nested without end":       {"codex", "shop/.codex/config.toml", "a = " + strings.Repeat("[", 500_000), "nested too deep"},
		"too many servers":              {"cursor", "shop/.cursor/mcp.json", manyServers(), "more than 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, home := world(t, map[string]string{
				c.file:                                c.text,
				"home/.cursor/mcp.json":               `{"mcpServers":{"a":` + remote + `}}`,
				"home/.config/opencode/opencode.json": `{"mcp":{"a":` + remote + `}}`,
				"home/.codex/config.toml":             "[mcp_servers.a]\nurl = \"https://mcp.example.com/x\"\n",
			})
			found, notes := servers(c.tool, dir, home, nil)
			if len(notes) == 0 || !strings.Contains(notes[0].Error(), c.note) || !strings.Contains(notes[0].Error(), filepath.Base(c.file)) {
				t.Errorf("notes: %v, want %q", notes, c.note)
			}
			for _, s := range found {
				if s.Name == "b" && s.Command != nil {
					t.Errorf("half a command passes for one: %q", s.Command)
				}
			}
			if len(found) == 0 || found[0].Name != "a" || len(found) > maxServers || len(notes) > maxNotes {
				t.Errorf("%d servers, %d notes", len(found), len(notes))
			}
		})
	}
}

func manyServers() string {
	var b strings.Builder
	b.WriteString(`{"mcpServers":{"x":{}`)
	for i := range 2000 {
		b.WriteString(`,"` + strings.Repeat("s", i%50) + strings.Repeat("t", i/50) + `":{}`)
	}
	return b.String() + "}}"
}

// TestPipesAndDirectories are no configuration.
func TestPipesAndDirectories(t *testing.T) {
	dir, home := world(t, map[string]string{"shop/.mcp.json/x": "", "home/.claude.json/x": "", "shop/.gemini": "a file"})
	for _, tool := range []string{"claude-code", "gemini-cli"} {
		if found, notes := servers(tool, dir, home, []string{"CLAUDE_CONFIG_DIR=/dev/null"}); len(found)+len(notes) > 0 {
			t.Errorf("%s: got %v, %v", tool, found, notes)
		}
	}
	for _, dir := range []string{"", "relative", "/", "/none/such"} {
		if found, notes := servers("claude-code", dir, home, nil); len(found)+len(notes) > 0 {
			t.Errorf("%q: got %v, %v", dir, found, notes)
		}
	}
}

// TestNamesOfTools resolves what a payload calls a tool by what is configured.
func TestNamesOfTools(t *testing.T) {
	dir, home := world(t, map[string]string{"home/.codex/config.toml": "[mcp_servers.git]\nurl = \"u\"\n[mcp_servers.\"git hub\"]\ncommand = \"c\"\n"})
	found, notes := servers("codex", dir, home, nil)
	var names []string
	for _, s := range found {
		names = append(names, s.Name)
	}
	server, tool, err := agent.SplitMCP("mcp__git_hub__get_issue", names)
	if server != "git hub" || tool != "get_issue" || err != nil || len(notes) > 0 {
		t.Errorf("got %q %q %v %v", server, tool, err, notes)
	}
}

func FuzzServers(f *testing.F) {
	f.Add(`{"mcpServers":{"a":{"command":"x","args":["y"]}},"projects":{"/":{"mcpServers":{}}}}`, "[mcp_servers.a]\ncommand='x'\n")
	f.Add(`{"mcp":{"a":{"command":["x"]}},} // c`, "a=[[[[")
	f.Fuzz(func(t *testing.T, json, toml string) {
		dir, home := world(t, map[string]string{
			"home/.claude.json": json, "shop/.mcp.json": json, "shop/opencode.json": json, "home/.codex/config.toml": toml,
		})
		for _, tool := range []string{"claude-code", "opencode", "codex"} {
			found, notes := servers(tool, dir, home, nil)
			again, _ := servers(tool, dir, home, nil)
			if diff := cmp.Diff(found, again); diff != "" {
				t.Fatalf("not the same twice: %s", diff)
			}
			if len(found) > maxServers || len(notes) > maxNotes {
				t.Fatalf("%d servers, %d notes", len(found), len(notes))
			}
		}
	})
}
