package change

import "bytes"

// A Prefetcher is Objects that read faster when they know what comes. Its two calls
// are hints: no digest depends on them.
type Prefetcher interface {
	Objects
	// Prefetch names what will be opened soon, in about that order. Some of it
	// may never be opened.
	Prefetch(ids []ID)
	// Release names what a change has replaced, so that the next one is unlikely to
	// open it again.
	Release(ids []ID)
}

// ahead is how many pairs of a tree are announced together.
const ahead = 16

// announce tells objs what the digest of pairs will open, or the walk of their trees only.
func announce(objs Objects, pairs []pair, treesOnly bool) {
	p, ok := objs.(Prefetcher)
	if !ok {
		return
	}
	var ids []ID
	for _, pair := range pairs {
		ids = pair.opened(ids, treesOnly)
	}
	p.Prefetch(ids)
}

// opened adds to ids those that the digest of a pair opens; or, of these, the trees.
func (p pair) opened(ids []ID, treesOnly bool) []ID {
	if bytes.Equal(p.old.id, p.new.id) && p.old.kind() == p.new.kind() {
		return ids // only the mode differs
	}
	for _, e := range []treeEntry{p.old, p.new} {
		if e.id != nil && e.kind() != kindGitlink && (!treesOnly || e.kind() == kindTree) {
			ids = append(ids, ID(e.id))
		}
	}
	return ids
}

// release tells objs what pairs have replaced.
func release(objs Objects, pairs []pair) {
	p, ok := objs.(Prefetcher)
	if !ok {
		return
	}
	var ids []ID
	for _, pair := range pairs {
		if pair.old.id != nil {
			ids = append(ids, ID(pair.old.id))
		}
	}
	p.Release(ids)
}

// A Scout goes through the trees of a change ahead of Compute, one level of folders
// at each step, so that what a level needs can arrive while other changes are
// computed. It is a hint as a whole: it passes over what is out of the ordinary, and
// keeps errors to itself, since Compute meets them again.
type Scout struct {
	trees     [][2]ID // that differ and have been announced
	begun     bool
	treesOnly bool
	spare     [2][]byte // memory for a tree on each side
}

// Limits of a Scout: on the pairs it finds at one step, and on the bytes of a tree.
const (
	maxScouted   = 64
	maxScoutTree = 64 << 10
)

// NewScout is a Scout for Compute(objs, old, new).
func NewScout(old, new ID) *Scout {
	return &Scout{trees: [][2]ID{{old, new}}}
}

// NewPathScout is a Scout for Paths(objs, []ID{old}, new, ...).
func NewPathScout(old, new ID) *Scout {
	s := NewScout(old, new)
	s.treesOnly = true
	return s
}

// Step opens trees that the step before announced, and adds to ids what is to be
// prefetched before the next step.
func (s *Scout) Step(objs Objects, ids []ID) []ID {
	if !s.begun {
		s.begun = true
		for _, id := range s.trees[0] {
			if id != "" {
				ids = append(ids, id)
			}
		}
		return ids
	}
	level := s.trees
	s.trees = nil
	room := maxScouted
	for _, t := range level {
		a, b := s.open(objs, t, 0), s.open(objs, t, 1)
		if a == nil || b == nil {
			continue
		}
		m := merger{a: a, b: b}
		for ; room > 0; room-- {
			p, ok, err := m.next()
			if err != nil || !ok {
				break
			}
			ids = p.opened(ids, s.treesOnly)
			if p.old.kind() == kindTree || p.new.kind() == kindTree {
				s.trees = append(s.trees, [2]ID{ID(p.old.id), ID(p.new.id)})
			}
		}
	}
	return ids
}

// open reads one of two trees, and gives nil for one that a Scout passes over.
func (s *Scout) open(objs Objects, trees [2]ID, side int) *treeReader {
	id := trees[side]
	if id == "" {
		return newTreeReader(nil, len(trees[1-side]))
	}
	obj, err := open(objs, id, "tree")
	if err != nil {
		return nil
	}
	defer obj.Close()
	if obj.Size > maxScoutTree {
		return nil
	}
	raw, err := readAll(obj, &s.spare[side])
	if err != nil {
		return nil
	}
	return newTreeReader(raw, len(id))
}
