package agentevent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const agentsDir = "../../testdata/agents"

// A caller is an agent whose event before a call to an MCP server is known.
type caller struct {
	hint  string
	event string // below testdata/agents
	word  string // the server in it
	// config is where the agent has its servers, below the home directory, and member the
	// table there.
	config, member string
	// deny is the path to the reason in the agent's own form of no, with the member that
	// says no and its value; "" where exit code and stderr are it.
	deny string
	says [2]string
	exit int
	// between parts server and tool where nothing but the name of the tool tells the
	// server: without is the member that else does. "" where none can be mistaken.
	between, without string
}

func callers() []caller {
	const claude = "hookSpecificOutput.permissionDecisionReason"
	deny := [2]string{"hookSpecificOutput.permissionDecision", "deny"}
	return []caller{
		{hint: "claude-code", event: "claude-code/PreToolUse-mcp__good__ping", word: "good", config: ".claude.json", member: "mcpServers",
			deny: claude, says: deny, between: "__", without: "mcp_server"},
		{hint: "codex", event: "codex/PreToolUse-mcp__good__ping", word: "good", config: ".codex/config.toml", member: "mcp_servers",
			deny: claude, says: deny, between: "__"},
		{hint: "gemini-cli", event: "gemini-cli/BeforeTool-mcp_good_ping", word: "good", config: ".gemini/settings.json", member: "mcpServers",
			deny: "reason", says: [2]string{"decision", "deny"}, between: "_", without: "mcp_context"},
		{hint: "qwen-code", event: "qwen-code/PreToolUse-mcp__good__ping", word: "good", config: ".qwen/settings.json", member: "mcpServers",
			deny: claude, says: deny, between: "__"},
		{hint: "copilot-cli", event: "copilot-cli/preToolUse-good-ping", word: "good", config: ".copilot/mcp-config.json", member: "mcpServers",
			deny: "permissionDecisionReason", says: [2]string{"permissionDecision", "deny"}, between: "-"},
		{hint: "copilot-cli", event: "copilot-cli/permissionRequest-good_ping", word: "good", config: ".copilot/mcp-config.json", member: "mcpServers",
			deny: "message", says: [2]string{"behavior", "deny"}, exit: 2},
		{hint: "copilot-cli", event: "copilot-cli/documented/PreToolUse-mcp", word: "good", config: ".copilot/mcp-config.json", member: "mcpServers",
			deny: "permissionDecisionReason", says: [2]string{"permissionDecision", "deny"}, exit: 2, between: "-"},
		{hint: "copilot-vscode", event: "copilot-vscode/documented/PreToolUse-mcp", word: "github", config: ".config/Code/User/mcp.json", member: "servers",
			deny: claude, says: deny, between: "_"},
		{hint: "opencode", event: "opencode/tool.execute.before-good_ping", word: "good", config: ".config/opencode/opencode.json", member: "mcp",
			exit: 2, between: "_"},
		{hint: "cursor", event: "cursor/documented/beforeMCPExecution-command", word: "github", config: ".cursor/mcp.json", member: "mcpServers",
			deny: "agent_message", says: [2]string{"permission", "deny"}},
		{hint: "windsurf", event: "windsurf/documented/pre_mcp_tool_use", word: "github", config: ".codeium/windsurf/mcp_config.json", member: "mcpServers",
			exit: 2},
		{hint: "cline", event: "cline/documented/PreToolUse-mcp-of-a-child", word: "git_hub", config: ".cline/data/settings/cline_mcp_settings.json", member: "mcpServers",
			deny: "errorMessage", says: [2]string{"cancel", "true"}, between: "__"},
		{hint: "cline", event: "cline/documented/PreToolUse-use_mcp_tool", word: "git hub", config: ".cline/data/settings/cline_mcp_settings.json", member: "mcpServers",
			deny: "errorMessage", says: [2]string{"cancel", "true"}},
		{hint: "crush", event: "crush/documented/PreToolUse-mcp", word: "git_hub", config: ".config/crush/crush.json", member: "mcp",
			deny: "reason", says: [2]string{"decision", "deny"}, between: "_"},
	}
}

