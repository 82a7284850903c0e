package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings are the values of git's configuration that gatekeeper uses: all of
// gatekeeper.*, and the few of git's own that say how it signs and how it will
// treat a message. They come from every scope, as `git config --get` sees them.
type Settings struct{ values []setting }

type setting struct {
	key   string // canonical: section and name in lower case
	value string
}

// Get returns the value of a key, the last one where it has several. A key
// without a value reads "true". The letters' case matters only in a subsection.
func (s *Settings) Get(key string) (value string, set bool) {
	key = canonicalKey(key)
	for i := len(s.values) - 1; i >= 0; i-- {
		if s.values[i].key == key {
			return s.values[i].value, true
		}
	}
	return "", false
}

// Value is the value of a key as Get returns it, "" when it is not set.
func (s *Settings) Value(key string) string {
	v, _ := s.Get(key)
	return v
}

// All returns the values of a key, in the order in which git reads them.
func (s *Settings) All(key string) []string {
	key = canonicalKey(key)
	var all []string
	for _, v := range s.values {
		if v.key == key {
			all = append(all, v.value)
		}
	}
	return all
}

// Bool reads a key as git reads booleans. set is false when the key is absent or
// no boolean.
func (s *Settings) Bool(key string) (value, set bool) {
	v, set := s.Get(key)
	if !set {
		return false, false
	}
	return parseBool(v)
}

var usedKeys = []string{
	"user.name", "user.email", "user.signingkey", "gpg.format",
	"core.commentchar", "core.commentstring", "core.hookspath",
	"commit.cleanup", "commit.verbose",
}

func used(key string) bool {
	return strings.HasPrefix(key, "gatekeeper.") || slices.Contains(usedKeys, key)
}

func canonicalKey(key string) string {
	first, last := strings.IndexByte(key, '.'), strings.LastIndexByte(key, '.')
	if first < 0 {
		return strings.ToLower(key)
	}
	return strings.ToLower(key[:first]) + key[first:last] + strings.ToLower(key[last:])
}

// Settings reads the configuration. In a work tree the answer is remembered in
// gatekeeper/settings under GitDir, with what stat(2) says of every file that git
// consulted or looked for in vain, and of everything in the environment that
// moves or overrides them; while all of that is the same, no git is started.
func (r *Repo) Settings(ctx context.Context) (*Settings, error) {
	if r.WorkTree == "" || r.server {
		return r.readSettings(ctx, nil)
	}
	path := filepath.Join(r.GitDir, "gatekeeper", "settings")
	env := r.configEnvironment()
	if data, err := os.ReadFile(path); err == nil {
		if s, ok := parseSettings(string(data), env); ok {
			return s, nil
		}
	}
	files := r.configFiles(ctx)
	s, err := r.readSettings(ctx, files)
	if err != nil {
		return nil, err
	}
	if files.complete && len(files.included) > 0 {
		// The included files were not known when the others were stamped, so
		// stamp those too and read once more, now behind every stamp.
		again := files.withIncluded()
		if s, err = r.readSettings(ctx, again); err != nil {
			return nil, err
		}
		again.complete = again.complete && slices.Equal(files.included, again.included)
		files = again
	}
	if files.complete && files.settled(time.Now()) {
		// A read-only clone has no cache; that costs it a child process, no more.
		_ = writeSettings(path, env, files, s)
	}
	return s, nil
}

// configFiles are the files that an answer depends on.
type configFiles struct {
	stamps   []fileStamp // taken before git read them
	included []string    // targets of include directives, found or not, sorted
	complete bool        // false when something cannot be stamped
}

type fileStamp struct {
	path string
	stat string // "" when there is no such file
	time time.Time
}

func (r *Repo) configFiles(ctx context.Context) *configFiles {
	f := &configFiles{complete: true}
	paths := []string{gitPath(r.env)} // another git has another system file
	system, ok := r.systemConfig(ctx)
	f.complete = ok
	paths = append(paths, system...)
	paths = append(paths, r.globalConfig()...)
	paths = append(paths, filepath.Join(r.CommonDir, "config"), filepath.Join(r.GitDir, "config.worktree"))
	f.stamp(paths)
	return f
}

