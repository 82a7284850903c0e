package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

const grown = "refs/gatekeeper/records/0123456789abcdef"

// then is when everything grows.
var then = time.Unix(1_700_000_000, 0)

// eachFormat runs a test in repositories of both hashes.
func eachFormat(t *testing.T, test func(t *testing.T, f *fixture)) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) { test(t, newFixture(t, "--object-format="+format)) })
	}
}

// A leaf is an entry of a hostile tree.
type leaf struct {
	mode, name string
	id         change.ID
}

// tree stores entries as they are, in whatever order.
func (f *fixture) tree(entries ...leaf) change.ID {
	f.t.Helper()
	var raw bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&raw, "%s %s\x00%s", e.mode, e.name, string(e.id))
	}
	return f.object("tree", raw.String())
}

func (f *fixture) object(objectType, data string) change.ID {
	f.t.Helper()
	id, err := change.ParseID(f.gitIn(data, "hash-object", "-w", "-t", objectType, "--literally", "--stdin"))
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) blob(data string) change.ID { return f.object("blob", data) }

// grownCommit is a commit on parents, with a tree.
func (f *fixture) grownCommit(tree change.ID, parents ...change.ID) change.ID {
	f.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	b.WriteString("author A <a@example.com> 1700000000 +0000\ncommitter A <a@example.com> 1700000000 +0000\n\nx\n")
	return f.object("commit", b.String())
}

// addedFiles are the files that Added tells, by path, and the error that ends it.
func addedFiles(r *Repo, old, new change.ID, limit int64) (map[string]change.RawFile, error) {
	files := map[string]change.RawFile{}
	for f, err := range r.Added(context.Background(), old, new, limit) {
		if err != nil {
			return files, err
		}
		if f.Mode == 0o040000 {
			continue
		}
		if _, twice := files[f.Path]; twice {
			return files, fmt.Errorf("%s comes twice", f.Path)
		}
		files[f.Path] = f
	}
	return files, nil
}

func texts(files map[string]change.RawFile) map[string]string {
	all := map[string]string{}
	for path, f := range files {
		all[path] = string(f.Data)
	}
	return all
}

func TestGrow(t *testing.T) {
	eachFormat(t, func(t *testing.T, f *fixture) {
		r, ctx := f.hook(), context.Background()
		first := map[string]string{"att/aa/k/1": "one\n", "att/bb/k/2": "", "trace/3": "no end of line"}
		second := map[string]string{"att/aa/k/4": "data 3\nabc\n", "att/aa/l/5": strings.Repeat("x", 70_000), "trace/6": "\x00\xff"}
		grow := func(old change.ID, files map[string]string) change.ID {
			t.Helper()
			raw := map[string][]byte{}
			for path, text := range files {
				raw[path] = []byte(text)
			}
			if err := r.Grow(ctx, grown, old, raw, "Add records\n", then); err != nil {
				t.Fatal(err)
			}
			return f.id(grown)
		}
		one := grow("", first)
		two := grow(one, second)

		all := maps.Clone(first)
		maps.Copy(all, second)
		for _, c := range []struct {
			name     string
			old, new change.ID
			want     map[string]string
		}{{"from nothing", "", two, all}, {"from the first", one, two, second}, {"nothing new", two, two, map[string]string{}}} {
			got, err := addedFiles(r, c.old, c.new, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, texts(got)); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.name, diff)
			}
		}

		files, err := r.Files(ctx, two)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]change.ID{}
		for path := range all {
			want[path] = f.id(grown + ":" + path)
		}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Error(diff)
		}
		n, size, err := r.Sizes(ctx, two, 1<<40)
		total := int64(len(strings.Join(slices.Collect(maps.Values(all)), "") + strings.Join(slices.Collect(maps.Keys(all)), "")))
		if err != nil || n != len(all) || size != total {
			t.Errorf("%d files of %d bytes, %v; want %d of %d", n, size, err, len(all), total)
		}
		if n, size, err := r.Sizes(ctx, two, 10); err != nil || n == len(all) || size <= 10 {
			t.Errorf("counted on to %d files of %d bytes, %v", n, size, err)
		}
		if f.git("log", "-1", "--format=%an %cn %ct %B", grown) == "" || f.git("fsck", "--strict") != "" {
			t.Error("git does not like it")
		}

		large, err := addedFiles(r, "", two, 100)
		if err != nil {
			t.Fatal(err)
		}
		if l := large["att/aa/l/5"]; !l.TooLarge || l.Size != 70_000 || l.Data != nil {
			t.Errorf("a large file is %d bytes, of which %d are held", l.Size, len(l.Data))
		}
	})
}

