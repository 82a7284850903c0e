package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeCodex puts a program on PATH that answers as `codex app-server` 0.169 does, with
// the messages it was seen to send: notifications come between, the hooks of hooks.json
// are listed, and what batchWrite says goes into config.toml in Codex's own layout.
func (u *user) fakeCodex() {
	u.t.Helper()
	u.program("codex")
	self, err := os.Executable()
	if err != nil {
		u.t.Fatal(err)
	}
	u.write("bin/codex", fmt.Sprintf("#!/bin/sh\n[ \"$1\" = app-server ] || exit 64\nFAKE_CODEX=1 exec %s\n", posix.word(self)))
}

func TestMain(m *testing.M) {
	if os.Getenv("FAKE_CODEX") != "" {
		serveAsCodex()
		return
	}
	os.Exit(m.Run())
}

func serveAsCodex() {
	dir := codexDir(World{Environ: os.Environ()})
	say := func(v any) {
		line, _ := json.Marshal(v)
		fmt.Printf("%s\n", line)
	}
	greeted := false
	for in := json.NewDecoder(os.Stdin); ; {
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
		}
		if in.Decode(&m) != nil {
			return
		}
		switch {
		case m.Method == "initialize":
			say(map[string]any{"id": m.ID, "result": map[string]string{"userAgent": "gatekeeper/0.169.0", "codexHome": dir}})
		case m.Method == "initialized":
			greeted = true
			say(map[string]any{"method": "configWarning", "params": map[string]any{"summary": "no bubblewrap", "details": nil}, "emittedAtMs": 1795613376135})
		case !greeted:
			say(map[string]any{"id": m.ID, "error": map[string]any{"code": -32600, "message": "Not initialized"}})
		case m.Method == "hooks/list":
			say(map[string]any{"id": m.ID, "result": map[string]any{"data": []any{map[string]any{"hooks": codexHooksOf(dir), "warnings": []any{}}}}})
		case m.Method == "config/batchWrite":
			writeAsCodex(filepath.Join(dir, "config.toml"), m.Params)
			say(map[string]any{"id": m.ID, "result": map[string]any{"status": "ok", "overriddenMetadata": nil}})
		}
	}
}

func codexHooksOf(dir string) (list []any) {
	data, _ := os.ReadFile(codexHooks(dir))
	var file struct {
		Hooks map[string][]struct {
			Hooks []struct{ Command string }
		}
	}
	_ = json.Unmarshal(data, &file)
	config, _ := os.ReadFile(filepath.Join(dir, "config.toml"))
	for event, groups := range file.Hooks {
		for i, g := range groups {
			for j, h := range g.Hooks {
				key := fmt.Sprintf("%s:%s:%d:%d", codexHooks(dir), snake(event), i, j)
				hash := "sha256:" + digest([]byte(event+h.Command))
				status := "untrusted"
				if strings.Contains(string(config), fmt.Sprintf("[hooks.state.%q]\ntrusted_hash = %q\n", key, hash)) {
					status = "trusted"
				}
				list = append(list, map[string]any{"key": key, "handlerType": "command", "command": h.Command, "sourcePath": codexHooks(dir),
					"source": "user", "enabled": true, "currentHash": hash, "trustStatus": status})
			}
		}
	}
	return list
}

func writeAsCodex(path string, params json.RawMessage) {
	var p struct {
		Edits []struct {
			KeyPath, MergeStrategy string
			Value                  map[string]struct {
				Hash string `json:"trusted_hash"`
			}
		}
	}
	_ = json.Unmarshal(params, &p)
	config, _ := os.ReadFile(path)
	text := string(config)
	for _, e := range p.Edits {
		if e.Value == nil {
			_, from, _ := strings.Cut(text, "\n["+e.KeyPath+"]\n")
			table, _, _ := strings.Cut(strings.TrimSuffix(from, "\n"), "\n\n")
			text = strings.Replace(text, "\n["+e.KeyPath+"]\n"+table+"\n", "", 1)
			continue
		}
		if !strings.Contains(text, "[hooks.state]\n") {
			text += "[hooks.state]\n"
		}
		for key, v := range e.Value {
			text += fmt.Sprintf("\n[hooks.state.%q]\ntrusted_hash = %q\nenabled = true\n", key, v.Hash)
		}
	}
	_ = os.WriteFile(path, []byte(text), 0o600)
}

