package commitmsg_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// claude and codex are environments of the agents' shells.
var (
	claude = []string{"CLAUDECODE=1", "AI_AGENT=claude-code_2-1-330_agent", "CLAUDE_CODE_SESSION_ID=s1"}
	qwen   = []string{"QWEN_CODE=1", "QWEN_CODE_MODEL=qwen3-coder-plus"}
)

const claudeRecord = "claude-code/2.1.330 unknown/unknown lines=unknown/%T via=process session=%S"

func claudeLine(total string) string {
	return strings.NewReplacer("%T", total, "%S", agent.SessionID("s1")).Replace(claudeRecord)
}

// alone skips what cannot be said while an agent runs the tests: it would be
// seen above git, where it wins over the environment.
func alone(w *world) bool { return w.nobody() == "none via=process" }

func (w *world) state() *session.State {
	return session.Open(w.git("rev-parse", "--absolute-git-dir"))
}

func (w *world) declare(tool, version, model string) {
	w.t.Helper()
	_, err := w.state().Declare(session.Declaration{
		Tool: provenance.Tool{Name: tool, Version: version}, Model: agent.CanonicalModel(model),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) message(rev string) string { return w.git("log", "-1", "--format=%B", rev) }

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s:\n got %q\nwant %q\n%s", what, got, want, *w.stderr)
	}
}

func (w *world) silent() {
	w.t.Helper()
	if strings.Contains(*w.stderr, "gatekeeper") {
		w.t.Errorf("the hooks said:\n%s", *w.stderr)
	}
}

func TestRecords(t *testing.T) {
	t.Run("a commit without an agent says that none was seen", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", "a\n", "Subject")
		if alone(w) {
			w.want("records", w.records("HEAD"), "none via=process")
		}
		w.silent()
	})

	t.Run("an agent's environment is recorded, with its public trailer", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.with(claude...).commit("a", lines(1, 50), "Subject")
		w.want("records", w.records("HEAD"), claudeLine("50"))
		w.want("public", strings.Join(w.values("HEAD", "Assisted-by"), ","), "claude-code")
		w.want("binding", w.binding("HEAD"), "exact")

		w.git("config", "gatekeeper.publicTrailer", "kernel")
		w.with(claude...).commit("a", "kernel\n", "Subject")
		w.want("public", strings.Join(w.values("HEAD", "Assisted-by"), ","), "LLM")
		w.git("config", "gatekeeper.publicTrailer", "none")
		w.with(claude...).commit("a", "none\n", "Subject")
		w.want("public", strings.Join(w.values("HEAD", "Assisted-by"), ","), "")
	})

	t.Run("a declaration fills what was not seen, once", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.declare("claude-code", "", "claude-sonnet-4-5")
		w.with(claude...).commit("a", "a\n", "Subject")
		w.want("records", w.records("HEAD"), "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=unknown/1 via=declared session="+agent.SessionID("s1"))
		w.commit("a", "b\n", "Next")
		w.want("records of the next", w.records("HEAD"), "none via=process")
		if _, err := os.Stat(filepath.Join(w.dir, ".git/gatekeeper/declared")); err == nil {
			t.Error("the declaration is still there")
		}
		w.silent()
	})

	t.Run("an amend after a declaration names the model of a refused commit", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.with(claude...).commit("a", "a\n", "Subject")
		w.declare("claude-code", "", "claude-sonnet-4-5")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("records", w.records("HEAD"), "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=unknown/1 via=declared session="+agent.SessionID("s1"))
		w.want("public", strings.Join(w.values("HEAD", "Assisted-by"), ","), "claude-code:claude-sonnet-4-5")
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("an aborted commit keeps its declaration", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", "a\n", "Root")
		w.declare("aider", "", "gpt-5")
		w.add("a", "b\n")
		w.editing(`: >"$1"`).conflict("commit", "-q")
		w.conflict("commit", "-q", "-m", "")
		w.git("commit", "-q", "-m", "Now")
		if !strings.Contains(w.records("HEAD"), "aider/unknown openai/gpt-5 ") {
			t.Errorf("got %q", w.records("HEAD"))
		}
	})

	t.Run("a rebase does not use a declaration", func(t *testing.T) {
		w := fixture(t)
		w.git("reset", "-q", "--hard")
		w.declare("aider", "", "gpt-5")
		w.todo("1s/pick/reword/").editing("true").git("rebase", "-q", "-i", "main", "topic")
		for _, rev := range []string{"HEAD", "HEAD~1", "HEAD~2"} {
			if strings.Contains(w.records(rev), "aider") {
				t.Errorf("%s: %s", rev, w.records(rev))
			}
		}
		w.commit("z", "z\n", "After")
		if !strings.Contains(w.records("HEAD"), "aider") {
			t.Errorf("got %q", w.records("HEAD"))
		}
	})

	t.Run("a merge uses a declaration, though git runs no post-commit for it", func(t *testing.T) {
		w := fixture(t)
		w.git("reset", "-q", "--hard")
		w.declare("aider", "", "gpt-5")
		w.git("merge", "-q", "--no-edit", "topic")
		if !strings.Contains(w.records("HEAD"), "aider") {
			t.Errorf("got %q", w.records("HEAD"))
		}
		w.commit("z", "z\n", "After")
		if strings.Contains(w.records("HEAD"), "aider") {
			t.Errorf("used twice: %q", w.records("HEAD"))
		}
	})
}

