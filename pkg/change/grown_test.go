package change

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// added collects what Added tells: files with their modes, and folders.
func added(objs Objects, old, new ID) (got files, folders []string, err error) {
	got = files{}
	err = Added(objs, old, new, func(f RawFile) error {
		if f.Mode == 0o040000 && f.ID == "" {
			folders = append(folders, f.Path)
			return nil
		}
		if _, twice := got[f.Path]; twice {
			return fmt.Errorf("%s comes twice", f.Path)
		}
		if dir := path.Dir(f.Path); !slices.Contains(folders, map[bool]string{true: "", false: dir}[dir == "."]) {
			return fmt.Errorf("%s comes before its folder", f.Path)
		}
		got[f.Path] = file{f.Mode, string(f.ID)}
		return nil
	})
	return got, folders, err
}

// What is added to random files comes out, and anything else that is done to them is
// seen.
func TestAdded(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 11))
		old, more := randomFiles(r), randomFiles(r)
		new := maps.Clone(old)
		for path, f := range more {
			if _, ok := old[path]; !ok {
				new[path] = f
			}
		}
		dropConflicts(new)
		grown := true
		for path := range old {
			_, still := new[path]
			grown = grown && still
		}
		if grown && len(old) > 0 && r.IntN(3) == 0 {
			victim := slices.Sorted(maps.Keys(old))[r.IntN(len(old))]
			switch f := new[victim]; r.IntN(3) {
			case 0:
				delete(new, victim)
			case 1:
				f.text = "twenty bytes of other"
				f.mode = 0o120000
				new[victim] = f
			case 2:
				if f.mode = 0o100755; f.mode == old[victim].mode {
					f.mode = 0o100644
				}
				new[victim] = f
			}
			grown = false
		}
		s := newStore(r.IntN(2) == 0)
		if s.sha256 {
			for _, all := range []files{old, new} {
				for path, f := range all {
					if f.mode == 0o160000 {
						f.text += "twelve bytes"
						all[path] = file{f.mode, f.text[:32]}
					}
				}
			}
		}
		got, _, err := added(s, s.tree(old), s.tree(new))
		if len(new) == 0 {
			continue // no tree at all is for callers to see
		}
		if grown != (err == nil) || !grown && !errors.Is(err, ErrNotGrown) {
			t.Fatalf("seed %d: grown %v, got %v\nold %+v\nnew %+v", seed, grown, err, old, new)
		}
		want := files{}
		for path, f := range new {
			if _, ok := old[path]; ok {
				continue
			}
			if f.mode != 0o160000 {
				f.text = string(s.put("blob", []byte(f.text)))
			}
			want[path] = f
		}
		if grown && !maps.Equal(want, got) {
			t.Fatalf("seed %d: -want +got\n%s", seed, cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)))
		}
	}
}

// Trees that two readers could see differently are refused, as is a folder that holds
// nothing: a few such trees unfold into very many, in which no file ever comes.
func TestAddedRefuses(t *testing.T) {
	s := newStore(false)
	blob := s.put("blob", []byte("x"))
	entry := func(name string) Entry { return Entry{0o100644, name, blob} }
	base := []Entry{entry("b"), entry("c")}
	old := s.put("tree", rawTree(base))
	for name, entries := range map[string][]Entry{
		"an entry out of order":   {entry("b"), entry("c"), entry("a")},
		"a name that comes twice": {entry("b"), entry("c"), entry("c")},
		"a name with a slash":     {entry("b"), entry("c"), entry("d/e")},
		"no name":                 {entry(""), entry("b"), entry("c")},
	} {
		var broken *MalformedError
		if _, _, err := added(s, old, s.put("tree", rawTree(entries))); !errors.As(err, &broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	id := s.put("tree", nil)
	for range 9 {
		var entries []Entry
		for i := range 10 {
			entries = append(entries, Entry{0o40000, fmt.Sprint(i), id})
		}
		id = s.put("tree", rawTree(entries))
	}
	if _, folders, err := added(s, "", id); !errors.Is(err, ErrNotGrown) || len(folders) > 20 {
		t.Errorf("folders that hold nothing: got %v after %d of them", err, len(folders))
	}
	if _, _, err := added(s, old, s.put("tree", nil)); !errors.Is(err, ErrNotGrown) {
		t.Errorf("all taken away: got %v", err)
	}
}

// Each folder is told with what it costs to read.
func TestAddedTellsFolders(t *testing.T) {
	s := newStore(false)
	old := s.tree(files{"att/x/f": text("1"), "same/f": text("2")})
	new := s.tree(files{"att/x/f": text("1"), "att/x/g": text("3"), "att/y/z/f": text("4"), "same/f": text("2")})
	var got []string
	stop := errors.New("enough")
	err := Added(s, old, new, func(f RawFile) error {
		got = append(got, fmt.Sprintf("%o %s %d", f.Mode, f.Path, f.Size))
		if f.Path == "att/y/z" {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	want := []string{"40000  122", "40000 att 84", "40000 att/x 87", "100644 att/x/g 0", "40000 att/y 28", "40000 att/y/z 29"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