// Whoever grows a ref must have seen what it holds: what another one put there
// meanwhile is never lost.
func TestGrowFromWhatIsThere(t *testing.T) {
	f := newFixture(t)
	r, ctx := f.hook(), context.Background()
	add := func(old change.ID, path string) error {
		return r.Grow(ctx, grown, old, map[string][]byte{path: []byte(path)}, "Add records\n", then)
	}
	if err := add("", "att/a"); err != nil {
		t.Fatal(err)
	}
	one := f.id(grown)
	if err := add("", "att/b"); err == nil {
		t.Error("a ref that is there was made anew")
	}
	if err := add(one, "att/b"); err != nil {
		t.Fatal(err)
	}
	if err := add(one, "att/c"); err == nil {
		t.Error("it grew from what it no longer holds")
	}
	files, err := r.Files(ctx, f.id(grown))
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	if err := r.Grow(ctx, "refs/../x", "", nil, "", then); err == nil {
		t.Error("a bad name was taken")
	}
}

// A path is data, and never a command to git.
func TestGrowTakesPlainPathsOnly(t *testing.T) {
	f := newFixture(t)
	r, ctx := f.hook(), context.Background()
	f.commit("a", "a\n")
	evil := f.commit("a", "b\n")
	f.git("reset", "-q", "--hard", "HEAD~")
	for _, path := range []string{
		"", "/", "a//b", "a/", "/a", "a/../b", "..", ".git/config", `"quoted"`, "a b", "\x00",
		"a\ndata 0\n\nreset refs/heads/main\nfrom " + evil.String() + "\n\ncommit refs/heads/other\ncommitter x <x> 1 +0000\ndata 0\nM 100644 inline b",
	} {
		err := r.Grow(ctx, grown, "", map[string][]byte{path: []byte("x")}, "Add records\n", then)
		if err == nil {
			t.Errorf("%q was taken", path)
		}
		if f.id("main") == evil {
			t.Fatalf("%q moved a branch", path)
		}
		if _, err := r.Ref(ctx, grown); !errors.Is(err, ErrNoRef) {
			t.Fatalf("%q: the ref was made", path)
		}
	}
}

