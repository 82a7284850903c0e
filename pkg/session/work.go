package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	Now    Text   // as it was last seen
	Past   []Text // as it was before, the latest first
	// Touched are the actors that edited the file since it had a content, whether or not a
	// line of theirs is left.
	Touched []Touch
	Heads   []string // the blobs that HEAD had when the file was looked at, as in Touch; the latest first
	Opaque  bool     // binary or too large: Now is empty, and only Touched counts
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
	if w.Opaque || len(w.Now.Exact) == 0 {
		return
	}
	w.Past = slices.DeleteFunc(w.Past, func(t Text) bool { return t.same(w.Now.Lines) })
	w.Past = slices.Insert(w.Past, 0, w.Now)
	if len(w.Past) > maxPast {
		w.Past = w.Past[:maxPast]
	}
}

// recalled gives lines that o seems to have written to whoever wrote them in an earlier
// version of the file, where they stand in the same order there: a stash that is put on
// top of other work, a branch that is left and come back to, an undo.
func (w *Work) recalled(t Text, o Owner, head Head) Text {
	for _, past := range w.Past {
		if past.same(t.Lines) {
			return past
		}
	}
	for _, past := range w.Past {
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

const workHead = "gatekeeper work v1\n"

// appendTo writes the form of a file: a head in text, then the texts in binary.
//
//	gatekeeper work v1
//	path "PATH"
//	actor "TOOL" "VERSION" "PROVIDER" "MODEL" "SESSION" "SOURCE"   one a line, in their order
//	touch ACTOR BASE
//	head BLOB
//	opaque
//	texts N                       Now, then Past
//
// and for each text: the number of lines, four bytes; sixteen bytes a line; the number of
// runs of owners, four bytes; and for each run its length and owner, four bytes each. All
// numbers are big-endian. The file ends in "end\n".
func (w *Work) appendTo(b []byte) []byte {
	b = append(b, workHead...)
	b = fmt.Appendf(b, "path %q\n", w.Path)
	for _, a := range w.Actors {
		b = fmt.Appendf(b, "actor %q %q %q %q %q %q\n", a.Tool.Name, a.Tool.Version, a.Model.Provider, a.Model.Name, a.Session, a.Source)
	}
	for _, t := range w.Touched {
		b = fmt.Appendf(b, "touch %d %q\n", t.Actor, t.Base)
	}
	for _, blob := range w.Heads {
		b = fmt.Appendf(b, "head %q\n", blob)
	}
	if w.Opaque {
		b = append(b, "opaque\n"...)
	}
	b = fmt.Appendf(b, "texts %d\n", 1+len(w.Past))
	b = w.Now.appendTo(b)
	for _, t := range w.Past {
		b = t.appendTo(b)
	}
	return append(b, "end\n"...)
}

func (t Text) appendTo(b []byte) []byte {
	b = slices.Grow(b, 16*len(t.Exact)+16)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.Exact)))
	for i, l := range t.Exact {
		b = binary.BigEndian.AppendUint64(b, l)
		b = binary.BigEndian.AppendUint64(b, t.Loose[i])
	}
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	runs := uint32(0)
	for i := 0; i < len(t.Owners); runs++ {
		n := i
		for n < len(t.Owners) && t.Owners[n] == t.Owners[i] {
			n++
		}
		b = binary.BigEndian.AppendUint32(b, uint32(n-i))
		b = binary.BigEndian.AppendUint32(b, uint32(t.Owners[i]))
		i = n
	}
	binary.BigEndian.PutUint32(b[at:], runs)
	return b
}

var errWork = errors.New("not a whole file of this version")

