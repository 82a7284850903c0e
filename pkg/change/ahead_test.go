package change

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// A hinted store opens only what was announced.
type hinted struct {
	*store
	announced, released map[ID]bool
}

func newHinted(s *store, announced ...ID) *hinted {
	h := &hinted{s, map[ID]bool{}, map[ID]bool{}}
	h.Prefetch(announced)
	return h
}

func (h *hinted) Open(id ID) (Object, error) {
	if !h.announced[id] {
		return Object{}, fmt.Errorf("object %s was not announced", id)
	}
	return h.store.Open(id)
}

func (h *hinted) Prefetch(ids []ID) {
	for _, id := range ids {
		h.announced[id] = true
	}
}

func (h *hinted) Release(ids []ID) {
	for _, id := range ids {
		h.released[id] = true
	}
}

// randomChange is a change of random files, as trees of a store.
func randomChange(r *rand.Rand) (s *store, old, new ID) {
	before, after := randomFiles(r), randomFiles(r)
	for path, f := range before {
		if r.IntN(2) == 0 {
			after[path] = f
		}
	}
	dropConflicts(after)
	s = newStore(r.IntN(2) == 0)
	for _, all := range []files{before, after} {
		for path, f := range all {
			if f.mode == 0o160000 && s.sha256 {
				all[path] = file{f.mode, f.text + "123456789012"}
			}
		}
	}
	return s, s.tree(before), s.tree(after)
}

func TestWhatIsOpenedIsAnnouncedAndNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 500 {
		s, old, new := randomChange(r)
		want, stats, err := Compute(s, old, new)
		if err != nil {
			t.Fatal(err)
		}
		opened := maps.Clone(s.opened)
		h := newHinted(s, old, new)
		got, gotStats, err := Compute(h, old, new)
		if err != nil || got != want || gotStats != stats {
			t.Fatalf("with hints %s, %+v, %v; without %s, %+v", got, gotStats, err, want, stats)
		}
		delete(h.announced, old)
		delete(h.announced, new)
		for id := range h.announced {
			if opened[id] == 0 {
				t.Errorf("object %q was announced and not opened", s.objects[id].data)
			}
		}
		before := s.reach(old)
		for id := range h.released {
			if !before[id] {
				t.Errorf("object %x was released and only came with the change", id)
			}
		}
	}
}

// reach is all that a tree leads to, and itself.
func (s *store) reach(root ID) map[ID]bool {
	all := map[ID]bool{root: true}
	entries, err := ParseTree(s.objects[root].data, len(root))
	if s.objects[root].kind != "tree" || err != nil {
		return all
	}
	for _, e := range entries {
		maps.Copy(all, s.reach(e.ID))
	}
	return all
}

func TestAScoutFindsWhatComputeOpens(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for range 500 {
		s, old, new := randomChange(r)
		scout := NewScout(old, new)
		h := newHinted(s)
		for range 5 { // no deeper are the folders
			h.Prefetch(scout.Step(h, nil))
		}
		if more := scout.Step(h, nil); len(more) > 0 {
			t.Errorf("there is no end: %x", more)
		}
		clear(s.opened)
		if _, _, err := Compute(struct{ Objects }{h}, old, new); err != nil {
			t.Fatal(err)
		}
		for id := range h.announced {
			if s.opened[id] == 0 && old != new {
				t.Errorf("object %q was announced and not opened", s.objects[id].data)
			}
		}
	}
}

func TestAScoutPassesOverWhatIsOutOfTheOrdinary(t *testing.T) {
	s := newStore(false)
	wide := files{}
	for i := range 3000 {
		wide[fmt.Sprintf("%d/f%d", i%40, i)] = text(fmt.Sprint(i))
	}
	long := files{strings.Repeat("n", maxScoutTree): text("x")}
	missing := ID(strings.Repeat("\x01", 20))
	for name, root := range map[string]ID{
		"very many files":  s.tree(wide),
		"a large tree":     s.tree(long),
		"no such tree":     missing,
		"a missing folder": s.put("tree", rawTree([]Entry{{0o40000, "d", missing}})),
		"nonsense":         s.put("tree", []byte("nonsense")),
		"a blob":           s.put("blob", []byte("x")),
	} {
		t.Run(name, func(t *testing.T) {
			for _, sides := range [][2]ID{{"", root}, {root, ""}} {
				scout := NewScout(sides[0], sides[1])
				for step := range 10 {
					if ids := scout.Step(s, nil); len(ids) > 2*maxScouted || step > 3 && len(ids) > 0 {
						t.Errorf("step %d announces %d objects", step, len(ids))
					}
				}
				if s.open {
					t.Error("an object was left open")
				}
			}
		})
	}
}

