package agents

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A World is one user on one machine.
type World struct {
	Environ []string // as os.Environ
	Binary  string   // absolute path of gatekeeper-agent; not needed to take entries out
}

func (w World) getenv(name string) string {
	for _, kv := range slices.Backward(w.Environ) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// An agent is what this package knows of a coding agent.
type agent struct {
	name     string // as records of commits have it
	title    string // as people say it
	programs []string
	dir      func(World) string // of the user's configuration; "" without a home
	// targets are the files that our entries go into; nil where the agent has no
	// hooks that could be used.
	targets func(w World, dir string) []target
	// unproven: written from the agent's documentation, which is all that was to hand.
	unproven bool
}

// A target is one file of an agent that our entry goes into.
type target struct {
	file string
	text string // of our entry as it stands there, and still does when the agent has written its file anew
	// One of these says what goes in: entries beside those of others, or a whole file.
	hooks *hooksFile
	whole []byte
}

// mode is of a file that we make: what agents write into theirs may be secret.
func (t target) mode() fs.FileMode {
	if bytes.HasPrefix(t.whole, []byte("#!")) {
		return 0o700
	}
	return 0o600
}

func all() []agent {
	return []agent{
		aider(), amp(), claudeCode(), cline(), codex(), continueCLI(), copilotCLI(),
		crush(), cursor(), geminiCLI(), openCode(), qwenCode(), windsurf(),
	}
}

// Names are the agents that have hooks, in order.
func Names() (names []string) {
	for _, a := range all() {
		if a.targets != nil {
			names = append(names, a.name)
		}
	}
	return names
}

// Title is what people call an agent.
func Title(name string) string {
	if a, ok := known(name); ok {
		return a.title
	}
	return name
}

// Unproven reports whether an agent was set up from its documentation alone.
func Unproven(name string) bool {
	a, _ := known(name)
	return a.unproven
}

func known(name string) (agent, bool) {
	list := all()
	i := slices.IndexFunc(list, func(a agent) bool { return a.name == name })
	if i < 0 {
		return agent{}, false
	}
	return list[i], true
}

// Found are the agents that this user has: those whose configuration is there, or
// whose program is on PATH.
func (w World) Found() (names []string) {
	for _, a := range all() {
		if w.has(a) {
			names = append(names, a.name)
		}
	}
	return names
}

func (w World) has(a agent) bool {
	if dir := a.dir(w); dir != "" && isDir(dir) {
		return true
	}
	return slices.ContainsFunc(a.programs, func(p string) bool { return w.lookPath(p) != "" })
}

// A Choice is what --agents says.
type Choice struct {
	Names []string // with hooks, in order
	Seen  []string // found, without hooks: seen by their process and trailer alone
}

// Choose reads the value of --agents: auto (or nothing) for the agents that are
// found, none, or names with commas between them.
func (w World) Choose(value string) (Choice, error) {
	var c Choice
	switch value {
	case "none":
		return c, nil
	case "", "auto":
		for _, name := range w.Found() {
			if a, _ := known(name); a.targets == nil {
				c.Seen = append(c.Seen, name)
			} else {
				c.Names = append(c.Names, name)
			}
		}
		return c, nil
	}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		a, ok := known(name)
		switch {
		case !ok:
			return c, &UnknownAgent{name}
		case a.targets == nil && !slices.Contains(c.Seen, name):
			c.Seen = append(c.Seen, name)
		case a.targets != nil && !slices.Contains(c.Names, name):
			c.Names = append(c.Names, name)
		}
	}
	slices.Sort(c.Names)
	slices.Sort(c.Seen)
	return c, nil
}

// An UnknownAgent is a name in --agents that no agent has.
type UnknownAgent struct{ Name string }

func (e *UnknownAgent) Error() string {
	return fmt.Sprintf("no agent is called %q; known: %s", e.Name, strings.Join(Names(), ", "))
}

// home is the user's home directory; "" without one.
func (w World) home(below ...string) string {
	home := w.getenv("HOME")
	if home == "" && runtime.GOOS == "windows" {
		home = w.getenv("USERPROFILE")
	}
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(append([]string{home}, below...)...)
}

// moved is a directory that a variable may name, else another. An agent would take a
// relative one from wherever it is started, so that is no place for an entry.
func (w World) moved(variable, otherwise string) string {
	dir := w.getenv(variable)
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		dir = w.home(rest)
	}
	if !filepath.IsAbs(dir) {
		return otherwise
	}
	return filepath.Clean(dir)
}

// config is a directory below XDG_CONFIG_HOME.
func (w World) config(name string) string {
	base := w.moved("XDG_CONFIG_HOME", w.home(".config"))
	if base == "" {
		return ""
	}
	return filepath.Join(base, name)
}

// lookPath finds a program on this user's PATH; "" when there is none.
func (w World) lookPath(name string) string {
	suffixes := []string{""}
	if runtime.GOOS == "windows" {
		suffixes = []string{".exe", ".cmd", ".bat"}
	}
	for _, dir := range filepath.SplitList(w.getenv("PATH")) {
		for _, suffix := range suffixes {
			path := filepath.Join(dir, name+suffix)
			info, err := os.Stat(path)
			if filepath.IsAbs(path) && err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
				return path
			}
		}
	}
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// hookless is an agent without hooks that could be used. It is seen by its process,
// and by the trailer it writes.
func hookless(name, title string, dir func(World) string, programs ...string) agent {
	return agent{name: name, title: title, dir: dir, programs: programs}
}

// aider has no hooks.
func aider() agent {
	return hookless("aider", "Aider", func(World) string { return "" }, "aider")
}

// amp has plugins of an experimental kind, which were not run.
func amp() agent {
	return hookless("amp", "Amp", func(w World) string { return w.config("amp") }, "amp")
}

// continueCLI reads hooks and never calls them (1.5.47).
func continueCLI() agent {
	return hookless("continue", "Continue", func(w World) string { return w.home(".continue") }, "cn")
}

// crush has a hook before a tool and none after it, nor for what its sub-agents do.
func crush() agent {
	return hookless("crush", "Crush", func(w World) string { return w.config("crush") }, "crush")
}
