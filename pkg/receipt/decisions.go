package receipt

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// window is how many decisions may come between one and its outcome. Who waits for an
// outcome need not wait for ever.
const window = 10_000

// Decided is a decision with what became of it.
type Decided struct {
	Seq       int64
	Hash      Hash
	First     int64 // the seq of the first of its lines
	Decision        // with all of its refs
	Signature *Signature
	Outcome   *Outcome // nil: it never happened, or the server died
}

// refused reports whether nothing could come of it.
func (d *Decision) refused() bool { return d.Verdict != Accepted && d.Verdict != Warned }

// Happened are those of the refs whose update happened.
func (d *Decided) Happened() []Ref {
	switch {
	case d.Outcome == nil:
		return nil
	case d.Outcome.All:
		return d.Refs
	}
	moved := updatesOf(d.Outcome.Refs)
	return slices.DeleteFunc(slices.Clone(d.Refs), func(r Ref) bool { return !moved[r.update()] })
}

// An update is what identifies one among those of a push.
type update struct {
	name     string
	old, new change.ID
}

func (r Ref) update() update { return update{r.Name, r.Old, r.New} }

func updatesOf(refs []Ref) map[update]bool {
	all := make(map[update]bool, len(refs))
	for _, r := range refs {
		all[r.update()] = true
	}
	return all
}

// Decisions yields every decision with its outcome, in order, and ends as Lines does.
func (l *Log) Decisions(ctx context.Context) iter.Seq2[*Decided, error] {
	return func(yield func(*Decided, error) bool) {
		q := queue{}
		var refs []Ref
		for line, err := range l.lines(ctx, false) {
			if err != nil {
				q.drain(yield, 0)
				yield(nil, err)
				return
			}
			switch body := line.Body.(type) {
			case *Refs:
				refs = append(refs, body.Refs...)
			case *Decision:
				body.Refs, refs = append(refs, body.Refs...), nil
				q.waiting = append(q.waiting, &Decided{Seq: line.Seq, Hash: line.Hash, First: line.Seq - body.Lines, Decision: *body})
			case *Signature:
				q.waiting[len(q.waiting)-1].Signature = body
			case *Outcome:
				body.Refs, refs = append(refs, body.Refs...), nil
				q.settle(body)
			}
			if _, commits := line.Body.(*Refs); !commits && !q.drain(yield, window) {
				return
			}
		}
		q.drain(yield, 0)
	}
}

// CommitsOf returns what the receipts say of the commits of a decision, a line each.
func (l *Log) CommitsOf(ctx context.Context, d *Decided) ([]*Commits, error) {
	list := []*Commits{}
	for line, err := range l.Lines(ctx) {
		if err != nil {
			return nil, err
		}
		if line.Seq >= d.Seq {
			break
		}
		if commits, ok := line.Body.(*Commits); ok && line.Seq >= d.First {
			list = append(list, commits)
		}
	}
	return list, nil
}

// A queue holds decisions whose outcome may still come.
type queue struct{ waiting []*Decided }

func (q *queue) settle(o *Outcome) {
	i, found := slices.BinarySearchFunc(q.waiting, o.Decision, func(d *Decided, seq int64) int { return int(d.Seq - seq) })
	if found {
		q.waiting[i].Outcome = o
	}
}

// drain gives away those in front that wait for nothing, and all but most of those
// that do.
func (q *queue) drain(yield func(*Decided, error) bool, most int) bool {
	for len(q.waiting) > 0 {
		first := q.waiting[0]
		if len(q.waiting) <= most && (first.Outcome == nil && !first.refused() || first.Signed && first.Signature == nil) {
			return true
		}
		q.waiting = q.waiting[1:]
		if !yield(first, nil) {
			return false
		}
	}
	return true
}

// decisionOf looks, from the end backwards, for the decision that updates of refs
// belong to, and says how many it has. The caller holds the lock.
func (l *Log) decisionOf(e ending, happened []Ref) (seq int64, updates int, err error) {
	finished := map[int64]bool{}
	left := window
	for _, n := range slices.Backward(e.files) {
		if n > e.file {
			continue
		}
		f, err := l.volume.Open(fileName(n), readOnly)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, 0, nil
		}
		if err != nil {
			return 0, 0, err
		}
		end, err := f.Size()
		if n == e.file {
			end = e.offset
		}
		if err == nil {
			seq, updates, err = lookBack(f, end, happened, finished, &left)
		}
		f.Close()
		if err != nil || seq != 0 || left == 0 {
			return seq, updates, err
		}
	}
	return 0, 0, nil
}

// lookBack looks through one file. What cannot be read ends the search: that the refs
// moved is a fact, whatever was decided.
func lookBack(f file, end int64, happened []Ref, finished map[int64]bool, left *int) (seq int64, updates int, err error) {
	for end > 0 && *left > 0 {
		u, err := unitBefore(f, end)
		if errors.As(err, new(*BrokenError)) || err == nil && u.end != end {
			*left = 0
			return 0, 0, nil
		}
		if err != nil {
			return 0, 0, err
		}
		switch body := u.closing.Body.(type) {
		case *Outcome:
			finished[body.Decision] = true
		case *Decision:
			*left--
			if body.refused() || finished[u.closing.Seq] {
				break
			}
			refs, err := allRefs(f, u, body)
			if err != nil {
				return 0, 0, err
			}
			if includes(refs, happened) {
				return u.closing.Seq, len(refs), nil
			}
		}
		end = u.start
	}
	return 0, 0, nil
}

// allRefs are the refs of a decision, with those of the lines before it, which stand
// last of its unit.
func allRefs(f file, u lastUnit, d *Decision) ([]Ref, error) {
	refs := d.Refs
	for end := u.line; end > u.start; {
		start, line, err := readLineBefore(f, end)
		if err != nil {
			return nil, err
		}
		more, ok := line.Body.(*Refs)
		if !ok {
			break
		}
		refs = append(slices.Clone(more.Refs), refs...)
		end = start
	}
	return refs, nil
}

func includes(refs, happened []Ref) bool {
	if len(happened) > len(refs) {
		return false
	}
	all := updatesOf(refs)
	return !slices.ContainsFunc(happened, func(r Ref) bool { return !all[r.update()] })
}