// mergeAll is what a merger finds in two raw trees.
func mergeAll(a, b []byte, idSize int) (pairs [][2]Entry, err error) {
	m := merger{a: newTreeReader(a, idSize), b: newTreeReader(b, idSize)}
	for {
		p, ok, err := m.next()
		if err != nil || !ok {
			return pairs, err
		}
		pairs = append(pairs, [2]Entry{entryOf(p.old), entryOf(p.new)})
	}
}

func entryOf(e treeEntry) Entry { return Entry{e.mode, string(e.name), ID(e.id)} }

// mergeSlowly reads each tree by itself, and looks up each name.
func mergeSlowly(a, b []byte, idSize int) ([][2]Entry, error) {
	old, errA := ParseTree(a, idSize)
	new, errB := ParseTree(b, idSize)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	sides := map[string]*[2]Entry{}
	for side, entries := range [][]Entry{old, new} {
		for _, e := range entries {
			key := e.Name + "\x00"
			if e.Mode&0o170000 == 0o040000 {
				key = e.Name + "/"
			}
			if sides[key] == nil {
				sides[key] = &[2]Entry{}
			}
			sides[key][side] = e
		}
	}
	var pairs [][2]Entry
	for _, key := range slices.SortedFunc(maps.Keys(sides), func(x, y string) int { return cmp.Compare(x, y) }) {
		p := *sides[key]
		if p[0].ID != p[1].ID || given(p[0].Mode) != given(p[1].Mode) {
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}

// given is the mode of an entry that is there, even where it is written as 0.
func given(mode uint32) uint32 { return modelMode(max(mode, 1)) }

func checkMerge(t *testing.T, a, b []byte, idSize int) {
	t.Helper()
	got, err := mergeAll(a, b, idSize)
	want, wantErr := mergeSlowly(a, b, idSize)
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%q and %q: got %v, want %v", a, b, err, wantErr)
	}
	if err != nil {
		if bad := (*MalformedError)(nil); !errors.As(err, &bad) || !strings.Contains(wantErr.Error(), err.Error()) {
			t.Fatalf("%q and %q: got %v, want %v", a, b, err, wantErr)
		}
		return
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("%q and %q: %s", a, b, diff)
	}
}

// randomEntries is a tree of short names, mostly in order, mostly of 20 byte ids.
func randomEntries(r *rand.Rand) []Entry {
	var entries []Entry
	for range r.IntN(9) {
		name := string("ab-."[r.IntN(4)])
		for range r.IntN(3) {
			name += string("ab-."[r.IntN(4)])
		}
		mode := []uint32{0o100644, 0o100755, 0o100664, 0o40000, 0o40000, 0o120000, 0o160000}[r.IntN(7)]
		entries = append(entries, Entry{mode, name, ID(strings.Repeat(string(rune('0'+r.IntN(3))), 20))})
	}
	return entries
}

func TestMergeAgainstEachTreeByItself(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	whole := 0
	for range 30_000 {
		old := randomEntries(r)
		new := slices.Clone(old)
		for range r.IntN(4) {
			switch at := r.IntN(len(new) + 1); {
			case at == len(new) || r.IntN(3) == 0:
				new = slices.Insert(new, at, randomEntries(r)...)
			case r.IntN(2) == 0:
				new = slices.Delete(new, at, at+1)
			default:
				new[at].Mode, new[at].ID = 0o100644, ID(strings.Repeat("9", 20))
			}
		}
		a, b := formatTree(old), formatTree(new)
		switch r.IntN(8) {
		case 0:
			a, b = rawTree(old), rawTree(new) // out of order
		case 1:
			if len(b) > 0 {
				b = b[:r.IntN(len(b))]
			}
		case 2:
			if len(b) > 0 {
				b = bytes.Clone(b)
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		checkMerge(t, a, b, 20)
		checkMerge(t, b, a, 20)
		if _, err := mergeSlowly(a, b, 20); err == nil {
			whole++
		}
	}
	if whole < 5000 {
		t.Errorf("only %d pairs of trees were well formed", whole)
	}
}

func FuzzMerge(f *testing.F) {
	r := rand.New(rand.NewPCG(27, 28))
	for range 20 {
		f.Add(formatTree(randomEntries(r)), formatTree(randomEntries(r)))
	}
	f.Add([]byte("0100644 a\x0012345678901234567890"), []byte("100644 a\x0012345678901234567890"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		checkMerge(t, a, b, 20)
	})
}