func TestKeeping(t *testing.T) {
	attested := func(w *world, rev string) string { return strings.Join(w.values(rev, "AI-Attestation"), "\n") }

	t.Run("amending the message keeps the signature", func(t *testing.T) {
		w := newWorld(t)
		w.with(claude...).commit("a", "a\n", "Subject")
		before, records := attested(w, "HEAD"), w.records("HEAD")
		w.git("commit", "-q", "--amend", "-m", "Better")
		w.want("attestation", attested(w, "HEAD"), before)
		w.want("records", w.records("HEAD"), records)
		w.want("binding", w.binding("HEAD"), "exact")
		w.editing(`sed -i -e 1s/Better/Best/ -e /^AI-/d "$1"`).git("commit", "-q", "--amend")
		w.want("attestation after an edit", attested(w, "HEAD"), before)
		if !strings.HasPrefix(w.message("HEAD"), "Best\n") {
			t.Errorf("message %q", w.message("HEAD"))
		}
		w.silent()
	})

	t.Run("a clean pick keeps its author's signature", func(t *testing.T) {
		w := fixture(t)
		w.git("reset", "-q", "--hard")
		w.git("cherry-pick", "topic")
		w.want("attestation", attested(w, "HEAD"), attested(w, "topic"))
		w.git("cherry-pick", "-x", "topic~1")
		w.want("attestation", attested(w, "HEAD"), attested(w, "topic~1"))
	})

	t.Run("amending the content joins old and new records", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.with(claude...).commit("a", "a\n", "Subject")
		w.add("a", "a\nb\n")
		w.with(qwen...).git("commit", "-q", "--amend", "-m", "Subject")
		w.want("records", w.records("HEAD"), claudeLine("2")+"\n"+
			"qwen-code/unknown alibaba/qwen3-coder-plus lines=unknown/2 via=process session=unknown")
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("a broken signature is not kept", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", "a\n", "Subject")
		message := strings.TrimSpace(w.message("HEAD"))
		at := len(message) - 20
		other := "A"
		if message[at] == 'A' {
			other = "B"
		}
		w.put("broken", message[:at]+other+message[at+1:], 0o644)
		w.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-F", filepath.Join(w.home, "broken"))
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("binding", w.binding("HEAD"), "exact")
	})
}

