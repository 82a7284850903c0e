package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// hardened is given to every child that only reads or writes objects and refs, so
// that a repository's own configuration starts nothing and fetches nothing.
// protocol.allow stops lazy fetches of a git older than GIT_NO_LAZY_FETCH.
var hardened = []string{
	"-c", "core.fsmonitor=",
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.useReplaceRefs=false",
	"-c", "core.quotePath=false",
	"-c", "protocol.allow=never",
	"-c", "gc.auto=0",
	"-c", "maintenance.auto=false",
}

// asServer comes on top on a server, whose account may have settings of its own.
var asServer = []string{
	"-c", "core.attributesFile=/dev/null",
	"-c", "safe.directory=*",
}

// Command prepares a hardened native git in the repository: replace refs and
// grafts off, no lazy fetch, no hooks, no prompts, no optional locks, messages in
// English, stderr untouched. It keeps the quarantine of a push and the index of a
// commit. Callers pass object ids only, or put --end-of-options first.
func (r *Repo) Command(ctx context.Context, args ...string) *exec.Cmd {
	all := slices.Clone(hardened)
	if r.server {
		all = append(all, asServer...)
	}
	return r.bare(ctx, append(all, args...)...)
}

// Porcelain prepares git as the person has it: hooks, network and configuration
// allowed. It is for what a person would have typed, such as fetch and push.
func (r *Repo) Porcelain(ctx context.Context, args ...string) *exec.Cmd {
	cmd := r.bare(ctx, args...)
	cmd.Env = r.env
	return cmd
}

// bare is the command without the -c options, which `git config --list` would
// report as settings.
func (r *Repo) bare(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, gitPath(r.env), args...)
	cmd.Dir = r.dir
	cmd.Env = r.childEnv()
	cmd.WaitDelay = 5 * time.Second // for pipes that a grandchild kept
	return cmd
}

// kept are the GIT_* variables that children see: which objects and index are
// meant, and who writes. All others go; each new git has more of them.
var kept = map[string]bool{
	"GIT_OBJECT_DIRECTORY":             true,
	"GIT_ALTERNATE_OBJECT_DIRECTORIES": true,
	"GIT_QUARANTINE_PATH":              true,
	"GIT_INDEX_FILE":                   true,
	"GIT_NAMESPACE":                    true,
	"GIT_EXEC_PATH":                    true,
	"GIT_AUTHOR_NAME":                  true,
	"GIT_AUTHOR_EMAIL":                 true,
	"GIT_AUTHOR_DATE":                  true,
	"GIT_COMMITTER_NAME":               true,
	"GIT_COMMITTER_EMAIL":              true,
	"GIT_COMMITTER_DATE":               true,
}

func (r *Repo) childEnv() []string {
	env := make([]string, 0, len(r.env)+12)
	for _, kv := range r.env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "GIT_CONFIG": // redirects `git config` itself
		case strings.HasPrefix(name, "GIT_CONFIG_") && !r.server: // where the person's settings are
			env = append(env, kv)
		case strings.HasPrefix(name, "GIT_") && !kept[name]:
		case name == "LANGUAGE" || strings.HasPrefix(name, "LC_"):
		default:
			env = append(env, kv)
		}
	}
	env = append(env,
		"LC_ALL=C",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_GRAFT_FILE=/dev/null/none", // a file that is there is warned of, also when it is empty
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_TERMINAL_PROMPT=0",
	)
	if r.GitDir != "" {
		env = append(env, "GIT_DIR="+r.GitDir)
		if lookup(r.env, "GIT_COMMON_DIR") != "" {
			env = append(env, "GIT_COMMON_DIR="+r.CommonDir)
		}
	}
	if r.server {
		// HOME as well: git before 2.32 does not know GIT_CONFIG_GLOBAL.
		return append(env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
			"HOME=/dev/null", "XDG_CONFIG_HOME=/dev/null", "GIT_IMPLICIT_WORK_TREE=0")
	}
	if r.WorkTree != "" {
		env = append(env, "GIT_WORK_TREE="+r.WorkTree)
	}
	return env
}

// gitPath is the git that env's PATH finds, absolute: a hook must not pick up a
// git from the tree it runs in. git puts its own directory first for hooks.
func gitPath(env []string) string {
	name := "git"
	if runtime.GOOS == "windows" {
		name = "git.exe"
	}
	for _, dir := range filepath.SplitList(lookup(env, "PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() &&
			(runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
			return path
		}
	}
	return name // exec.Command says what is wrong with it
}

// run starts cmd, feeds it stdin and returns its standard output. The error holds
// the command's name and the first line that it wrote to stderr, quoted.
func run(cmd *exec.Cmd, stdin io.Reader) ([]byte, error) {
	var out bytes.Buffer
	errs := &notes{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, errs
	err := cmd.Run()
	return out.Bytes(), commandError(cmd, err, errs)
}

func (r *Repo) output(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	out, err := run(r.Command(ctx, args...), stdin)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

func commandError(cmd *exec.Cmd, err error, stderr *notes) error {
	if err == nil {
		return nil
	}
	name := subcommand(cmd.Args)
	if line := stderr.firstLine(); line != "" {
		return fmt.Errorf("git %s: %w: %q", name, err, line)
	}
	return fmt.Errorf("git %s: %w", name, err)
}

// subcommand is what git was asked for, behind the -c options.
func subcommand(args []string) string {
	for i := 1; i < len(args); i++ {
		if args[i] == "-c" {
			i++
			continue
		}
		return args[i]
	}
	return ""
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// notes keeps the first kilobytes of what a child says and forgets the rest.
type notes struct{ b []byte }

const keepStderr = 4 << 10

func (n *notes) Write(p []byte) (int, error) {
	n.b = append(n.b, p[:min(len(p), keepStderr-len(n.b))]...)
	return len(p), nil
}

// firstLine prefers what git calls fatal or an error over hints and warnings.
func (n *notes) firstLine() string {
	first := ""
	for line := range strings.Lines(string(n.b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			return line
		}
		if first == "" {
			first = line
		}
	}
	return first
}
