package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// added collects what Added yields, each file as "MODE PATH CONTENT".
func added(ctx context.Context, r *Repo, old, new change.ID, limit int64) (list []string, err error) {
	for f, err := range r.Added(ctx, old, new, limit) {
		if err != nil {
			return list, err
		}
		if f.Mode == 0o040000 {
			continue
		}
		content := string(f.Data)
		if f.TooLarge {
			content = fmt.Sprintf("too large: %d", f.Size)
		}
		list = append(list, fmt.Sprintf("%o %s %s", f.Mode, f.Path, content))
	}
	return list, nil
}

func TestAddedTellsAMissingObjectFromARewrittenHistory(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	gone := f.object("blob", "gone")
	tree := f.tree(leaf{"100644", "a", gone})
	base := f.grownCommit(tree)
	lose := func(id change.ID) {
		name := id.String()
		if err := os.Remove(filepath.Join(f.dir, ".git/objects", name[:2], name[2:])); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []change.ID{gone, tree, base} {
		lose(id)
		if _, err := added(t.Context(), r, "", base, 10); !errors.Is(err, change.ErrMissing) && !strings.Contains(fmt.Sprint(err), "bad object") || errors.Is(err, change.ErrNotGrown) {
			t.Errorf("without %s: %v", id, err)
		}
	}
}

func TestAddedStopsWhenTold(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	blob := f.object("blob", "x")
	tip := f.grownCommit(f.tree(leaf{"100644", "a", blob}, leaf{"100644", "b", blob}))
	for file, err := range r.Added(t.Context(), "", tip, 10) {
		if err != nil || file.Path == "b" {
			t.Errorf("%q, %v", file.Path, err)
		}
		if file.Path == "a" {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := added(ctx, r, "", tip, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Random lines of commits, made by git's own index, against what git lists.
func TestAddedIsWhatGitListsMore(t *testing.T) {
	eachFormat(t, func(t *testing.T, f *fixture) {
		r := f.hook()
		listed := func(rev string) map[string]string {
			files := map[string]string{}
			for entry := range strings.SplitSeq(strings.TrimSuffix(f.git("ls-tree", "-r", "-z", "--full-tree", rev), "\x00"), "\x00") {
				about, path, _ := strings.Cut(entry, "\t")
				files[path] = about
			}
			return files
		}
		var commits []change.ID
		for range 12 {
			for range 1 + f.rand.IntN(4) {
				parts := []string{}
				for range 1 + f.rand.IntN(3) {
					parts = append(parts, string(rune('a'+f.rand.IntN(3))))
				}
				// A file has its own kind of name, so that none must become a folder.
				f.write(strings.Join(parts, "/")+"/f"+strconv.Itoa(f.rand.IntN(1<<20)), f.lines(1+f.rand.IntN(3)))
			}
			f.git("add", "-A")
			f.git("commit", "-q", "-m", "more")
			commits = append(commits, f.id("HEAD"))
		}
		for range 20 {
			i := f.rand.IntN(len(commits))
			j := i + f.rand.IntN(len(commits)-i)
			before, after := listed(commits[i].String()), listed(commits[j].String())
			got := map[string]string{}
			for file, err := range r.Added(t.Context(), commits[i], commits[j], 1<<20) {
				if err != nil {
					t.Fatal(err)
				}
				if file.Mode == 0o040000 {
					continue
				}
				got[file.Path] = fmt.Sprintf("%06o blob %s", file.Mode, file.ID)
				if want := f.git("cat-file", "blob", file.ID.String()) + "\n"; string(file.Data) != want {
					t.Errorf("%s holds %q, want %q", file.Path, file.Data, want)
				}
			}
			maps.DeleteFunc(after, func(path, _ string) bool { return before[path] != "" })
			if diff := cmp.Diff(after, got); diff != "" {
				t.Errorf("from %d to %d: -git +got\n%s", i, j, diff)
			}
		}
	})
}

func TestSizesAndFilesAreWhatGitLists(t *testing.T) {
	eachFormat(t, func(t *testing.T, f *fixture) {
		r := f.hook()
		odd := "q\"\\\t\n\x01\xff -é"
		ten := f.object("blob", "0123456789")
		tip := f.grownCommit(f.tree(leaf{"100644", "a", ten}, leaf{"40000", "d", f.tree(leaf{"100755", "x", ten}, leaf{"100644", odd, ten})},
			leaf{"160000", "g", f.grownCommit(f.tree())}, leaf{"120000", "l", ten}))
		paths := int64(len("a" + "d/x" + "d/" + odd + "g" + "l"))
		files, size, err := r.Sizes(t.Context(), tip, 1000)
		if err != nil || files != 5 || size != 40+paths {
			t.Errorf("%d files of %d bytes, %v", files, size, err)
		}
		if _, size, err = r.Sizes(t.Context(), tip, 15); err != nil || size <= 15 || size >= 40 {
			t.Errorf("more than 15 bytes: %d, %v", size, err)
		}
		got, err := r.Files(t.Context(), tip)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]change.ID{"a": ten, "d/x": ten, "d/" + odd: ten}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files -want +got\n%s", diff)
		}
		empty := f.grownCommit(f.tree())
		if got, err := r.Files(t.Context(), empty); err != nil || len(got) != 0 {
			t.Errorf("files of nothing: %v, %v", got, err)
		}
		if files, size, err := r.Sizes(t.Context(), empty, 10); err != nil || files != 0 || size != 0 {
			t.Errorf("sizes of nothing: %d, %d, %v", files, size, err)
		}
		for what, id := range map[string]change.ID{"no object": change.ID(strings.Repeat("\x11", r.IDSize)), "a blob": ten} {
			if _, err := r.Files(t.Context(), id); err == nil {
				t.Errorf("%s has files", what)
			}
			if _, _, err := r.Sizes(t.Context(), id, 10); err == nil {
				t.Errorf("%s has sizes", what)
			}
		}
	})
}

func TestGrow(t *testing.T) {
	const ref = "refs/gatekeeper/records/0123456789abcdef"
	eachFormat(t, func(t *testing.T, f *fixture) {
		r := f.hook()
		content := func(rev string) map[string]string {
			got := map[string]string{}
			files, err := r.Files(t.Context(), f.id(rev))
			if err != nil {
				t.Fatal(err)
			}
			for path, id := range files {
				out, err := f.try("", "cat-file", "blob", id.String())
				if err != nil {
					t.Fatal(err)
				}
				got[path] = out
			}
			return got
		}
		grow := func(old change.ID, files map[string][]byte) error {
			return r.Grow(t.Context(), ref, old, files, "Add records", then)
		}
		if err := grow("", map[string][]byte{"att/a": []byte("1"), "att/b/c": []byte("2")}); err != nil {
			t.Fatal(err)
		}
		first := f.id(ref)
		if diff := cmp.Diff(map[string]string{"att/a": "1", "att/b/c": "2"}, content(ref)); diff != "" {
			t.Error(diff)
		}
		odd := map[string][]byte{}
		for _, name := range []string{"q\"q", "back\\slash", "tab\ttab", "new\nline", "\x01\x7f", "\xff\xfe", "é", " lead", "trail ", "-dash", "#", "\"quoted\"", "a\ndone\n"} {
			odd[name], odd["d/"+name] = []byte(name), []byte("\n"+name+"\ndone\n")
		}
		if err := grow(first, odd); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"att/a": "1", "att/b/c": "2"}
		for name, data := range odd {
			want[name] = strings.TrimSuffix(string(data), "\n")
		}
		if diff := cmp.Diff(want, content(ref)); diff != "" {
			t.Error(diff)
		}
		if got := f.git("log", "--format=%P|%an|%ae|%cn <%ce> %ct|%s|%b|", ref); got != fmt.Sprintf("%s|gatekeeper|gatekeeper@localhost|gatekeeper <gatekeeper@localhost> %d|Add records||\n", first, then.Unix())+
			fmt.Sprintf("|gatekeeper|gatekeeper@localhost|gatekeeper <gatekeeper@localhost> %d|Add records||", then.Unix()) {
			t.Errorf("history\n%s", got)
		}

		t.Run("what it makes can be told as an addition", func(t *testing.T) {
			if got, err := added(t.Context(), r, first, f.id(ref), 1<<10); err != nil || len(got) != len(odd) {
				t.Errorf("%d files, %v", len(got), err)
			}
			f.git("fsck", "--strict", "--no-dangling")
		})

		t.Run("a path is a path, whatever commands it seems to hold", func(t *testing.T) {
			before := f.git("for-each-ref")
			evil := "x\ndata 1\ny\nreset refs/heads/evil\nfrom " + first.String() + "\n"
			id, err := r.Grown(t.Context(), first, map[string][]byte{evil: []byte("z")}, "x", then)
			if err != nil {
				t.Fatal(err)
			}
			if files, err := r.Files(t.Context(), id); err != nil || files[evil] == "" {
				t.Errorf("files %v, %v", files, err)
			}
			if after := f.git("for-each-ref"); after != before {
				t.Errorf("refs were\n%s\nand are\n%s", before, after)
			}
		})

		t.Run("the same twice is one commit", func(t *testing.T) {
			a, err1 := r.Grown(t.Context(), first, odd, "Add records", then)
			b, err2 := r.Grown(t.Context(), first, odd, "Add records", then)
			if errors.Join(err1, err2) != nil || a != b || a != f.id(ref) {
				t.Errorf("%s and %s, %v", a, b, errors.Join(err1, err2))
			}
		})

		t.Run("a ref that has moved stays where it is", func(t *testing.T) {
			before := f.id(ref)
			for name, old := range map[string]change.ID{"not there": "", "further back": first, "no object": change.ID(strings.Repeat("\x11", r.IDSize))} {
				if err := grow(old, map[string][]byte{"z": nil}); err == nil {
					t.Errorf("%s: it grew", name)
				}
				if now := f.id(ref); now != before {
					t.Errorf("%s: it moved to %s", name, now)
				}
			}
		})

		t.Run("a name that is none is refused", func(t *testing.T) {
			for _, bad := range []string{"", "refs/x\nreset refs/heads/main", "refs/a b", "--x", "refs/../x"} {
				if err := r.Grow(t.Context(), bad, "", map[string][]byte{"a": nil}, "x", then); err == nil {
					t.Errorf("%q grew", bad)
				}
			}
		})

		t.Run("nothing is left behind", func(t *testing.T) {
			if got := f.git("for-each-ref", "--format=%(refname)"); got != ref {
				t.Errorf("refs\n%s", got)
			}
			if status := f.git("status", "--porcelain"); status != "" {
				t.Errorf("in the work tree:\n%s", status)
			}
		})
	})
}

// Of those who see a ref at one place, one moves it; the others hear of it.
func TestOneOfManyGrowsARef(t *testing.T) {
	const ref = "refs/gatekeeper/records/0123456789abcdef"
	f := newFixture(t)
	r := f.hook()
	var old change.ID
	for round := range 3 {
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				name := fmt.Sprintf("%d-%d", round, i)
				errs[i] = r.Grow(t.Context(), ref, old, map[string][]byte{name: []byte(name)}, "x", then)
			})
		}
		all.Wait()
		won := slices.IndexFunc(errs, func(err error) bool { return err == nil })
		failed := 0
		for _, err := range errs {
			if err != nil {
				failed++
			}
		}
		if won < 0 || failed != len(errs)-1 {
			t.Fatalf("round %d: %v", round, errs)
		}
		got, err := added(t.Context(), r, old, f.id(ref), 100)
		if want := []string{fmt.Sprintf("100644 %d-%d %d-%d", round, won, round, won)}; err != nil || !slices.Equal(got, want) {
			t.Errorf("round %d: %v, %v; want %v", round, got, err, want)
		}
		old = f.id(ref)
	}
}

