package change

import (
	"bytes"
	"slices"
)

// maxSides bounds the parents that a merge is compared with. A path that differs from
// these may be the same as in one of the others; git itself makes no such merges.
const maxSides = 16

// Paths calls visit for each path that a commit changes, in byte order, by the trees
// of its parents and its own: every path that differs from the parent, and in a merge
// every one that differs from each of the parents, so that what the merge only
// brings in is not told again (as git diff-tree -c has it). Files, links and gitlinks
// have paths, with what they were or what they become. A path is valid during the call.
//
// No file is read, and trees only where they differ. Errors are those of Compute
// and of visit.
func Paths(objs Objects, parents []ID, tree ID, visit func(path []byte) error) error {
	leaf := func(path []byte, _, _ treeEntry) error { return visit(path) }
	w := walker{objs: objs, visit: leaf, treesOnly: true, idSize: len(tree)}
	for _, id := range parents {
		w.idSize = max(w.idSize, len(id))
	}
	switch len(parents) {
	case 0:
		return w.begin("", tree)
	case 1:
		return w.begin(parents[0], tree)
	}
	m := merged{walker: w}
	return m.begin(parents[:min(len(parents), maxSides)], tree)
}

// merged walks the trees of several parents and that of their merge, side by side.
type merged struct {
	walker
	groups []group // that differ in the trees being walked, outer ones first
	met    group   // the last one met
}

// A group is what has one name: in each of the parents, and in the merge at the end.
// Where it has none it is zero.
type group []treeEntry

func (m *merged) begin(parents []ID, tree ID) error {
	var root group
	for _, id := range append(append([]ID{}, parents...), tree) {
		root = append(root, treeEntry{mode: 0o040000, id: []byte(id)})
	}
	if !root.differs() {
		return nil
	}
	return m.walk(root)
}

// differs reports whether the merge has it from none of its parents.
func (g group) differs() bool {
	own := g[len(g)-1]
	for _, e := range g[:len(g)-1] {
		if bytes.Equal(e.id, own.id) && (own.id == nil || e.canonical() == own.canonical()) {
			return false
		}
	}
	return true
}

// name is the entry of the first side that has one.
func (g group) name() treeEntry {
	for _, e := range g {
		if e.id != nil {
			return e
		}
	}
	return treeEntry{}
}

// walk walks trees of one folder.
func (m *merged) walk(folder group) error {
	if err := m.deeper(); err != nil {
		return err
	}
	sides := make([]side, len(folder))
	defer func() {
		m.depth--
		for _, s := range sides {
			if s.tree != nil {
				m.close(s.tree)
			}
		}
	}()
	for i, e := range folder {
		t, err := m.open(e.id)
		if err != nil {
			return err
		}
		sides[i].tree = t
		if err := sides[i].next(); err != nil {
			return m.at(err)
		}
	}
	return m.merge(sides)
}

// merge goes through the sides by stretches of what differs, as the walker of two does.
func (m *merged) merge(sides []side) error {
	start := len(m.groups)
	for {
		if err := m.stretch(sides); err != nil {
			return err
		}
		end := len(m.groups)
		if start == end {
			return nil
		}
		m.announce(m.groups[start:end])
		for i := start; i < end; i++ {
			if err := m.differ(m.groups[i]); err != nil {
				return err
			}
		}
		m.groups = m.groups[:start]
	}
}

// stretch adds the next groups that differ, none at the end.
func (m *merged) stretch(sides []side) error {
	for n := 0; n < ahead; {
		more, err := m.next(sides)
		if err != nil {
			return m.at(err)
		}
		if !more {
			return nil
		}
		if m.met.differs() {
			m.groups = append(m.groups, slices.Clone(m.met))
			n++
		}
	}
	return nil
}

func (m *merged) announce(groups []group) {
	p, ok := m.objs.(Prefetcher)
	if !ok {
		return
	}
	var ids []ID
	for _, g := range groups {
		for _, e := range g {
			if e.id != nil && e.kind() == kindTree {
				ids = append(ids, ID(e.id))
			}
		}
	}
	p.Prefetch(ids)
}

func (m *merged) differ(g group) error {
	name, start := g.name(), len(m.path)
	if err := m.step(name.name); err != nil {
		return err
	}
	var err error
	if name.kind() == kindTree {
		m.path = append(m.path, '/')
		err = m.walk(g)
	} else {
		err = m.leaf(g[0], g[len(g)-1])
	}
	m.path = m.path[:start]
	return err
}

// A side is one of several trees that are read side by side.
type side struct {
	tree *treeReader
	head treeEntry // that comes next; no id at the end
}

func (s *side) next() (err error) {
	s.head, _, err = s.tree.next()
	return err
}

// next takes what has the next name off all sides; it reports false at the end.
func (m *merged) next(sides []side) (bool, error) {
	var first treeEntry
	for _, s := range sides {
		if first.id == nil || s.head.id != nil && s.head.compare(first) < 0 {
			first = s.head
		}
	}
	m.met = m.met[:0]
	for i := range sides {
		s, e := &sides[i], treeEntry{}
		if first.id != nil && s.head.id != nil && s.head.compare(first) == 0 {
			e = s.head
			if err := s.next(); err != nil {
				return false, err
			}
		}
		m.met = append(m.met, e)
	}
	return first.id != nil, nil
}
