package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotRepository reports a place that git would not call a repository.
var ErrNotRepository = errors.New("not a git repository")

// Repo is one repository, seen from one work tree. Its methods may be called
// from several goroutines.
type Repo struct {
	GitDir    string // absolute; of this work tree: HEAD, index, MERGE_HEAD
	CommonDir string // absolute; shared by all work trees: refs, objects, config
	WorkTree  string // absolute; "" in a bare repository
	IDSize    int    // bytes in an object id: 20 or 32

	dir    string   // where children run; relative GIT_* paths of env start here
	env    []string // the environment as it was given
	light  bool     // git's files may be read without git
	server bool     // children see no configuration but the repository's own
}

// FromHook finds the repository that a hook was started for, as git tells it in
// the environment and the working directory: GIT_DIR, or else .git in cwd. It
// starts no process. A repository that it cannot read for certain is still
// returned; then its methods start git.
func FromHook(env []string, cwd string) (*Repo, error) {
	cwd, err := filepath.Abs(cwd)
	if err != nil {
		return nil, fmt.Errorf("find repository: %w", err)
	}
	r := &Repo{dir: cwd, env: env}
	explicit := lookup(env, "GIT_DIR")
	if r.GitDir, err = gitDir(explicit, cwd); err != nil {
		return nil, err
	}
	if r.CommonDir, err = commonDir(env, r.GitDir, cwd); err != nil {
		return nil, err
	}
	f, err := readFormat(filepath.Join(r.CommonDir, "config"))
	if err != nil {
		return nil, fmt.Errorf("read configuration of %s: %w", r.CommonDir, err)
	}
	r.IDSize, r.light = f.idSize, f.known
	switch tree := lookup(env, "GIT_WORK_TREE"); {
	case tree != "":
		r.WorkTree = resolve(cwd, tree)
	case r.GitDir == cwd || f.bare && r.GitDir == r.CommonDir:
		// Hooks of a bare repository run inside it.
	case f.workTree != "" && r.GitDir == r.CommonDir:
		r.WorkTree = resolve(r.GitDir, f.workTree)
	default:
		r.WorkTree = cwd // where git runs the hooks of a work tree
	}
	return r, nil
}

// Find finds the repository whose work tree a directory lies in, by the nearest .git on
// the way up. It starts no process, and goes by nothing that the environment says of
// another repository. The error wraps ErrNotRepository where there is none.
func Find(env []string, dir string) (*Repo, error) {
	var clean []string
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "GIT_") || lasting[name] {
			clean = append(clean, kv)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find repository: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			r, err := FromHook(clean, at)
			if err == nil || at == filepath.Dir(at) {
				return r, err
			}
		}
		if at == filepath.Dir(at) {
			return nil, fmt.Errorf("%s: %w", dir, ErrNotRepository)
		}
	}
}

// lasting are the variables of git that say where a person's settings are, and nothing of a
// repository.
var lasting = map[string]bool{"GIT_CONFIG_GLOBAL": true, "GIT_CONFIG_SYSTEM": true, "GIT_CONFIG_NOSYSTEM": true, "GIT_EXEC_PATH": true}

// Open finds the repository of dir as git itself does, in one child process, and
// with git's check of who owns it. env is the environment to find it with.
func Open(ctx context.Context, dir string, env []string) (*Repo, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find repository: %w", err)
	}
	r := &Repo{dir: dir, env: env}
	cmd := r.bare(ctx, "rev-parse", "--absolute-git-dir", "--git-common-dir", "--show-object-format",
		"--is-inside-work-tree", "--show-toplevel")
	cmd.Env = env // as the user has it, GIT_DIR and discovery limits included
	out, err := run(cmd, nil)
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	// In a bare repository git prints the first four and fails on the fifth.
	bare := len(lines) == 4 && lines[3] == "false"
	if len(lines) != 5 && !bare || err != nil && !bare {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = fmt.Errorf("git printed %d lines about %q", len(lines), dir)
		} else if strings.Contains(err.Error(), "not a git repository") {
			return nil, fmt.Errorf("%s: %w", dir, ErrNotRepository)
		}
		return nil, fmt.Errorf("find repository: %w", err)
	}
	r.GitDir, r.CommonDir = filepath.FromSlash(lines[0]), resolve(dir, filepath.FromSlash(lines[1]))
	if lines[2] == "sha256" {
		r.IDSize = 32
	} else {
		r.IDSize = 20
	}
	r.dir = r.GitDir
	if !bare {
		r.WorkTree = filepath.FromSlash(lines[4])
		r.dir = r.WorkTree
	}
	f, err := readFormat(filepath.Join(r.CommonDir, "config"))
	r.light = err == nil && f.known && f.idSize == r.IDSize
	return r, nil
}

// Server returns the same repository as a server should read it: children see
// the repository's own configuration and neither the system's, the account's nor
// the environment's, no attributes outside the repository, and no work tree.
//
// git's check of ownership (safe.directory) is done only where git has to find
// the repository; here it is named by GIT_DIR, after receive-pack accepted it.
func (r *Repo) Server() *Repo {
	s := *r
	s.server = true
	return &s
}

// Getenv is the value of a variable in the environment the repository was opened
// with, "" when it is not there.
func (r *Repo) Getenv(name string) string { return lookup(r.env, name) }

// IndexPath is the index that git is about to commit: GIT_INDEX_FILE, else the
// work tree's own. During "commit -a" and "commit -- path" the two differ.
func (r *Repo) IndexPath() string {
	if p := lookup(r.env, "GIT_INDEX_FILE"); p != "" {
		return resolve(r.dir, p)
	}
	return filepath.Join(r.GitDir, "index")
}

// objectDir is where new objects go: in a push, the quarantine.
func (r *Repo) objectDir() string {
	if p := lookup(r.env, "GIT_OBJECT_DIRECTORY"); p != "" {
		return resolve(r.dir, p)
	}
	return filepath.Join(r.CommonDir, "objects")
}

// gitDir resolves GIT_DIR, or .git in cwd, which in a linked work tree and in a
// submodule is a file that names the directory (gitrepository-layout(5)).
func gitDir(explicit, cwd string) (string, error) {
	path := resolve(cwd, explicit)
	if explicit == "" {
		path = filepath.Join(cwd, ".git")
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			path = cwd // a bare repository is its own directory
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	if !info.IsDir() {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("find repository: %w", err)
		}
		to, ok := strings.CutPrefix(strings.TrimRight(string(data), "\r\n"), "gitdir: ")
		if !ok {
			return "", fmt.Errorf("%s: %w", path, ErrNotRepository)
		}
		path = resolve(filepath.Dir(path), to)
	}
	if _, err := os.Lstat(filepath.Join(path, "HEAD")); err != nil {
		return "", fmt.Errorf("%s: %w", path, ErrNotRepository)
	}
	return path, nil
}

func commonDir(env []string, gitDir, cwd string) (string, error) {
	if p := lookup(env, "GIT_COMMON_DIR"); p != "" {
		return resolve(cwd, p), nil
	}
	data, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return gitDir, nil
	}
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	return resolve(gitDir, strings.TrimRight(string(data), "\r\n")), nil
}

func resolve(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// lookup reads a variable as a child process would: the last one counts.
func lookup(env []string, name string) string {
	v, _ := lookupSet(env, name)
	return v
}

func lookupSet(env []string, name string) (value string, set bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(env[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}
