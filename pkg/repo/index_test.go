package repo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// checkTree holds Index.Tree to git write-tree on a copy of the index, and what it
// returns raw to what git has stored. It returns how many trees were made anew.
func (f *fixture) checkTree(index string) int {
	f.t.Helper()
	r := f.withoutGit()
	got, trees, _, err := r.IndexTree(f.t.Context(), index)
	if err != nil {
		f.t.Fatal(err)
	}
	copied := filepath.Join(f.t.TempDir(), "index")
	if err := copyFile(copied, index); err != nil {
		f.t.Fatal(err)
	}
	want := f.at(f.dir, "GIT_INDEX_FILE="+copied).git("write-tree")
	if got.String() != want {
		f.t.Fatalf("tree %s, git write-tree says %s\n%s", got, want, f.git("ls-files", "--stage", "--sparse"))
	}
	for id, raw := range trees {
		if stored := f.git("cat-file", "tree", id.String()); stored != strings.TrimSuffix(string(raw), "\n") {
			f.t.Fatalf("tree %s is %q, stored %q", id, raw, stored)
		}
	}
	return len(trees)
}

func (f *fixture) index() string {
	return filepath.Join(f.dir, f.git("rev-parse", "--git-dir"), "index")
}

func TestTheTreeOfAnIndexIsWhatGitWouldWrite(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, version := range []string{"2", "3", "4"} {
			t.Run(format+" version "+version, func(t *testing.T) {
				f := newFixture(t, "--object-format="+format)
				f.git("config", "index.version", version)
				for round := range 12 {
					f.disturb(round)
					f.checkTree(f.index())
				}
			})
		}
	}
}

// disturb changes the index in one of the ways that people do.
func (f *fixture) disturb(round int) {
	f.t.Helper()
	dirs := []string{"", "a/", "a/b/", "a/b/c/", "a-b/", "a.b/", "a0/", "z/y/", strings.Repeat("long/", 20)}
	name := fmt.Sprintf("%sf%d", dirs[f.rand.IntN(len(dirs))], f.rand.IntN(30))
	for range f.rand.IntN(6) {
		f.write(fmt.Sprintf("%sf%d", dirs[f.rand.IntN(len(dirs))], f.rand.IntN(30)), f.lines(3))
	}
	f.write(name, f.lines(2))
	switch round % 9 {
	case 0:
		f.git("add", name)
	case 1:
		f.git("add", "-A")
		f.git("commit", "-q", "-m", "all")
	case 2:
		f.write("run", "x")
		f.git("add", "run")
		f.git("update-index", "--chmod=+x", "run")
	case 3:
		_ = os.Remove(filepath.Join(f.dir, "link"))
		if err := os.Symlink(fmt.Sprint("to", round), filepath.Join(f.dir, "link")); err != nil {
			f.t.Fatal(err)
		}
		f.git("add", "link")
	case 4:
		f.git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("a1", len(f.git("rev-parse", "HEAD"))/2)+",mod/ule")
	case 5:
		f.git("add", "-N", ".")
	case 6:
		f.git("rm", "-rq", "--cached", "--ignore-unmatch", "a/b")
	case 7:
		f.write(strings.Repeat("n", 200)+"/"+strings.Repeat("m", 200)+"/"+strings.Repeat("o", 3800-3600)+"/"+strings.Repeat("p", 60)+fmt.Sprint(round), "x")
		f.git("add", "-A")
		f.git("update-index", "--skip-worktree", name)
		f.git("update-index", "--no-skip-worktree", name)
	case 8:
		f.git("commit", "-q", "--allow-empty", "-m", "staged")
	}
}

func TestWhatIsOnlyIntendedIsNotInTheTree(t *testing.T) {
	f := newFixture(t)
	f.commit("kept/file", "x")
	f.write("empty/one", "1")
	f.write("empty/deep/two", "2")
	f.write("kept/three", "3")
	f.git("add", "-N", ".")
	f.checkTree(f.index())
	if got := f.withoutGit(); got == nil {
		t.Fatal("no repository")
	}
}

