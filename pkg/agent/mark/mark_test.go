package mark_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

const claude = "Co-Authored-By: Claude <noreply@anthropic.com>"

// messages have one outcome each: the marks, "TOOL" or "TOOL MODEL" in their order.
var messages = []struct {
	name, message, want string
}{
	// What agents write.
	{"Claude Code", "s\n\n" + claude + "\n", "claude-code"},
	{"Claude Code names its model", "s\n\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\n", "claude-code Claude Opus 4.6"},
	{"and its context", "s\n\nCo-Authored-By: Claude Opus 4.6 (1M context) <noreply@anthropic.com>\n", "claude-code Claude Opus 4.6 (1M context)"},
	{"another maker's model behind Claude Code", "s\n\nCo-Authored-By: Claude Code <noreply@anthropic.com>\n", "claude-code"},
	{"a version of Claude Code is no model", "s\n\nCo-Authored-By: Claude Code 2.1.330 <noreply@anthropic.com>\n", "claude-code"},
	{"a family is no model", "s\n\nCo-Authored-By: Claude Opus <noreply@anthropic.com>\n", "claude-code"},
	{"name and address disagree", "s\n\nCo-Authored-By: GPT-5.6 Sol <noreply@anthropic.com>\n", "claude-code GPT-5.6 Sol"},
	{"an address alone", "s\n\nCo-Authored-By: <noreply@anthropic.com>\n", "claude-code"},
	{"below its footer", "s\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)\n\n" + claude + "\n", "claude-code"},
	{"sub-agents with models of their own", "s\n\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\nCo-Authored-By: Claude Haiku 4.5 <noreply@anthropic.com>\n", "claude-code Claude Opus 4.6|claude-code Claude Haiku 4.5"},
	{"a session beside the co-author is one mark", "s\n\nClaude-Session: https://claude.ai/code/session_01\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\n", "claude-code Claude Opus 4.6"},
	{"in the other order, too", "s\n\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\nClaude-Session: https://claude.ai/code/session_01\n", "claude-code Claude Opus 4.6"},
	{"the GitHub App of Claude", "s\n\nCo-authored-by: claude[bot] <209825114+claude[bot]@users.noreply.github.com>\n", "claude-code"},
	{"Copilot in VS Code", "s\n\nCo-authored-by: Copilot <copilot@github.com>\n", "copilot-vscode"},
	{"Copilot CLI", "s\n\nCo-authored-by: Copilot <223556219+Copilot@users.noreply.github.com>\n", "copilot-cli"},
	{"Copilot in the cloud", "s\n\nAgent-Logs-Url: https://github.com/o/r/sessions/0f\nCo-authored-by: copilot-swe-agent[bot] <198982749+Copilot@users.noreply.github.com>\n", "copilot-swe-agent"},
	{"Codex", "s\n\nCo-authored-by: Codex <noreply@openai.com>\n", "codex"},
	{"Cursor", "s\n\nCo-authored-by: Cursor <cursoragent@cursor.com>\n", "cursor"},
	{"Cursor 2.6", "s\n\nMade-with: Cursor\n", "cursor"},
	{"Cursor never names the model", "s\n\nCo-authored-by: Cursor Grok 4.6 <cursoragent@cursor.com>\n", "cursor"},
	{"Aider names its model", "s\n\nCo-authored-by: aider (gpt-4o) <aider@aider.chat>\n", "aider gpt-4o"},
	{"Aider names the provider, too", "s\n\nCo-authored-by: aider (openrouter/anthropic/claude-x) <noreply@aider.chat>\n", "aider openrouter/anthropic/claude-x"},
	{"Aider without a model", "s\n\nCo-authored-by: aider <aider@aider.chat>\n", "aider"},
	{"Amp", "s\n\nAmp-Thread-ID: https://ampcode.com/threads/T-0f\nCo-authored-by: Amp <amp@ampcode.com>\n", "amp"},
	{"Amp's thread alone", "s\n\nAmp-Thread-ID: https://ampcode.com/threads/T-0f\n", "amp"},
	{"Crush names its model", "s\n\n💘 Generated with Crush\n\nAssisted-by: Crush:MiniMax-M3\n", "crush MiniMax-M3"},
	{"Crush, with tools of analysis", "s\n\nAssisted-by: Crush:claude-x coccinelle sparse\n", "crush claude-x"},
	{"Crush of earlier versions", "s\n\nAssisted-by: GLM-5 via Crush <crush@charm.land>\n", "crush GLM-5"},
	{"Crush as a co-author", "s\n\nCo-Authored-By: Crush <crush@charm.land>\n", "crush"},
	{"Continue", "s\n\nCo-Authored-By: Continue <noreply@continue.dev>\n", "continue"},
	{"Qwen Code", "s\n\nCo-authored-by: Qwen-Coder <qwen-coder@alibabacloud.com>\n", "qwen-code"},
	{"OpenCode", "s\n\nCo-Authored-By: opencode <noreply@opencode.ai>\n", "opencode"},
	{"Devin", "s\n\nCo-authored-by: Devin AI <158243242+devin-ai-integration[bot]@users.noreply.github.com>\n", "devin"},
	{"Jules", "s\n\nCo-authored-by: google-labs-jules[bot] <161369871+google-labs-jules[bot]@users.noreply.github.com>\n", "jules"},
	{"Droid", "s\n\nCo-authored-by: factory-droid[bot] <138933559+factory-droid[bot]@users.noreply.github.com>\n", "droid"},
	{"Warp", "s\n\nCo-Authored-By: Oz <oz-agent@warp.dev>\n", "warp"},
	{"Kiro", "s\n\nCo-authored-by: Kiro Agent <244629292+kiro-agent@users.noreply.github.com>\n", "kiro"},

	// Forms that readers of trailers take for the same.
	{"keys and addresses have no case", "s\n\nCO-AUTHORED-BY: Claude <NoReply@Anthropic.com>\n", "claude-code"},
	{"beside a sign-off and other lines", "s\n\nFixes #12\nSigned-off-by: A <a@b>\n" + claude + "\n", "claude-code"},
	{"folded", "s\n\nCo-Authored-By: Claude\n <noreply@anthropic.com>\n", "claude-code"},
	{"CRLF", "s\r\n\r\n" + claude + "\r\n", "claude-code"},
	{"two tools", "s\n\n" + claude + "\nCo-authored-by: Cursor <cursoragent@cursor.com>\n", "claude-code|cursor"},
	{"twice the same", "s\n\n" + claude + "\n" + claude + "\n", "claude-code"},
	{"above comments", "s\n\n" + claude + "\n# On branch main\n", "claude-code"},

	// What is no mark.
	{"nothing", "s\n", ""},
	{"a person called Claude", "s\n\nCo-authored-by: Claude Dupont <claude@example.com>\n", ""},
	{"a person called Devin", "s\n\nCo-authored-by: Devin <devin@example.com>\nReviewed-by: Devin AI <devin@example.com>\n", ""},
	{"a person's account with a bot's word in it", "s\n\nCo-authored-by: X <1+devin-ai-integration@users.noreply.github.com>\n", ""},
	{"a person's account called Copilot", "s\n\nCo-authored-by: Copilot <77+Copilot@users.noreply.github.com>\n", ""},
	{"a bot of another host", "s\n\nCo-authored-by: v0[bot] <1+v0[bot]@users.noreply.example.com>\n", ""},
	{"a name without an address", "s\n\nCo-Authored-By: Claude\n", ""},
	{"an address without brackets", "s\n\nCo-Authored-By: Claude noreply@anthropic.com\n", ""},
	{"an address of which the registry's is a part", "s\n\nCo-Authored-By: C <xnoreply@anthropic.com>\nCo-Authored-By: C <noreply@anthropic.com.example>\n", ""},
	{"words behind the address", "s\n\nCo-Authored-By: Claude <noreply@anthropic.com> was here\n", ""},
	{"two addresses", "s\n\nCo-Authored-By: A <a@b> <noreply@anthropic.com>\n", ""},
	{"ChatGPT, whose words somebody pasted", "s\n\nCo-authored-by: ChatGPT <noreply@openai.com>\n", ""},
	{"a person who assisted, as curl thanks", "s\n\nAssisted-by: Claude Dupont\nAssisted-by: Devin <devin@example.com>\n", ""},
	{"what a project asks of people", "s\n\nAssisted-by: Claude:claude-3-opus coccinelle sparse\n", ""},
	{"our own public trailer", "s\n\nAssisted-by: crush:claude-x\nAssisted-by: claude-code:claude-x\nAssisted-by: LLM\n", ""},
	{"a person called Crush", "s\n\nAssisted-by: Crush\nAssisted-by: Crush: the person\n", ""},
	{"a reviewer", "s\n\nReviewed-by: Claude <noreply@anthropic.com>\nSigned-off-by: Claude <noreply@anthropic.com>\n", ""},
	{"made with more than Cursor", "s\n\nMade-with: Cursor and love\nMade-with: care\n", ""},
	{"logs of something else", "s\n\nAgent-Logs-Url: https://github.com/o/r/issues/1\nClaude-Session: https://example.com/session_1\n", ""},
	{"another recorder", "s\n\nEntire-Checkpoint: 0f\n", ""},
	{"in prose", "s\n\nTake out the line " + claude + "\nthat the tool wrote.\n", ""},
	{"in the subject", claude + "\n", ""},
	{"below the subject, without a blank line", "s\n" + claude + "\n", ""},
	{"denied", "s\n\nNo " + claude + " here\n", ""},
	{"denied as a key", "s\n\nNot-" + claude + "\nRemoved: " + claude + "\n", ""},
	{"quoted", "s\n\n> " + claude + "\n", ""},
	{"listed", "s\n\n* " + claude + "\n- " + claude + "\n", ""},
	{"in the body of a squash", "s (#12)\n\n* one\n\n" + claude + "\n\n* two\n\nSigned-off-by: A <a@b>\n", ""},
	{"indented, as git merge --squash leaves it", "Squashed commit of the following:\n\ncommit 0f\n\n    one\n\n    " + claude + "\n", ""},
	{"above the last paragraph", "s\n\n" + claude + "\n\nReviewed-by: A <a@b>\n", ""},
	{"above a last paragraph of prose", "s\n\n" + claude + "\n\nThat was all.\n", ""},
	{"among prose", "s\n\nOne word\n" + claude + "\nand another\n", ""},
	{"right below its footer, which makes prose of it", "s\n\n💘 Generated with Crush\nAssisted-by: Crush:MiniMax-M3\n", ""},
	{"a footer alone", "s\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)\n", ""},
	{"a footer beside a sign-off", "s\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)\nSigned-off-by: A <a@b>\n", ""},
	{"below the scissors", "s\n\n# ------------------------ >8 ------------------------\n\n" + claude + "\n", ""},
	{"in a comment", "s\n\nFixes: 1\n# " + claude + "\n", ""},
}

