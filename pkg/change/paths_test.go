package change

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// paths collects what Paths tells.
func paths(objs Objects, parents []ID, tree ID) (list []string, err error) {
	err = Paths(objs, parents, tree, func(path []byte) error {
		list = append(list, string(path))
		return nil
	})
	return list, err
}

// changedIn is the model: a path is changed that is as in none of the parents.
func changedIn(parents []files, tree files) (list []string) {
	all := map[string]bool{}
	for _, side := range append(parents, tree) {
		for path := range side {
			all[path] = true
		}
	}
	for path := range all {
		same := func(parent files) bool {
			f, ok := parent[path]
			g, still := tree[path]
			return ok == still && f.text == g.text && (treeEntry{mode: f.mode}).canonical() == (treeEntry{mode: g.mode}).canonical()
		}
		if len(parents) == 0 || !slices.ContainsFunc(parents, same) {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

func TestPaths(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 17))
		base := randomFiles(r)
		side := func() files {
			f := maps.Clone(base)
			for path, text := range randomFiles(r) {
				if r.IntN(2) == 0 {
					f[path] = text
				}
			}
			for path := range base {
				if r.IntN(4) == 0 {
					delete(f, path)
				}
			}
			dropConflicts(f)
			return f
		}
		var parents []files
		for range r.IntN(5) {
			parents = append(parents, side())
		}
		tree := side()
		for _, p := range parents { // a merge takes most from one parent or the other
			for path, f := range p {
				if r.IntN(2) == 0 {
					tree[path] = f
				}
			}
		}
		dropConflicts(tree)
		s := newStore(false)
		var ids []ID
		for _, p := range parents {
			ids = append(ids, s.tree(p))
		}
		id := s.tree(tree)
		got, err := paths(s, ids, id)
		if want := changedIn(parents, tree); err != nil || !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v\ngot  %q\nwant %q", seed, err, got, want)
		}
		for opened := range s.opened {
			if s.objects[opened].kind != "tree" {
				t.Fatalf("seed %d: a file was opened", seed)
			}
		}
		if len(parents) < 2 {
			var touched []string
			d := Digester{Touched: func(path []byte) error {
				touched = append(touched, string(path))
				return nil
			}}
			if _, _, err := d.OfCommit(s, ids, id); err != nil || !slices.Equal(touched, got) {
				t.Fatalf("seed %d: the digest tells %q, %v, want %q", seed, touched, err, got)
			}
		}
	}
}

