package agents

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// A user is a home of its own, and nothing of the machine.
type user struct {
	t      *testing.T
	home   string
	vars   map[string]string
	binary string
}

func newUser(t *testing.T) *user {
	t.Helper()
	u := &user{t: t, home: filepath.Join(t.TempDir(), "home")}
	u.vars = map[string]string{"HOME": u.home, "PATH": filepath.Join(u.home, "bin")}
	u.binary = "/opt/gatekeeper-agent"
	u.mkdir(".")
	return u
}

func (u *user) world() World {
	w := World{Binary: u.binary}
	for name, value := range u.vars {
		w.Environ = append(w.Environ, name+"="+value)
	}
	return w
}

func (u *user) path(name string) string { return filepath.Join(u.home, name) }

func (u *user) mkdir(name string) {
	u.t.Helper()
	if err := os.MkdirAll(u.path(name), 0o755); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) write(name, text string) {
	u.t.Helper()
	u.mkdir(filepath.Dir(name))
	if err := os.WriteFile(u.path(name), []byte(text), 0o640); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) read(name string) string {
	u.t.Helper()
	data, err := os.ReadFile(u.path(name))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(data)
}

func (u *user) program(name string) {
	u.t.Helper()
	u.write("bin/"+name, "#!/bin/sh\n")
	if err := os.Chmod(u.path("bin/"+name), 0o755); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) place(names ...string) []Report {
	u.t.Helper()
	return u.apply(u.world().Prepare(names))
}

func (u *user) remove(names ...string) []Report {
	u.t.Helper()
	return u.apply(u.world().PrepareRemoval(names))
}

func (u *user) apply(c *Change, err error) []Report {
	u.t.Helper()
	if err == nil {
		err = c.Apply()
	}
	if err != nil {
		u.t.Fatal(err)
	}
	u.world().tidy()
	return c.Reports
}