func words(marks []mark.Mark) string {
	var all []string
	for _, m := range marks {
		all = append(all, strings.TrimSpace(m.Tool+" "+m.Model))
	}
	return strings.Join(all, "|")
}

func find(t testing.TB, message string) ([]mark.Mark, []trailer.Line) {
	t.Helper()
	block, err := trailer.Read([]byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return mark.Find(block.Other), block.Other
}

func TestFind(t *testing.T) {
	for _, c := range messages {
		t.Run(c.name, func(t *testing.T) {
			marks, trailers := find(t, c.message)
			if got := words(marks); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, m := range marks { // a mark says where it stands
				if again := mark.Find(trailers[m.At : m.At+1]); words(again) != words([]mark.Mark{m}) {
					t.Errorf("trailer %d has %q, want %q", m.At, words(again), words([]mark.Mark{m}))
				}
			}
		})
	}
}

// TestGitSeesTheSame asks git which lines of the messages are trailers.
func TestGitSeesTheSame(t *testing.T) {
	dir := t.TempDir()
	for i, c := range messages {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(c.message), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("git", "interpret-trailers", "--parse", file)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var trailers []trailer.Line
		for line := range strings.Lines(string(out)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			trailers = append(trailers, trailer.Line{Key: key, Value: value})
		}
		if got := words(mark.Find(trailers)); got != c.want {
			t.Errorf("%s: by git's own reading %q, want %q", c.name, got, c.want)
		}
	}
}

func TestModelsHaveOneSpelling(t *testing.T) {
	for message, want := range map[string]string{
		"s\n\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\n":              "anthropic/claude-opus-4-6",
		"s\n\nCo-Authored-By: Claude Opus 4.6 (1M context) <noreply@anthropic.com>\n": "anthropic/claude-opus-4-6[1m]",
		"s\n\nCo-Authored-By: GPT-5.6 Sol <noreply@anthropic.com>\n":                  "openai/GPT-5.6 Sol",
		"s\n\nCo-Authored-By: Cursor Grok 4.6 <noreply@anthropic.com>\n":              "unknown/Cursor Grok 4.6",
		"s\n\nCo-authored-by: aider (gpt-4o) <aider@aider.chat>\n":                    "openai/gpt-4o",
		"s\n\nAssisted-by: Crush:unknown\n":                                           "unknown/unknown",
		"s\n\n" + claude + "\n":                                                       "unknown/unknown",
	} {
		marks, _ := find(t, message)
		if len(marks) != 1 || agent.CanonicalModel(marks[0].Model).ID() != want {
			t.Errorf("%q: got %+v, want %s", message, marks, want)
		}
	}
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		mark, tool string
		want       bool
	}{
		{"copilot-cli", "copilot-vscode", true}, {"claude-code", "claude-code", true},
		{"claude-code", "copilot-cli", false}, {"copilot-cli", "claude-code", false}, {"codex", "", false},
	} {
		if got := (mark.Mark{Tool: c.mark}).Of(c.tool); got != c.want {
			t.Errorf("a mark of %s of %s: got %v", c.mark, c.tool, got)
		}
	}
}