// Whatever is done to what is there, Added says that it is no growth.
func TestAddedRefuses(t *testing.T) {
	eachFormat(t, func(t *testing.T, f *fixture) {
		r := f.hook()
		one, two, three := f.blob("1"), f.blob("2"), f.blob("3")
		file := func(name string, id change.ID) leaf { return leaf{"100644", name, id} }
		folder := func(name string, entries ...leaf) leaf { return leaf{"40000", name, f.tree(entries...)} }
		root := func(entries ...leaf) change.ID { return f.tree(folder("att", entries...)) }
		base := f.grownCommit(root(file("b", one), file("c", two)))
		on := func(tree change.ID) change.ID { return f.grownCommit(tree, base) }

		for _, c := range []struct {
			name      string
			old, new  change.ID
			malformed bool
		}{
			{"a file taken away", base, on(root(file("b", one))), false},
			{"a file replaced", base, on(root(file("b", one), file("c", three))), false},
			{"a file made executable", base, on(root(file("b", one), leaf{"100755", "c", two})), false},
			{"a file made a link", base, on(root(file("b", one), leaf{"120000", "c", two})), false},
			{"a file made a folder", base, on(root(file("b", one), folder("c", file("x", two)))), false},
			{"a folder taken away", base, on(f.tree(folder("trace", file("x", one)))), false},
			{"everything taken away", base, on(f.tree()), false},
			{"a file moved", base, on(root(file("b", one), file("d", two))), false},
			{"nothing", base, on(root(file("b", one), file("c", two))), false},
			{"a folder that holds nothing", base, on(root(file("b", one), file("c", two), folder("d"))), false},
			{"a folder of folders that hold nothing", base, on(root(file("b", one), file("c", two), folder("d", folder("e")))), false},
			{"an entry out of order", base, on(root(file("b", one), file("c", two), file("a", three))), true},
			{"an entry that comes twice", base, on(root(file("b", one), file("c", two), file("c", two))), true},
			{"an entry with a slash", base, on(root(file("b", one), file("c", two), file("d/e", two))), true},
			{"a history of its own", base, f.grownCommit(root(file("b", one), file("c", two), file("d", three))), false},
			{"a merge", base, f.grownCommit(root(file("b", one), file("c", two), file("d", three)), base, f.grownCommit(root(file("d", three)))), false},
			{"what came before", on(root(file("b", one), file("c", two), file("d", three))), base, false},
			{"first taken away, then put back", base, f.grownCommit(root(file("b", one), file("c", two), file("d", three)), on(root(file("b", one)))), false},
			{"a new ref that begins with a parent's absence", "", f.grownCommit(root(file("b", one)), base), false},
			{"a folder for a file", base, on(root(file("b", one), file("c", two), file("d", f.tree(file("x", one))))), false},
			{"a commit of many bytes", base, f.object("commit", "tree "+root(file("b", one), file("c", two), file("d", three)).String()+"\nparent "+base.String()+
				"\nauthor A <a@example.com> 1700000000 +0000\ncommitter A <a@example.com> 1700000000 +0000\n\n"+strings.Repeat("x", maxGrowthCommit)), false},
		} {
			_, err := addedFiles(r, c.old, c.new, 1<<20)
			var broken *change.MalformedError
			if ok := errors.Is(err, change.ErrNotGrown); ok == c.malformed || c.malformed && !errors.As(err, &broken) {
				t.Errorf("%s: got %v", c.name, err)
			}
		}
	})
}

// What a few objects unfold into is never walked to its end, and a file that is too
// large never read.
func TestAddedIsBounded(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	unfold := func(last leaf) change.ID {
		level := []leaf{last}
		for range 12 {
			id := f.tree(level...)
			level = nil
			for i := range 10 {
				level = append(level, leaf{"40000", fmt.Sprint(i), id})
			}
		}
		return f.grownCommit(f.tree(leaf{"40000", "att", f.tree(level...)}))
	}
	t.Run("folders without end that hold nothing", func(t *testing.T) {
		level := []leaf{}
		for range 12 {
			id := f.tree(level...)
			level = nil
			for i := range 10 {
				level = append(level, leaf{"40000", fmt.Sprint(i), id})
			}
		}
		if _, err := addedFiles(r, "", f.grownCommit(f.tree(level...)), 100); !errors.Is(err, change.ErrNotGrown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("whoever stops taking files stops the walk", func(t *testing.T) {
		n := 0
		for file, err := range r.Added(context.Background(), "", unfold(leaf{"100644", "x", f.blob("x")}), 100) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; file.Mode == 0o100644 {
				break
			}
		}
		if n > 20 {
			t.Errorf("%d steps to the first file", n)
		}
	})
	t.Run("a context that is done", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, err := range r.Added(ctx, "", f.grownCommit(f.tree(leaf{"100644", "x", f.blob("x")})), 100) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	})
}