// A call to an MCP server is judged before it is made, by the policy that is visible here,
// and a no is said in each agent's own form.
func TestCallsAreJudged(t *testing.T) {
	t.Parallel()
	for _, c := range callers() {
		t.Run(c.event, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			good, evil := c.calls(w, "good", nil), c.calls(w, "evil", nil)
			configured := map[string]string{"good": "/opt/good", "evil": "/opt/evil"}
			w.configure(c, configured)

			c.allows(w, "no policy", evil)
			w.policyText("schema = 1\n[[model]]\nid = \"acme/*\"\nstatus = \"approved\"\n")
			c.allows(w, "a policy that names no MCP server", evil)

			w.policy("good", "docs")
			c.allows(w, "approved", good)
			c.denies(w, "not approved", evil, "evil", "[mcp-not-approved]", "approved here: good, docs")

			w.policyText("schema = 1\n[[mcp]]\nserver = \"**\"\nstatus = \"approved\"\n[[mcp]]\nserver = \"EVIL\"\nstatus = \"denied\"\n")
			c.allows(w, "approved by a pattern", good)
			c.denies(w, "denied by name", evil, "evil", "denied", "[mcp-not-approved]")

			if !strings.HasPrefix(c.hint, "cursor") && c.hint != "gemini-cli" { // these tell themselves what is run
				w.policyText("schema = 1\n[[mcp]]\nserver = \"good\"\ncommand = [\"/opt/good\", \"serve\"]\nstatus = \"approved\"\n")
				c.allows(w, "what is approved stands behind the name", good)
				configured["good"] = "/opt/evil"
				w.configure(c, configured)
				c.denies(w, "something else stands behind the name", good, "good", "not the one that is")
			}

			for name, text := range map[string]string{"broken": "schema = ", "of the future": "schema = 99\n", "with an unknown key": "schema = 1\nnew = 1\n"} {
				w.policyText(text)
				c.undecided(w, "a policy that is "+name, good)
			}
			w.must(os.Remove(w.policyPath()))
			w.must(os.Mkdir(w.policyPath(), 0o755))
			c.undecided(w, "a policy that cannot be read", good)
		})
	}
}

// A name that may be two servers' is as good as the worse of them.
func TestAmbiguousNames(t *testing.T) {
	t.Parallel()
	for _, c := range callers() {
		if c.between == "" {
			continue
		}
		t.Run(c.event, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			longer := "a" + c.between + "b"
			event := c.calls(w, longer, func(e map[string]any) { delete(e, c.without) })
			w.configure(c, map[string]string{"a": "/opt/a", longer: "/opt/ab"})
			w.policy("a")
			c.denies(w, "the shorter is approved", event, longer, "[mcp-not-approved]")
			w.policy(longer)
			c.denies(w, "the longer is approved", event, `"a"`, "[mcp-not-approved]")
			w.policy("a", longer)
			c.allows(w, "both are approved", event)

			if c.between == "_" {
				w.configure(c, map[string]string{"a.b": "/opt/1", "a b": "/opt/2"})
				w.policy("a.b", "a b")
				c.undecided(w, "two that are written alike", event)
			}
			w.configure(c, map[string]string{"other": "/opt/other"})
			w.policy("**")
			c.undecided(w, "none that is configured", event)
		})
	}
}

// What a large argument pushes out of sight is judged all the same.
func TestLargeArgumentHidesNothing(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 33<<20)
	for _, c := range callers() {
		if c.hint == "cursor" || strings.HasSuffix(c.event, "use_mcp_tool") { // the order of their members is not known
			continue
		}
		t.Run(c.event, func(t *testing.T) {
			w := newWorld(t)
			w.configure(c, map[string]string{"evil": "/opt/evil"})
			w.policy("good")
			event := c.calls(w, "evil", nil)
			at := strings.Index(event, c.input())
			if at < 0 {
				t.Fatalf("no arguments in %s", event)
			}
			at += strings.IndexByte(event[at:], '{') + 1
			a := c.tell(w, event[:at]+`"padding":"`+large+`",`+event[at:])
			if a.code == 0 && !c.saysNo(a) {
				t.Errorf("%+v", a)
			}
		})
	}
}

// input is the member with the arguments of a call.
func (c caller) input() string {
	switch {
	case c.hint == "opencode":
		return `"args"`
	case c.hint == "windsurf":
		return `"mcp_tool_arguments"`
	case c.event == "copilot-cli/preToolUse-good-ping":
		return `"toolArgs"`
	case c.event == "copilot-cli/permissionRequest-good_ping":
		return `"toolInput"`
	case c.hint == "cline":
		return `"input"`
	}
	return `"tool_input"`
}

