// Package gittest gives tests real git without the machine around it: a home of
// its own, repositories, long histories, and servers on loopback over ssh and
// http.
//
// What it starts, it stops. It asserts nothing about gatekeeper and imports
// nothing of ours, so that every package can use it in its own tests; package
// signed makes histories that carry provenance.
package gittest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Date is when every commit of a test is made, so that ids do not change from
// run to run. Histories count up from it, a second a commit.
const Date = "2026-01-02T03:04:05Z"

// config is the git configuration of a test's user. Nothing runs behind a
// test's back: a detached gc would still be writing when the test cleans up.
const config = `[user]
	name = %s
	email = %s@example.com
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	autogc = false
[advice]
	detachedHead = false
[protocol "file"]
	allow = always
[core]
	autocrlf = false
`

// Home makes dir the home of a person and returns the environment to run git
// in: TMPDIR as it is here, PATH without coding agents, everything else fixed.
// Variables that git, ssh or a coding agent left in this process are not in it.
func Home(dir, person string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	gitconfig := filepath.Join(dir, ".gitconfig")
	text := fmt.Sprintf(config, title(person), person)
	if _, err := os.Stat(gitconfig); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(gitconfig, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	env := []string{
		"HOME=" + dir,
		"USER=" + person,
		"LOGNAME=" + person,
		"XDG_CONFIG_HOME=" + filepath.Join(dir, ".config"),
		"GIT_CONFIG_GLOBAL=" + gitconfig,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=" + Date,
		"GIT_COMMITTER_DATE=" + Date,
		"GIT_TERMINAL_PROMPT=0",
		"LC_ALL=C",
		"TZ=UTC",
		"TERM=dumb",
	}
	for _, keep := range []string{"TMPDIR", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(keep); ok {
			env = append(env, keep+"="+v)
		}
	}
	path, err := Path(os.Getenv("PATH"), filepath.Join(filepath.Dir(dir), ".programs"))
	return append(env, "PATH="+path), err
}

func title(name string) string {
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// Env is Home for a Go test, in a directory that goes when the test does.
func Env(t testing.TB) []string {
	t.Helper()
	env, err := Home(filepath.Join(t.TempDir(), "home"), "alice")
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// A Repo is a repository and the environment in which git works on it.
type Repo struct {
	Dir string
	Env []string
}

// New makes a repository in a directory of the test's own. Arguments go to
// `git init`, for example --bare or --object-format=sha256.
func New(t testing.TB, initArgs ...string) *Repo {
	t.Helper()
	r := &Repo{Dir: t.TempDir(), Env: Env(t)}
	r.Git(t, append([]string{"init", "-q"}, initArgs...)...)
	return r
}

// Clone clones r into a directory of the test's own, under the same person.
func (r *Repo) Clone(t testing.TB, args ...string) *Repo {
	t.Helper()
	c := &Repo{Dir: filepath.Join(t.TempDir(), "clone"), Env: r.Env}
	r.Git(t, append(append([]string{"clone", "-q"}, args...), r.Dir, c.Dir)...)
	return c
}

// Git runs git in the repository and returns what it printed, without the last
// newline. A git that fails fails the test.
func (r *Repo) Git(t testing.TB, args ...string) string {
	t.Helper()
	stdout, stderr, err := r.Run("", args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return strings.TrimSuffix(stdout, "\n")
}

// Run runs git in the repository with stdin and returns what it wrote.
func (r *Repo) Run(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := r.Command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// Command is git in the repository, not yet started.
func (r *Repo) Command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.Dir
	cmd.Env = r.Env
	return cmd
}

// Write writes a file of the work tree, with the folders it needs.
func (r *Repo) Write(t testing.TB, path, content string) {
	t.Helper()
	file := filepath.Join(r.Dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Commit commits the whole work tree, empty or not, and returns the new id.
func (r *Repo) Commit(t testing.TB, message string) string {
	t.Helper()
	r.Git(t, "add", "-A")
	r.Git(t, "commit", "-q", "--allow-empty", "-m", message)
	return r.Git(t, "rev-parse", "HEAD")
}

// Hook puts a hook of the given script in place.
func (r *Repo) Hook(t testing.TB, name, script string) {
	t.Helper()
	dir := r.Git(t, "rev-parse", "--git-path", "hooks")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.Dir, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}