// snapshot is each path below the home with its mode and content, but for gatekeeper's
// own state.
func (u *user) snapshot() map[string]string {
	u.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(u.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".local" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		is := info.Mode().String()
		if target, err := os.Readlink(path); err == nil {
			is += " to " + target
		} else if data, err := os.ReadFile(path); err == nil {
			is += " " + string(data)
		}
		all[path] = is
		return nil
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return all
}

func (u *user) wantSame(before map[string]string) {
	u.t.Helper()
	for _, line := range differences(before, u.snapshot()) {
		u.t.Error(line)
	}
}

func differences(before, now map[string]string) (lines []string) {
	for path, was := range before {
		if is, ok := now[path]; !ok {
			lines = append(lines, path+": gone")
		} else if is != was {
			lines = append(lines, path+": was "+was+", is "+is)
		}
	}
	for path := range now {
		if _, ok := before[path]; !ok {
			lines = append(lines, path+": new")
		}
	}
	slices.Sort(lines)
	return lines
}

func wantDone(t *testing.T, reports []Report, want string) {
	t.Helper()
	for _, r := range reports {
		if r.Done != want {
			t.Errorf("%s: %s (%s), want %s", r.Name, r.Done, r.Detail, want)
		}
	}
}

// For every agent: in and out again leaves nothing, whether it was used before or not,
// and each entry that is noted stands where it is said to stand.
func TestEveryAgentInAndOutAgain(t *testing.T) {
	for _, name := range Names() {
		for _, used := range []bool{false, true} {
			u := newUser(t)
			if used {
				a, _ := known(name)
				for _, target := range a.targets(u.world(), a.dir(u.world())) {
					if target.hooks != nil {
						u.write(strings.TrimPrefix(target.file, u.home), "{\n  // mine\n  \"hooks\": {},\n}\n")
					}
				}
			}
			before := u.snapshot()
			wantDone(t, u.place(name), Wrote)
			noted, err := session.OpenPlaced(u.world().getenv).Agents()
			if err != nil || len(noted) != 1 || noted[0].Name != name || !noted[0].InPlace() {
				t.Errorf("%s: noted as %+v, %v", name, noted, err)
			}
			with := u.snapshot()
			wantDone(t, u.place(name), Kept)
			u.wantSame(with)
			if placed, err := u.world().Placed(); err != nil || !slices.Equal(placed, []string{name}) {
				t.Errorf("%s: placed are %v, %v", name, placed, err)
			}
			wantDone(t, u.remove(name), Removed)
			u.wantSame(before)
			if left, err := os.ReadDir(u.path(".local/state")); err != nil || len(left) > 0 {
				t.Errorf("%s: %v, and of what was noted there is left %v", name, err, left)
			}
			wantDone(t, u.remove(name), Kept)
			u.wantSame(before)
		}
	}
}

// All of an agent's events call one command, which holds for as long as the binary
// stays where it is, and everywhere with a time that the agent takes for seconds.
func TestAnAgentHasOneCommand(t *testing.T) {
	for _, name := range Names() {
		u := newUser(t)
		u.binary = "/home/o'neil/my bin/gatekeeper-agent"
		a, _ := known(name)
		for _, target := range a.targets(u.world(), a.dir(u.world())) {
			file := string(target.whole)
			events := 1
			if target.hooks != nil {
				file, events = string(target.hooks.newFile()), len(target.hooks.events)
			}
			if got := strings.Count(file, target.text); got != events {
				t.Errorf("%s: %s has the command %d times for %d events", name, target.file, got, events)
			}
		}
	}
}

func TestABinaryElsewhereChangesOurEntriesAlone(t *testing.T) {
	for _, name := range Names() {
		u := newUser(t)
		u.place(name)
		before := u.snapshot()
		u.binary = "/usr/local/bin/gatekeeper-agent"
		wantDone(t, u.place(name), Wrote)
		if len(differences(before, u.snapshot())) == 0 {
			t.Errorf("%s: nothing is changed", name)
		}
		u.binary = "/opt/gatekeeper-agent"
		wantDone(t, u.place(name), Wrote)
		u.wantSame(before)
		wantDone(t, u.remove(name), Removed)
	}
}

func TestACopyOfTheFirstStateIsNeverOverwritten(t *testing.T) {
	u := newUser(t)
	const file, copied = ".claude/settings.json", ".claude/settings.json.before-gatekeeper"
	u.write(file, "{}")
	u.place("claude-code")
	if got := u.read(copied); got != "{}" {
		t.Errorf("the copy is %q", got)
	}
	// The agent itself writes its file anew, with a setting more: the entries go, and
	// what was before is of use to whoever wants it.
	u.write(file, strings.Replace(u.read(file), "{", `{"model": "opus", `, 1))
	wantDone(t, u.place("claude-code"), Kept)
	reports := u.remove("claude-code")
	wantDone(t, reports, Removed)
	if got := u.read(file); got != `{"model": "opus"}` || !strings.Contains(reports[0].Detail, copied) {
		t.Errorf("left is %q, and said is %q", got, reports[0].Detail)
	}
	u.place("claude-code")
	u.remove("claude-code")
	if u.read(copied) != "{}" {
		t.Error("the first copy is overwritten")
	}
	if left, _ := filepath.Glob(u.path(copied) + "*"); len(left) != 1 {
		t.Errorf("copies are %v, want the first alone", left)
	}
}

func TestLinksAndModesStay(t *testing.T) {
	u := newUser(t)
	u.write("dotfiles/claude.json", "{}\n")
	u.mkdir(".claude")
	if err := os.Symlink("../dotfiles/claude.json", u.path(".claude/settings.json")); err != nil {
		t.Fatal(err)
	}
	before := u.snapshot()
	u.place("claude-code")
	if !strings.Contains(u.read("dotfiles/claude.json"), "gatekeeper-agent") {
		t.Error("nothing is written where the link leads")
	}
	info, err := os.Stat(u.path("dotfiles/claude.json"))
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(u.path("dotfiles")); len(entries) != 1 {
		t.Errorf("beside it are %v", entries)
	}
	u.remove("claude-code")
	u.wantSame(before)
}

// Whatever is wrong with one of several files, nothing is written to any.
func TestWhatCannotBeChangedIsRefusedBeforeAnythingIs(t *testing.T) {
	tests := []struct {
		name   string
		before func(u *user)
		want   string
	}{
		{"broken", func(u *user) { u.write(".qwen/settings.json", "{\n  oops\n}") }, ".qwen/settings.json:2:3: "},
		{"another shape", func(u *user) { u.write(".qwen/settings.json", `{"hooks": {"Stop": "x"}}`) }, `.qwen/settings.json:1:20: "Stop" is not an array`},
		{"a directory", func(u *user) { u.mkdir(".qwen/settings.json") }, ".qwen/settings.json: not a file"},
		{"a link to nowhere", func(u *user) {
			u.mkdir(".qwen")
			_ = os.Symlink("nowhere", u.path(".qwen/settings.json"))
		}, ".qwen/settings.json: a link that leads nowhere"},
		{"a plugin of somebody else", func(u *user) { u.write(".config/opencode/plugins/gatekeeper.js", "mine") }, "gatekeeper.js: not as gatekeeper wrote it"},
		{"programs of somebody else under every name", func(u *user) {
			for _, ending := range []string{"", ".sh", ".bash", ".zsh"} {
				u.write(".cline/hooks/PreToolUse"+ending, "mine")
			}
		}, ".cline/hooks/PreToolUse: not as gatekeeper wrote it"},
		{"larger than anybody's", func(u *user) { u.write(".qwen/settings.json", strings.Repeat(" ", maxFile+1)) }, "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newUser(t)
			tt.before(u)
			before := u.snapshot()
			_, err := u.world().Prepare(Names())
			var bad *BadFile
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			u.wantSame(before)
		})
	}
}

