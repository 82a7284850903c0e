package trailer_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// realGit is a repository and a git that knows no configuration but ours.
type realGit struct {
	dir  string
	env  []string
	tree string
}

func newGit(t testing.TB) *realGit {
	t.Helper()
	dir := t.TempDir()
	g := &realGit{dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C",
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=1700000000 +0000",
	}}
	g.run(t, nil, "init", "-q", "-b", "main")
	g.tree = strings.TrimSpace(string(g.run(t, []byte{}, "hash-object", "-t", "tree", "-w", "--stdin")))
	return g
}

func (g *realGit) run(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	out, err := g.try(stdin, args...)
	if err != nil {
		t.Fatalf("git %q: %v", args, err)
	}
	return out
}

func (g *realGit) try(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = g.dir, g.env, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	return out, nil
}

// readings are what git's readers make of one message.
type readings struct {
	log, interpret, divided []trailer.Line
	undivided               bool // git was not asked for divided
}

// read asks git about many messages in five processes.
func (g *realGit) read(t testing.TB, messages [][]byte) []readings {
	t.Helper()
	const end = "End-of-message: yes"
	var names, safe, commits []string
	g.write(t, "end", []byte("s\n\n"+end+"\n"))
	for i, m := range messages {
		name := fmt.Sprintf("m%d", i)
		g.write(t, name, m)
		names = append(names, name, "end")
		if loops(m) {
			safe = append(safe, "end")
		} else {
			safe = append(safe, name, "end")
		}
		commit := fmt.Sprintf("tree %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\n%s", g.tree, m)
		g.write(t, "c"+name, []byte(commit))
		commits = append(commits, "c"+name)
	}
	ids := g.run(t, []byte(strings.Join(commits, "\n")),
		"hash-object", "--literally", "--no-filters", "-t", "commit", "-w", "--stdin-paths")
	logs := g.run(t, ids, "log", "--no-walk=unsorted", "--stdin", "--format=%x00%(trailers:only,unfold)")
	interpret := g.run(t, nil, append([]string{"interpret-trailers", "--parse", "--no-divider"}, names...)...)
	divided := g.run(t, nil, append([]string{"interpret-trailers", "--parse"}, safe...)...)

	// Equal messages are one commit, and git log shows a commit once.
	byID := make(map[string]string)
	texts := bytes.Split(logs, []byte{0})[1:]
	for _, id := range strings.Fields(string(ids)) {
		if _, seen := byID[id]; !seen {
			byID[id] = string(texts[len(byID)])
		}
	}
	a, b := strings.Split(string(interpret), end+"\n"), strings.Split(string(divided), end+"\n")
	var out []readings
	for i, id := range strings.Fields(string(ids)) {
		out = append(out, readings{lines(byID[id]), lines(a[i]), lines(b[i]), loops(messages[i])})
	}
	return out
}

// loops reports whether `git interpret-trailers` 2.39 without --no-divider may
// never end on a message: it does not on "---" above a scissors line.
func loops(message []byte) bool {
	return bytes.Contains(message, []byte("---")) && bytes.Contains(message, []byte(">8"))
}

func (g *realGit) write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines reads `Key: value` lines as git prints them.
func lines(printed string) []trailer.Line {
	var out []trailer.Line
	for l := range strings.SplitSeq(printed, "\n") {
		if key, value, ok := strings.Cut(l, ": "); ok {
			out = append(out, trailer.Line{Key: key, Value: value})
		}
	}
	return out
}

// blockOf sorts the lines into a Block.
func blockOf(lines []trailer.Line) trailer.Block {
	var b trailer.Block
	for _, l := range lines {
		switch l.Key {
		case trailer.KeyProvenance:
			b.Provenance = append(b.Provenance, l.Value)
		case trailer.KeyAttestation:
			b.Attestation = append(b.Attestation, l.Value)
		default:
			b.Other = append(b.Other, l)
		}
	}
	return b
}
