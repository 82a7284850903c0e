package agentevent_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Whatever an agent says, it can go on; and what can be understood is recorded.
func TestWhateverIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	writes := func(content, call string) string { return claudeWrites(w.dir, "a.txt", "one\ntwo\n", content, call) }
	big := strings.Repeat("twenty megabytes of lines\n", 20<<20/26)
	for i, c := range []struct {
		name, event string
		recorded    bool
	}{
		{"nothing", "", false},
		{"a space", " \n", false},
		{"broken JSON", `{"session_id":"` + claudeSession + `","hook_event_name":"PostToolUse","tool_name":"Wri`, false},
		{"no JSON", "PostToolUse a.txt\n", false},
		{"bytes", "\x00\xff\xfe\x80{}\x00", false},
		{"null", "null", false},
		{"a list", "[1,2]", false},
		{"two values", writes("x\n", "two") + "{}", true},
		{"raw control characters", strings.ReplaceAll(writes("x@y\n", "raw"), "@", "\x01\t\n\x1b[2J"), true},
		{"UTF-16 with a mark", utf16Of(writes("x\n", "utf16"), true), true},
		{"UTF-16 without", utf16Of(writes("x\n", "utf16bare"), false), true},
		{"20 MB", writes(big, "large"), true},
		{"more than is read", `{"tool_input":{"content":"` + strings.Repeat("x", 40<<20) + `"}}`, false},
		{"deep nesting", strings.Repeat("[", 1<<20), false},
		{"deep nesting in a call", strings.Replace(writes("@", "deep"), `"@"`, strings.Repeat(`{"a":`, 1<<18), 1), false},
		{"an event nobody knows", claude("SomethingNew", w.dir, "Write", "new", map[string]any{"file_path": "a.txt"}, nil), false},
		{"an agent nobody knows", `{"agent":"acme","action":"write","file":"a.txt"}`, false},
		{"paths that are none", strings.ReplaceAll(writes("x\n", "paths"), "/a.txt", `/\u0000/../../a.txt`), false},
		{"a file in the git directory", strings.ReplaceAll(writes("x\n", "git"), "/a.txt", `/.git/config`), false},
		{"a file elsewhere", strings.ReplaceAll(writes("x\n", "else"), "/a.txt", `/../elsewhere.txt`), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			before := len(w.ledger())
			for _, hint := range []string{"claude-code", "cursor", "acme", ""} {
				w.goesOn(fmt.Sprintf("hook of %q", hint), w.tell(hint, strings.ReplaceAll(c.event, "two", fmt.Sprint("two", i))))
			}
			if got := len(w.ledger()) > before; got != c.recorded {
				t.Errorf("recorded: %v, want %v", got, c.recorded)
			}
		})
	}
	for _, tool := range []string{"cursor", "cline"} { // these want an answer
		event := map[string]string{
			"cursor": `{"conversation_id":"c","generation_id":"g","cursor_version":"2","hook_event_name":"preToolUse","tool_name":"Write","tool_input":{}}`,
			"cline":  `{"clineVersion":"3","hookName":"tool_call","taskId":"t","tool_call":{"id":"1","name":"editor","input":{"path":"a.txt"}}}`,
		}[tool]
		a := w.tell(tool, event)
		w.goesOn(tool, a)
		if a.stdout == "" {
			t.Errorf("%s got no answer", tool)
		}
	}
}

