package commitmsg_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// watch is the watch over the world's work tree, as the hooks of agents see it.
func (w *world) watch() *session.Watch {
	w.t.Helper()
	r, err := repo.Open(context.Background(), w.dir, w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	return session.OpenWatch(r)
}

func claudeCall(id string) session.Call {
	return session.Call{ID: id, Actor: session.Actor{Tool: provenance.Tool{Name: "claude-code", Version: "2.1"},
		Model: provenance.Model{Provider: "anthropic", Name: "claude-x"}, Session: "00000000c1a0"}}
}

func codexCall(id string) session.Call {
	return session.Call{ID: id, Actor: session.Actor{Tool: provenance.Tool{Name: "codex", Version: "0.1"},
		Model: provenance.Model{Provider: "openai", Name: "gpt-x"}, Session: "0000000c0de0"}}
}

// agentWrites is an edit that an agent tells of before and after.
func (w *world) agentWrites(c session.Call, path, content string) {
	w.t.Helper()
	ctx := context.Background()
	w.must(w.watch().BeforeEdit(ctx, c, []string{path}))
	w.write(path, content)
	w.must(w.watch().AfterEdit(ctx, c, []session.Edited{{Path: path}}))
}

// agentRuns is a command that an agent tells of before and after.
func (w *world) agentRuns(c session.Call, do func()) {
	w.t.Helper()
	ctx := context.Background()
	w.must(w.watch().BeforeShell(ctx, c))
	do()
	w.must(w.watch().AfterShell(ctx, c))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

const (
	claudeHook = "claude-code/2.1 anthropic/claude-x lines=%s via=hook session=00000000c1a0"
	codexHook  = "codex/0.1 openai/gpt-x lines=%s via=hook session=0000000c0de0"
)

func hooked(form, lines string) string { return strings.Replace(form, "%s", lines, 1) }

// trace is the trace that the attestation of a commit names, "" when it names none.
func (w *world) trace(rev string) string {
	w.t.Helper()
	a, err := attestation.Parse(w.values(rev, "AI-Attestation")[0])
	w.must(err)
	for _, field := range a.Extra {
		if text, ok := strings.CutPrefix(field, "trace="); ok {
			d, err := provenance.ParseDigest(text)
			w.must(err)
			data, err := os.ReadFile(filepath.Join(w.dir, ".git/gatekeeper/traces", hex.EncodeToString(d[:])))
			w.must(err)
			if sha256.Sum256(data) != d {
				w.t.Errorf("the trace is not what is named")
			}
			return string(data)
		}
	}
	return ""
}

func TestHeard(t *testing.T) {
	t.Run("lines of an agent, of a person and of another agent", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 10), "Base")
		w.agentWrites(claudeCall("1"), "a", lines(1, 10)+"claude 1\nclaude 2\n")
		w.write("a", "human\n"+lines(1, 10)+"claude 1\nclaude 2\n")
		w.agentWrites(codexCall("2"), "b", "codex\n")
		w.git("add", "-A")
		w.git("commit", "-q", "-m", "Both")
		w.silent()
		w.want("records", w.records("HEAD"), hooked(claudeHook, "2/4")+"\n"+hooked(codexHook, "1/4"))
		w.want("trace", w.trace("HEAD"), `gatekeeper trace v1
record `+hooked(claudeHook, "2/4")+`
record `+hooked(codexHook, "1/4")+`
file "a"
1 -
2 0
file "b"
1 1
end
`)
		w.want("binding", w.binding("HEAD"), "exact")

		w.write("a", "human\n")
		w.git("commit", "-q", "-a", "-m", "Nobody else")
		if !alone(w) {
			return
		}
		w.want("the next commit", w.records("HEAD"), "none via=process")
	})

	t.Run("some hunks of what an agent wrote", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 20), "Base")
		w.agentWrites(claudeCall("1"), "a", "claude top\n"+lines(1, 20)+"claude end\n")
		w.write("a", "claude top\n"+lines(1, 10)+"human\n"+lines(11, 20)+"claude end\n")
		_, _, err := w.run("y\nn\nn\n", "add", "-p", "a")
		w.must(err)
		w.git("commit", "-q", "-m", "Top")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "1/1"))
		w.git("commit", "-q", "-a", "-m", "Rest")
		w.want("the rest", w.records("HEAD"), hooked(claudeHook, "1/2"))
	})

	t.Run("an agent that deletes has a hand in it", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.agentWrites(claudeCall("1"), "a", lines(2, 5))
		w.git("commit", "-q", "-a", "-m", "Less")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "0/0"))
	})

	t.Run("a command, and a commit inside of it", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.agentRuns(claudeCall("1"), func() {
			w.write("a", lines(1, 5)+"made\n")
			w.write("new", "made\nmade too\n")
		})
		w.write("new", "made\nmade too\nhuman\n")
		w.git("add", "-A")
		w.git("commit", "-q", "-m", "By command")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "3/4"))

		// The agent's own commit, as its environment tells.
		env := w.with("CLAUDECODE=1", "CLAUDE_CODE_SESSION_ID=none")
		if !alone(w) {
			return
		}
		c := claudeCall("2")
		c.Actor.Session = ""
		w.agentRuns(c, func() {
			w.write("a", lines(1, 5)+"made\nsince then\n")
			env.git("commit", "-q", "-a", "-m", "From within")
		})
		w.want("records from within", w.records("HEAD"), "claude-code/2.1 anthropic/claude-x lines=1/1 via=hook session=unknown")
	})

	t.Run("somebody else commits while a command runs", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.must(w.watch().BeforeShell(context.Background(), claudeCall("1")))
		w.write("a", lines(1, 5)+"who knows\n")
		w.git("commit", "-q", "-a", "-m", "In doubt")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "unknown/1"))
		w.want("trace", w.trace("HEAD"), "gatekeeper trace v1\nrecord "+hooked(claudeHook, "unknown/1")+"\nfile \"a\"\n1 ?\nend\n")
	})

	t.Run("amend", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.agentWrites(claudeCall("1"), "a", lines(1, 5)+"claude 1\n")
		w.git("commit", "-q", "-a", "-m", "One")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "1/1"))
		w.agentWrites(claudeCall("2"), "a", lines(1, 5)+"claude 1\nclaude 2\n")
		w.write("a", lines(1, 5)+"claude 1\nclaude 2\nhuman\n")
		w.git("commit", "-q", "-a", "--amend", "--no-edit")
		w.want("amended", w.records("HEAD"), hooked(claudeHook, "2/3"))
		w.want("binding", w.binding("HEAD"), "exact")
		w.write("unseen", "by whom?\n")
		w.git("add", "unseen")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("with a file that was not followed", w.records("HEAD"), hooked(claudeHook, "unknown/4"))
	})

	t.Run("a rebase keeps record and trace", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 20), "Base")
		w.git("checkout", "-q", "-b", "topic")
		w.agentWrites(claudeCall("1"), "a", lines(1, 20)+"claude 1\n")
		w.git("commit", "-q", "-a", "-m", "Topic")
		trace := w.trace("HEAD")
		w.git("checkout", "-q", "main")
		w.commit("a", "first\n"+lines(1, 20), "Main")
		w.git("rebase", "-q", "main", "topic")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "1/1"))
		w.want("trace", w.trace("HEAD"), trace)
		w.want("binding", w.binding("HEAD"), "change")
	})

	t.Run("reformatted in pre-commit", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", "{\n}\n", "Base")
		w.agentWrites(claudeCall("1"), "a", "{\nclaude(1,2)\nclaude(3,4)\n}\n")
		w.put("hooks/pre-commit", "#!/bin/sh\nprintf '{\\n\\tclaude(1, 2)\\n\\tclaude(3, 4)\\n\\tgenerated()\\n}\\n' >a && git add a\n", 0o755)
		w.git("commit", "-q", "-a", "-m", "Formatted")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "2/3"))
	})

	t.Run("CRLF in the work tree, LF in the index", func(t *testing.T) {
		w := newWorld(t)
		w.git("config", "core.autocrlf", "true")
		w.commit("a", "one\r\ntwo\r\n", "Base")
		w.agentWrites(claudeCall("1"), "a", "one\r\ntwo\r\nclaude\r\n")
		w.write("a", "one\r\ntwo\r\nclaude\r\nhuman\r\n")
		w.git("commit", "-q", "-a", "-m", "More")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "1/2"))
	})

	t.Run("a binary file has no lines, and its author all the same", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.agentWrites(claudeCall("1"), "bin", "\x00\x01\x02")
		w.git("add", "-A")
		w.git("commit", "-q", "-m", "Binary")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "0/0"))
	})

	t.Run("a file that is renamed", func(t *testing.T) {
		w := newWorld(t)
		w.commit("other", lines(1, 5), "Base")
		w.agentWrites(claudeCall("1"), "a", "claude 1\nclaude 2\nclaude 3\n")
		w.git("add", "a")
		w.git("mv", "a", "b")
		w.write("b", "claude 1\nclaude 2\nclaude 3\nhuman\n")
		w.git("add", "-A")
		w.git("commit", "-q", "-m", "Renamed")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "3/4"))
	})

	t.Run("an MCP server", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.agentWrites(claudeCall("1"), "a", lines(1, 5)+"claude 1\n")
		notes := session.OpenNotes(filepath.Join(w.dir, ".git"))
		for _, name := range []string{"github", "my server, of course", "github"} {
			w.must(notes.UsedMCP(claudeCall("1").Actor.Session, name))
		}
		w.git("commit", "-q", "-a", "-m", "One")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "1/1")+" mcp=github,my%20server%2C%20of%20course")
	})

	t.Run("a merge with help", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", lines(1, 5), "Base")
		w.git("checkout", "-q", "-b", "topic")
		w.commit("a", "topic\n"+lines(1, 5), "Topic")
		w.git("checkout", "-q", "main")
		w.commit("a", "main\n"+lines(1, 5), "Main")
		w.conflict("merge", "-q", "topic")
		w.agentWrites(claudeCall("1"), "a", "both\n"+lines(1, 5))
		w.git("commit", "-q", "-a", "-m", "Merged")
		w.want("records", w.records("HEAD"), hooked(claudeHook, "unknown/1"))
		w.want("trace", w.trace("HEAD"), "")
	})
}

