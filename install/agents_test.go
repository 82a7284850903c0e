package install

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

// withAgents is a bench whose user has Claude Code and Gemini CLI.
func withAgents(t *testing.T) *bench {
	b := newBench(t)
	b.agents = "auto"
	b.Env = append(b.Env, "PATH="+programs(t))
	b.binary("gatekeeper-agent")
	b.write(b.home(".claude/settings.json"), "{\n  // mine\n  \"model\": \"opus\"\n}\n")
	b.write(b.home(".gemini/settings.json"), "{}")
	return b
}

// programs is a folder with what an installation calls, and no agent of the machine.
func programs(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"git", "ssh-keygen", "sh"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func (b *bench) home(name string) string { return filepath.Join(b.getenv("HOME"), name) }

// homeNow is the home without the signing key and gatekeeper's own notes, which stay.
func (b *bench) homeNow() picture {
	all := snapshot(b.t, b.home("."))
	for path := range all {
		if strings.HasPrefix(path, ".config") || strings.HasPrefix(path, ".local") {
			delete(all, path)
		}
	}
	return all
}

func (b *bench) second() *bench {
	b.t.Helper()
	c := *b
	c.clone = &clone{Dir: b.t.TempDir(), Env: b.Env}
	c.Git(b.t, "init", "-q")
	return &c
}

func agentsOf(res Result, done string) string {
	var names []string
	for _, a := range res.Actions {
		if a.What == Agent && a.Done == done {
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestAgentsAreSetUpAndTakenOutWithTheLastClone(t *testing.T) {
	b := withAgents(t)
	home, git := b.homeNow(), b.snapshot()
	if got := agentsOf(b.install(), Wrote); got != "claude-code gemini-cli" {
		t.Errorf("wrote %q", got)
	}
	if got := read(t, b.home(".claude/settings.json")); !strings.Contains(got, filepath.Join(b.bin, "gatekeeper-agent")+" claude-code") {
		t.Errorf("no command of ours in\n%s", got)
	}
	if again := b.install(); again.Changed || agentsOf(again, Kept) != "claude-code gemini-cli" {
		t.Errorf("a second time: %+v", again.Actions)
	}
	second := b.second()
	second.install()
	with := b.homeNow()

	first := b.uninstall()
	if got := agentsOf(first, Skipped); got != "claude-code gemini-cli" || !strings.Contains(strings.Join(first.Notes, " "), "uninstall --agents auto") {
		t.Errorf("with another clone: %+v", first)
	}
	same(t, with, b.homeNow())
	same(t, git, b.snapshot())

	if got := agentsOf(second.uninstall(), Removed); got != "claude-code gemini-cli" {
		t.Errorf("with the last clone are removed %q", got)
	}
	same(t, home, b.homeNow())
	if left, err := os.ReadDir(b.home(".local/state")); err != nil || len(left) > 0 {
		t.Errorf("left is %v, %v", left, err)
	}
}

func TestAClonethatWasDeletedWantsNothing(t *testing.T) {
	b := withAgents(t)
	home := b.homeNow()
	second := b.second()
	b.install()
	second.install()
	if err := os.RemoveAll(second.Dir); err != nil {
		t.Fatal(err)
	}
	b.uninstall()
	same(t, home, b.homeNow())
}

func TestEntriesStayOrGoAsAsked(t *testing.T) {
	b := withAgents(t)
	home := b.homeNow()
	b.install()
	with := b.homeNow()
	o := b.options()
	o.Agents = "none"
	if res, err := UninstallClient(t.Context(), o); err != nil || agentsOf(res, Skipped) != "claude-code gemini-cli" {
		t.Errorf("%+v, %v", res, err)
	}
	same(t, with, b.homeNow())

	b.install()
	git := b.snapshot()
	o.Dir, o.Agents = b.home("."), "gemini-cli" // from anywhere
	res, err := UninstallAgents(t.Context(), o)
	if err != nil || agentsOf(res, Removed) != "gemini-cli" || !strings.Contains(strings.Join(res.Notes, " "), b.Dir) {
		t.Errorf("%+v, %v", res, err)
	}
	o.Agents = "auto"
	if res, err := UninstallAgents(t.Context(), o); err != nil || agentsOf(res, Removed) != "claude-code" {
		t.Errorf("%+v, %v", res, err)
	}
	same(t, home, b.homeNow())
	same(t, git, b.snapshot())
	if res, err := UninstallAgents(t.Context(), o); err != nil || res.Changed {
		t.Errorf("once more: %+v, %v", res, err)
	}
	o.Agents = "codexx"
	_, err = UninstallAgents(t.Context(), o)
	wantUsage(t, err, "codexx", "known: claude-code")
}

func TestAgentsThatAreChosen(t *testing.T) {
	b := withAgents(t)
	home := b.homeNow()
	o := b.options()
	o.Agents = "none"
	if res, err := Client(t.Context(), o); err != nil || agentsOf(res, Wrote) != "" {
		t.Errorf("none: %+v, %v", res, err)
	}
	same(t, home, b.homeNow())
	if _, err := os.Stat(b.home(".local")); err == nil {
		t.Error("none leaves a note")
	}
	o.Agents = "qwen-code,aider"
	res, err := Client(t.Context(), o)
	if err != nil || agentsOf(res, Wrote) != "qwen-code" || agentsOf(res, Skipped) != "aider" {
		t.Errorf("chosen: %+v, %v", res, err)
	}
}

func TestAgentsThatCannotBeSetUpChangeNothing(t *testing.T) {
	tests := []struct {
		name   string
		before func(b *bench, o *Options)
		want   []string
	}{
		{"unknown", func(b *bench, o *Options) { o.Agents = "claude" }, []string{`"claude"`, "known: claude-code, cline"}},
		{"no binary", func(b *bench, o *Options) { os.Remove(filepath.Join(b.bin, "gatekeeper-agent")) }, []string{"missing ", "gatekeeper-agent"}},
		{"trust without Codex", func(b *bench, o *Options) { o.TrustCodex = true }, []string{"--trust-codex", "Codex is not among"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := withAgents(t)
			o := b.options()
			tt.before(b, &o)
			home, git := b.homeNow(), b.snapshot()
			_, err := Client(context.Background(), o)
			wantUsage(t, err, tt.want...)
			same(t, home, b.homeNow())
			same(t, git, b.snapshot())
		})
	}
}

// A broken file keeps its own agent out, and nothing else.
func TestAFileThatCannotBeChangedIsRefused(t *testing.T) {
	b := withAgents(t)
	b.write(b.home(".gemini/settings.json"), "{\n  broken\n}")
	home, git := b.homeNow(), b.snapshot()
	res := b.install()
	if res.Complete() || agentsOf(res, Wrote) != "claude-code" || agentsOf(res, Refused) != "gemini-cli" {
		t.Errorf("%+v", res)
	}
	var text strings.Builder
	if err := res.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"client installed", ".gemini/settings.json:2:3: ", "mend the file", "--agents"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "Gemini CLI switches") {
		t.Errorf("speaks of an agent without entries:\n%s", text.String())
	}
	if again := b.install(); again.Changed || again.Complete() {
		t.Errorf("a second time: %+v", again)
	}
	if res := b.uninstall(); !res.Complete() {
		t.Errorf("out: %+v", res)
	}
	same(t, home, b.homeNow())
	same(t, git, b.snapshot())
}

// The last thing that an installation does is to note that this clone wants the
// entries; when that fails, the entries are gone again, with everything else.
func TestAnInstallationThatFailsTakesTheEntriesBack(t *testing.T) {
	b := withAgents(t)
	b.write(b.home(".local/state/gatekeeper/clones"), "in the way")
	home, git := b.homeNow(), b.snapshot()
	if _, err := Client(t.Context(), b.options()); err == nil {
		t.Fatal("no error")
	}
	same(t, home, b.homeNow())
	same(t, git, b.snapshot())
}

func TestGitsHooksInGeminiAreASettingOfTheClone(t *testing.T) {
	b := withAgents(t)
	git := b.snapshot()
	note := func(res Result) string { return strings.Join(res.Notes, "\n") }
	if got := note(b.install()); !strings.Contains(got, "switches git's hooks off") {
		t.Errorf("said is %s", got)
	}
	on, off := true, false
	o := b.options()
	o.GeminiGitHooks = &on
	res, err := Client(t.Context(), o)
	if err != nil || b.Git(t, "config", "--local", agent.GeminiGitHooks) != "true" || !strings.Contains(note(res), "rewritten so that git's hooks run") {
		t.Errorf("on: %+v, %v", res, err)
	}
	if res, err := Client(t.Context(), o); err != nil || res.Changed {
		t.Errorf("on, once more: %+v, %v", res.Actions, err)
	}
	if res := b.install(); res.Changed || b.Git(t, "config", "--local", agent.GeminiGitHooks) != "true" {
		t.Errorf("not asked: %+v", res.Actions)
	}
	o.GeminiGitHooks = &off
	if _, err := Client(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got, _, err := b.Run("", "config", "--local", agent.GeminiGitHooks); err == nil {
		t.Errorf("off: it is %q", got)
	}
	o.GeminiGitHooks = &on
	if _, err := Client(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	b.uninstall()
	same(t, git, b.snapshot())
}
