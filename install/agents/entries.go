package agents

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// A hooksFile says how an agent reads its hooks from JSON: an object "hooks", with an
// array for each event.
type hooksFile struct {
	base    []pair // what a file of ours holds beside the hooks
	events  []event
	command func(entry hujson.Value) (string, bool) // of one hook, which may be anybody's
	grouped bool                                    // hooks stand in groups {matcher, hooks: […]}
	ours    func(command string) bool
	off     offSwitch
}

// An offSwitch is a setting in the same file that keeps all hooks from running.
type offSwitch struct {
	path []string
	at   string // the literal that switches them off
}

// An event is an array below "hooks", and what we put there.
type event struct {
	name  string
	entry []pair
}

const hooksKey = "hooks"

// place puts the entries into the document: where one stands already it is made what
// it should be, else it comes last. Entries in other places go.
func (h hooksFile) place(d *document) error {
	hooks, err := h.find(d)
	if err != nil {
		return err
	}
	if hooks == nil {
		d.addMember(d.object(), 1, hooksKey, d.style.render(h.allHooks(), 1))
		return nil
	}
	for _, e := range h.events {
		i := index(hooks, e.name)
		if i < 0 {
			d.addMember(hooks, 2, e.name, d.style.render([]any{e.entry}, 2))
			continue
		}
		h.placeIn(d, hooks.Members[i].Value.Value.(*hujson.Array), e)
	}
	for i := len(hooks.Members) - 1; i >= 0; i-- {
		if !h.wants(hooks.Members[i]) {
			h.takeFrom(d, hooks, i)
		}
	}
	return nil
}

func (h hooksFile) placeIn(d *document, a *hujson.Array, e event) {
	want := d.style.render(e.entry, 3)
	found := false
	for i := 0; i < len(a.Elements); i++ {
		switch mine := h.isOurs(a.Elements[i]); {
		case mine && !found:
			found = true
			if !same(a.Elements[i], want) {
				a.Elements[i].Value = want.Value
			}
		case mine:
			d.remove(elements(a), i)
			i--
		default:
			h.takeFromGroup(d, a.Elements[i])
		}
	}
	if !found {
		d.addElement(a, 3, want)
	}
}

// take takes all entries out, and what was made to hold them.
func (h hooksFile) take(d *document) error {
	hooks, err := h.find(d)
	if err != nil || hooks == nil {
		return err
	}
	ours := len(hooks.Members) > 0 && made(members(hooks))
	took := false
	for i := len(hooks.Members) - 1; i >= 0; i-- {
		took = h.takeFrom(d, hooks, i) || took
	}
	if took && ours && len(hooks.Members) == 0 {
		root := d.object()
		d.remove(members(root), index(root, hooksKey))
	}
	return nil
}

// takeFrom takes our entries out of one event.
func (h hooksFile) takeFrom(d *document, hooks *hujson.Object, i int) (took bool) {
	a, ok := hooks.Members[i].Value.Value.(*hujson.Array)
	if !ok || len(a.Elements) == 0 {
		return false
	}
	ours := made(elements(a))
	for j := len(a.Elements) - 1; j >= 0; j-- {
		if h.isOurs(a.Elements[j]) {
			d.remove(elements(a), j)
			took = true
			continue
		}
		took = h.takeFromGroup(d, a.Elements[j]) || took
	}
	if took && ours && len(a.Elements) == 0 {
		d.remove(members(hooks), i)
	}
	return took
}

// takeFromGroup takes our hook out of a group that somebody has added others to.
func (h hooksFile) takeFromGroup(d *document, group hujson.Value) (took bool) {
	a := h.group(group)
	if a == nil {
		return false
	}
	for i := len(a.Elements) - 1; i >= 0; i-- {
		if h.isOurHook(a.Elements[i]) {
			d.remove(elements(a), i)
			took = true
		}
	}
	return took
}

// isOurs reports whether an element of an event holds our hook and no other.
func (h hooksFile) isOurs(v hujson.Value) bool {
	if !h.grouped {
		return h.isOurHook(v)
	}
	a := h.group(v)
	return a != nil && len(a.Elements) > 0 && !slices.ContainsFunc(a.Elements, func(v hujson.Value) bool { return !h.isOurHook(v) })
}

func (h hooksFile) isOurHook(v hujson.Value) bool {
	command, ok := h.command(v)
	return ok && h.ours(command)
}