func TestCodexIsToldToTrustOurHooksAlone(t *testing.T) {
	const config = "model = \"gpt-5.5\" # mine\n"
	for _, had := range []bool{true, false} {
		u := newUser(t)
		u.fakeCodex()
		u.write(".codex/hooks.json", `{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"/opt/theirs.sh"}]}]}}`)
		if had {
			u.write(".codex/config.toml", config)
		}
		before := u.snapshot()
		u.place("codex")
		events := len(targetOf(u, "codex").hooks.events)

		if got, err := u.world().AskCodex(t.Context()); err != nil || got != (Trust{events, 0}) || got.All() {
			t.Errorf("before: %+v, %v", got, err)
		}
		if got := u.world().NotedTrust(); got != (Trust{events, 0}) {
			t.Errorf("noted before: %+v", got)
		}
		if got, err := u.world().TrustCodex(t.Context()); err != nil || got != (Trust{events, events}) || !got.All() {
			t.Errorf("trusted: %+v, %v", got, err)
		}
		if got := u.world().NotedTrust(); !got.All() {
			t.Errorf("noted: %+v", got)
		}
		if strings.Contains(u.read(".codex/config.toml"), ":stop:0:0") {
			t.Error("a hook of somebody else is trusted")
		}
		with := u.snapshot()
		if _, err := u.world().TrustCodex(t.Context()); err != nil {
			t.Error(err)
		}
		u.wantSame(with)

		if err := u.world().WithdrawTrust(t.Context()); err != nil {
			t.Error(err)
		}
		wantDone(t, u.remove("codex"), Removed)
		u.wantSame(before)
	}
}