// Where the last of several files cannot be written, the others are as before.
func TestAChangeIsWholeOrNone(t *testing.T) {
	u := newUser(t)
	u.write(".claude/settings.json", "{}")
	u.write(".cursor/hooks.json", "{}")
	u.write(".qwen/settings.json", "{}")
	before := u.snapshot()
	c, err := u.world().Prepare([]string{"claude-code", "cline", "cursor", "opencode", "qwen-code"})
	if err != nil {
		t.Fatal(err)
	}
	u.write(".qwen/settings.json", `{"mine": 1}`) // between the reading and the writing
	if err := c.Apply(); err == nil || !strings.Contains(err.Error(), "changed just now by somebody else") {
		t.Errorf("got %v", err)
	}
	u.write(".qwen/settings.json", "{}")
	u.world().tidy()
	u.wantSame(before)

	// The same for taking out.
	u.place("claude-code", "cline", "cursor", "opencode", "qwen-code")
	with := u.snapshot()
	if c, err = u.world().PrepareRemoval([]string{"claude-code", "cline", "cursor", "opencode", "qwen-code"}); err != nil {
		t.Fatal(err)
	}
	changed := u.read(".qwen/settings.json")
	u.write(".qwen/settings.json", changed+"\n")
	if err := c.Apply(); err == nil {
		t.Error("no error")
	}
	u.write(".qwen/settings.json", changed)
	u.wantSame(with)
	noted, err := session.OpenPlaced(u.world().getenv).Agents()
	if err != nil || len(noted) != 5 {
		t.Errorf("noted are %v, %v", noted, err)
	}
	wantDone(t, u.remove("claude-code", "cline", "cursor", "opencode", "qwen-code"), Removed)
	u.wantSame(before)
}

func TestProgramsOfClineStandBesideThoseOfOthers(t *testing.T) {
	u := newUser(t)
	u.write(".cline/hooks/PreToolUse", "#!/bin/sh\n# mine\n")
	u.write(".cline/hooks/PostToolUse.sh", "#!/bin/sh\n# mine\n")
	before := u.snapshot()
	u.place("cline")
	for file, ours := range map[string]bool{
		"PreToolUse": false, "PreToolUse.sh": true, "PostToolUse": true, "PostToolUse.sh": false, "TaskStart": true,
	} {
		if strings.Contains(u.read(".cline/hooks/"+file), "gatekeeper") != ours {
			t.Errorf("%s is ours: %v", file, !ours)
		}
	}
	// Ours stays where it is when the other one goes.
	if err := os.Remove(u.path(".cline/hooks/PreToolUse")); err != nil {
		t.Fatal(err)
	}
	wantDone(t, u.place("cline"), Kept)
	u.write(".cline/hooks/PreToolUse", "#!/bin/sh\n# mine\n")
	wantDone(t, u.remove("cline"), Removed)
	u.wantSame(before)
}