func utf16Of(s string, mark bool) string {
	var b []byte
	if mark {
		b = append(b, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// claudeCalls is Claude Code's event before it calls a tool of an MCP server.
func claudeCalls(dir, server, call string) string {
	event := claude("PreToolUse", dir, "mcp__"+server+"__get", call, map[string]any{}, nil)
	return strings.Replace(event, "{", `{"mcp_server":{"name":"`+server+`","source":"user"},`, 1)
}

// everything is one event of each kind, around an edit of a.txt.
func everything(dir string) []string {
	mcp := claudeCalls(dir, "github", "m")
	return []string{
		claude("SessionStart", dir, "", "", nil, nil),
		claude("UserPromptSubmit", dir, "", "", nil, nil),
		claude("PreToolUse", dir, "Write", "w", map[string]any{"file_path": filepath.Join(dir, "a.txt")}, nil),
		claudeWrites(dir, "a.txt", "one\ntwo\n", "one\ntwo\nthree\n", "w"),
		claude("PreToolUse", dir, "Bash", "b", map[string]any{"command": "make"}, nil),
		claude("PostToolUse", dir, "Bash", "b", map[string]any{"command": "make"}, map[string]any{"stdout": ""}),
		mcp,
		strings.Replace(mcp, "PreToolUse", "PostToolUse", 1),
		claude("Stop", dir, "", "", nil, nil),
		claude("SessionEnd", dir, "", "", nil, nil),
	}
}

// Where nobody installed gatekeeper, nothing is said and nothing is written, in the
// repository or at home.
func TestWithoutGatekeeper(t *testing.T) {
	t.Parallel()
	nowhere := t.TempDir()
	w := bareWorld(t)
	broken := bareWorld(t).dir // no business of ours
	w.must(os.RemoveAll(filepath.Join(broken, ".git/refs")))
	for _, dir := range []string{nowhere, w.dir, filepath.Join(w.dir, ".git"), broken, filepath.Join(w.dir, "not", "there")} {
		before := map[string]string{nowhere: "", w.dir: "", broken: "", w.home: ""}
		for place := range before {
			before[place] = w.files(place)
		}
		for _, event := range everything(dir) {
			if a := w.tell("claude-code", event); a != (answer{}) {
				t.Errorf("in %s: %+v\nto %s", dir, a, event)
			}
		}
		for place, was := range before {
			if now := w.files(place); now != was {
				t.Errorf("in %s: written:\n%s\nwas\n%s", dir, now, was)
			}
		}
	}
}

// A laptop that cannot record says so in a line, and the agent goes on. Once it can
// again, the next event is recorded.
func TestWhereNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	full := func(w *world) *exec.Cmd {
		return exec.Command("sh", "-c", `ulimit -f 0; exec "$0" claude-code`, program(w.t))
	}
	plain := func(w *world) *exec.Cmd { return exec.Command(program(w.t), "claude-code") }
	own := func(w *world, name string) string { return filepath.Join(w.dir, ".git/gatekeeper", name) }
	for _, c := range []struct {
		name       string
		break_     func(w *world)
		program    func(w *world) *exec.Cmd
		mend       func(w *world)
		everywhere bool // no event at all can be recorded
	}{
		{"a git directory that is read-only", func(w *world) { w.rights(w.dir, 0o555) }, (*world).powerless, func(w *world) { w.rights(w.dir, 0o755) }, true},
		{"a git directory that cannot be entered", func(w *world) { w.must(os.Chmod(own(w, ""), 0)) },
			(*world).powerless, func(w *world) { w.must(os.Chmod(own(w, ""), 0o755)) }, true},
		{"a full disk", func(*world) {}, full, func(*world) {}, true},
		{"a file where a folder should be", func(w *world) { w.must(os.WriteFile(own(w, "work"), nil, 0o644)) },
			plain, func(w *world) { w.must(os.Remove(own(w, "work"))) }, false},
		{"a folder where the ledger should be", func(w *world) { w.must(os.MkdirAll(own(w, "ledger/x"), 0o755)) },
			plain, func(w *world) { w.must(os.RemoveAll(own(w, "ledger"))) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.own()
			c.break_(w)
			for _, event := range everything(w.dir) {
				a := w.run(c.program(w), event)
				w.goesOn(event, a)
				if c.everywhere && (!strings.HasPrefix(a.stderr, "gatekeeper: not recorded: ") || strings.Count(a.stderr, "\n") > 3) {
					t.Errorf("said %q\nto %s", a.stderr, event)
				}
			}
			c.mend(w)
			w.write("a.txt", "one\ntwo\nthree\n")
			w.own()
			event := claudeWrites(w.dir, "a.txt", "one\ntwo\n", "one\ntwo\nthree\n", "again")
			if a := w.run(w.powerless(), event); a != (answer{}) {
				t.Errorf("after that: %+v", a)
			}
			if got := w.owners(w.dir, "a.txt"); fmt.Sprint(got) != "[- - claude-code unknown/unknown]" {
				t.Errorf("lines of %v", got)
			}
			if len(w.ledger()) == 0 {
				t.Error("no line in the ledger")
			}
		})
	}
}

// A lock that another process does not give back holds nobody up: neither the record, nor
// the answer about a call.
func TestLocked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"work/lock", "ledger.lock"} {
		for n, event := range []string{"edit", "shell", "approved", "denied"} {
			t.Run(name+" "+event, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.policy("github")
				lock := filepath.Join(w.dir, ".git/gatekeeper", name)
				w.must(os.MkdirAll(filepath.Dir(lock), 0o755))
				unlock, err := repo.Lock(context.Background(), lock)
				w.must(err)
				defer unlock()
				all := everything(w.dir)
				a := w.tell("claude-code", []string{all[3], all[4], all[6], claudeCalls(w.dir, "evil", "e")}[n])
				if event == "denied" {
					if a.code != 0 || !strings.Contains(a.stdout, `"permissionDecision":"deny"`) {
						t.Errorf("%+v", a)
					}
				} else {
					w.goesOn(event, a)
				}
				if event != "denied" || name == "ledger.lock" {
					if !strings.Contains(a.stderr, "not recorded: ") || !strings.Contains(a.stderr, "another process holds it") {
						t.Errorf("said %q", a.stderr)
					}
				}
			})
		}
	}
}

