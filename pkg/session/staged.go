package session

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Staged tells who wrote the lines of a file as the index has it. It asks nothing but
// the file's state, the calls that are open and, in one case, the work tree.
//
// live says of an open call whether it is its agent that commits: then what it changed
// since is its own.
//
// isNew says that the commit adds the file, which then may have had another name.
func (w *Watch) Staged(ctx context.Context, path string, content []byte, isNew bool, live func(Actor) bool) (*Attributed, error) {
	a, err := w.staged(ctx, path, content, isNew, live)
	if err != nil {
		return nil, fmt.Errorf("read who wrote %s: %w", path, err)
	}
	return a, nil
}

func (w *Watch) staged(ctx context.Context, path string, content []byte, isNew bool, live func(Actor) bool) (*Attributed, error) {
	f, err := w.load(path)
	if err != nil {
		return nil, err
	}
	open, err := w.open()
	if err != nil {
		return nil, err
	}
	lines, ok := LinesOf(content)
	if f == nil && isNew && ok {
		if f, err = w.renamedInIndex(ctx, path, lines, len(open) > 0); err != nil {
			return nil, err
		}
	}
	if f == nil && len(open) == 0 {
		return nil, nil
	}
	if f == nil {
		f = &Work{Path: path}
	}
	if !ok || f.Opaque {
		return &Attributed{work: f, Opaque: true}, nil
	}
	rest := f.since(open, live)
	owners := f.ownersOf(lines)
	if !slices.Contains(owners, unset) {
		return &Attributed{work: f, Owners: owners}, nil
	}
	filtered := w.filtered(f, owners)
	for i, o := range owners {
		switch {
		case o != unset:
		case filtered:
			owners[i] = Anyone
		default:
			owners[i] = rest
		}
	}
	return &Attributed{work: f, Owners: owners}, nil
}

// renamedInIndex is renamed for a commit. What HEAD alone had matters only while a call
// is open: else nobody wrote what is found nowhere.
func (w *Watch) renamedInIndex(ctx context.Context, path string, lines Lines, open bool) (*Work, error) {
	if !w.Used() {
		return nil, nil
	}
	var dirty []repo.Dirty
	if open {
		var err error
		if dirty, err = w.tree.Dirty(ctx); err != nil {
			return nil, err
		}
	}
	return w.renamed(ctx, path, lines, paths(dirty))
}

// unset is the owner of lines that were not found in any version of the file.
const unset Owner = -1<<31 + 1

// since is who changed the file since it was last seen.
func (w *Work) since(open []openCall, live func(Actor) bool) Owner {
	o, _ := doubt(open)(w)
	if a, ok := w.one(o); ok && live != nil && live(a) {
		return max(o, -o)
	}
	return o
}

// ownersOf looks for lines in the versions of the file, the latest first, and then for
// what a formatter made of them.
func (w *Work) ownersOf(lines Lines) []Owner {
	if w.Now.same(lines) {
		return slices.Clone(w.Now.Owners)
	}
	versions := w.versions()
	for _, t := range versions {
		if t.same(lines) {
			return slices.Clone(t.Owners)
		}
	}
	found := by(lines, unset)
	for _, t := range versions {
		found = found.from(t, unset)
	}
	return found.along(w.Now, unset, alignOrNot(w.Now.Loose, found.Loose)).Owners
}

// filtered reports whether git keeps another content than the work tree has (a clean
// filter, an encoding): then not one line of the index was ever seen here, though the
// work tree is as it was left.
func (w *Watch) filtered(f *Work, owners []Owner) bool {
	if slices.ContainsFunc(owners, func(o Owner) bool { return o != unset }) || len(f.Now.Exact) == 0 {
		return false
	}
	content, err := w.tree.Read(f.Path)
	if err != nil {
		return true
	}
	lines, ok := LinesOf(content)
	return !ok || f.Now.same(lines)
}

// Attributed is who wrote the lines of one file of a commit.
type Attributed struct {
	Owners []Owner // of its lines; none when Opaque
	Opaque bool    // binary or too large: nobody counts its lines
	work   *Work
}

// Actor is the actor that an owner names, perhaps or for sure.
func (a *Attributed) Actor(o Owner) (Actor, bool) { return a.work.one(o) }

func (w *Work) one(o Owner) (Actor, bool) {
	n := int(max(o, -o))
	if o == Nobody || o == Anyone || n > len(w.Actors) {
		return Actor{}, false
	}
	return w.Actors[n-1], true
}

// Actors are all that had a hand in the file while HEAD had one of these blobs there: those
// to whom a commit of it is owed, on top of that.
func (a *Attributed) Actors(bases ...string) (list []Actor) {
	for _, t := range a.work.Touched {
		if actor, ok := a.Actor(t.Actor); ok && slices.Contains(bases, t.Base) && !slices.Contains(list, actor) {
			list = append(list, actor)
		}
	}
	return list
}

// All are all actors of the file: a line of Anyone may be any of theirs.
func (a *Attributed) All() []Actor { return a.work.Actors }

// Since reports whether the file was followed since HEAD had that blob there.
func (a *Attributed) Since(base string) bool { return slices.Contains(a.work.Heads, base) }
