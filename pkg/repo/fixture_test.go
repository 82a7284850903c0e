package repo

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A fixture is a work tree with a home of its own. Nothing of the machine's git
// configuration, and nothing of a hook that runs the tests, reaches it.
type fixture struct {
	t    testing.TB
	dir  string
	home string
	env  []string
	rand *rand.Rand
}

func newFixture(t testing.TB, initArgs ...string) *fixture {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, dir: filepath.Join(root, "work"), home: filepath.Join(root, "home"), rand: rand.New(rand.NewPCG(1, 2))}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "GIT_") && name != "HOME" && name != "XDG_CONFIG_HOME" {
			f.env = append(f.env, kv)
		}
	}
	f.env = append(f.env, "HOME="+f.home, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")
	for _, d := range []string{f.dir, f.home} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.git(append([]string{"init", "-q", "-b", "main"}, initArgs...)...)
	f.git("config", "gc.auto", "0")
	return f
}

// at is the same home and environment in another directory.
func (f *fixture) at(dir string, env ...string) *fixture {
	g := *f
	g.dir, g.env = dir, append(append([]string(nil), f.env...), env...)
	return &g
}

func (f *fixture) try(stdin string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = f.dir, f.env, strings.NewReader(stdin)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		err = fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

func (f *fixture) git(args ...string) string {
	f.t.Helper()
	return f.gitIn("", args...)
}

func (f *fixture) gitIn(stdin string, args ...string) string {
	f.t.Helper()
	out, err := f.try(stdin, args...)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fixture) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) commit(name, content string) change.ID {
	f.t.Helper()
	f.write(name, content)
	f.git("add", "-A")
	f.git("commit", "-q", "--allow-empty", "-m", "write "+name)
	return f.id("HEAD")
}

func (f *fixture) id(rev string) change.ID {
	f.t.Helper()
	id, err := change.ParseID(f.git("rev-parse", rev))
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) hook(env ...string) *Repo {
	f.t.Helper()
	r, err := FromHook(append(append([]string(nil), f.env...), env...), f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// withoutGit is the repository when no git can be started, which proves that
// none was.
func (f *fixture) withoutGit(env ...string) *Repo {
	return f.hook(append(env, "PATH=/nonexistent")...)
}

// lines is text that deltas well.
func (f *fixture) lines(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "line %d\n", f.rand.IntN(1000))
	}
	return b.String()
}