func TestSquash(t *testing.T) {
	// parts makes two commits by two agents on a branch.
	parts := func(t *testing.T) *world {
		w := newWorld(t)
		w.commit("a", "a\n", "Root")
		w.git("checkout", "-q", "-b", "topic")
		w.with(claude...).commit("b", "b\n", "By claude")
		w.with(qwen...).commit("c", "c\nd\n", "By qwen")
		return w
	}
	both := claudeLine("3") + "\nqwen-code/unknown alibaba/qwen3-coder-plus lines=unknown/3 via=process session=unknown"
	check := func(t *testing.T, w *world) {
		t.Helper()
		if alone(w) {
			w.want("records", w.records("HEAD"), both)
		}
		w.want("binding", w.binding("HEAD"), "exact")
		if n := strings.Count(w.message("HEAD"), "AI-Attestation: "); n != 1 {
			t.Errorf("%d attestations in %q", n, w.message("HEAD"))
		}
		w.silent()
	}
	for _, how := range []string{"squash", "fixup", "fixup -C"} {
		t.Run("rebase -i "+how+" joins the records", func(t *testing.T) {
			w := parts(t)
			w.todo("2s/pick/"+how+"/").editing("true").git("rebase", "-q", "-i", "main")
			check(t, w)
		})
	}
	t.Run("merge --squash joins the records", func(t *testing.T) {
		w := parts(t)
		w.git("checkout", "-q", "main")
		w.git("merge", "-q", "--squash", "topic")
		w.git("commit", "-q", "--no-edit")
		check(t, w)
	})
	t.Run("merge --squash in an editor joins the records", func(t *testing.T) {
		w := parts(t)
		w.git("checkout", "-q", "main")
		w.git("merge", "-q", "--squash", "topic")
		w.editing(`sed -i "1s/^/Squashed\n\n/" "$1"`).git("commit", "-q")
		check(t, w)
	})
	t.Run("merge --squash and a message of one's own joins the records", func(t *testing.T) {
		w := parts(t)
		w.git("checkout", "-q", "main")
		w.git("merge", "-q", "--squash", "topic")
		w.git("commit", "-q", "-m", "All of it")
		check(t, w)
	})
}

