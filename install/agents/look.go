package agents

import (
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// A State is how it stands with one agent.
type State struct {
	Name     string
	Title    string
	Found    bool   // its configuration or its program is here
	Hooks    bool   // it has hooks that could be used
	Unproven bool   // what is known of it comes from its documentation alone
	Placed   bool   // our entries were put in
	InPlace  bool   // and all stand where they were put
	Program  bool   // and what they call is there
	Off      string // the agent's own setting that keeps hooks from running
	Where    string
	Since    time.Time // when they were put in
	Heard    time.Time // the latest event since then; zero for none
	// Trust is what Codex's config.toml says; nil for all others.
	Trust *Trust
}

// Works reports whether nothing is known to keep its events from us.
func (s State) Works() bool {
	return s.Placed && s.InPlace && s.Program && s.Off == "" && (s.Trust == nil || s.Trust.All())
}

// Look says how it stands with each agent that was found or has entries, by name.
func (w World) Look() (states []State, err error) {
	noted, err := session.OpenPlaced(w.getenv).Agents()
	if err != nil {
		return nil, err
	}
	for _, a := range all() {
		s := State{Name: a.name, Title: a.title, Hooks: a.targets != nil, Unproven: a.unproven, Found: w.has(a)}
		i := slices.IndexFunc(noted, func(p session.PlacedAgent) bool { return p.Name == a.name })
		if i >= 0 {
			s.Placed, s.Since, s.Heard = true, noted[i].Since, noted[i].Heard
			s.InPlace = noted[i].InPlace() && w.complete(a)
			s.Off = off(a.targets(w, a.dir(w)))
			if err := w.lookAtRecord(&s); err != nil {
				return nil, err
			}
		}
		if s.Placed && a.name == "codex" {
			t := w.NotedTrust()
			s.Trust = &t
		}
		if s.Found || s.Placed {
			states = append(states, s)
		}
	}
	return states, nil
}

func (w World) lookAtRecord(s *State) error {
	r, err := w.readRecord(s.Name)
	if err != nil {
		return err
	}
	info, err := os.Stat(r.program)
	s.Program = err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
	if paths := r.paths(); len(paths) > 0 {
		s.Where = where(paths)
	}
	return nil
}

// complete reports whether no event of an agent has lost its entry.
func (w World) complete(a agent) bool {
	for _, t := range a.targets(w, a.dir(w)) {
		if t.hooks == nil {
			continue
		}
		f, err := readFile(t.file)
		if err != nil || f.data == nil {
			return false
		}
		d, err := parseDocument(t.file, f.data)
		if err != nil || len(t.hooks.positions(d)) != len(t.hooks.events) {
			return false
		}
	}
	return true
}