// Where config.toml has changed since, Codex itself takes the trust back.
func TestTrustIsTakenBackByCodexWhereMoreHasChanged(t *testing.T) {
	u := newUser(t)
	u.fakeCodex()
	u.write(".codex/config.toml", "model = \"gpt-5.5\"\n")
	u.place("codex")
	if _, err := u.world().TrustCodex(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.write(".codex/config.toml", "approval_policy = \"never\"\n"+u.read(".codex/config.toml"))
	if err := u.world().WithdrawTrust(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDone(t, u.remove("codex"), Removed)
	if got, want := u.read(".codex/config.toml"), "approval_policy = \"never\"\nmodel = \"gpt-5.5\"\n[hooks.state]\n"; got != want {
		t.Errorf("config.toml is %q, want %q", got, want)
	}
}

// Without Codex, or with one that does not answer, that is said, and nothing is lost.
func TestTrustThatCannotBeTakenBackIsNamed(t *testing.T) {
	u := newUser(t)
	u.fakeCodex()
	u.place("codex")
	if _, err := u.world().TrustCodex(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.write(".codex/config.toml", "model = \"gpt-5.5\"\n"+u.read(".codex/config.toml"))
	if err := os.Remove(u.path("bin/codex")); err != nil {
		t.Fatal(err)
	}
	if err := u.world().WithdrawTrust(t.Context()); err == nil || !strings.Contains(err.Error(), "no codex on PATH") {
		t.Errorf("withdrawn: %v", err)
	}
	reports := u.remove("codex")
	wantDone(t, reports, Left)
	if !strings.Contains(reports[0].Detail, "still has their trust") {
		t.Errorf("said is %q", reports[0].Detail)
	}
	if placed, err := u.world().Placed(); err != nil || len(placed) != 1 {
		t.Errorf("placed are %v, %v", placed, err)
	}
	u.fakeCodex()
	if err := u.world().WithdrawTrust(t.Context()); err != nil {
		t.Error(err)
	}
	wantDone(t, u.remove("codex"), Kept)
	if placed, err := u.world().Placed(); err != nil || len(placed) > 0 {
		t.Errorf("placed are %v, %v", placed, err)
	}
}

func TestACodexThatMisbehavesIsSaid(t *testing.T) {
	tests := []struct{ name, program, want string }{
		{"it ends", "exit 1", "codex app-server"},
		{"it says nothing", "exec sleep 60", "did not answer in time"},
		{"it says nothing, behind a script", "sleep 5 & wait", "did not answer in time"},
		{"it never stops talking", `while :; do echo '{"method":"x"}'; done`, "did not answer in time"},
		{"a line without an end", "exec yes | tr -d '\\n'", "buffer full"},
		{"no JSON", "while read -r line; do echo oops; done", "did not answer in time"},
		{"an older one", `read -r line; echo '{"id":1,"error":{"code":-32601,"message":"unknown method"}}'; cat >/dev/null`, `initialize: "unknown method"`},
		{"no hooks", `read -r line; echo '{"id":1,"result":{}}'; read -r line; read -r line; echo '{"id":2,"error":{"message":"Method not found"}}'; cat >/dev/null`, `hooks/list: "Method not found"`},
		{"another answer", `read -r line; echo '{"id":1,"result":{}}'; read -r line; read -r line; echo '{"id":2,"result":{"data":"x"}}'; cat >/dev/null`, "cannot unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			u.vars["PATH"] += ":" + os.Getenv("PATH")
			u.place("codex")
			u.program("codex")
			u.write("bin/codex", "#!/bin/sh\n"+tt.program+"\n")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := u.world().TrustCodex(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestHooksInConfigTomlAreSeen(t *testing.T) {
	tests := []struct {
		config string
		want   bool
	}{
		{"", false},
		{"[hooks.state]\n", false},
		{"[[hooks.PreToolUse]]\nmatcher = \"Bash\"\n", true},
		{"[hooks\n", false},
	}
	for _, tt := range tests {
		u := newUser(t)
		u.write(".codex/config.toml", tt.config)
		if got := u.world().TwoCodexForms(); got != tt.want {
			t.Errorf("%q: %v", tt.config, got)
		}
	}
}

func targetOf(u *user, name string) target {
	a, _ := known(name)
	return a.targets(u.world(), a.dir(u.world()))[0]
}

func TestLookSaysHowItStands(t *testing.T) {
	u := newUser(t)
	u.fakeCodex()
	u.mkdir(".continue")
	u.mkdir(".gemini")
	u.binary = u.path("gatekeeper-agent")
	u.write("gatekeeper-agent", "#!/bin/sh\n")
	if err := os.Chmod(u.binary, 0o755); err != nil {
		t.Fatal(err)
	}
	u.place("claude-code", "codex", "opencode")
	state := func(name string) State {
		t.Helper()
		states, err := u.world().Look()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if s.Name == name {
				return s
			}
		}
		t.Fatalf("%s is not in %+v", name, states)
		return State{}
	}
	if s := state("continue"); s.Hooks || !s.Found || s.Placed {
		t.Errorf("continue: %+v", s)
	}
	if s := state("gemini-cli"); !s.Hooks || s.Placed || s.Works() {
		t.Errorf("gemini-cli: %+v", s)
	}
	if s := state("opencode"); !s.Works() || s.Where != u.path(".config/opencode/plugins/gatekeeper.js") {
		t.Errorf("opencode: %+v", s)
	}
	if s := state("codex"); s.Works() || s.Trust == nil || s.Trust.All() {
		t.Errorf("codex, not trusted: %+v, %+v", s, s.Trust)
	}
	if s := state("claude-code"); !s.Works() || !s.Heard.IsZero() {
		t.Errorf("claude-code: %+v", s)
	}
	u.write(".claude/settings.json", strings.Replace(u.read(".claude/settings.json"), `"Stop"`, `"Stopped"`, 1))
	if s := state("claude-code"); !s.Placed || s.InPlace {
		t.Errorf("claude-code without an event: %+v", s)
	}
	u.place("claude-code")
	u.write(".claude/settings.json", strings.Replace(u.read(".claude/settings.json"), "{", `{"disableAllHooks": true,`, 1))
	if s := state("claude-code"); !s.InPlace || s.Off != "disableAllHooks" || s.Works() {
		t.Errorf("claude-code with its hooks off: %+v", s)
	}
	if reports := u.place("claude-code"); reports[0].Done != Kept || !strings.Contains(reports[0].Detail, "disableAllHooks") {
		t.Errorf("said is %+v", reports)
	}
	if err := os.Remove(u.binary); err != nil {
		t.Fatal(err)
	}
	if s := state("opencode"); s.Program || s.Works() {
		t.Errorf("opencode without its program: %+v", s)
	}
}