// git diff-tree says the same of a merge with a conflict.
func TestPathsOfAMergeAsGitHasThem(t *testing.T) {
	r := newGitRepo(t)
	lines := func(first string) string { return first + "\nb\nc\nd\ne\n" }
	r.write("both", lines("a"))
	r.write("dir/left", "1\n")
	r.write("dir/right", "1\n")
	r.git("", "add", ".")
	r.git("", "commit", "-qm", "base")
	r.git("", "checkout", "-qb", "side")
	r.write("both", lines("side"))
	r.write("dir/right", "2\n")
	r.git("", "commit", "-qam", "side")
	r.git("", "checkout", "-q", "main")
	r.write("both", lines("main"))
	r.write("dir/left", "2\n")
	r.git("", "commit", "-qam", "main")
	r.git("", "merge", "-q", "-s", "ours", "--no-commit", "side")
	r.write("both", lines("resolved"))
	r.write("dir/right", "2\n")
	r.write("dir/own", "new\n")
	r.git("", "add", ".")
	r.git("", "commit", "-qm", "merge")
	got, err := paths(r.objects(), []ID{r.id("HEAD^1^{tree}"), r.id("HEAD^2^{tree}")}, r.id("HEAD^{tree}"))
	want := strings.Fields(r.git("", "diff-tree", "-c", "-r", "--no-commit-id", "--name-only", "HEAD"))
	if err != nil || !slices.Equal(got, want) || len(want) != 2 {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// Trees that unfold into very many paths, that are too deep or that two readers could
// see differently are refused, however many parents there are.
func TestPathsAreBounded(t *testing.T) {
	s := newStore(false)
	blob := s.put("blob", []byte("x"))
	var plain, runs []Entry
	for i := range 1000 {
		name := fmt.Sprintf("%03d", i)
		plain, runs = append(plain, Entry{0o100644, name, blob}), append(runs, Entry{0o100755, name, blob})
	}
	bomb, other := s.put("tree", formatTree(plain)), s.put("tree", formatTree(runs))
	for range 4 {
		var a, b []Entry
		for i := range 10 {
			a, b = append(a, Entry{0o40000, fmt.Sprint(i), bomb}), append(b, Entry{0o40000, fmt.Sprint(i), other})
		}
		bomb, other = s.put("tree", formatTree(a)), s.put("tree", formatTree(b))
	}
	deep := s.put("tree", formatTree([]Entry{{0o100644, "f", blob}}))
	for range maxDepth {
		deep = s.put("tree", formatTree([]Entry{{0o40000, "d", deep}}))
	}
	broken := s.put("tree", []byte("nonsense"))
	empty := s.put("tree", nil)
	var malformed *MalformedError
	for _, parents := range [][]ID{{other}, {other, empty}, slices.Repeat([]ID{other}, 100)} {
		if len(parents) < 3 { // with more it only takes longer
			if err := Paths(s, parents, bomb, func([]byte) error { return nil }); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d parents, a tree that unfolds: %v", len(parents), err)
			}
		}
		if _, err := paths(s, parents, deep); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d parents, a deep tree: %v", len(parents), err)
		}
		if _, err := paths(s, parents, broken); !errors.As(err, &malformed) {
			t.Errorf("%d parents, a broken tree: %v", len(parents), err)
		}
		if _, err := paths(s, parents, ID(bytes.Repeat([]byte{9}, 20))); !errors.Is(err, ErrMissing) {
			t.Errorf("%d parents, a missing tree: %v", len(parents), err)
		}
	}
	quit := errors.New("enough")
	n := 0
	err := Paths(s, []ID{empty, empty}, bomb, func([]byte) error {
		if n++; n == 3 {
			return quit
		}
		return nil
	})
	if !errors.Is(err, quit) || n != 3 {
		t.Errorf("after %d paths: %v", n, err)
	}
}

// Of any three trees, a merge has changed what it has from neither parent, as two
// walks of one parent each tell.
func FuzzPaths(f *testing.F) {
	id := ID(bytes.Repeat([]byte{1}, 20))
	one := rawTree([]Entry{{0o100644, "a", id}, {0o100755, "b", id}, {0o160000, "c", id}})
	f.Add(one, rawTree([]Entry{{0o100644, "a", id}}), rawTree([]Entry{{0o120000, "a", id}, {0o100644, "b", id}}))
	f.Add(one, one, []byte{})
	f.Add([]byte("40000 d\x00"+id), rawTree([]Entry{{0o100644, "d", id}}), one)
	f.Add([]byte("nonsense"), one, one)
	f.Fuzz(func(t *testing.T, a, b, merge []byte) {
		s := newStore(false)
		// Entries that are trees lead to a tree of one file.
		s.objects[id] = stored{"tree", rawTree([]Entry{{0o100644, "f", ID(bytes.Repeat([]byte{2}, 20))}})}
		left, right, tree := s.put("tree", a), s.put("tree", b), s.put("tree", merge)
		byLeft, errLeft := paths(s, []ID{left}, tree)
		byRight, errRight := paths(s, []ID{right}, tree)
		both, err := paths(s, []ID{left, right}, tree)
		if errLeft != nil || errRight != nil {
			return // where one walk fails the other may not have come so far
		}
		if err != nil {
			t.Fatalf("fails alone: %v", err)
		}
		want := slices.DeleteFunc(byLeft, func(path string) bool { return !slices.Contains(byRight, path) })
		if !slices.Equal(both, want) {
			t.Fatalf("got %q, want %q", both, want)
		}
	})
}
