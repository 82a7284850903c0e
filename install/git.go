package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A git runs git in one repository with the user's own configuration: what this
// package asks (where do hooks live, who is the user) must be answered as the
// user's git would, so nothing is hardened away.
type git struct {
	dir string
	env []string
}

// local are the variables that would lead git to another repository, another
// index or other objects than dir's; a hook that calls us has them set. Settings
// given for one command (GIT_CONFIG_COUNT, -c) stay: they decide where hooks are.
var local = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX",
	"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH",
	"GIT_NAMESPACE", "GIT_CONFIG", "GIT_REPLACE_REF_BASE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE",
	"GIT_INTERNAL_SUPER_PREFIX",
}

func newGit(dir string, environ []string) git {
	env := make([]string, 0, len(environ)+1)
	for _, kv := range environ {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains(local, name) {
			env = append(env, kv)
		}
	}
	// Answers are matched below, so they must not be translated.
	return git{dir: dir, env: append(env, "LC_ALL=C")}
}

// with is git with more variables.
func (g git) with(env ...string) git {
	g.env = append(g.env[:len(g.env):len(g.env)], env...)
	return g
}

// at is git for the repository whose git directory is dir, found by no search:
// a bare repository is not found where safe.bareRepository is "explicit".
func (g git) at(gitDir string) git {
	g.dir = gitDir
	return g.with("GIT_DIR=" + gitDir)
}

// A gitError is a git command that failed.
type gitError struct {
	args   []string
	code   int // exit code; -1 when git did not run or was killed
	stderr string
	err    error
}

func (e *gitError) Error() string {
	said := strings.TrimSpace(e.stderr)
	if said == "" {
		said = e.err.Error()
	}
	return fmt.Sprintf("git %s: %s", e.args[0], said)
}

func (e *gitError) Unwrap() error { return e.err }

// run returns what git wrote to stdout.
func (g git) run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = g.dir, g.env
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		code := -1
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		return nil, &gitError{args, code, errs.String(), err}
	}
	return out.Bytes(), nil
}

// line is run for one answer, without the newline that git puts behind it. A
// path may itself end in one.
func (g git) line(ctx context.Context, args ...string) (string, error) {
	out, err := g.run(ctx, nil, args...)
	return strings.TrimSuffix(string(out), "\n"), err
}

// values are the answers of `git config -z ARGS`; none when the key is not set.
func (g git) values(ctx context.Context, args ...string) ([]string, error) {
	out, err := g.run(ctx, nil, append([]string{"config", "-z"}, args...)...)
	if exit := (*gitError)(nil); errors.As(err, &exit) && exit.code == 1 {
		return nil, nil
	}
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// value is the value of a key that counts; "" when it is not set.
func (g git) value(ctx context.Context, key string) (string, error) {
	all, err := g.values(ctx, "--get", key)
	if len(all) == 0 {
		return "", err
	}
	return all[0], nil
}

// A place is a repository as git sees it from a directory.
type place struct {
	git      git
	gitDir   string // absolute; a linked worktree's own
	common   string // absolute; shared by all worktrees
	worktree string // absolute; "" when bare, or below the git directory
	bare     bool
}

// find asks git which repository dir belongs to.
func find(ctx context.Context, dir string, environ []string) (place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return place{}, &UsageError{Msg: fmt.Sprintf("%s is not a directory", dir)}
	}
	p := place{git: newGit(dir, environ)}
	if p.gitDir, err = p.git.line(ctx, "rev-parse", "--absolute-git-dir"); err != nil {
		if strings.Contains(err.Error(), "not a git repository") {
			return place{}, &UsageError{Msg: fmt.Sprintf("%s is not in a git repository", dir)}
		}
		return place{}, err
	}
	if p.common, err = p.git.line(ctx, "rev-parse", "--path-format=absolute", "--git-common-dir"); err != nil {
		return place{}, err
	}
	bare, err := p.git.line(ctx, "rev-parse", "--is-bare-repository")
	if err != nil {
		return place{}, err
	}
	p.bare = bare == "true"
	if inside, err := p.git.line(ctx, "rev-parse", "--is-inside-work-tree"); err != nil {
		return place{}, err
	} else if inside == "true" {
		if p.worktree, err = p.git.line(ctx, "rev-parse", "--show-toplevel"); err != nil {
			return place{}, err
		}
		// A relative core.hooksPath starts at the root, not where we were called.
		p.git.dir = p.worktree
	}
	return p, checkOwner(p.common)
}
