package mark_test

import (
	"fmt"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// read is all that a message and its author are marked with, as somebody who infers reads
// it: trailers, author, body.
func read(t *testing.T, message, name, address string) string {
	t.Helper()
	block, err := trailer.Read([]byte(message))
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	say := func(m mark.Mark) { said += fmt.Sprintf("%s:%s ", m.Tool, m.Model) }
	for _, m := range mark.Find(block.Other) {
		say(m)
	}
	if m, ok := mark.Author(name, address); ok {
		say(m)
	}
	for _, m := range mark.Body([]byte(message)) {
		say(m)
	}
	return said
}

func TestMarks(t *testing.T) {
	const (
		claude  = "Co-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>"
		copilot = "Co-authored-by: Copilot <223556219+Copilot@users.noreply.github.com>"
		footer  = "🤖 Generated with [Claude Code](https://claude.com/claude-code)"
	)
	for _, tt := range []struct{ what, message, name, address, want string }{
		{"a co-author line", "Fix\n\n" + claude + "\n", "", "", "claude-code:Claude Opus 4.6 "},
		{"the address tells the tool and the name the model", "Fix\n\nCo-Authored-By: GPT-5.6 Sol <noreply@anthropic.com>\n", "", "", "claude-code:GPT-5.6 Sol "},
		{"a person called Claude", "Fix\n\nCo-authored-by: Claude Martin <claude@example.com>\n", "Claude", "claude.martin@example.com", ""},
		{"a person called Devin", "Fix\n\nCo-authored-by: Devin <devin@example.com>\n", "Devin AI Fan", "devin@example.com", ""},
		{"a person at Anthropic", "Fix\n\nCo-authored-by: Ann <ann@anthropic.com>\n", "Ann", "ann@anthropic.com", ""},
		{"the bot Devin as author", "Fix\n", "devin-ai-integration[bot]", "158243242+devin-ai-integration[bot]@users.noreply.github.com", "devin: "},
		{"the bot Claude as author", "Fix\n", "claude[bot]", "209825114+claude[bot]@users.noreply.github.com", "claude-code: "},
		{"Copilot's agent as author", "Fix\n", "copilot-swe-agent[bot]", "198982749+Copilot@users.noreply.github.com", "copilot-swe-agent: "},
		{"a person with a number at GitHub", "Fix\n", "Kim", "12345+kim@users.noreply.github.com", ""},
		{"Aider behind the author's name", "Fix\n", "Kim Lee (aider)", "kim@example.com", "aider: "},
		{"Codex in the cloud", "Fix\n", "Codex", "codex@example.com", "codex: "},
		{"somebody else at that address", "Fix\n", "Cora Dexter", "codex@example.com", ""},
		{"curl thanks people in Assisted-by", "Fix\n\nAssisted-by: Claude Dupont\nAssisted-by: Viktor Szakats\n", "", "", ""},
		{"the kernel's Assisted-by names no tool of the registry", "Fix\n\nAssisted-by: LLM coccinelle\n", "", "", ""},
		{"Crush writes Assisted-by by itself", "Fix\n\nAssisted-by: Crush:glm-4.6\n", "", "", "crush:glm-4.6 "},
		{"a session trailer", "Fix\n\nClaude-Session: https://claude.ai/code/session_0123\n", "", "", "claude-code: "},
		{"a footer", "Fix\n\n" + footer + "\n", "", "", "claude-code: "},
		{"a footer above the trailers", "Fix\n\nWhy.\n\n" + footer + "\n\n" + claude + "\n", "", "", "claude-code:Claude Opus 4.6 claude-code: "},
		{"opencode's footer", "Fix\n\n🤖 Generated with [opencode](https://opencode.ai)\n", "", "", "opencode: "},
		{"Crush's footer", "Fix\n\n💘 Generated with Crush\n", "", "", "crush: "},
		{"a footer with another address", "Fix\n\n🤖 Generated with [Claude Code](https://evil.example/claude-code)\n", "", "", ""},
		{"a footer in the middle of a text", "Fix\n\n" + footer + "\n\nis what we no longer write.\n\nSee the issue.\n\nSigned-off-by: A <a@example.com>\n", "", "", ""},
		{"a quoted footer", "Fix\n\n> " + footer + "\n", "", "", ""},
		{"a negated mention", "Do not add 'Generated with Claude Code'\n\nWe never want " + claude + " in here.\n", "", "", ""},
		{"an example, indented", "Document attribution\n\nSuch as:\n\n    " + claude + "\n\nis not wanted.\n", "", "", ""},
		{"a co-author line in the middle of a text", "Fix\n\n" + claude + "\n\nMore words.\n", "", "", ""},
		{"a quoted co-author line", "Fix\n\n> " + claude + "\n", "", "", ""},
		{"prose about tools", "Use Claude and Copilot\n\nGenerated with care by a person, not by Claude Code.\n", "", "", ""},
		{"a squash by GitHub: bodies below bullets", "Feature (#12)\n\n* Begin\n\n" + copilot + "\n\n* Go on\n\nWhy.\n\n" + claude + "\n\n---------\n\nCo-authored-by: Kim <kim@example.com>\n", "", "",
			"copilot-cli: claude-code:Claude Opus 4.6 "},
		{"a squash by GitHub: a footer in a body", "Feature (#12)\n\n* Begin\n\n" + footer + "\n\n* Go on\n\nWhy.\n", "", "", "claude-code: "},
		{"a squash by GitHub: prose in a body stays prose", "Feature (#12)\n\n* Begin\n\nWe remove\n" + claude + "\nfrom the template.\n\n* Go on\n", "", "", ""},
		{"a squash by git: messages are indented", "Squashed commit of the following:\n\ncommit 0123456789012345678901234567890123456789\nAuthor: A <a@example.com>\nDate:   Thu Jan 1 00:00:00 2026 +0000\n\n    Fix\n    \n    " + claude + "\n", "", "",
			"claude-code:Claude Opus 4.6 "},
		{"a squash by git: an example inside stays one", "Squashed commit of the following:\n\ncommit 0123456789012345678901234567890123456789\nAuthor: A <a@example.com>\n\n    Document\n    \n        " + claude + "\n", "", "", ""},
		{"a list is no squash", "Fix two things\n\nThese:\n\n* one\n* two\n\n" + claude + "\n\nMore.\n", "", "", ""},
	} {
		t.Run(tt.what, func(t *testing.T) {
			if got := read(t, tt.message, tt.name, tt.address); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzBody holds that marks come of whole lines alone: a message in which every line is
// quoted has none.
func FuzzBody(f *testing.F) {
	f.Add("Feature\n\n* a\n\nCo-authored-by: Cursor <cursoragent@cursor.com>\n")
	f.Add("Squashed commit of the following:\n\n    Made-with: Cursor\n")
	f.Fuzz(func(t *testing.T, message string) {
		marks := mark.Body([]byte(message))
		if len(marks) > mark.Most {
			t.Errorf("%d marks", len(marks))
		}
		quoted := ""
		for _, r := range message {
			quoted += string(r)
			if r == '\n' {
				quoted += "> "
			}
		}
		if found := mark.Body([]byte("> " + quoted)); len(found) > 0 {
			t.Errorf("quoted, %q is still marked %v", quoted, found)
		}
	})
}
