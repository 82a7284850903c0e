package session

import (
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// An Actor is who an agent was while it wrote: one tool, with one model, in one session.
type Actor struct {
	Tool    provenance.Tool
	Model   provenance.Model
	Session string // as agent.SessionID writes it
	// Source tells where the model can be found later, in the words of package agent;
	// "" when it is known, or nobody will ever know it.
	Source string
}

// same reports whether two actors are one for all that is known: before a call, many
// agents do not tell the model yet.
func (a Actor) same(b Actor) bool {
	unknown := provenance.Model{}
	return a.Tool.Name == b.Tool.Name && a.Session == b.Session &&
		(a.Model == b.Model || a.Session != "" && (a.Model == unknown || b.Model == unknown))
}

// A Work is what is known of one file of a work tree while it is being worked on.
type Work struct {
	Path   string // from the top of the work tree, with slashes
	Actors []Actor
	Now    Text // as it was last seen
	// Touched are the actors that edited the file since it had a content, whether or not a
	// line of theirs is left.
	Touched []Touch
	Heads   []string // the blobs that HEAD had when the file was looked at, as in Touch; the latest first
	Opaque  bool     // binary or too large: Now is empty, and only Touched counts

	stored func() []Text // reads what was seen before; nil for nothing
	past   []Text        // that, once it was read, the latest first
	newer  []Text        // what was seen since then, the latest last
}

// A Touch is one actor's hand in a file, and the blob that HEAD had there at the time,
// in hexadecimal; "" for none. When HEAD has another, a commit has taken it along.
type Touch struct {
	Actor Owner
	Base  string
}

// maxPast bounds the versions of a file that are kept: an index may hold one of them
// (git add, and on with the work), and so may a stash.
const maxPast = 24

// actor gives the number of an actor in the file.
func (w *Work) actor(a Actor) Owner {
	at := slices.Index(w.Actors, a)
	if at < 0 {
		w.Actors = append(w.Actors, a)
		at = len(w.Actors) - 1
	}
	return Owner(at + 1)
}

func (w *Work) touch(o Owner, base string) {
	t := Touch{max(o, -o), base}
	if o != Nobody && o != Anyone && !slices.Contains(w.Touched, t) {
		w.Touched = append(w.Touched, t)
	}
}

// maxHeads bounds what is remembered of HEAD.
const maxHeads = 24

// at takes note of what HEAD has.
func (w *Work) at(head Head) {
	if len(w.Heads) > 0 && w.Heads[0] == head.Blob {
		return
	}
	w.Heads = slices.DeleteFunc(w.Heads, func(b string) bool { return b == head.Blob })
	w.Heads = slices.Insert(w.Heads, 0, head.Blob)
	w.Heads = w.Heads[:min(len(w.Heads), maxHeads)]
}

// A Hand is how somebody changed a file.
type Hand int

const (
	Typing Hand = iota // an editor of some kind: what is new is new
	Moving             // a shell, or nobody knows: git may have brought back what was there before
)

// A Head is what HEAD has in the place of a file; the zero Head is nothing.
type Head struct {
	Blob    string // in hexadecimal
	Content []byte
}

// see takes note that the file now has other content, which o gave it. content is nil
// where there is no file any more.
func (w *Work) see(content []byte, o Owner, hand Hand, head Head) {
	w.at(head)
	lines, ok := LinesOf(content)
	if !ok {
		w.remember()
		w.Now, w.Opaque = Text{}, true
		w.touch(o, head.Blob)
		return
	}
	if w.Now.same(lines) && !w.Opaque {
		return
	}
	w.touch(o, head.Blob)
	was := w.Now
	if w.Opaque {
		was = Text{}
	}
	next := was.edited(lines, o)
	if hand == Moving {
		next = w.recalled(next, o, head)
	}
	w.remember()
	w.Now, w.Opaque = next, false
}

// remember keeps the present version for later.
func (w *Work) remember() {
	if !w.Opaque && len(w.Now.Exact) > 0 {
		w.newer = append(w.newer, w.Now)
	}
}

// before are the versions of the file before Now, the latest first, each once. Most of
// the time nobody asks, so they are read only then.
func (w *Work) before() []Text {
	if w.stored != nil {
		w.past, w.stored = w.stored(), nil
	}
	var list []Text
	add := func(t Text) {
		if len(list) < maxPast && !slices.ContainsFunc(list, func(o Text) bool { return o.same(t.Lines) }) {
			list = append(list, t)
		}
	}
	for _, t := range slices.Backward(w.newer) {
		add(t)
	}
	for _, t := range w.past {
		add(t)
	}
	return list
}

// versions are all that are known, the latest first.
func (w *Work) versions() []Text { return append([]Text{w.Now}, w.before()...) }

// recalled gives lines that o seems to have written to whoever wrote them in an earlier
// version of the file, where they stand in the same order there: a stash that is put on
// top of other work, a branch that is left and come back to, an undo.
func (w *Work) recalled(t Text, o Owner, head Head) Text {
	before := w.before()
	for _, past := range before {
		if past.same(t.Lines) {
			return past
		}
	}
	for _, past := range before {
		t = t.from(past, o)
	}
	if lines, ok := LinesOf(head.Content); ok {
		t = t.from(by(lines, Nobody), o)
	}
	if o == Nobody {
		t = t.reformatted(w.Now)
	}
	return t
}

// from gives the lines of t that are o's to their owners in another version.
func (t Text) from(past Text, o Owner) Text { return t.along(past, o, alignOrNot(past.Exact, t.Exact)) }

// reformatted gives lines that nobody seems to have written to those who wrote them with
// other white space in another version.
func (t Text) reformatted(past Text) Text {
	return t.along(past, Nobody, alignOrNot(past.Loose, t.Loose))
}

func (t Text) along(past Text, o Owner, matches []change.Match) Text {
	if !slices.Contains(t.Owners, o) {
		return t
	}
	t.Owners = slices.Clone(t.Owners)
	for _, m := range matches {
		for i := range m.N {
			if t.Owners[m.New+i] == o {
				t.Owners[m.New+i] = past.Owners[m.Old+i]
			}
		}
	}
	return t
}