func TestMessages(t *testing.T) {
	t.Run("an empty message stays empty and git refuses it", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.conflict("commit", "-q", "-m", "")
		w.conflict("commit", "-q", "--no-verify", "-m", "")
		w.editing(`true`).conflict("commit", "-q")
		w.silent()
	})

	t.Run("an empty message that git was told to take stays empty, and is covered beside the commit", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.git("commit", "-q", "--allow-empty-message", "-m", "")
		w.silent()
		w.want("message", w.message("HEAD"), "")
		w.want("binding", w.binding("HEAD"), "re-attested")
	})

	t.Run("a line of dashes stays, and the commit is covered beside it", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.git("commit", "-q", "-m", "Subject\n\n---\nmore\n")
		w.silent()
		w.want("message", w.message("HEAD"), "Subject\n\n---\nmore\n")
		w.want("binding", w.binding("HEAD"), "re-attested")
		w.add("b", "b\n")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("binding of the amended", w.binding("HEAD"), "re-attested")
	})

	t.Run("an ambiguous message is told by its line and not stamped", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.git("commit", "-q", "-m", "Subject\n\nAI-Provenance: none via=hook\n\nmore\n")
		if strings.Count(*w.stderr, "gatekeeper:") != 1 || !strings.Contains(*w.stderr, "line 3") {
			t.Errorf("said %q", *w.stderr)
		}
		w.want("binding", w.binding("HEAD"), "none")
		w.git("commit", "-q", "--amend", "-m", "Subject")
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("an ambiguous line taken out in the editor does no harm", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.editing(`sed -i /^ai-/d "$1"`).git("commit", "-q", "-e", "-m", "Subject\n\nai-provenance: x\n\nmore\n")
		w.silent()
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("trailers and every other byte stay", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.git("commit", "-q", "-m", "Subject\n\nBody\n\nFixes: 12\nSigned-off-by: A <a@b>")
		message := w.message("HEAD")
		if !strings.HasPrefix(message, "Subject\n\nBody\n\nFixes: 12\nSigned-off-by: A <a@b>\nAI-Provenance: ") &&
			!strings.HasPrefix(message, "Subject\n\nBody\n\nFixes: 12\nSigned-off-by: A <a@b>\nAssisted-by: ") {
			t.Errorf("got %q", message)
		}
	})

	t.Run("another hook's line behind ours is put before it", func(t *testing.T) {
		w := newWorld(t)
		w.put("hooks/commit-msg", "#!/bin/sh\nprintf '\\nTicket 12\\n' >>\"$1\"\nexec "+program(t)+" commit-msg \"$@\"\n", 0o755)
		w.commit("a", "a\n", "Subject")
		w.want("binding", w.binding("HEAD"), "exact")
		if !strings.HasPrefix(w.message("HEAD"), "Subject\n\nTicket 12\n\n") {
			t.Errorf("got %q", w.message("HEAD"))
		}
		w.silent()
	})

	t.Run("the index may move on while the editor is open", func(t *testing.T) {
		w := newWorld(t)
		w.commit("a", "a\n", "Root")
		w.add("a", "b\n")
		w.editing(`echo other >b; env -u GIT_INDEX_FILE git add b 2>/dev/null; echo Subject >"$1"`).git("commit", "-q")
		w.want("binding", w.binding("HEAD"), "exact")
		w.silent()
	})

	t.Run("lines edited away are put back", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.editing(`echo Subject >"$1"`).git("commit", "-q", "-e", "-m", "x")
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("lines edited away where commit-msg does not run are kept beside the commit", func(t *testing.T) {
		w := newWorld(t)
		w.add("a", "a\n")
		w.editing(`echo Subject >"$1"`).git("commit", "-q", "-n", "-e", "-m", "x")
		w.silent()
		w.want("binding", w.binding("HEAD"), "re-attested")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("binding", w.binding("HEAD"), "exact")
	})
}

func TestPlaces(t *testing.T) {
	t.Run("linked work tree", func(t *testing.T) {
		w := fixture(t)
		w.git("worktree", "add", "-q", w.home+"/wt", "topic")
		other := *w
		other.dir = w.home + "/wt"
		other.commit("x", "x\n", "In a work tree")
		other.want("binding", other.binding("HEAD"), "exact")
		other.declare("aider", "", "gpt-5")
		w.git("commit", "-q", "-m", "In the first")
		if strings.Contains(w.records("HEAD"), "aider") {
			t.Error("what was declared in one work tree was used in another")
		}
	})

	t.Run("submodule, and the commit that records it", func(t *testing.T) {
		sub, w := newWorld(t), newWorld(t)
		sub.commit("s", "s\n", "Sub")
		w.commit("a", "a\n", "Root")
		w.git("submodule", "-q", "add", sub.dir, "sub")
		w.git("commit", "-q", "-m", "Add sub")
		w.want("binding of the superproject", w.binding("HEAD"), "exact")
		in := w.in("sub")
		in.commit("t", "t\n", "In the submodule")
		in.want("binding", in.binding("HEAD"), "exact")
		w.git("commit", "-q", "-am", "Move sub")
		w.want("binding of the gitlink", w.binding("HEAD"), "exact")
	})

	t.Run("SHA-256", func(t *testing.T) {
		w := newWorld(t, "--object-format=sha256")
		w.commit("a", "a\n", "Root")
		w.commit("a", "b\n", "Next")
		w.want("root", w.binding("HEAD~1"), "exact")
		w.want("next", w.binding("HEAD"), "exact")
	})

	t.Run("packed objects and refs", func(t *testing.T) {
		w := fixture(t)
		w.git("gc", "-q")
		w.git("commit", "-q", "-m", "x")
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("a clone that borrows objects", func(t *testing.T) {
		w := fixture(t)
		w.git("clone", "-q", "--shared", w.dir, w.home+"/shared")
		other := *w
		other.dir = w.home + "/shared"
		other.commit("a.txt", "z\n", "x")
		other.want("binding", other.binding("HEAD"), "exact")
	})

	t.Run("a shallow clone", func(t *testing.T) {
		w := fixture(t)
		w.git("clone", "-q", "--depth=1", "file://"+w.dir, w.home+"/shallow")
		other := *w
		other.dir = w.home + "/shallow"
		other.commit("a.txt", "z\n", "x")
		other.want("binding", other.binding("HEAD"), "exact")
	})
}

func TestKeys(t *testing.T) {
	t.Run("without a key the lines stand unsigned, and it is said once", func(t *testing.T) {
		w := newWorld(t)
		w.git("config", "--global", "--unset", "gatekeeper.signingKey")
		w.commit("a", "a\n", "Subject")
		if strings.Count(*w.stderr, "gatekeeper:") != 0 {
			t.Log(*w.stderr)
		}
		if len(w.records("HEAD")) == 0 {
			t.Error("no provenance")
		}
		w.want("binding", w.binding("HEAD"), "none")
		w.add("a", "b\n")
		w.git("commit", "-q", "-m", "Next")
		if n := strings.Count(*w.stderr, "gatekeeper: recorded, but not signed: there is no signing key"); n != 1 {
			t.Errorf("said %d times: %q", n, *w.stderr)
		}
		w.git("config", "--global", "gatekeeper.signingKey", w.home+"/key")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("binding after amend", w.binding("HEAD"), "exact")
	})

	t.Run("git's own SSH key serves, named by its public half", func(t *testing.T) {
		w := newWorld(t)
		w.git("config", "--global", "--unset", "gatekeeper.signingKey")
		w.git("config", "gpg.format", "ssh")
		w.git("config", "user.signingKey", "~/key.pub")
		w.commit("a", "a\n", "Subject")
		w.want("binding", w.binding("HEAD"), "exact")
	})

	t.Run("another kind of key is left to the big program", func(t *testing.T) {
		w := newWorld(t)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", w.home+"/ecdsa").CombinedOutput(); err != nil {
			t.Fatal(string(out))
		}
		w.git("config", "--global", "gatekeeper.signingKey", w.home+"/ecdsa")
		dir := filepath.Join(w.home, "bin")
		w.put("bin/gatekeeper", "#!/bin/sh\necho \"$@\" >>"+w.home+"/called\n", 0o755)
		w.add("a", "a\n")
		w.with("PATH="+dir+":"+os.Getenv("PATH")).git("commit", "-q", "-m", "x")
		called, err := os.ReadFile(filepath.Join(w.home, "called"))
		if err != nil {
			t.Fatal(err)
		}
		w.want("called", string(called), "hook prepare-commit-msg .git/COMMIT_EDITMSG message\nhook commit-msg .git/COMMIT_EDITMSG\n")
	})
}

func TestWithoutAncestry(t *testing.T) {
	blind := func(t *testing.T) *world {
		w := newWorld(t)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"prepare-commit-msg", "commit-msg", "post-commit"} {
			w.put("hooks/"+name, "#!/bin/sh\nCOMMITMSG_BLIND=1 exec "+self+" "+name+" \"$@\"\n", 0o755)
		}
		w.commit("a", "a\n", "Root")
		w.commit("a", "b\n", "Next")
		w.add("a", "c\n")
		return w
	}
	for _, args := range [][]string{{"-m", "x"}, {"--amend", "--no-edit"}, {"-n", "-m", "x"}, {"--amend", "-e"}} {
		t.Run("commit "+strings.Join(args, " ")+" is certain all the same", func(t *testing.T) {
			w := blind(t)
			w.editing("true").git(append([]string{"commit", "-q"}, args...)...)
			w.want("binding", w.binding("HEAD"), "exact")
			w.silent()
			if _, err := os.Stat(filepath.Join(w.dir, ".git/gatekeeper/prepared")); err == nil {
				t.Error("post-commit left what was prepared")
			}
		})
	}
	t.Run("amend -m is noticed, and attested beside the commit", func(t *testing.T) {
		w := blind(t)
		w.git("commit", "-q", "--amend", "-m", "x")
		w.silent()
		w.want("binding", w.binding("HEAD"), "re-attested")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("binding", w.binding("HEAD"), "exact")
		w.silent()
	})
}