func TestDirectoriesThatTheCacheTreeVouchesForAreNotMadeAnew(t *testing.T) {
	f := newFixture(t)
	for i := range 20 {
		f.write(fmt.Sprintf("d%d/e/f", i), f.lines(1))
	}
	f.commit("top", "x")
	f.git("read-tree", "HEAD") // fills the cache tree
	if made := f.checkTree(f.index()); made != 0 {
		t.Errorf("%d trees made of an unchanged index", made)
	}
	f.write("d3/e/f", "changed")
	f.git("add", "d3")
	if made := f.checkTree(f.index()); made != 3 {
		t.Errorf("%d trees made after one change, want those of d3/e, d3 and the root", made)
	}
}

func TestExtensionsOfTheIndexThatSayNothingOfTheTree(t *testing.T) {
	f := newFixture(t)
	f.git("config", "core.untrackedCache", "true")
	f.git("config", "feature.manyFiles", "true")
	f.git("config", "index.recordEndOfIndexEntries", "true")
	f.git("config", "index.recordOffsetTable", "true")
	f.git("config", "index.threads", "4")
	f.git("config", "core.fsmonitor", "true-is-not-run")
	for i := range 50 {
		f.write(fmt.Sprintf("d%d/f", i), "x")
	}
	f.git("-c", "core.fsmonitor=false", "add", "-A")
	f.git("-c", "core.fsmonitor=false", "update-index", "--fsmonitor")
	f.git("-c", "core.fsmonitor=false", "status")
	f.checkTree(f.index())
}

func TestASparseIndexHoldsWholeDirectories(t *testing.T) {
	f := newFixture(t)
	for _, d := range []string{"a", "a/in", "b", "b/in", "c"} {
		f.write(d+"/file", "x"+d)
	}
	f.commit("top", "x")
	f.git("sparse-checkout", "init", "--cone", "--sparse-index")
	f.git("sparse-checkout", "set", "b")
	if out := f.git("ls-files", "--sparse", "--stage"); !strings.Contains(out, "040000") {
		t.Fatalf("the index is not sparse:\n%s", out)
	}
	f.checkTree(f.index())
	f.write("b/file", "changed")
	f.git("add", "b/file")
	f.checkTree(f.index())
	f.git("update-index", "--force-remove", "b/in/file")
	f.checkTree(f.index())
}

func TestASplitIndexIsLeftToGit(t *testing.T) {
	f := newFixture(t)
	f.commit("a/file", "x")
	f.git("config", "core.splitIndex", "true")
	f.git("update-index", "--split-index")
	f.write("a/other", "y")
	f.git("add", "-A")
	r := f.hook()
	if _, err := r.Index(f.index()); !errors.Is(err, ErrUnsupported) {
		t.Fatalf("error %v, want ErrUnsupported", err)
	}
	got, trees, stamp, err := r.IndexTree(t.Context(), f.index())
	if err != nil {
		t.Fatal(err)
	}
	if want := f.git("write-tree"); got.String() != want || len(trees) != 0 || stamp.Size == 0 {
		t.Errorf("got %s, %d trees, stamp %v; want %s", got, len(trees), stamp, want)
	}
}

func TestAConflictHasNoTree(t *testing.T) {
	f := newFixture(t)
	f.commit("file", "base")
	f.git("checkout", "-q", "-b", "other")
	f.commit("file", "theirs")
	f.git("checkout", "-q", "main")
	f.commit("file", "ours")
	if _, err := f.try("", "merge", "other"); err == nil {
		t.Fatal("no conflict")
	}
	if _, _, _, err := f.hook().IndexTree(t.Context(), f.index()); !errors.Is(err, ErrUnmerged) {
		t.Errorf("error %v, want ErrUnmerged", err)
	}
}

func TestNoIndexIsAnEmptyTree(t *testing.T) {
	f := newFixture(t)
	got, _, stamp, err := f.withoutGit().IndexTree(t.Context(), filepath.Join(f.dir, ".git", "index"))
	if err != nil {
		t.Fatal(err)
	}
	if want := f.gitIn("", "hash-object", "-t", "tree", "/dev/null"); got.String() != want || stamp != (Stamp{}) {
		t.Errorf("got %s %v, want %s", got, stamp, want)
	}
}

