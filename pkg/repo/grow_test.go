package repo

import (
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

// day is when everything grows.
var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// formats are the arguments of git init for each kind of object id.
var formats = map[string][]string{"SHA-1": nil, "SHA-256": {"--object-format=sha256"}}

// object stores an object of any form, well-formed or not.
func (f *fixture) object(kind, data string) change.ID {
	f.t.Helper()
	id, err := change.ParseID(f.gitIn(data, "hash-object", "-w", "--literally", "-t", kind, "--stdin"))
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// leaf is an entry of a tree.
type leaf struct {
	mode, name string
	id         change.ID
}

// tree stores a tree with entries in the given order.
func (f *fixture) tree(leaves ...leaf) change.ID {
	var b strings.Builder
	for _, l := range leaves {
		b.WriteString(l.mode + " " + l.name + "\x00" + string(l.id))
	}
	return f.object("tree", b.String())
}

func (f *fixture) commitOf(tree change.ID, message string, parents ...change.ID) change.ID {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	b.WriteString("author A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\n" + message)
	return f.object("commit", b.String())
}

// added collects what Added yields, each file as "MODE PATH CONTENT".
func added(ctx context.Context, r *Repo, old, new change.ID, limit int64) (list []string, err error) {
	for f, err := range r.Added(ctx, old, new, limit) {
		if err != nil {
			return list, err
		}
		content := string(f.Data)
		if f.TooLarge {
			content = fmt.Sprintf("too large: %d", f.Size)
		}
		list = append(list, fmt.Sprintf("%o %s %s", f.Mode, f.Path, content))
	}
	return list, nil
}

func TestAddedTellsWhatALineOfCommitsAdds(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, args...)
			r := f.hook()
			blob := func(s string) change.ID { return f.object("blob", s) }
			one, two := blob("one"), blob("two")
			small := leaf{"100644", "a", one}
			base := f.commitOf(f.tree(small), "base\n")
			next := func(leaves ...leaf) change.ID { return f.commitOf(f.tree(leaves...), "next\n", base) }
			odd := "q\"\\\t\n\x01\xff -é"

			third := f.commitOf(f.tree(small, leaf{"100644", "b", two}, leaf{"100644", "c", one}), "third\n",
				next(small, leaf{"100644", "b", two}))
			for _, c := range []struct {
				name     string
				old, new change.ID
				want     []string
			}{
				{"a root", "", base, []string{"100644 a one"}},
				{"nothing", base, base, nil},
				{"a line of two", base, third, []string{"100644 b two", "100644 c one"}},
				{"a line from its root", "", third, []string{"100644 a one", "100644 b two", "100644 c one"}},
				{"a commit that adds nothing", base, next(small), nil},
				{"files in folders, in the order of paths", base,
					next(small, leaf{"40000", "d", f.tree(leaf{"40000", "e", f.tree(leaf{"100644", "x", two})}, leaf{"100644", "y", one})}, leaf{"100644", "d.z", one}),
					nil}, // filled in below: git sorts d.z before d/
				{"a file beside those of a folder that was there", f.commitOf(f.tree(leaf{"40000", "d", f.tree(leaf{"100644", "x", one})}), "d\n"),
					"", []string{"100644 d/y two"}},
				{"what is no ordinary file is told, and not read", base, next(small, leaf{"160000", "g", base}, leaf{"120000", "l", blob("../../etc/passwd")}, leaf{"100755", "x", two}),
					[]string{"160000 g ", "120000 l ", "100755 x two"}},
				{"an old mode is told as it is written", base, next(small, leaf{"100664", "w", two}), []string{"100664 w two"}},
				{"a file at the limit, and one above", base, next(small, leaf{"100644", "b", blob("0123456789")}, leaf{"100644", "c", blob("0123456789a")}),
					[]string{"100644 b 0123456789", "100644 c too large: 11"}},
				{"a path of any bytes", base, next(small, leaf{"100644", odd, two}), []string{"100644 " + odd + " two"}},
				{"an empty file", base, next(small, leaf{"100644", "b", blob("")}), []string{"100644 b "}},
			} {
				t.Run(c.name, func(t *testing.T) {
					switch c.name {
					case "files in folders, in the order of paths":
						c.new = next(small, leaf{"100644", "d.z", one}, leaf{"40000", "d", f.tree(leaf{"40000", "e", f.tree(leaf{"100644", "x", two})}, leaf{"100644", "y", one})})
						c.want = []string{"100644 d.z one", "100644 d/e/x two", "100644 d/y one"}
					case "a file beside those of a folder that was there":
						c.new = f.commitOf(f.tree(leaf{"40000", "d", f.tree(leaf{"100644", "x", one}, leaf{"100644", "y", two})}), "d\n", c.old)
					}
					got, err := added(t.Context(), r, c.old, c.new, 10)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(c.want, got); diff != "" {
						t.Errorf("-want +got\n%s", diff)
					}
				})
			}
		})
	}
}

