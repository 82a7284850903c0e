package agentevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// bin is where the programs are, once they are built.
var bin string

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// program is gatekeeper-agent, with the big program beside it as installed.
func program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	var err error
	if bin, err = os.MkdirTemp("", "gatekeeper-bin-"); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", bin, "../../cmd/gatekeeper", "../../cmd/gatekeeper-agent")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Join(bin, "gatekeeper-agent"), nil
})

// A world is one repository of a person, with gatekeeper's own folder in it.
type world struct {
	t         testing.TB
	dir, home string
	env       []string // nothing of the machine's own configuration
}

const gitconfig = `[user]
	name = Alice
	email = alice@example.com
[init]
	defaultBranch = main
[gc]
	auto = 0
`

func newWorld(t testing.TB) *world {
	t.Helper()
	w := bareWorld(t)
	w.must(os.Mkdir(filepath.Join(w.dir, ".git/gatekeeper"), 0o755))
	return w
}

// bareWorld is a repository where nobody installed gatekeeper.
func bareWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), home: t.TempDir()}
	w.put(filepath.Join(w.home, ".gitconfig"), gitconfig)
	w.env = []string{
		"HOME=" + w.home, "GIT_CONFIG_GLOBAL=" + filepath.Join(w.home, ".gitconfig"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
		"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"),
	}
	w.git("init", "-q")
	w.write("a.txt", "one\ntwo\n")
	w.commit("Base")
	return w
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *world) commit(message string) {
	w.t.Helper()
	w.git("add", "-A")
	w.git("commit", "-q", "-m", message)
}

func (w *world) put(path, content string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte(content), 0o644))
}

// write writes a file of the work tree.
func (w *world) write(path, content string) {
	w.t.Helper()
	w.put(filepath.Join(w.dir, path), content)
}

// files are all files below a folder, with their times and rights.
func (w *world) files(top string) string {
	w.t.Helper()
	var b strings.Builder
	w.must(filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return err
	}))
	return b.String()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// An answer is what an agent hears.
type answer struct {
	stdout, stderr string
	code           int
}

// tell starts the program as an agent does.
func (w *world) tell(hint string, event string, vars ...string) answer {
	w.t.Helper()
	return w.run(exec.Command(program(w.t), hint), event, vars...)
}

func (w *world) run(cmd *exec.Cmd, event string, vars ...string) answer {
	w.t.Helper()
	var out, errs bytes.Buffer
	if cmd.Dir == "" {
		cmd.Dir = w.dir
	}
	cmd.Env = append(append([]string{}, w.env...), vars...)
	cmd.Stdin = strings.NewReader(event)
	cmd.Stderr = &errs
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		w.t.Fatal(err)
	}
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// goesOn fails the test unless the agent can go on: exit code 0, and on stdout nothing, or
// an object that denies nothing.
func (w *world) goesOn(what string, a answer) {
	w.t.Helper()
	if a.code != 0 {
		w.t.Errorf("%s: exit code %d\n%s", what, a.code, a.stderr)
	}
	if strings.Contains(a.stderr, "internal error") || strings.Contains(a.stderr, "goroutine ") {
		w.t.Errorf("%s: %s", what, a.stderr)
	}
	if a.stdout == "" {
		return
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(a.stdout), &object); err != nil {
		w.t.Errorf("%s: answer %q: %v", what, a.stdout, err)
	}
	if len(object) > 0 && fmt.Sprint(object) != "map[cancel:false]" {
		w.t.Errorf("%s: answer %q says more than to go on", what, a.stdout)
	}
}

func (w *world) repo(dir string) *repo.Repo {
	w.t.Helper()
	r, err := repo.Find(w.env, dir)
	w.must(err)
	return r
}

// ledger checks the chain and gives the lines.
func (w *world) ledger() []map[string]any {
	w.t.Helper()
	l := session.OpenLedger(filepath.Join(w.dir, ".git"))
	n, gaps, err := l.Check()
	if err != nil || len(gaps) > 0 {
		w.t.Fatalf("ledger: %v, %v", gaps, err)
	}
	data, err := os.ReadFile(filepath.Join(w.dir, ".git/gatekeeper/ledger"))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	var lines []map[string]any
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var line map[string]any
		if err := dec.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if len(lines) != n {
		w.t.Fatalf("%d lines of %d", len(lines), n)
	}
	return lines
}

// kinds are the kinds and phases of the ledger's lines.
func (w *world) kinds() string {
	var words []string
	for _, line := range w.ledger() {
		word := fmt.Sprint(line["kind"])
		if phase := line["phase"]; phase != nil {
			word += " " + fmt.Sprint(phase)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// owners are who wrote the lines of a file as it stands, in words: tool and model, with ?
// for perhaps.
func (w *world) owners(dir, path string) []string {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, path))
	w.must(err)
	got, err := session.OpenWatch(w.repo(dir)).Staged(context.Background(), path, content, true, nil)
	w.must(err)
	if got == nil {
		return nil
	}
	var words []string
	for _, o := range got.Owners {
		word := "-"
		if a, ok := got.Actor(o); ok {
			word = a.Tool.Name + " " + a.Model.ID()
		}
		if o < 0 {
			word += "?"
		}
		words = append(words, word)
	}
	return words
}

// claude writes an event of Claude Code around a tool.
func claude(name, dir, tool, call string, input, response map[string]any) string {
	e := map[string]any{"session_id": claudeSession, "transcript_path": "/nowhere/.claude/projects/p/" + claudeSession + ".jsonl",
		"cwd": dir, "hook_event_name": name}
	if tool != "" {
		e["tool_name"], e["tool_use_id"], e["tool_input"] = tool, call, input
	}
	if response != nil {
		e["tool_response"] = response
	}
	return text(e)
}

const claudeSession = "0c1d2e3f-aaaa-4bbb-8ccc-1234567890ab"

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// claudeWrites is Claude Code's event after it gave a file new content.
func claudeWrites(dir, path, before, after, call string) string {
	path = filepath.Join(dir, path)
	return claude("PostToolUse", dir, "Write", call, map[string]any{"file_path": path, "content": after},
		map[string]any{"type": "update", "filePath": path, "originalFile": before, "userModified": false})
}
