package policy

import (
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// maxPath is the longest path that is held against patterns, in bytes, and longer than
// most systems can check out. A longer one is denied wherever any is.
const maxPath = 4096

// denies returns the pattern of the entry that keeps its model from a path.
func (m *modelEntry) denies(path string) (pattern string, ok bool) {
	for _, g := range m.deny {
		if len(path) > maxPath || g.match(path) {
			return g.text, true
		}
	}
	return "", false
}

// keepOut refuses an approval by m where it denies one of the paths of q.
func (p *Policy) keepOut(d *Decision, m *modelEntry, q Query) {
	for _, path := range q.Paths {
		pattern, denied := m.denies(path)
		if !denied {
			continue
		}
		d.refuse(RulePathRestricted, fmt.Sprintf("model %s may not change %s (%s, %s)", quote(d.Canonical), quote(path), quote(pattern), m.entry),
			"change it without this model, in a commit of its own"+p.otherwise(q, path))
		return
	}
}

// otherwise names the models that may change the path.
func (p *Policy) otherwise(q Query, path string) string {
	var ids []string
	for i := range p.models {
		m := &p.models[i]
		if _, denied := m.denies(path); m.denied || m.dead || denied || m.miss(&q, 0) != applies || m.asksMore(&q) {
			continue
		}
		if ids = append(ids, m.id.text); len(ids) == 3 {
			break
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ", or with " + either(ids)
}

// RestrictsPaths reports whether an entry that names the model keeps it from some paths.
func (p *Policy) RestrictsPaths(model provenance.Model) bool {
	id := p.Canonical(model)
	for i := range p.models {
		if m := &p.models[i]; m.restricts() && m.names(id) {
			return true
		}
	}
	return false
}

func (m *modelEntry) restricts() bool { return !m.denied && len(m.deny) > 0 }

// A PathWatch picks, of all the paths that a commit changes, as many as Model needs to
// know: for each entry one that it denies. So memory does not grow with the commit.
type PathWatch struct {
	entries []*modelEntry // that have denied no path yet
	paths   []string
}

// WatchPaths begins a PathWatch, which is nil where the policy has no rule about paths.
func (p *Policy) WatchPaths() *PathWatch {
	var w PathWatch
	for i := range p.models {
		if m := &p.models[i]; m.restricts() {
			w.entries = append(w.entries, m)
		}
	}
	if len(w.entries) == 0 {
		return nil
	}
	return &w
}

// See is told of a path.
func (w *PathWatch) See(path []byte) {
	if len(w.entries) == 0 {
		return
	}
	name, rest := string(path), w.entries[:0]
	for _, m := range w.entries {
		if _, denied := m.denies(name); !denied {
			rest = append(rest, m)
		}
	}
	if len(rest) < len(w.entries) {
		w.paths = append(w.paths, name)
	}
	w.entries = rest
}

// Paths are those that matter, in the order in which they were seen.
func (w *PathWatch) Paths() []string { return w.paths }