func (f *configFiles) stamp(paths []string) {
	for _, path := range paths {
		s, err := stampFile(path)
		if err != nil || !filepath.IsAbs(path) {
			f.complete = false
			return
		}
		f.stamps = append(f.stamps, s)
	}
}

func (f *configFiles) withIncluded() *configFiles {
	again := &configFiles{stamps: f.stamps, complete: true}
	again.stamp(f.included)
	return again
}

func (f *configFiles) has(path string) bool {
	return slices.ContainsFunc(f.stamps, func(s fileStamp) bool { return s.path == path })
}

// settled reports whether every file is old enough that a change after its stamp
// must show in the next one. Clocks of file systems tick coarsely (git calls an
// index entry of the same tick racy): 10 ms with most kernels, 2 s on FAT.
func (f *configFiles) settled(now time.Time) bool {
	for _, s := range f.stamps {
		age := 100 * time.Millisecond
		if s.time.Nanosecond() == 0 {
			age = 2100 * time.Millisecond
		}
		if s.stat != "" && now.Sub(s.time) < age {
			return false
		}
	}
	return true
}

// systemConfig asks git which system-wide files it reads: that is fixed when git
// is built. A git before 2.42 tells only its editor.
func (r *Repo) systemConfig(ctx context.Context) (paths []string, ok bool) {
	if off, _ := parseBool(lookup(r.env, "GIT_CONFIG_NOSYSTEM")); off {
		return nil, true
	}
	if p, set := lookupSet(r.env, "GIT_CONFIG_SYSTEM"); set {
		return nonEmpty(p), true
	}
	out, err := run(r.bare(ctx, "var", "GIT_CONFIG_SYSTEM"), nil)
	if err != nil {
		ask := r.bare(ctx, "config", "--system", "--edit")
		ask.Env = append(ask.Env, "GIT_EDITOR=echo")
		if out, err = run(ask, nil); err != nil {
			return nil, false
		}
	}
	paths = strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	return paths, paths[0] != ""
}

func (r *Repo) globalConfig() []string {
	if p, set := lookupSet(r.env, "GIT_CONFIG_GLOBAL"); set {
		if p == os.DevNull || p == "/dev/null" {
			return nil // nothing can be written there, and its times move
		}
		return nonEmpty(p)
	}
	home, xdg := lookup(r.env, "HOME"), lookup(r.env, "XDG_CONFIG_HOME")
	var paths []string
	if xdg == "" && home != "" {
		xdg = filepath.Join(home, ".config")
	}
	if xdg != "" {
		paths = append(paths, filepath.Join(xdg, "git", "config"))
	}
	if home != "" {
		paths = append(paths, filepath.Join(home, ".gitconfig"))
	}
	return paths
}

func nonEmpty(p string) []string {
	if p == "" {
		return nil
	}
	return []string{p}
}

// readSettings runs git and keeps the keys that are used. When files is given, it
// notes there what git included, and whether anything read could not be stamped.
func (r *Repo) readSettings(ctx context.Context, files *configFiles) (*Settings, error) {
	out, err := run(r.bare(ctx, "config", "--list", "-z", "--show-origin", "--includes"), nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	s := &Settings{}
	var origins []string
	for rest := string(out); rest != ""; {
		origin, after, ok1 := strings.Cut(rest, "\x00")
		entry, after, ok2 := strings.Cut(after, "\x00")
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("read configuration: git's list ends in the middle of %q", origin)
		}
		rest = after
		key, value, hasValue := strings.Cut(entry, "\n")
		if !hasValue {
			value = "true"
		}
		if used(key) {
			s.values = append(s.values, setting{key, value})
		}
		if files == nil {
			continue
		}
		if len(origins) == 0 || origins[len(origins)-1] != origin {
			origins = append(origins, origin)
		}
		if key == "include.path" || strings.HasPrefix(key, "includeif.") && strings.HasSuffix(key, ".path") {
			files.include(r, key, value, origin)
		}
	}
	if files != nil {
		slices.Sort(files.included)
		files.included = slices.Compact(files.included)
		files.complete = files.complete && files.covers(r, origins)
	}
	return s, nil
}

