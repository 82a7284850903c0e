package commitmsg_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/record"
)

const (
	byClaude = "Co-Authored-By: Claude <noreply@anthropic.com>"
	byOpus   = "Co-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>"
	byAider  = "Co-authored-by: aider (gpt-4o) <aider@aider.chat>"
	byCursor = "Co-authored-by: Cursor <cursoragent@cursor.com>"

	unnamed = "claude-code/unknown unknown/unknown lines=unknown/%T via=declared session=unknown"
	opus    = "claude-code/unknown anthropic/claude-opus-4-6 lines=unknown/%T via=declared session=unknown"
	aider   = "aider/unknown openai/gpt-4o lines=unknown/%T via=declared session=unknown"
	cursor  = "cursor/unknown unknown/unknown lines=unknown/%T via=declared session=unknown"
)

// adding is records of a commit that adds n lines.
func adding(n string, records ...string) string {
	return strings.ReplaceAll(strings.Join(records, "\n"), "%T", n)
}

func message(trailers ...string) string { return "Subject\n\n" + strings.Join(trailers, "\n") }

// unhooked makes a commit as git without our hooks does.
func (w *world) unhooked(path, content, message string) string {
	w.t.Helper()
	w.add(path, content)
	w.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", message)
	return w.git("rev-parse", "HEAD")
}

// wantSigned compares the records of HEAD, which must be signed for exactly this commit.
func (w *world) wantSigned(want string) {
	w.t.Helper()
	w.want("records", w.records("HEAD"), want)
	w.want("binding", w.binding("HEAD"), "exact")
	w.silent()
}

// recordsBeside are the records of the only attestation beside a commit.
func (w *world) recordsBeside(rev string) string {
	w.t.Helper()
	texts := w.besides(w.changeOf([]string{w.git("rev-parse", rev+"~1^{tree}")}, w.git("rev-parse", rev+"^{tree}")))
	if len(texts) != 1 {
		w.t.Fatalf("%d attestations beside %s", len(texts), rev)
	}
	return strings.Join(lineOf(texts[0], "AI-Provenance"), "\n")
}

func TestMarks(t *testing.T) {
	for _, c := range []struct{ name, message, want string }{
		{"a tool declares itself", message(byClaude), unnamed},
		{"with its model", message(byOpus), opus},
		{"several tools do", message(byOpus, byAider), aider + "\n" + opus},
		{"a person of that name does not", message("Co-authored-by: Claude <claude@example.com>"), "none via=process"},
		{"a mention does not", "Subject\n\nTake out this line:\n\n" + byClaude + "\n\nIt is a lie.", "none via=process"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if !alone(w) {
				return
			}
			w.commit("a", "a\n", c.message)
			w.wantSigned(adding("1", c.want))
			if text, _, _ := strings.Cut(c.message, "\n\n"); !strings.HasPrefix(w.message("HEAD"), text+"\n") {
				t.Errorf("the message became %q", w.message("HEAD"))
			}
		})
	}

	t.Run("the message is the one that the editor leaves", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.add("a", "a\n")
		w.editing(`printf 'Subject\n\n`+byAider+`\n' >"$1"`).git("commit", "-q")
		w.wantSigned(adding("1", aider))

		w.add("a", "b\n")
		w.editing(`sed -i '/Claude/d' "$1"`).git("commit", "-q", "-e", "-m", message("Fixes: 1", byClaude))
		w.wantSigned("none via=process")

		w.add("a", "c\n")
		w.editing(`printf 'Subject\n\n# `+byClaude+`\n' >"$1"`).git("commit", "-q")
		w.wantSigned("none via=process")
	})

	t.Run("another hook adds it after ours", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.put("hooks/commit-msg", fmt.Sprintf("#!/bin/sh\nprintf '\\n%s\\n' >>\"$1\"\nexec %q commit-msg \"$@\"\n", byCursor, program(t)), 0o755)
		w.commit("a", "a\n", "Subject")
		w.wantSigned(adding("1", cursor))
	})

	t.Run("what was observed of the same tool wins", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.with(claude...).commit("a", "a\n", message(byOpus))
		w.wantSigned(claudeLine("1"))
		w.with(qwen...).commit("a", "b\n", message(byOpus))
		w.wantSigned(adding("1", opus) + "\nqwen-code/unknown alibaba/qwen3-coder-plus lines=unknown/1 via=process session=unknown")
	})

	t.Run("so does what a person declared of it", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.declare("claude-code", "", "claude-sonnet-4-5")
		w.commit("a", "a\n", message(byOpus, byCursor))
		w.wantSigned(adding("1", strings.Replace(opus, "opus-4-6", "sonnet-4-5", 1), cursor))
	})

	t.Run("any Copilot accounts for a mark of Copilot", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.with("COPILOT_CLI=1").commit("a", "a\n", message("Co-authored-by: Copilot <copilot@github.com>"))
		w.wantSigned("copilot-cli/unknown unknown/unknown lines=unknown/1 via=process session=unknown")
	})

	t.Run("lines that are told of stay told and traced", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.agentWrites(codexCall("1"), "a", "a\nb\n")
		w.write("a", "a\nb\nc\n")
		w.git("add", "a")
		w.editing(`printf 'Subject\n\n`+byAider+`\nCo-Authored-By: Codex <noreply@openai.com>\n' >"$1"`).git("commit", "-q")
		w.wantSigned(adding("3", aider) + "\n" + hooked(codexHook, "2/3"))
		got, err := record.ParseTrace(w.trace("HEAD"))
		w.must(err)
		w.want("trace", strings.Join(got.Records, "\n"), w.records("HEAD"))
		if source, ok := got.Files[0].At(0); !ok || source != 1 {
			t.Errorf("the first line came from record %d", source)
		}
	})
}