func TestAddedRefusesWhateverDoesMoreThanGrow(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, args...)
			r := f.hook()
			one, two := f.object("blob", "one"), f.object("blob", "two")
			dir := f.tree(leaf{"100644", "x", one})
			a, d := leaf{"100644", "a", one}, leaf{"40000", "d", dir}
			base := f.commitOf(f.tree(a, d), "base\n")
			next := func(leaves ...leaf) change.ID { return f.commitOf(f.tree(leaves...), "next\n", base) }
			other := f.commitOf(f.tree(a, d, leaf{"100644", "o", two}), "other\n")
			side := next(a, d, leaf{"100644", "s", two})
			grown := next(a, d, leaf{"100644", "n", two})
			for _, c := range []struct {
				name     string
				old, new change.ID
				want     string
			}{
				{"a changed file", base, next(leaf{"100644", "a", two}, d), `"a"`},
				{"a changed mode", base, next(leaf{"100755", "a", one}, d), `"a"`},
				{"a file that became a link", base, next(leaf{"120000", "a", one}, d), `"a"`},
				{"a file that became a folder", base, next(leaf{"40000", "a", dir}, d), `"a"`},
				{"a folder that became a file", base, next(a, leaf{"100644", "d", one}), `"d/x"`},
				{"a removed file", base, next(d), `"a"`},
				{"a removed folder", base, next(a), `"d/x"`},
				{"a removed file of a folder", base, next(a, leaf{"40000", "d", f.tree(leaf{"100644", "y", one})}), `"d/x"`},
				{"a renamed file", base, next(leaf{"100644", "b", one}, d), `"a"`},
				{"a removal on the way that the end makes good", base, f.commitOf(f.tree(a, d), "back\n", next(a)), `"d/x"`},
				{"a merge", base, f.commitOf(f.tree(a, d), "merge\n", grown, side), "not a child of the one before"},
				{"a merge of the other order", base, f.commitOf(f.tree(a, d), "merge\n", base, other), "not a child of the one before"},
				{"a rewind", grown, base, "not ahead"},
				{"another line", grown, side, "not a child of the one before"},
				{"a history of its own", base, other, "not a child of the one before"},
				{"a name that comes twice", base, next(a, d, leaf{"40000", "d", f.tree(leaf{"100644", "z", two})}), "out of order"},
				{"a file with the name of a folder", base, next(a, leaf{"100644", "d", two}, d), "comes twice"},
				{"names out of order", base, next(d, a), "out of order"},
				{"names out of order, from nothing", "", f.commitOf(f.tree(d, a), "base\n"), "out of order"},
				{"a name with a slash", base, next(a, d, leaf{"100644", "e/f", two}), "slash"},
				{"an empty folder", base, next(a, d, leaf{"40000", "e", f.tree()}), "an empty folder"},
				{"an empty folder in a folder", base, next(a, d, leaf{"40000", "e", f.tree(leaf{"40000", "f", f.tree()})}), "an empty folder"},
				{"nothing at all, from nothing", "", f.commitOf(f.tree(), "empty\n"), "an empty folder"},
				{"a tree where a file should be", base, next(a, d, leaf{"100644", "e", dir}), "it is a tree"},
				{"a commit of more than 64 KiB", base, f.commitOf(f.tree(a, d), strings.Repeat("m", 65<<10), base), "more than 65536 bytes"},
				{"a commit that two readers could see differently", base, f.object("commit", fmt.Sprintf("tree %s\nparent %s\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nx\x00y", f.tree(a, d), base)), "NUL"},
			} {
				t.Run(c.name, func(t *testing.T) {
					_, err := added(t.Context(), r, c.old, c.new, 10)
					if !errors.Is(err, change.ErrNotGrown) || !strings.Contains(err.Error(), c.want) {
						t.Errorf("error %v, want %q", err, c.want)
					}
				})
			}
		})
	}
}