func TestWhatSomebodyChangedIsLeft(t *testing.T) {
	u := newUser(t)
	u.place("cline", "opencode", "qwen-code")
	u.write(".config/opencode/plugins/gatekeeper.js", u.read(".config/opencode/plugins/gatekeeper.js")+"// mine\n")
	u.write(".qwen/settings.json", "{ oops gatekeeper-agent")
	if _, err := u.world().Prepare([]string{"opencode"}); err == nil || !strings.Contains(err.Error(), "not as gatekeeper wrote it") {
		t.Errorf("placed again: %v", err)
	}
	reports := u.remove("cline", "opencode", "qwen-code")
	wantDone(t, reports[:1], Removed)
	wantDone(t, reports[1:], Left)
	if !strings.Contains(reports[1].Detail, "was changed since") || !strings.Contains(reports[2].Detail, "settings.json:1:3: ") {
		t.Errorf("said is %+v", reports)
	}
	// Once it is mended, it goes.
	u.write(".qwen/settings.json", `{"mine": 1}`)
	wantDone(t, u.remove("qwen-code"), Kept)
	if placed, err := u.world().Placed(); err != nil || !slices.Equal(placed, []string{"opencode"}) {
		t.Errorf("placed are %v, %v", placed, err)
	}
}

// Without the record of it (a home restored from elsewhere) entries are known by
// themselves.
func TestEntriesAreKnownWithoutTheirRecord(t *testing.T) {
	u := newUser(t)
	u.write(".gemini/settings.json", "{\n}\n")
	before := u.snapshot()
	u.place(Names()...)
	if err := os.RemoveAll(u.path(".local")); err != nil {
		t.Fatal(err)
	}
	wantDone(t, u.remove(Names()...), Removed)
	for _, line := range differences(before, u.snapshot()) {
		// A copy, and directories, may be anybody's.
		if !strings.HasSuffix(line, ": new") {
			t.Error(line)
		}
	}
	err := filepath.WalkDir(u.home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.Contains(path, ".before-gatekeeper") && path != u.path(".gemini/settings.json") {
			t.Errorf("left is %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Where a variable has moved the configuration since, what was written before is found.
func TestEntriesAreTakenOutOfWhereTheyWerePut(t *testing.T) {
	u := newUser(t)
	before := u.snapshot()
	u.vars["CODEX_HOME"] = u.path("elsewhere")
	u.place("codex")
	u.read("elsewhere/hooks.json")
	delete(u.vars, "CODEX_HOME")
	wantDone(t, u.remove("codex"), Removed)
	u.wantSame(before)
}

func TestAgentsAreFoundByDirectoryAndProgram(t *testing.T) {
	u := newUser(t)
	if found := u.world().Found(); len(found) > 0 {
		t.Errorf("found in an empty home: %v", found)
	}
	for _, dir := range []string{".claude", ".continue", ".codeium/windsurf", "x/opencode"} {
		u.mkdir(dir)
	}
	u.vars["XDG_CONFIG_HOME"] = u.path("x")
	u.vars["PATH"] = "relative:" + u.vars["PATH"]
	u.program("gemini")
	u.program("aider")
	u.write("bin/codex", "not a program")
	want := []string{"aider", "claude-code", "continue", "gemini-cli", "opencode", "windsurf"}
	if found := u.world().Found(); !slices.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
	c, err := u.world().Choose("auto")
	if err != nil || !slices.Equal(c.Names, []string{"claude-code", "gemini-cli", "opencode", "windsurf"}) || !slices.Equal(c.Seen, []string{"aider", "continue"}) {
		t.Errorf("auto chooses %+v, %v", c, err)
	}
}

func TestVariablesMoveConfigurations(t *testing.T) {
	tests := []struct{ agent, variable, value, want string }{
		{"claude-code", "", "", "HOME/.claude"},
		{"claude-code", "CLAUDE_CONFIG_DIR", "/srv/claude", "/srv/claude"},
		{"codex", "CODEX_HOME", "/srv/codex/", "/srv/codex"},
		{"codex", "CODEX_HOME", "relative", "HOME/.codex"},
		{"gemini-cli", "GEMINI_CLI_HOME", "/srv", "/srv/.gemini"},
		{"qwen-code", "QWEN_HOME", "~/q", "HOME/q"},
		{"copilot-cli", "COPILOT_HOME", "/srv/copilot", "/srv/copilot"},
		{"opencode", "XDG_CONFIG_HOME", "/srv", "/srv/opencode"},
		{"opencode", "", "", "HOME/.config/opencode"},
		{"cline", "CLINE_DIR", "/srv/cline", "/srv/cline"},
		{"cursor", "", "", "HOME/.cursor"},
		{"windsurf", "", "", "HOME/.codeium/windsurf"},
	}
	for _, tt := range tests {
		u := newUser(t)
		u.vars[tt.variable] = tt.value
		a, _ := known(tt.agent)
		if got := strings.Replace(a.dir(u.world()), u.home, "HOME", 1); got != tt.want {
			t.Errorf("%s with %s=%s: %s, want %s", tt.agent, tt.variable, tt.value, got, tt.want)
		}
	}
}

func TestChoosing(t *testing.T) {
	u := newUser(t)
	tests := []struct {
		value string
		names string
		seen  string
		err   string
	}{
		{value: "none"},
		{value: "auto"},
		{value: "codex", names: "codex"},
		{value: "gemini-cli, codex,codex", names: "codex gemini-cli"},
		{value: "aider,codex", names: "codex", seen: "aider"},
		{value: "codex,gemini", err: `no agent is called "gemini"; known: claude-code, cline, codex, copilot-cli, cursor, gemini-cli, opencode, qwen-code, windsurf`},
		{value: "codex,", err: `no agent is called "";`},
		{value: "auto,codex", err: `no agent is called "auto";`},
	}
	for _, tt := range tests {
		c, err := u.world().Choose(tt.value)
		if tt.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("%q: got %v, want %s", tt.value, err, tt.err)
			}
			continue
		}
		if err != nil || strings.Join(c.Names, " ") != tt.names || strings.Join(c.Seen, " ") != tt.seen {
			t.Errorf("%q: %+v, %v", tt.value, c, err)
		}
	}
}

func TestAPathThatNoFileCanHoldIsRefused(t *testing.T) {
	for _, binary := range []string{"/a\nb/gatekeeper-agent", "/a\xffb/gatekeeper-agent", "/a\x00b/gatekeeper-agent"} {
		u := newUser(t)
		u.binary = binary
		if _, err := u.world().Prepare([]string{"codex"}); err == nil {
			t.Errorf("%q is accepted", binary)
		}
	}
}

func TestWithoutAHomeThereIsNoPlace(t *testing.T) {
	w := World{Binary: "/opt/gatekeeper-agent"}
	if found := w.Found(); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	if _, err := w.Prepare([]string{"codex"}); err == nil || !strings.Contains(err.Error(), "no home directory") {
		t.Errorf("got %v", err)
	}
	if _, err := w.Lock(); err == nil {
		t.Error("locked without a place for the lock")
	}
}

func TestOneRunAtATime(t *testing.T) {
	u := newUser(t)
	unlock, err := u.world().Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.world().Lock(); err == nil || !strings.Contains(err.Error(), "another gatekeeper is at work") {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	if left, err := os.ReadDir(u.path(".local/state")); err != nil || len(left) > 0 {
		t.Errorf("left is %v, %v", left, err)
	}
}

func TestClonesThatWantTheEntries(t *testing.T) {
	u := newUser(t)
	gone := map[string]bool{}
	installed := func(common string) bool { return !gone[common] }
	for _, common := range []string{"/src/a/.git", "/src/b\nc/.git", "/src/a/.git"} {
		if _, err := u.world().KeepClone(common); err != nil {
			t.Fatal(err)
		}
	}
	if others, err := u.world().OtherClones("/src/a/.git", installed); err != nil || !slices.Equal(others, []string{"/src/b\nc/.git"}) {
		t.Errorf("others are %q, %v", others, err)
	}
	gone["/src/b\nc/.git"] = true
	if others, err := u.world().OtherClones("/src/a/.git", installed); err != nil || len(others) > 0 {
		t.Errorf("others are %q, %v", others, err)
	}
	for _, common := range []string{"/src/a/.git", "/src/b\nc/.git", "/src/never/.git"} {
		if _, err := u.world().DropClone(common); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(u.path(".local/state")); err != nil || len(left) > 0 {
		t.Errorf("left is %v, %v", left, err)
	}
}

func TestRecordsAreReadAsTheyAreWritten(t *testing.T) {
	r := &record{
		program: "/opt/gatekeeper-agent", image: [2]string{"/c", "00"},
		dirs: []string{"/a b"}, made: []string{"/a b/\"c\""}, files: []string{"/é\n"}, wholes: [][2]string{{"/w", "00"}},
		backups: []string{"/b"}, trust: [][2]string{{"k", "h"}},
	}
	again, err := parseRecord(r.format())
	if err != nil || again.format() != r.format() {
		t.Errorf("read as %+v, %v", again, err)
	}
	for _, text := range []string{"", "x", recordHead, recordHead + "what \"x\"\nend\n", recordHead + "dir x\nend\n", strings.TrimSuffix(r.format(), "end\n")} {
		if _, err := parseRecord(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}