func TestMarksOfOldCommits(t *testing.T) {
	t.Run("amending does not double a mark", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.commit("a", "a\n", message(byOpus))
		before := w.values("HEAD", "AI-Attestation")[0]
		w.git("commit", "-q", "--amend", "--no-edit")
		w.want("attestation", w.values("HEAD", "AI-Attestation")[0], before)
		w.add("a", "a\nb\n")
		w.git("commit", "-q", "--amend", "--no-edit")
		w.wantSigned(adding("2", opus))
		w.git("commit", "-q", "--amend", "-m", "Its line is gone")
		w.wantSigned(adding("2", opus))
	})

	t.Run("a mark that comes with an amend is signed, and none goes", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.commit("a", "a\n", "Subject")
		w.git("commit", "-q", "--amend", "-m", message(byOpus))
		w.wantSigned(adding("1", opus))
		w.editing("printf '"+byCursor+"\n' >>\"$1\"").git("commit", "-q", "--amend")
		w.wantSigned(adding("1", opus, cursor))
		w.want("public", strings.Join(w.values("HEAD", "Assisted-by"), ","), "claude-code:claude-opus-4-6,cursor")
	})

	t.Run("an amend names the model that the mark did not", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.commit("a", "a\n", message(byClaude))
		w.git("commit", "-q", "--amend", "-m", message(byOpus))
		w.wantSigned(adding("1", opus))
	})

	t.Run("a commit of before keeps its mark when it is amended", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.unhooked("a", "a\n", message(byOpus))
		w.git("commit", "-q", "--amend", "-m", "Its line is gone")
		w.wantSigned(adding("1", opus))
	})

	t.Run("a rebase keeps what was signed, and declares what was not", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.commit("base", "0\n", "Base")
		w.git("checkout", "-q", "-b", "topic")
		w.commit("a", "a\n", message(byOpus))
		signed := w.values("HEAD", "AI-Attestation")[0]
		w.unhooked("b", "b\n", message(byAider))
		w.git("checkout", "-q", "main")
		w.commit("c", "c\n", "Third")
		w.git("rebase", "-q", "main", "topic")
		w.want("the signed", w.values("HEAD~1", "AI-Attestation")[0], signed)
		w.want("its records", w.records("HEAD~1"), adding("1", opus))
		w.wantSigned(adding("1", aider))
	})

	t.Run("the parts of a squash keep theirs", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.commit("base", "0\n", "Base")
		w.git("checkout", "-q", "-b", "topic")
		w.commit("a", "a\n", message(byOpus))
		w.unhooked("b", "b\n", message(byAider))
		w.git("checkout", "-q", "main")
		w.git("merge", "-q", "--squash", "topic")
		w.git("commit", "-q", "-m", message(byCursor))
		w.wantSigned(adding("2", aider, opus, cursor))
		w.git("reset", "-q", "--hard", "topic")
		w.todo("2,3s/pick/squash/").editing("true").git("rebase", "-q", "-i", "--root")
		w.want("records after rebase -i", w.records("HEAD"), adding("3", aider, opus))
	})

	t.Run("a patch that is applied declares what it says", func(t *testing.T) {
		w := newWorld(t)
		if !alone(w) {
			return
		}
		w.commit("base", "0\n", "Base")
		w.git("checkout", "-q", "-b", "topic")
		w.unhooked("a", "a\n", message(byOpus))
		patch := w.git("format-patch", "-1", "-o", w.home)
		w.git("checkout", "-q", "main")
		w.git("am", "-q", patch)
		w.want("binding", w.binding("HEAD"), "re-attested")
		w.want("records beside", w.recordsBeside("HEAD"), adding("1", opus))
	})

	t.Run("a pick that is edited, for which git runs no commit-msg, declares beside", func(t *testing.T) {
		w := fixture(t)
		if !alone(w) {
			return
		}
		w.git("reset", "-q", "--hard")
		w.editing(`printf 'Subject\n\n`+byOpus+`\n' >"$1"`).git("cherry-pick", "-e", "topic")
		w.want("binding", w.binding("HEAD"), "re-attested")
		w.want("records beside", w.recordsBeside("HEAD"), adding("1", opus))
	})
}