// calls is the agent's event before a call to a tool of a server.
func (c caller) calls(w *world, server string, change func(map[string]any)) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(agentsDir, c.event+".json"))
	w.must(err)
	var file struct{ Stdin json.RawMessage }
	w.must(json.Unmarshal(data, &file))
	event := strings.ReplaceAll(string(file.Stdin), c.word, server)
	event = strings.ReplaceAll(strings.ReplaceAll(event, "/home/dev/shop", w.dir), "/home/dev", w.home)
	if c.hint == "opencode" {
		event = fmt.Sprintf(`{"gatekeeper":"opencode/1","hook":"tool.execute.before","session":"s","directory":%q,`, w.dir) +
			strings.TrimPrefix(strings.TrimSpace(event), "{")
	}
	if change == nil {
		return event
	}
	var members map[string]any
	w.must(json.Unmarshal([]byte(event), &members))
	change(members)
	return text(members)
}

// tell gives an event to the hook, in the environment that the agent makes for it.
func (c caller) tell(w *world, event string) answer {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(agentsDir, c.event+".json"))
	w.must(err)
	var file struct {
		Markers map[string]string `json:"env_markers"`
	}
	w.must(json.Unmarshal(data, &file))
	var vars []string
	for name, value := range file.Markers {
		vars = append(vars, name+"="+strings.ReplaceAll(strings.ReplaceAll(value, "/home/dev/shop", w.dir), "/home/dev", w.home))
	}
	return w.tell(c.hint, event, vars...)
}

// configure writes the agent's own list of servers, each with what it runs.
func (w *world) configure(c caller, servers map[string]string) {
	w.t.Helper()
	path := filepath.Join(w.home, c.config)
	if strings.HasSuffix(path, ".toml") {
		var b strings.Builder
		for name, program := range servers {
			fmt.Fprintf(&b, "[%s.%q]\ncommand = %q\nargs = [\"serve\"]\n", c.member, name, program)
		}
		w.put(path, b.String())
		return
	}
	table := map[string]any{}
	for name, program := range servers {
		table[name] = map[string]any{"command": program, "args": []string{"serve"}}
		if c.hint == "opencode" {
			table[name] = map[string]any{"type": "local", "command": []string{program, "serve"}}
		}
	}
	w.put(path, text(map[string]any{c.member: table}))
}

func (c caller) allows(w *world, why, event string) {
	w.t.Helper()
	w.goesOn(why, c.tell(w, event))
}

// denies wants a no in the agent's own form, whose reason has all of these words in it.
func (c caller) denies(w *world, why, event string, words ...string) {
	w.t.Helper()
	a := c.tell(w, event)
	reason := a.stderr
	if c.deny != "" {
		if !c.saysNo(a) {
			w.t.Errorf("%s: not denied: %+v", why, a)
		}
		reason = member(a.stdout, c.deny)
	} else if a.stdout != "" {
		w.t.Errorf("%s: answer %q to an agent that reads none", why, a.stdout)
	}
	if a.code != c.exit {
		w.t.Errorf("%s: exit code %d, want %d\n%s", why, a.code, c.exit, a.stderr)
	}
	for _, word := range words {
		if !strings.Contains(reason, word) {
			w.t.Errorf("%s: reason %q lacks %q", why, reason, word)
		}
	}
}

// undecided wants exit code 2 and what the agent may look at instead.
func (c caller) undecided(w *world, why, event string) {
	w.t.Helper()
	a := c.tell(w, event)
	if a.code != 2 || !strings.Contains(a.stderr, "gatekeeper cannot decide: ") {
		w.t.Errorf("%s: %+v", why, a)
	}
	if c.deny != "" && !c.saysNo(a) {
		w.t.Errorf("%s: answer %q", why, a.stdout)
	}
}

func (c caller) saysNo(a answer) bool {
	return c.deny != "" && member(a.stdout, c.says[0]) == c.says[1]
}

// member is what stands at a path of names in an object, as text.
func member(object, path string) string {
	var v any
	if json.Unmarshal([]byte(object), &v) != nil {
		return ""
	}
	for _, name := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return fmt.Sprint(v)
}

// policy makes a policy visible that approves MCP servers by name, and no other.
func (w *world) policy(servers ...string) {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("schema = 1\n")
	for _, s := range servers {
		b.WriteString("[[mcp]]\nserver = \"" + s + "\"\nstatus = \"approved\"\n")
	}
	w.policyText(b.String())
}

func (w *world) policyText(text string) {
	w.t.Helper()
	w.put(w.policyPath(), text)
}

func (w *world) policyPath() string { return filepath.Join(w.home, ".config/gatekeeper/policy.toml") }
