package change

import (
	"bytes"
	"errors"
	"fmt"
)

// Limits on trees, which a few objects can make as deep, wide and repetitive as
// they like. Beyond them there is no digest.
const (
	maxDepth = 2048     // trees inside each other; what git itself allows by default (core.maxTreeDepth)
	maxHeld  = 32 << 20 // bytes of trees open at one time, both sides
	maxVisit = 1 << 21  // paths and trees that differ
	maxPaths = 1 << 28  // bytes of paths that differ
)

// walkTrees calls visit for each leaf that two trees do not share, in byte
// order of paths. An entry that a side lacks is zero. Slices are valid during the
// call.
func walkTrees(objs Objects, old, new ID, visit func(path []byte, old, new treeEntry) error) error {
	w := walker{objs: objs, visit: visit, idSize: max(len(old), len(new))}
	return w.begin(old, new)
}

type walker struct {
	objs   Objects
	visit  func(path []byte, old, new treeEntry) error
	folder func(path []byte, old, new *treeReader) error // nil: nobody asks for trees
	idSize int

	treesOnly bool // visit opens no file

	pairs   []pair // that differ in the trees being walked, outer ones first
	path    []byte // of the trees being walked, with a slash at the end
	depth   int
	held    int
	visited int
	paths   int
	spare   [][]byte // memory of trees that are done
}

func (w *walker) begin(old, new ID) error {
	if old != "" && new != "" && len(old) != len(new) {
		return fmt.Errorf("trees %s and %s: ids of different sizes", old, new)
	}
	if old == new {
		return nil
	}
	return w.trees([]byte(old), []byte(new))
}

// trees walks two trees that differ. An error ends the whole walk.
func (w *walker) trees(old, new []byte) error {
	if err := w.deeper(); err != nil {
		return err
	}
	a, err := w.open(old)
	if err != nil {
		return err
	}
	b, err := w.open(new)
	if err != nil {
		return err
	}
	if w.folder != nil {
		err = w.folder(w.path, a, b)
	}
	if err == nil {
		err = w.merge(a, b)
	}
	w.depth--
	w.close(a)
	w.close(b)
	return err
}

func (w *walker) deeper() error {
	if w.depth++; w.depth > maxDepth {
		return fmt.Errorf("%w: trees are more than %d deep", ErrTooLarge, maxDepth)
	}
	return nil
}

// merge goes through two trees side by side, by stretches of what differs, so that
// objects can be announced before the first of them is opened.
func (w *walker) merge(a, b *treeReader) error {
	m := merger{a: a, b: b}
	start := len(w.pairs)
	for {
		if err := w.stretch(&m); err != nil {
			return err
		}
		end := len(w.pairs)
		if start == end {
			return nil
		}
		announce(w.objs, w.pairs[start:end], w.treesOnly)
		for i := start; i < end; i++ {
			if err := w.differ(w.pairs[i].old, w.pairs[i].new); err != nil {
				return err
			}
		}
		release(w.objs, w.pairs[start:end])
		w.pairs = w.pairs[:start]
	}
}

// stretch adds the next pairs that differ to those of the walker, none at the end.
func (w *walker) stretch(m *merger) error {
	for range ahead {
		p, ok, err := m.next()
		if err != nil {
			return w.at(fmt.Errorf("read tree: %w", err))
		}
		if !ok {
			return nil
		}
		w.pairs = append(w.pairs, p)
	}
	return nil
}

// A pair is what has one name on both sides, or on one and zero on the other.
type pair struct{ old, new treeEntry }

// A merger finds what differs between two trees.
type merger struct {
	a, b        *treeReader
	left, right treeEntry // what comes next; no id at the end of a side
	begun       bool
	apart       bool // the names so far are not the same on both sides
}

// next gives the next pair that differs; it reports false at the end.
func (m *merger) next() (pair, bool, error) {
	if !m.begun {
		m.begun = true
		if err := m.together(); err != nil {
			return pair{}, false, err
		}
	}
	for m.left.id != nil || m.right.id != nil {
		var p pair
		order := compareHeads(m.left, m.right)
		if order <= 0 {
			p.old = m.left
		}
		if order >= 0 {
			p.new = m.right
		}
		if err := m.advance(order); err != nil {
			return pair{}, false, err
		}
		if !bytes.Equal(p.old.id, p.new.id) || p.old.canonical() != p.new.canonical() {
			return p, true, nil
		}
	}
	return pair{}, false, nil
}

