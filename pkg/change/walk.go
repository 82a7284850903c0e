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
	if old != "" && new != "" && len(old) != len(new) {
		return fmt.Errorf("trees %s and %s: ids of different sizes", old, new)
	}
	if old == new {
		return nil
	}
	return w.trees([]byte(old), []byte(new))
}

type walker struct {
	objs   Objects
	visit  func(path []byte, old, new treeEntry) error
	idSize int

	path    []byte // of the trees being walked, with a slash at the end
	depth   int
	held    int
	visited int
	paths   int
	spare   [][]byte // memory of trees that are done
}

// trees walks two trees that differ. An error ends the whole walk.
func (w *walker) trees(old, new []byte) error {
	if w.depth++; w.depth > maxDepth {
		return fmt.Errorf("%w: trees are more than %d deep", ErrTooLarge, maxDepth)
	}
	a, err := w.open(old)
	if err != nil {
		return err
	}
	b, err := w.open(new)
	if err != nil {
		return err
	}
	err = w.merge(a, b)
	w.depth--
	w.close(a)
	w.close(b)
	return err
}

// merge goes through two trees side by side.
func (w *walker) merge(a, b *treeReader) error {
	left, err := w.advance(a)
	if err != nil {
		return err
	}
	right, err := w.advance(b)
	if err != nil {
		return err
	}
	for left.id != nil || right.id != nil {
		var old, new treeEntry
		order := compareHeads(left, right)
		if order <= 0 {
			old = left
			if left, err = w.advance(a); err != nil {
				return err
			}
		}
		if order >= 0 {
			new = right
			if right, err = w.advance(b); err != nil {
				return err
			}
		}
		if err := w.differ(old, new); err != nil {
			return err
		}
	}
	return nil
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
	if bytes.Equal(old.id, new.id) && old.canonical() == new.canonical() {
		return nil
	}
	e := old
	if old.id == nil {
		e = new
	}
	if w.visited++; w.visited > maxVisit {
		return fmt.Errorf("%w: more than %d paths differ", ErrTooLarge, maxVisit)
	}
	start := len(w.path)
	w.path = append(w.path, e.name...)
	err := w.enter(e.kind() == kindTree, old, new)
	w.path = w.path[:start]
	return err
}

// enter goes on into trees and visits leaves.
func (w *walker) enter(tree bool, old, new treeEntry) error {
	if tree {
		w.path = append(w.path, '/')
		return w.trees(old.id, new.id)
	}
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
	raw, err := w.read(obj)
	if err = errors.Join(err, obj.Close()); err != nil {
		return nil, w.at(fmt.Errorf("read tree %s: %w", ID(id), err))
	}
	return newTreeReader(raw, w.idSize), nil
}

func (w *walker) read(obj Object) ([]byte, error) {
	if obj.Size > int64(maxHeld-w.held) {
		return nil, fmt.Errorf("%w: more than %d bytes of trees", ErrTooLarge, maxHeld)
	}
	var buf []byte
	if n := len(w.spare); n > 0 {
		buf, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	raw, err := readAll(obj, buf)
	w.held += len(raw)
	return raw, err
}

func (w *walker) close(t *treeReader) {
	w.held -= len(t.raw)
	// Small ones only, so that spare memory cannot outgrow the limit.
	if cap(t.raw) > 0 && cap(t.raw) <= 64<<10 && len(w.spare) < 16 {
		w.spare = append(w.spare, t.raw[:0])
	}
}

func (w *walker) advance(t *treeReader) (treeEntry, error) {
	e, _, err := t.next()
	if err != nil {
		return treeEntry{}, w.at(fmt.Errorf("read tree: %w", err))
	}
	return e, nil
}

// at says in which directory an error came up.
func (w *walker) at(err error) error {
	if len(w.path) == 0 {
		return err
	}
	return fmt.Errorf("path %.200q: %w", w.path, err)
}