// A reader that has gone away breaks nothing, and turns no denial into leave.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("github")
	gone := func() *exec.Cmd {
		r, wr, err := os.Pipe()
		w.must(err)
		w.must(r.Close())
		t.Cleanup(func() { wr.Close() })
		cmd := exec.Command(program(t), "claude-code")
		cmd.Stdout = wr
		return cmd
	}
	for _, event := range everything(w.dir) {
		w.goesOn(event, w.run(gone(), event))
	}
	w.goesOn("an answer of {}", w.run(gone(), `{"conversation_id":"c","generation_id":"g","cursor_version":"2","hook_event_name":"stop"}`))
	if a := w.run(gone(), claudeCalls(w.dir, "evil", "1")); a.code != 2 {
		t.Errorf("denied without a reader: %+v", a)
	}
	silent := exec.Command("sh", "-c", `exec "$0" claude-code 2>&-`, program(t))
	if a := w.run(silent, claudeCalls(w.dir, "evil", "2")); a.code != 0 || !strings.Contains(a.stdout, `"deny"`) {
		t.Errorf("denied without stderr: %+v", a)
	}
	if got := strings.Count(w.kinds(), "mcp before"); got != 3 {
		t.Errorf("%d calls in the ledger: %s", got, w.kinds())
	}
}

// The directory in which an agent was started may be gone.
func TestDirectoryDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("github")
	there := func() *exec.Cmd {
		return exec.Command("sh", "-c", `d=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$0" claude-code`, program(t))
	}
	w.write("a.txt", "one\ntwo\nthree\n")
	for _, event := range everything(w.dir) {
		a := w.run(there(), event)
		w.goesOn(event, a)
		if a.stderr != "" {
			t.Errorf("said %q\nto %s", a.stderr, event)
		}
	}
	if got := w.owners(w.dir, "a.txt"); fmt.Sprint(got) != "[- - claude-code unknown/unknown]" {
		t.Errorf("lines of %v", got)
	}
	if a := w.run(there(), claudeCalls(w.dir, "evil", "e")); !strings.Contains(a.stdout, `"deny"`) {
		t.Errorf("%+v", a)
	}
	for _, event := range everything("") {
		w.goesOn(event, w.run(there(), event))
	}
}