func (m *merger) advance(order int) (err error) {
	m.apart = m.apart || order != 0
	if !m.apart {
		return m.together()
	}
	if order <= 0 {
		if m.left, _, err = m.a.next(); err != nil {
			return err
		}
	}
	if order >= 0 {
		m.right, _, err = m.b.next()
	}
	return err
}

// together reads on where all names so far are the same on both sides. Of entries
// that are the same altogether, as most are, one side says it all.
func (m *merger) together() (err error) {
	from := m.a.pos
	same := from + commonPrefix(m.a.raw[from:], m.b.raw[m.b.pos:])
	for m.a.pos < len(m.a.raw) {
		start := m.a.pos
		e, err := m.a.read()
		if err != nil {
			return err
		}
		if m.a.pos > same {
			m.a.unread(start)
			break
		}
		if err := m.a.accept(e); err != nil {
			return err
		}
	}
	m.b.join(m.a, m.a.pos-from)
	if m.left, _, err = m.a.next(); err != nil {
		return err
	}
	m.right, _, err = m.b.next()
	return err
}

// compareHeads orders what comes next on each side; a side that is at its end
// comes last.
func compareHeads(left, right treeEntry) int {
	switch {
	case left.id == nil:
		return 1
	case right.id == nil:
		return -1
	}
	return left.compare(right)
}

// differ looks at what has one name on both sides, or on one.
func (w *walker) differ(old, new treeEntry) error {
	e := old
	if old.id == nil {
		e = new
	}
	start := len(w.path)
	if err := w.step(e.name); err != nil {
		return err
	}
	err := w.enter(e.kind() == kindTree, old, new)
	w.path = w.path[:start]
	return err
}

// step puts a name behind the path of its folder.
func (w *walker) step(name []byte) error {
	if w.visited++; w.visited > maxVisit {
		return fmt.Errorf("%w: more than %d paths differ", ErrTooLarge, maxVisit)
	}
	w.path = append(w.path, name...)
	return nil
}

// enter goes on into trees and visits leaves.
func (w *walker) enter(tree bool, old, new treeEntry) error {
	if tree {
		w.path = append(w.path, '/')
		return w.trees(old.id, new.id)
	}
	return w.leaf(old, new)
}

func (w *walker) leaf(old, new treeEntry) error {
	if w.paths += len(w.path); w.paths > maxPaths {
		return fmt.Errorf("%w: paths that differ have more than %d bytes", ErrTooLarge, maxPaths)
	}
	return w.visit(w.path, old, new)
}

func (w *walker) open(id []byte) (*treeReader, error) {
	if len(id) == 0 {
		return newTreeReader(nil, w.idSize), nil
	}
	obj, err := open(w.objs, ID(id), "tree")
	if err != nil {
		return nil, w.at(err)
	}
	t, err := w.read(obj)
	if err = errors.Join(err, obj.Close()); err != nil {
		return nil, w.at(fmt.Errorf("read tree %s: %w", ID(id), err))
	}
	return t, nil
}

func (w *walker) read(obj Object) (*treeReader, error) {
	if obj.Size > int64(maxHeld-w.held) {
		return nil, fmt.Errorf("%w: more than %d bytes of trees", ErrTooLarge, maxHeld)
	}
	var memory []byte
	if n := len(w.spare); n > 0 {
		memory, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	raw, err := readAll(obj, &memory)
	w.held += len(raw)
	t := newTreeReader(raw, w.idSize)
	t.memory = memory
	return t, err
}

func (w *walker) close(t *treeReader) {
	w.held -= len(t.raw)
	// Small ones only, so that spare memory cannot outgrow the limit.
	if cap(t.memory) > 0 && cap(t.memory) <= 64<<10 && len(w.spare) < 16 {
		w.spare = append(w.spare, t.memory)
	}
}

// at says in which directory an error came up.
func (w *walker) at(err error) error {
	if len(w.path) == 0 {
		return err
	}
	return fmt.Errorf("path %.200q: %w", w.path, err)
}
