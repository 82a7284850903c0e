//go:build linux

package bench_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
)

// claudeEvent is an event as Claude Code tells it, around an edit of a file or a command.
func claudeEvent(name, dir, path, call string) string {
	tool, input := "Edit", fmt.Sprintf(`{"file_path":%q,"old_string":"a","new_string":"b","replace_all":false}`, filepath.Join(dir, path))
	if path == "" {
		tool, input = "Bash", `{"command":"make"}`
	}
	return fmt.Sprintf(`{"session_id":"5c1f6f3e-0d6e-4f0e-9d55-1b1f0c8a7a10","transcript_path":%q,"cwd":%q,"hook_event_name":%q,`+
		`"tool_name":%q,"tool_input":%s,"tool_use_id":%q}`, filepath.Join(dir, ".git", "transcript.jsonl"), dir, name, tool, input, call)
}

// tell is the hook of an agent with one event.
func tell(bin string, r *gittest.Repo, event string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "gatekeeper-agent"), "claude-code")
	cmd.Dir, cmd.Env = r.Dir, r.Env
	cmd.Stdin = strings.NewReader(event)
	return cmd
}

// transcript is where Claude Code has the model of a call.
func transcript(b *testing.B, r *gittest.Repo, calls ...string) {
	b.Helper()
	var text strings.Builder
	for _, call := range calls {
		fmt.Fprintf(&text, `{"type":"assistant","version":"2.1.330","message":{"model":"claude-sonnet-4-5","content":[{"type":"tool_use","id":%q}]}}`+"\n", call)
	}
	write(b, filepath.Join(r.Dir, ".git", "transcript.jsonl"), text.String(), 0o644)
}

// BenchmarkAgentEvent is one event of an agent, from the start of the program to its
// end, beside a program that does nothing, and git status: before and after an edit of a file of 2,000
// lines, and before and after a command, which may touch any file.
func BenchmarkAgentEvent(b *testing.B) {
	bin := programs(b)
	for _, files := range []int{200, 100_000} {
		b.Run(fmt.Sprintf("in %d files", files), func(b *testing.B) { benchmarkEvents(b, bin, files) })
	}
}

func benchmarkEvents(b *testing.B, bin string, files int) {
	r := clone(b, files, bin)
	install(b, bin, r)
	c := newContest(b)
	n := 0
	for b.Loop() {
		n++
		call := fmt.Sprintf("toolu_%d", n)
		transcript(b, r, call)
		c.run("empty", exec.Command(filepath.Join(bin, "empty")))
		c.run("status", r.Command("status", "--porcelain"))
		c.run("before-edit", tell(bin, r, claudeEvent("PreToolUse", r.Dir, "0000/edited0", call)))
		editTo(b, r, 0, 2000, n)
		c.run("after-edit", tell(bin, r, claudeEvent("PostToolUse", r.Dir, "0000/edited0", call)))
		c.run("before-command", tell(bin, r, claudeEvent("PreToolUse", r.Dir, "", call+"c")))
		c.run("after-command", tell(bin, r, claudeEvent("PostToolUse", r.Dir, "", call+"c")))
	}
	c.report("empty", "status", "before-edit", "after-edit", "before-command", "after-command")
}

// BenchmarkToldCommit is a commit of what an agent told of, edit by edit: beside the same
// commit without hooks, and with what 1,000 sessions left behind.
func BenchmarkToldCommit(b *testing.B) {
	bin := programs(b)
	for _, s := range []struct {
		name         string
		files, lines int
	}{
		{"one file of 50 lines among 200", 1, 50},
		{"50 files of 2,000 lines", 50, 2000},
	} {
		b.Run(s.name, func(b *testing.B) {
			clones := map[string]*gittest.Repo{}
			for _, name := range []string{"bare", "told", "told-after-1000"} {
				clones[name] = clone(b, 200, bin)
			}
			install(b, bin, clones["told"])
			install(b, bin, clones["told-after-1000"])
			remember(b, clones["told-after-1000"], 1000)
			c := newContest(b)
			n := 0
			for b.Loop() {
				n++
				for _, name := range []string{"bare", "told", "told-after-1000"} {
					r := clones[name]
					for f := range s.files {
						path, call := fmt.Sprintf("0000/edited%d", f), fmt.Sprintf("toolu_%d_%d", n, f)
						if name != "bare" {
							transcript(b, r, call)
							quietly(b, tell(bin, r, claudeEvent("PreToolUse", r.Dir, path, call)))
						}
						editTo(b, r, f, s.lines, n)
						if name != "bare" {
							quietly(b, tell(bin, r, claudeEvent("PostToolUse", r.Dir, path, call)))
						}
					}
					r.Git(b, "add", "0000")
					c.run(name, r.Command("commit", "-q", "-m", "Change"))
				}
			}
			c.report("bare", "told", "told-after-1000")
			told(b, clones["told"], s.files*s.lines/10)
			told(b, clones["told-after-1000"], s.files*s.lines/10)
		})
	}
}

func quietly(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		b.Fatalf("%v\n%s", err, out)
	}
}

// remember puts in place what that many sessions would have left: notes, states of files, and
// a ledger as long as it gets.
func remember(b *testing.B, r *gittest.Repo, sessions int) {
	b.Helper()
	own := filepath.Join(r.Dir, ".git", "gatekeeper")
	for _, dir := range []string{"sessions", "work"} {
		if err := os.MkdirAll(filepath.Join(own, dir), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	for n := range sessions {
		write(b, filepath.Join(own, "sessions", fmt.Sprintf("%032x", n)), "gatekeeper session v1\nmcp \"github\"\nend\n", 0o644)
		write(b, filepath.Join(own, "work", fmt.Sprintf("%032x", n)), strings.Repeat("an old state\n", 100), 0o644)
	}
	write(b, filepath.Join(own, "ledger"), strings.Repeat("{\"v\":1}\n", 500_000), 0o644)
}

// told fails when the hooks did not count what was told. The first commit adds all
// lines, and each one after it every tenth.
func told(b *testing.B, r *gittest.Repo, tenth int) {
	b.Helper()
	message := r.Git(b, "log", "-1", "--format=%B")
	for _, lines := range []int{10 * tenth, 2 * tenth} { // a line that is edited, and the one that is put back
		if strings.Contains(message, fmt.Sprintf("claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=%d/%d via=hook", lines, lines)) {
			return
		}
	}
	b.Fatalf("not what was told:\n%s", message)
}