// parseWork reads what appendTo wrote, and nothing else.
func parseWork(data []byte) (*Work, error) {
	p := workParser{rest: string(data), work: &Work{}}
	if !p.cut(workHead) {
		return nil, errWork
	}
	texts := 0
	for texts == 0 {
		line, rest, ok := strings.Cut(p.rest, "\n")
		if !ok {
			return nil, errWork
		}
		p.rest = rest
		word, line, _ := strings.Cut(line, " ")
		if word == "texts" {
			n, err := strconv.Atoi(line)
			if err != nil || n < 1 || n > 1+maxPast {
				return nil, errWork
			}
			texts = n
			continue
		}
		if err := p.line(word, line); err != nil {
			return nil, err
		}
	}
	for i := range texts {
		t, err := p.text()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			p.work.Now = t
		} else {
			p.work.Past = append(p.work.Past, t)
		}
	}
	if p.rest != "end\n" || string(p.work.appendTo(nil)) != string(data) {
		return nil, errWork
	}
	return p.work, nil
}

type workParser struct {
	rest string
	work *Work
}

func (p *workParser) cut(prefix string) (ok bool) {
	p.rest, ok = strings.CutPrefix(p.rest, prefix)
	return ok
}

func (p *workParser) line(word, rest string) error {
	values, err := quoted(rest)
	if err != nil {
		return err
	}
	w := p.work
	switch {
	case word == "path" && len(values) == 1:
		w.Path = values[0]
	case word == "actor" && len(values) == 6:
		w.Actors = append(w.Actors, Actor{
			Tool:  provenance.Tool{Name: values[0], Version: values[1]},
			Model: provenance.Model{Provider: values[2], Name: values[3]}, Session: values[4], Source: values[5]})
	case word == "touch" && len(values) == 2:
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 1 || n > len(w.Actors) {
			return errWork
		}
		w.Touched = append(w.Touched, Touch{Owner(n), values[1]})
	case word == "head" && len(values) == 1:
		w.Heads = append(w.Heads, values[0])
	case word == "opaque" && len(values) == 0:
		w.Opaque = true
	default:
		return errWork
	}
	return nil
}

// quoted reads values parted by single spaces; those that begin with a quote are Go
// strings.
func quoted(rest string) (values []string, err error) {
	for rest != "" {
		word := rest
		if rest[0] == '"' {
			if word, err = strconv.QuotedPrefix(rest); err != nil {
				return nil, errWork
			}
		} else {
			word, _, _ = strings.Cut(rest, " ")
		}
		rest = strings.TrimPrefix(rest[len(word):], " ")
		if word[0] == '"' {
			if word, err = strconv.Unquote(word); err != nil {
				return nil, errWork
			}
		}
		values = append(values, word)
	}
	return values, nil
}

func (p *workParser) number() (uint32, error) {
	if len(p.rest) < 4 {
		return 0, errWork
	}
	n := binary.BigEndian.Uint32([]byte(p.rest[:4]))
	p.rest = p.rest[4:]
	return n, nil
}

func (p *workParser) text() (t Text, err error) {
	n, err := p.number()
	if err != nil || int(n) > maxLines || len(p.rest) < 16*int(n) {
		return t, errWork
	}
	t.Exact, t.Loose, t.Owners = make([]uint64, n), make([]uint64, n), make([]Owner, 0, n)
	for i := range t.Exact {
		t.Exact[i] = binary.BigEndian.Uint64([]byte(p.rest[16*i : 16*i+8]))
		t.Loose[i] = binary.BigEndian.Uint64([]byte(p.rest[16*i+8 : 16*i+16]))
	}
	p.rest = p.rest[16*n:]
	runs, err := p.number()
	if err != nil {
		return t, err
	}
	for range runs {
		length, err := p.number()
		if err != nil {
			return t, err
		}
		owner, err := p.number()
		if err != nil || int(length) > int(n)-len(t.Owners) || !p.known(Owner(owner)) {
			return t, errWork
		}
		for range length {
			t.Owners = append(t.Owners, Owner(owner))
		}
	}
	if len(t.Owners) != int(n) {
		return t, errWork
	}
	return t, nil
}

func (p *workParser) known(o Owner) bool {
	n := Owner(len(p.work.Actors))
	return o == Anyone || -n <= o && o <= n
}