// include notes the target of one include directive (git-config(1), "Includes").
// Of the conditions only gitdir is the same at the next commit.
func (f *configFiles) include(r *Repo, key, value, origin string) {
	condition := strings.TrimSuffix(strings.TrimPrefix(key, "includeif."), ".path")
	if key != "include.path" && !strings.HasPrefix(condition, "gitdir:") && !strings.HasPrefix(condition, "gitdir/i:") {
		f.complete = false
		return
	}
	path := value
	if rest, ok := strings.CutPrefix(path, "~/"); ok && lookup(r.env, "HOME") != "" {
		path = lookup(r.env, "HOME") + "/" + rest
	}
	if !filepath.IsAbs(path) {
		file, ok := strings.CutPrefix(origin, "file:")
		if !ok || strings.HasPrefix(path, "~") || strings.HasPrefix(path, "%(") {
			f.complete = false
			return
		}
		path = filepath.Join(filepath.Dir(resolve(r.dir, file)), path)
	}
	f.included = append(f.included, filepath.Clean(path))
}

// covers reports whether everything that git read is stamped or in the
// environment. What is included counts: it is stamped before the next reading.
func (f *configFiles) covers(r *Repo, origins []string) bool {
	for _, origin := range origins {
		if origin == "command line:" {
			continue
		}
		file, ok := strings.CutPrefix(origin, "file:")
		path := resolve(r.dir, file)
		if !ok || !f.has(path) && !slices.Contains(f.included, path) {
			return false
		}
	}
	return true
}

// configEnvironment digests all of the environment that decides which files git
// reads and what overrides them. A digest, since `git -c` may carry a password.
func (r *Repo) configEnvironment() string {
	var vars []string
	for _, kv := range r.env {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "HOME", "XDG_CONFIG_HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "PROGRAMDATA":
			vars = append(vars, kv)
		default:
			if strings.HasPrefix(name, "GIT_CONFIG") {
				vars = append(vars, kv)
			}
		}
	}
	vars = append(vars, "git="+gitPath(r.env), "dir="+r.GitDir, "common="+r.CommonDir)
	sum := sha256.Sum256([]byte(strings.Join(vars, "\x00")))
	return hex.EncodeToString(sum[:])
}

const settingsHeader = "gatekeeper settings 1"

func writeSettings(path, env string, files *configFiles, s *Settings) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nenv %s\n", settingsHeader, env)
	for _, f := range files.stamps {
		b.WriteString("file " + f.stat + " " + strconv.Quote(f.path) + "\n")
	}
	for _, v := range s.values {
		b.WriteString("set " + v.key + " " + strconv.Quote(v.value) + "\n")
	}
	b.WriteString("end\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeFile(path, []byte(b.String()), 0o600)
}

// parseSettings reads what writeSettings wrote, if it still holds.
func parseSettings(data, env string) (*Settings, bool) {
	rest, ok := strings.CutPrefix(data, settingsHeader+"\nenv "+env+"\n")
	if !ok {
		return nil, false
	}
	s := &Settings{}
	for {
		line, after, ok := strings.Cut(rest, "\n")
		if !ok {
			return nil, false
		}
		rest = after
		word, line, _ := strings.Cut(line, " ")
		// A key's subsection may hold anything; the quoted value is the last word.
		at := strings.IndexByte(line, '"')
		switch {
		case word == "end":
			return s, line == "" && rest == ""
		case at < 1:
			return nil, false
		}
		value, err := strconv.Unquote(line[at:])
		if err != nil {
			return nil, false
		}
		switch first := line[:at-1]; word {
		case "file":
			if now, err := stampFile(value); err != nil || now.stat != first {
				return nil, false
			}
		case "set":
			s.values = append(s.values, setting{first, value})
		default:
			return nil, false
		}
	}
}