// Four agents at once in two work trees, in files of their own and, taking turns, in one
// that they share: each line is its writer's, and the ledger tells every event.
func TestFourAgentsInTwoWorkTrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("shared.txt", "")
	w.commit("Shared")
	second := filepath.Join(t.TempDir(), "second")
	w.git("worktree", "add", "-q", "-b", "second", second)
	const rounds = 8
	trees := []string{w.dir, second}
	turn := map[string]*sync.Mutex{trees[0]: {}, trees[1]: {}}
	agents := writers()
	var all sync.WaitGroup
	for i, a := range agents {
		dir := trees[i%2]
		all.Go(func() {
			for n := range rounds {
				a.adds(w, dir, a.hint+".txt", n)
				turn[dir].Lock()
				a.adds(w, dir, "shared.txt", n)
				turn[dir].Unlock()
			}
		})
	}
	all.Wait()
	for i, a := range agents {
		dir := trees[i%2]
		if got := w.owners(dir, a.hint+".txt"); len(got) != rounds || slices.ContainsFunc(got, func(o string) bool { return o != a.want }) {
			t.Errorf("%s: lines of %q", a.hint, got)
		}
		content, err := os.ReadFile(filepath.Join(dir, "shared.txt"))
		w.must(err)
		owners := w.owners(dir, "shared.txt")
		for n, line := range strings.Split(strings.TrimSuffix(string(content), "\n"), "\n") {
			if strings.HasPrefix(line, a.hint+" ") && owners[n] != a.want {
				t.Errorf("shared: %q is said to be of %q", line, owners[n])
			}
		}
	}
	if got, want := len(w.ledger()), len(agents)*rounds*2*2; got != want {
		t.Errorf("%d lines in the ledger, want %d", got, want)
	}
	trees[1] = w.repo(second).WorkTree
	for i, a := range agents {
		n := 0
		for _, line := range w.ledger() {
			if line["tool"] == a.hint && line["worktree"] == trees[i%2] {
				n++
			}
		}
		if n != rounds*2*2 {
			t.Errorf("%s: %d lines in the ledger", a.hint, n)
		}
	}
}

// Several configurations may name us, and one agent runs the hooks of another's, so an
// event can come twice, at once. It counts once.
func TestToldTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	agents := writers()
	for n := range 4 {
		for _, a := range agents {
			a.twice = true
			a.adds(w, w.dir, a.hint+".txt", n)
		}
	}
	for _, a := range agents {
		if got := w.owners(w.dir, a.hint+".txt"); len(got) != 4 || slices.ContainsFunc(got, func(o string) bool { return o != a.want }) {
			t.Errorf("%s: lines of %q", a.hint, got)
		}
	}
	if got, want := len(w.ledger()), len(agents)*4*2; got != want {
		t.Errorf("%d lines in the ledger, want %d", got, want)
	}
}

// Where the agent says that its own log is, there may be anything, and it is no reason to
// wait.
func TestOddTranscripts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odd := t.TempDir()
	pipe := filepath.Join(odd, "pipe")
	if out, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	large := filepath.Join(odd, "large")
	w.must(os.WriteFile(large, nil, 0o644))
	w.must(os.Truncate(large, 1<<40))
	loop := filepath.Join(odd, "loop")
	w.must(os.Symlink(loop, loop))
	for n, path := range []string{pipe, large, loop, odd, "/dev/zero", "/proc/self/mem", filepath.Join(odd, "not", "there"), "relative", "\x00"} {
		after := fmt.Sprintf("one\ntwo\n%d\n", n)
		w.write("a.txt", after)
		event := claudeWrites(w.dir, "a.txt", "one\ntwo\n", after, fmt.Sprint("call", n))
		event = strings.Replace(event, text("/nowhere/.claude/projects/p/"+claudeSession+".jsonl"), text(path), 1)
		w.goesOn(path, w.tell("claude-code", event, "CLAUDECODE=1"))
		if got := w.owners(w.dir, "a.txt"); fmt.Sprint(got) != "[- - claude-code unknown/unknown]" {
			t.Errorf("%q: lines of %v", path, got)
		}
	}
}

// A writer is an agent that puts a line at the end of a file, and its events around that.
type writer struct {
	hint, want string
	twice      bool // each event comes twice
	events     func(dir, path, before, after, call string) [2]string
}

