package session

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Placed are the entries that gatekeeper has in the configuration of the coding agents of
// this user, for all repositories: where they stand, and when each agent was last
// heard. They live below gatekeeper/agents in the user's state directory.
type Placed struct{ dir string }

// OpenPlaced names the entries of the user with this environment; it touches no file.
// Without a home directory there are none.
func OpenPlaced(getenv func(string) string) Placed {
	var base string
	switch state, home := getenv("XDG_STATE_HOME"), getenv("HOME"); {
	case filepath.IsAbs(state):
		base = state
	case runtime.GOOS == "windows":
		base = getenv("LOCALAPPDATA")
	case home != "":
		base = filepath.Join(home, ".local", "state")
	}
	if base == "" {
		return Placed{}
	}
	return Placed{filepath.Join(base, "gatekeeper", "agents")}
}

// An Entry is a text of ours in a file of an agent's configuration.
type Entry struct {
	File string // absolute
	Text string // as it stands there, byte for byte
}

// A PlacedAgent is an agent in whose configuration gatekeeper has entries.
type PlacedAgent struct {
	Name    string
	Entries []Entry
	Since   time.Time // when they were placed
	Heard   time.Time // the latest event since then; zero for none
}

const placedHead = "gatekeeper agent v1\n"

// Place takes note of an agent's entries.
func (p Placed) Place(name string, entries []Entry) error {
	if p.dir == "" {
		return errors.New("take note of the entry: the environment names no home directory")
	}
	text := formatPlaced(entries)
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		return fmt.Errorf("take note of the entry: %w", err)
	}
	// What was heard before says nothing of the entry that stands there from now on.
	if old, err := os.ReadFile(p.path(name)); err == nil && string(old) == text {
		return nil
	}
	if err := remove(p.heardPath(name)); err != nil {
		return fmt.Errorf("take note of the entry: %w", err)
	}
	if err := repo.WriteFileAtomic(p.path(name), []byte(text)); err != nil {
		return fmt.Errorf("take note of the entry: %w", err)
	}
	return nil
}

// Forget drops what was noted of an agent.
func (p Placed) Forget(name string) error {
	if p.dir == "" {
		return nil
	}
	return errors.Join(remove(p.path(name)), remove(p.heardPath(name)))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Hear takes note that an agent's entry works; of one that has none, nothing is noted. It
// is called on every event, and mostly changes one time of a file.
func (p Placed) Hear(name string, now time.Time) error {
	if p.dir == "" || name == "" {
		return nil
	}
	path := p.heardPath(name)
	err := os.Chtimes(path, now, now)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(p.path(name)); err != nil {
		return nil
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		return err
	}
	return os.Chtimes(path, now, now)
}

func (p Placed) path(name string) string      { return filepath.Join(p.dir, name) }
func (p Placed) heardPath(name string) string { return filepath.Join(p.dir, name+".heard") }

// Agents lists the agents with entries, by name. A note that cannot be read counts
// as an agent without any entry in place.
func (p Placed) Agents() ([]PlacedAgent, error) {
	if p.dir == "" {
		return nil, nil
	}
	files, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the agents' entries: %w", err)
	}
	var list []PlacedAgent
	for _, f := range files {
		name := f.Name()
		if strings.Contains(name, ".") {
			continue
		}
		data, err := os.ReadFile(p.path(name))
		if err != nil {
			return nil, fmt.Errorf("list the agents' entries: %w", err)
		}
		a := PlacedAgent{Name: name, Entries: parsePlaced(string(data))}
		if info, err := f.Info(); err == nil {
			a.Since = info.ModTime()
		}
		if info, err := os.Stat(p.heardPath(name)); err == nil {
			a.Heard = info.ModTime()
		}
		list = append(list, a)
	}
	return list, nil
}

func formatPlaced(entries []Entry) string {
	var b strings.Builder
	b.WriteString(placedHead)
	for _, e := range entries {
		fmt.Fprintf(&b, "entry %q %q\n", e.File, e.Text)
	}
	b.WriteString("end\n")
	return b.String()
}

func parsePlaced(text string) (entries []Entry) {
	rest, ok := strings.CutPrefix(text, placedHead)
	rest, whole := strings.CutSuffix(rest, "end\n")
	if !ok || !whole {
		return nil
	}
	for line := range strings.Lines(rest) {
		word, line, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		v, err := quoted(line)
		if err != nil || word != "entry" || len(v) != 2 {
			return nil
		}
		entries = append(entries, Entry{v[0], v[1]})
	}
	return entries
}

// maxConfig bounds a configuration that is looked into for our entry, in bytes.
const maxConfig = 4 << 20

// InPlace reports whether each entry still stands where it was put.
func (a PlacedAgent) InPlace() bool {
	return len(a.Entries) > 0 && !slices.ContainsFunc(a.Entries, func(e Entry) bool {
		info, err := os.Stat(e.File)
		if err != nil || info.Size() > maxConfig {
			return true
		}
		data, err := os.ReadFile(e.File)
		return err != nil || !bytes.Contains(data, []byte(e.Text))
	})
}

// Alive reports whether the agent was heard through its entry.
func (a PlacedAgent) Alive() bool { return !a.Heard.IsZero() }