// None is known by hooks only when each agent of the user has one in place that was
// heard.
func TestNoneByHooks(t *testing.T) {
	w := newWorld(t)
	if !alone(w) {
		t.Fatalf("an agent stands above the tests: %s", w.nobody())
	}
	w.put(".claude/settings.json", `{"ours"}`, 0o644)
	w.commit("a", lines(1, 5), "Base")
	w.want("before any event", w.records("HEAD"), "none via=process")
	w.agentRuns(claudeCall("1"), func() {})
	placed := session.OpenPlaced(func(name string) string { return map[string]string{"HOME": w.home}[name] })
	step := func(what, want string) {
		t.Helper()
		w.commit("a", what+"\n", what)
		w.want(what, w.records("HEAD"), want)
	}
	step("not placed", "none via=process")
	w.must(placed.Place("claude-code", []session.Entry{{File: filepath.Join(w.home, ".claude/settings.json"), Text: `"ours"`}}))
	step("placed and not heard", "none via=process")
	w.must(placed.Hear("claude-code", time.Now()))
	step("placed and heard", "none via=hook")
	w.put(".gemini/settings.json", "{}", 0o644)
	step("another agent, without a hook", "none via=process")
	w.must(os.RemoveAll(filepath.Join(w.home, ".gemini")))
	step("that is gone", "none via=hook")
	w.put(".claude/settings.json", `{"other"}`, 0o644)
	step("taken out by somebody", "none via=process")
}