func writers() []writer {
	return []writer{
		{hint: "claude-code", want: "claude-code unknown/unknown", events: func(dir, path, before, after, call string) [2]string {
			return [2]string{
				claude("PreToolUse", dir, "Write", call, map[string]any{"file_path": filepath.Join(dir, path), "content": after}, nil),
				claudeWrites(dir, path, before, after, call)}
		}},
		{hint: "codex", want: "codex openai/gpt-5.5", events: func(dir, path, before, after, call string) [2]string {
			patch := "*** Begin Patch\n*** Update File: " + path + "\n@@\n+" + strings.TrimPrefix(after, before) + "*** End Patch\n"
			e := map[string]any{"session_id": "01a2075e-c0ce-7270-8bdd-5c6f5ce9a31e", "turn_id": "t", "cwd": dir, "model": "gpt-5.5",
				"hook_event_name": "PreToolUse", "tool_name": "apply_patch", "tool_input": map[string]any{"command": patch}, "tool_use_id": call}
			pre := text(e)
			e["hook_event_name"], e["tool_response"] = "PostToolUse", "Exit code: 0\nOutput:\nSuccess.\n"
			return [2]string{pre, text(e)}
		}},
		{hint: "opencode", want: "opencode acme/coder-1", events: func(dir, path, before, after, call string) [2]string {
			args := map[string]any{"filePath": filepath.Join(dir, path), "content": after}
			input := map[string]any{"tool": "write", "sessionID": "ses_1", "callID": call}
			e := map[string]any{"gatekeeper": "opencode/1", "hook": "tool.execute.before", "session": "ses_1", "root": "ses_1", "version": "1.18.33",
				"directory": dir, "model": map[string]any{"providerID": "acme", "modelID": "coder-1"}, "input": input, "output": map[string]any{"args": args}}
			pre := text(e)
			input["args"] = args
			e["hook"], e["output"] = "tool.execute.after", map[string]any{"metadata": map[string]any{"filepath": args["filePath"], "exists": true}}
			return [2]string{pre, text(e)}
		}},
		{hint: "cursor", want: "cursor anthropic/claude-4.6-opus", events: func(dir, path, before, after, call string) [2]string {
			e := map[string]any{"conversation_id": "conv-1", "generation_id": "gen-1", "model": "claude-4.6-opus", "cursor_version": "2.4.1",
				"workspace_roots": []string{dir}, "hook_event_name": "preToolUse", "tool_name": "Write", "tool_use_id": call, "cwd": dir,
				"tool_input": map[string]any{"file_path": filepath.Join(dir, path), "content": after}}
			pre := text(e)
			e["hook_event_name"], e["tool_output"] = "postToolUse", "{}"
			return [2]string{pre, text(e)}
		}},
	}
}

// adds puts a line at the end of a file, as the agent.
func (a writer) adds(w *world, dir, path string, n int) {
	file := filepath.Join(dir, path)
	before, _ := os.ReadFile(file)
	after := string(before) + fmt.Sprintf("%s %s %d\n", a.hint, path, n)
	events := a.events(dir, path, string(before), after, fmt.Sprintf("call-%s-%d", path, n))
	for i, event := range events {
		var other sync.WaitGroup
		tell := func() {
			if got := w.tell(a.hint, event); got.code != 0 || got.stderr != "" {
				w.t.Errorf("%s %s: %+v", a.hint, path, got)
			}
		}
		if a.twice {
			other.Go(tell)
		}
		tell()
		other.Wait()
		if i == 0 {
			if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
				w.t.Error(err)
			}
		}
	}
}

// in is the world in a test of its own.
func (w *world) in(t testing.TB) *world {
	other := *w
	other.t = t
	return &other
}

// nobody is the user without rights whom root hands its files to.
const nobody = 65534

// own lets a powerless program work in this world.
func (w *world) own() {
	w.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	for _, top := range []string{w.dir, w.home} {
		w.must(os.Chmod(filepath.Dir(top), 0o755))
		w.must(filepath.WalkDir(top, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, nobody, nobody)
		}))
	}
	bin := filepath.Dir(program(w.t))
	w.must(os.Chmod(bin, 0o755))
}

// rights sets those of every folder below the git directory, and of no file's owner to write.
func (w *world) rights(top string, mode os.FileMode) {
	w.t.Helper()
	w.must(filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, mode)
	}))
	w.t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+rwX", top).Run() })
}

// powerless is the program as somebody for whom rights count.
func (w *world) powerless() *exec.Cmd {
	cmd := exec.Command(program(w.t), "claude-code")
	if os.Getuid() == 0 && runtime.GOOS == "linux" {
		withoutRights(cmd)
	}
	return cmd
}