// The hook records, for each kind of commit, the tree that git then commits.
func TestHooksSeeTheTreeThatIsCommitted(t *testing.T) {
	f := newFixture(t)
	seen := filepath.Join(f.home, "seen")
	hook := "#!/bin/sh\ncp \"$GIT_INDEX_FILE\" '" + seen + "'\n"
	f.write(".git/hooks/prepare-commit-msg", hook)
	if err := os.Chmod(filepath.Join(f.dir, ".git/hooks/prepare-commit-msg"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("a/1", "1")
	f.write("b/2", "2")
	f.git("add", "-A")
	for _, args := range [][]string{
		{"commit", "-q", "-m", "all"},
		{"commit", "-q", "-a", "-m", "a"},
		{"commit", "-q", "-m", "path", "--", "a"},
		{"commit", "-q", "-m", "include", "-i", "b"},
		{"commit", "-q", "--amend", "--no-edit", "-a"},
		{"commit", "-q", "--allow-empty", "-m", "empty"},
	} {
		f.write("a/1", f.lines(2))
		f.write("b/2", f.lines(2))
		if args[len(args)-1] == "all" {
			f.git("add", "-A")
		}
		f.git(args...)
		got, _, _, err := f.withoutGit().IndexTree(t.Context(), seen)
		if err != nil {
			t.Fatal(err)
		}
		if want := f.git("rev-parse", "HEAD^{tree}"); got.String() != want {
			t.Errorf("%v: tree %s, committed %s", args, got, want)
		}
	}
}

func TestStampsTellIndexesApart(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	r := f.withoutGit()
	one, err := r.IndexStamp(f.index())
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.Index(f.index())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if x.Stamp() != one {
		t.Errorf("stamps %v and %v of one index", x.Stamp(), one)
	}
	f.write("a", "2")
	f.git("add", "a")
	if two, _ := r.IndexStamp(f.index()); two == one {
		t.Errorf("one stamp %v for two indexes", one)
	}
}

// A damaged index is refused, or read as trees that hold together: each raw tree
// hashes to its id and parses.
func FuzzIndex(f *testing.F) {
	for _, version := range []string{"2", "4"} {
		g := newFixture(f)
		g.git("config", "index.version", version)
		g.write("a/b/c", "x")
		g.write("a/d", "y")
		g.git("add", "-A")
		g.git("commit", "-q", "-m", "m")
		g.write("a/b/e", "z")
		g.git("add", "-A")
		data, err := os.ReadFile(g.index())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := filepath.Join(f.TempDir(), "index")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := &Repo{IDSize: 20, light: true}
		x, err := r.Index(path)
		if err != nil {
			return
		}
		defer x.Close()
		_, trees, err := x.Tree()
		if err != nil {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("error %v does not let git decide", err)
			}
			return
		}
		for id, raw := range trees {
			if objectID("tree", raw, 20) != id || len(raw) > 0 && !bytes.Contains(raw, []byte{0}) {
				t.Errorf("tree %s: %q", id, raw)
			}
		}
	})
}

func BenchmarkIndexTree(b *testing.B) {
	for _, files := range []int{200, 100_000} {
		for _, state := range []string{"one directory changed", "no cache tree"} {
			b.Run(fmt.Sprintf("%d files, %s", files, state), func(b *testing.B) {
				f := newFixture(b)
				var list strings.Builder
				blob := f.gitIn("x\n", "hash-object", "-w", "--stdin")
				for i := range files {
					fmt.Fprintf(&list, "100644 %s\tdir%d/sub%d/file%d\n", blob, i/1000, i/20%50, i)
				}
				f.gitIn(list.String(), "update-index", "--index-info")
				if state != "no cache tree" {
					f.git("write-tree")
					f.git("read-tree", f.git("write-tree"))
					f.gitIn("100755 "+blob+"\tdir0/sub3/file60\n", "update-index", "--index-info")
				}
				r, path := f.withoutGit(), f.index()
				b.ReportAllocs()
				for b.Loop() {
					var id change.ID
					var err error
					if id, _, _, err = r.IndexTree(b.Context(), path); err != nil || id == "" {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