// A tree that names itself many times over must not be walked to its end.
func TestAddedEndsInTreesWithoutNumber(t *testing.T) {
	f := newFixture(t)
	level := f.tree(leaf{"100644", "x", f.object("blob", "x")})
	for range 30 {
		var leaves []leaf
		for i := range 32 {
			leaves = append(leaves, leaf{"40000", fmt.Sprintf("%02d", i), level})
		}
		level = f.tree(leaves...)
	}
	n := 0
	for _, err := range f.hook().Added(t.Context(), "", f.commitOf(level, "bomb\n"), 10) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1000 {
			break // whoever listens has a budget
		}
	}
	if n != 1000 {
		t.Errorf("%d files", n)
	}
}

func TestAddedTellsAMissingObjectFromARewrittenHistory(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	gone := f.object("blob", "gone")
	tree := f.tree(leaf{"100644", "a", gone})
	base := f.commitOf(tree, "base\n")
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
	tip := f.commitOf(f.tree(leaf{"100644", "a", blob}, leaf{"100644", "b", blob}), "x\n")
	for file, err := range r.Added(t.Context(), "", tip, 10) {
		if err != nil || file.Path != "a" {
			t.Errorf("%q, %v", file.Path, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := added(ctx, r, "", tip, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Random lines of commits, made by git's own index, against what git lists.
func TestAddedIsWhatGitListsMore(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, args...)
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
}

func TestSizesAndFilesAreWhatGitLists(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, args...)
			r := f.hook()
			odd := "q\"\\\t\n\x01\xff -é"
			ten := f.object("blob", "0123456789")
			tip := f.commitOf(f.tree(leaf{"100644", "a", ten}, leaf{"40000", "d", f.tree(leaf{"100755", "x", ten}, leaf{"100644", odd, ten})},
				leaf{"160000", "g", f.commitOf(f.tree(), "x\n")}, leaf{"120000", "l", ten}), "x\n")
			files, size, err := r.Sizes(t.Context(), tip, 1000)
			if err != nil || files != 5 || size != 40 {
				t.Errorf("%d files of %d bytes, %v", files, size, err)
			}
			if _, size, err = r.Sizes(t.Context(), tip, 15); err != nil || size != 20 {
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
			empty := f.commitOf(f.tree(), "empty\n")
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
}

func TestGrow(t *testing.T) {
	const ref = "refs/gatekeeper/records/0123456789abcdef"
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, args...)
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
				return r.Grow(t.Context(), ref, old, files, "Add records", day)
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
			if got := f.git("log", "--format=%P|%an|%ae|%cn <%ce> %ct|%s|%b|", ref); got != fmt.Sprintf("%s|gatekeeper|gatekeeper@localhost|gatekeeper <gatekeeper@localhost> %d|Add records||\n", first, day.Unix())+
				fmt.Sprintf("|gatekeeper|gatekeeper@localhost|gatekeeper <gatekeeper@localhost> %d|Add records||", day.Unix()) {
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
				id, err := r.Grown(t.Context(), first, map[string][]byte{evil: []byte("z")}, "x", day)
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
				a, err1 := r.Grown(t.Context(), first, odd, "Add records", day)
				b, err2 := r.Grown(t.Context(), first, odd, "Add records", day)
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
					if err := r.Grow(t.Context(), bad, "", map[string][]byte{"a": nil}, "x", day); err == nil {
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
				errs[i] = r.Grow(t.Context(), ref, old, map[string][]byte{name: []byte(name)}, "x", day)
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
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, args...)
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
}