// TestNoneNeverStandsBesideAMark goes through ways of committing, each with a mark.
func TestNoneNeverStandsBesideAMark(t *testing.T) {
	for _, o := range []struct {
		name string
		do   func(w *world)
	}{
		{"-m", run("commit", "-q", "-m", message(byClaude))},
		{"-F -", func(w *world) {
			_, _, err := w.run(message(byClaude), "commit", "-q", "-F", "-")
			w.must(err)
		}},
		{"--trailer", run("commit", "-q", "-m", "Subject", "--trailer", byClaude)},
		{"--no-verify", run("commit", "-q", "--no-verify", "-m", message(byClaude))},
		{"--cleanup=verbatim", run("commit", "-q", "--cleanup=verbatim", "-m", message(byClaude))},
		{"-s", run("commit", "-q", "-s", "-m", message(byClaude))},
		{"-v in an editor", func(w *world) {
			w.editing(`sed -i '1s/^/Subject\n\n`+byClaude+`\n/' "$1"`).git("commit", "-q", "-v")
		}},
		{"-t", func(w *world) {
			w.put("template", "Subject\n\n"+byClaude+"\n", 0o644)
			w.editing(`sed -i '1s/$/ line/' "$1"`).git("commit", "-q", "-t", filepath.Join(w.home, "template"))
		}},
		{"--amend of a signed none", func(w *world) {
			w.git("commit", "-q", "-m", "Subject")
			w.git("commit", "-q", "--amend", "-m", message(byClaude))
		}},
		{"merge", func(w *world) {
			w.git("reset", "-q", "--hard")
			w.git("merge", "-q", "-m", message(byClaude), "topic")
		}},
		{"revert", plain(func(w *world) {
			w.git("revert", "-n", "HEAD")
			w.git("commit", "-q", "-m", message(byClaude))
		})},
		{"rebase -i reword", plain(func(w *world) {
			w.todo("1s/pick/reword/").editing(`printf 'Subject\n\n`+byClaude+`\n' >"$1"`).git("rebase", "-q", "-i", "main~1", "main")
		})},
	} {
		t.Run(o.name, func(t *testing.T) {
			w := fixture(t)
			if !alone(w) {
				return
			}
			o.do(w)
			if got := w.records("HEAD"); !strings.HasPrefix(got, "claude-code/unknown unknown/unknown ") || strings.Contains(got, "\n") {
				t.Errorf("got %q for\n%s", got, w.message("HEAD"))
			}
			if b := w.binding("HEAD"); b != "exact" && b != "change" {
				t.Errorf("the binding is %s", b)
			}
			w.silent()
		})
	}
}

// TestMarksUnderTheirOwnAgent is a commit by an agent whose hooks told everything.
func TestMarksUnderTheirOwnAgent(t *testing.T) {
	w := newWorld(t)
	if !alone(w) {
		return
	}
	call := claudeCall("1")
	w.agentWrites(call, "a", "a\n")
	w.git("add", "a")
	w.with(claude...).git("commit", "-q", "-m", message(byOpus))
	if got := w.records("HEAD"); strings.Contains(got, "via=declared") || !strings.Contains(got, hooked(claudeHook, "1/1")) {
		t.Errorf("got %q", got)
	}
}
