package agents

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// state is where gatekeeper keeps what it knows of a user, for all repositories: below
// XDG_STATE_HOME, as package session does. "" without a home.
func (w World) state(below ...string) string {
	base := ""
	switch state := w.getenv("XDG_STATE_HOME"); {
	case filepath.IsAbs(state):
		base = state
	case runtime.GOOS == "windows":
		base = w.getenv("LOCALAPPDATA")
	default:
		base = w.home(".local", "state")
	}
	if base == "" {
		return ""
	}
	return filepath.Join(append([]string{base, "gatekeeper"}, below...)...)
}

// A record is what was done for one agent, so that it can be taken back. Its file has
// a line for each thing: a word, then values quoted as Go strings.
//
//	program "/opt/gatekeeper-agent"          what the entries call
//	dir "/home/a/.codex"                     a directory that we made
//	made "/home/a/.codex/hooks.json"         a file that was not there before us
//	file "/home/a/.claude/settings.json"     a file with entries of ours
//	whole "/home/…/gatekeeper.js" "SHA256"   a file all ours, and what we wrote
//	backup "/home/…/settings.json.before-gatekeeper"
//	trust "KEY" "HASH"                       what Codex was told to trust
//	image "/home/a/.codex/config.toml" "SHA256"   as Codex left it when it noted that
type record struct {
	program string
	dirs    []string
	made    []string
	files   []string
	wholes  [][2]string
	backups []string
	trust   [][2]string
	image   [2]string
}

const recordHead = "gatekeeper agent files v1\n"

func (r *record) format() string {
	var b strings.Builder
	b.WriteString(recordHead)
	each := func(word string, values []string) {
		for _, v := range values {
			fmt.Fprintf(&b, "%s %q\n", word, v)
		}
	}
	pairs := func(word string, values [][2]string) {
		for _, v := range values {
			fmt.Fprintf(&b, "%s %q %q\n", word, v[0], v[1])
		}
	}
	if r.program != "" {
		each("program", []string{r.program})
	}
	each("dir", r.dirs)
	each("made", r.made)
	each("file", r.files)
	pairs("whole", r.wholes)
	each("backup", r.backups)
	pairs("trust", r.trust)
	if r.image[0] != "" {
		pairs("image", [][2]string{r.image})
	}
	b.WriteString("end\n")
	return b.String()
}

// parseRecord reads what format writes, and nothing else.
func parseRecord(text string) (*record, error) {
	r := &record{}
	rest, ok := strings.CutPrefix(text, recordHead)
	rest, whole := strings.CutSuffix(rest, "end\n")
	for line := range strings.Lines(rest) {
		word, line, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		v, err := unquoteAll(line)
		ok = ok && err == nil && len(v) > 0 && r.add(word, v)
	}
	if !ok || !whole || r.format() != text {
		return nil, errors.New("not in the form that gatekeeper writes")
	}
	return r, nil
}

func (r *record) add(word string, v []string) bool {
	switch word {
	case "program":
		r.program = v[0]
	case "dir":
		r.dirs = append(r.dirs, v[0])
	case "made":
		r.made = append(r.made, v[0])
	case "file":
		r.files = append(r.files, v[0])
	case "backup":
		r.backups = append(r.backups, v[0])
	case "whole":
		r.wholes = append(r.wholes, [2]string{v[0], v[len(v)-1]})
	case "trust":
		r.trust = append(r.trust, [2]string{v[0], v[len(v)-1]})
	case "image":
		r.image = [2]string{v[0], v[len(v)-1]}
	default:
		return false
	}
	return true
}

func unquoteAll(s string) (values []string, err error) {
	for s != "" {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, err
		}
		v, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		s = strings.TrimPrefix(s[len(quoted):], " ")
	}
	return values, nil
}

// sum is the digest of what we wrote as a whole file; "" when we did not.
func (r *record) sum(file string) string {
	for _, w := range r.wholes {
		if w[0] == file {
			return w[1]
		}
	}
	return ""
}

// paths are all files with something of ours.
func (r *record) paths() []string {
	paths := slices.Clone(r.files)
	for _, w := range r.wholes {
		paths = append(paths, w[0])
	}
	return paths
}

func (r *record) note(t target) {
	if t.hooks != nil {
		r.files = with(r.files, t.file)
		return
	}
	r.wholes = slices.DeleteFunc(r.wholes, func(w [2]string) bool { return w[0] == t.file })
	r.wholes = append(r.wholes, [2]string{t.file, digest(t.whole)})
	slices.SortFunc(r.wholes, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
}

func (r *record) forget(file string) {
	is := func(path string) bool { return path == file }
	r.files = slices.DeleteFunc(r.files, is)
	r.made = slices.DeleteFunc(r.made, is)
	r.wholes = slices.DeleteFunc(r.wholes, func(w [2]string) bool { return w[0] == file })
}

func (r *record) clone() *record {
	return &record{
		program: r.program,
		dirs:    slices.Clone(r.dirs), made: slices.Clone(r.made), files: slices.Clone(r.files),
		wholes: slices.Clone(r.wholes), backups: slices.Clone(r.backups), trust: slices.Clone(r.trust), image: r.image,
	}
}

func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readRecord is what was done for an agent; empty when nothing was.
func (w World) readRecord(name string) (*record, error) {
	path := w.state("install", name)
	if path == "" {
		return &record{}, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{}, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(string(data))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// writeRecord keeps a record; one that holds nothing goes.
func (w World) writeRecord(name string, r *record) error {
	path := w.state("install", name)
	if r.format() == (&record{}).format() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == r.format() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return writeFile(path, []byte(r.format()), 0o644)
}

// Lock keeps two runs of one user apart.
func (w World) Lock() (unlock func(), err error) {
	dir := w.state()
	if dir == "" {
		return nil, errors.New("the environment names no home directory")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("another gatekeeper is at work on the agents of this user; if not, remove %s", path)
	}
	if err != nil {
		return nil, err
	}
	f.Close()
	return func() {
		os.Remove(path)
		w.tidy()
	}, nil
}

// LockIfUsed is Lock where there is something to keep apart: it makes nothing in the
// home of somebody who has no agents.
func (w World) LockIfUsed() (unlock func(), err error) {
	if dir := w.state(); dir == "" || !isDir(dir) {
		return func() {}, nil
	}
	return w.Lock()
}

// tidy removes directories of our state that hold nothing.
func (w World) tidy() {
	for _, below := range []string{"install", "clones", "agents", ""} {
		os.Remove(w.state(below))
	}
}