// group is the array of hooks in a group; nil when it has another shape.
func (h hooksFile) group(v hujson.Value) *hujson.Array {
	if !h.grouped {
		return nil
	}
	o, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil
	}
	if i := index(o, hooksKey); i >= 0 {
		a, _ := o.Members[i].Value.Value.(*hujson.Array)
		return a
	}
	return nil
}

// find is the object of hooks, with the shape of everything in our way looked at;
// nil when there is none.
func (h hooksFile) find(d *document) (*hujson.Object, error) {
	root := d.object()
	if err := d.once(root, hooksKey); err != nil {
		return nil, err
	}
	i := index(root, hooksKey)
	if i < 0 {
		return nil, nil
	}
	hooks, ok := root.Members[i].Value.Value.(*hujson.Object)
	if !ok {
		return nil, d.wrong(root.Members[i].Value, `"hooks" is not an object`)
	}
	for _, e := range h.events {
		if err := d.once(hooks, e.name); err != nil {
			return nil, err
		}
		i := index(hooks, e.name)
		if i < 0 {
			continue
		}
		if v := hooks.Members[i].Value; v.Value.Kind() != '[' {
			return nil, d.wrong(v, `"`+e.name+`" is not an array`)
		}
	}
	return hooks, nil
}

// once refuses a name that stands twice: agents differ in which one they read.
func (d *document) once(o *hujson.Object, name string) error {
	found := false
	for _, m := range o.Members {
		if m.Name.Value.(hujson.Literal).String() != name {
			continue
		}
		if found {
			return d.wrong(m.Name, `"`+name+`" is here a second time`)
		}
		found = true
	}
	return nil
}

func (h hooksFile) wants(m hujson.ObjectMember) bool {
	name := m.Name.Value.(hujson.Literal).String()
	return slices.ContainsFunc(h.events, func(e event) bool { return e.name == name })
}

func (h hooksFile) allHooks() []pair {
	var all []pair
	for _, e := range h.events {
		all = append(all, pair{e.name, []any{e.entry}})
	}
	return all
}

// newFile is a file that holds our entries alone.
func (h hooksFile) newFile() []byte {
	s := style{eol: "\n", unit: "  "}
	return []byte(s.text(append(slices.Clone(h.base), pair{hooksKey, h.allHooks()}), 0) + "\n")
}

// empty reports whether the document holds no more than a file of ours does without
// its entries. A comment is somebody's.
func (h hooksFile) empty(d *document) bool {
	if text := d.root.Pack(); bytes.Contains(text, []byte("//")) || bytes.Contains(text, []byte("/*")) {
		return false
	}
	base := append([]pair{}, h.base...)
	with := append(slices.Clone(base), pair{hooksKey, []pair{}})
	return same(d.root, d.style.render(base, 0)) || same(d.root, d.style.render(with, 0))
}

func (d *document) object() *hujson.Object { return d.root.Value.(*hujson.Object) }

// index is the place of a member; -1 when there is none.
func index(o *hujson.Object, name string) int {
	return slices.IndexFunc(o.Members, func(m hujson.ObjectMember) bool {
		return m.Name.Value.(hujson.Literal).String() == name
	})
}

// text is the string that a member of an object holds.
func text(v hujson.Value, name string) (string, bool) {
	o, ok := v.Value.(*hujson.Object)
	if !ok {
		return "", false
	}
	i := index(o, name)
	if i < 0 {
		return "", false
	}
	l, ok := o.Members[i].Value.Value.(hujson.Literal)
	return l.String(), ok && l.Kind() == '"'
}

// A position is where a hook of ours stands among all of its event.
type position struct {
	event       string
	group, hook int
}

func (h hooksFile) positions(d *document) (all []position) {
	hooks, err := h.find(d)
	if err != nil || hooks == nil {
		return nil
	}
	for _, e := range h.events {
		i := index(hooks, e.name)
		if i < 0 {
			continue
		}
		for j, v := range hooks.Members[i].Value.Value.(*hujson.Array).Elements {
			if h.isOurs(v) {
				all = append(all, position{e.name, j, 0})
			}
		}
	}
	return all
}

// switchedOff names the setting that keeps all hooks of the document from running.
func (h hooksFile) switchedOff(d *document) string {
	v := d.root
	for _, name := range h.off.path {
		o, ok := v.Value.(*hujson.Object)
		if !ok || index(o, name) < 0 {
			return ""
		}
		v = o.Members[index(o, name)].Value
	}
	if l, ok := v.Value.(hujson.Literal); ok && string(l) == h.off.at {
		return strings.Join(h.off.path, ".")
	}
	return ""
}