func TestMarksAreFew(t *testing.T) {
	var message strings.Builder
	message.WriteString("s\n\n")
	for n := range 100_000 {
		fmt.Fprintf(&message, "Co-Authored-By: Claude Opus %d <noreply@anthropic.com>\n", n)
	}
	if marks, _ := find(t, message.String()); len(marks) != mark.Most || marks[0].Model != "Claude Opus 0" {
		t.Errorf("got %d marks, the first %+v", len(marks), marks[:1])
	}
}

// FuzzFind holds marks to what the final block says: nothing above it counts, no
// tool stands twice with one model, and a model is part of its own trailer.
func FuzzFind(f *testing.F) {
	for _, c := range messages {
		f.Add([]byte(c.message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		block, err := trailer.Read(message)
		if err != nil {
			return
		}
		marks := mark.Find(block.Other)
		if len(marks) > mark.Most {
			t.Fatalf("%d marks", len(marks))
		}
		for i, m := range marks {
			l := block.Other[m.At]
			if m.Tool == "" || !m.Of(m.Tool) || !strings.Contains(l.Value, m.Model) {
				t.Errorf("%+v is not of %q", m, l)
			}
			if slices.ContainsFunc(marks[:i], func(o mark.Mark) bool { return o.Tool == m.Tool && (o.Model == m.Model || m.Model == "") }) {
				t.Errorf("%+v stands twice: %+v", m, marks)
			}
		}
		if strings.ContainsAny(string(message), "#\x00") {
			return // a scissors line or a NUL ends the message early
		}
		block, err = trailer.Read(append(slices.Clone(message), "\n\nThat was all.\n\nFixes: 1\n"...))
		want := []trailer.Line{{Key: "Fixes", Value: "1"}}
		if diff := cmp.Diff(want, block.Other); err != nil || diff != "" || mark.Find(block.Other) != nil {
			t.Errorf("with another block behind (-want +got): %v\n%s", err, diff)
		}
	})
}