func TestReaderReads(t *testing.T) {
	eachFormat(t, func(t *testing.T, f *fixture) {
		reader := f.hook().Reader()
		defer reader.Close()
		blob := f.object("blob", "0123456789")
		tree := f.tree(leaf{"100644", "a", blob})
		for _, c := range []struct {
			id    change.ID
			limit int64
			want  string
		}{
			{blob, 10, "blob 10 0123456789"},
			{blob, 9, "blob 10 nil"},
			{f.object("blob", ""), 0, "blob 0 "},
			{tree, 100, "tree " + strconv.Itoa(9+len(blob)) + " 100644 a\x00" + string(blob)},
			{tree, 0, "tree " + strconv.Itoa(9+len(blob)) + " nil"},
		} {
			kind, size, data, err := reader.Read(t.Context(), c.id, c.limit)
			content := string(data)
			if data == nil {
				content = "nil"
			}
			if got := fmt.Sprintf("%s %d %s", kind, size, content); err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		}
		missing := change.ID(strings.Repeat("\x11", len(blob)))
		if _, _, _, err := reader.Read(t.Context(), missing, 10); !errors.Is(err, change.ErrMissing) {
			t.Errorf("missing: %v", err)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					if _, _, data, err := reader.Read(t.Context(), blob, 10); err != nil || string(data) != "0123456789" {
						t.Errorf("%q, %v", data, err)
					}
				}
			})
		}
		all.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, _, err := reader.Read(ctx, blob, 10); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, _, data, err := reader.Read(t.Context(), blob, 10); err != nil || hex.EncodeToString(data) != hex.EncodeToString([]byte("0123456789")) {
			t.Errorf("after that: %q, %v", data, err)
		}
	})
}
