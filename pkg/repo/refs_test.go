package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// checkHead holds Head to git, without starting it.
func (f *fixture) checkHead() {
	f.t.Helper()
	branch, id, err := f.withoutGit().Head(f.t.Context())
	if err != nil {
		f.t.Error(err)
		return
	}
	wantBranch, _ := f.try("", "symbolic-ref", "-q", "HEAD")
	hex, _ := f.try("", "rev-parse", "-q", "--verify", "HEAD")
	want := change.ID("")
	if hex != "" {
		if want, err = change.ParseID(hex); err != nil {
			f.t.Fatal(err)
		}
	}
	if branch != wantBranch || id != want {
		f.t.Errorf("HEAD is %q %s, git says %q %s", branch, id, wantBranch, hex)
	}
}

func TestHeadIsReadAsGitReadsIt(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, "--object-format="+format)
			f.checkHead() // unborn
			f.commit("a", "1")
			f.checkHead() // loose
			f.git("pack-refs", "--all")
			f.checkHead() // packed
			f.commit("a", "2")
			f.checkHead() // loose over packed
			f.git("tag", "-a", "-m", "m", "refs-heads-main")
			f.git("pack-refs", "--all")
			f.git("checkout", "-q", "--detach")
			f.checkHead()
			f.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
			f.git("symbolic-ref", "HEAD", "refs/heads/alias")
			f.checkHead()
			f.git("symbolic-ref", "HEAD", "refs/heads/deep/er/unborn")
			f.checkHead()
			f.git("symbolic-ref", "HEAD", "refs/heads/main/under") // under a ref
			f.checkHead()
			linked := filepath.Join(filepath.Dir(f.dir), "linked")
			f.git("symbolic-ref", "HEAD", "refs/heads/main")
			f.git("worktree", "add", "-q", linked)
			f.at(linked).checkHead()
			f.at(linked).commit("b", "1")
			f.at(linked).checkHead()
			f.checkHead()
			if err := os.Remove(filepath.Join(f.dir, ".git/HEAD")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("refs/heads/main", filepath.Join(f.dir, ".git/HEAD")); err != nil {
				t.Fatal(err)
			}
			f.checkHead()
		})
	}
}

func TestEveryPackedRefIsFound(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	id := f.id("HEAD")
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "create refs/heads/%s %s\n", strings.Repeat(fmt.Sprintf("x%d-", i*7919%500), 1+i%40), id)
	}
	f.gitIn(b.String(), "update-ref", "--stdin")
	for i := range 50 {
		f.git("tag", "-a", "-m", "m", fmt.Sprintf("t%d", i))
	}
	f.git("pack-refs", "--all", "--prune")
	check := func() {
		t.Helper()
		r := f.withoutGit()
		refs := strings.Split(f.git("for-each-ref", "--format=%(refname) %(objectname)"), "\n")
		if len(refs) != 551 {
			t.Fatalf("%d refs", len(refs))
		}
		for _, line := range refs {
			name, want, _ := strings.Cut(line, " ")
			if got, err := r.Ref(t.Context(), name); err != nil || got.String() != want {
				t.Errorf("%s: %s, %v; want %s", name, got, err, want)
			}
			for _, none := range []string{name + "0", name[:len(name)-1] + "~"[:0] + "!"} {
				if got, err := r.Ref(t.Context(), none); err == nil && !strings.Contains(strings.Join(refs, "\n"), none+" ") {
					t.Errorf("%s, which does not exist: %s", none, got)
				}
			}
		}
		for _, none := range []string{"refs/a", "refs/zzz", "refs/heads/x", "refs/tags/t"} {
			if _, err := r.Ref(t.Context(), none); !errors.Is(err, ErrNoRef) {
				t.Errorf("%s: error %v, want ErrNoRef", none, err)
			}
		}
	}
	check()
	path := filepath.Join(f.dir, ".git/packed-refs")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.write(".git/packed-refs", strings.Replace(string(data), " sorted", "", 1)) // as old gits write it
	check()
}

func TestSymbolicRefsAreFollowedToWhereTheyEnd(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	f.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
	f.git("symbolic-ref", "refs/heads/alias2", "refs/heads/alias")
	f.git("symbolic-ref", "refs/heads/dangling", "refs/heads/protected")
	bare := f.bareClone("server.git")
	for _, name := range []string{"alias", "alias2", "dangling"} {
		target := f.git("symbolic-ref", "refs/heads/"+name)
		bare.git("symbolic-ref", "refs/heads/"+name, target)
	}
	native := bare.hook().Server()
	native.light = false
	for _, r := range []*Repo{f.withoutGit(), bare.withoutGit("GIT_DIR=."), native} {
		for name, want := range map[string]string{
			"HEAD": "refs/heads/main", "refs/heads/alias": "refs/heads/main", "refs/heads/alias2": "refs/heads/main",
			"refs/heads/dangling": "refs/heads/protected", "refs/heads/main": "", "refs/heads/none": "",
		} {
			if got, err := r.Symref(t.Context(), name); err != nil || got != want {
				t.Errorf("%s points at %q, %v; want %q", name, got, err, want)
			}
		}
	}
}

func TestNamesThatAreNotRefsAreRefused(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	r := f.hook()
	for _, name := range []string{"", "-x", "main", "../x", "refs/../config", "refs/heads/../../config", "refs//x", "refs/heads/", "refs/heads/x.lock",
		"refs/heads/a b", "refs/heads/x^{}", "refs/heads/x@{1}", "refs/heads/\x01", "config", "HEAD~1", `refs\heads`, "refs/heads/x:y"} {
		if got, err := r.Ref(t.Context(), name); err == nil {
			t.Errorf("%q is %s", name, got)
		}
		if got, err := r.Symref(t.Context(), name); err == nil {
			t.Errorf("%q points at %q", name, got)
		}
		if err := r.UpdateRef(t.Context(), name, f.id("HEAD"), "", "x"); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

func TestTheHeadsOfAMergeAreListed(t *testing.T) {
	f := newFixture(t)
	f.commit("base", "1")
	var want []change.ID
	for _, b := range []string{"one", "two"} {
		f.git("checkout", "-q", "-b", b, "main")
		want = append(want, f.commit(b, "x"))
	}
	f.git("checkout", "-q", "main")
	f.commit("ours", "x")
	if got, err := f.withoutGit().MergeHeads(); err != nil || got != nil {
		t.Errorf("no merge: %v, %v", got, err)
	}
	f.git("merge", "-q", "--no-commit", "one", "two")
	got, err := f.withoutGit().MergeHeads()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestRefsAreListed(t *testing.T) {
	f := newFixture(t)
	tip := f.commit("a", "1")
	f.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
	f.git("tag", "-a", "-m", "m", "v1")
	var got []Ref
	for ref, err := range f.hook().Server().Refs(t.Context(), "refs/heads/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ref)
	}
	if want := fmt.Sprint([]Ref{{"refs/heads/alias", tip, "refs/heads/main"}, {"refs/heads/main", tip, ""}}); fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	n := 0
	for range f.hook().Refs(t.Context()) {
		if n++; n == 2 {
			break
		}
	}
}

func TestRevisionsAreResolved(t *testing.T) {
	f := newFixture(t)
	first := f.commit("a", "1")
	second := f.commit("a", "2")
	f.git("tag", "-a", "-m", "m", "v1")
	r := f.hook()
	for rev, want := range map[string]change.ID{"HEAD": second, "main~1": first, "v1": second, second.String()[:10]: second} {
		if got, err := r.Resolve(t.Context(), rev); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", rev, got, err, want)
		}
	}
	for _, rev := range []string{"", "nowhere", "--all", "-n1", "HEAD^{tree}", "HEAD:a", "nowhere..main"} {
		if got, err := r.Resolve(t.Context(), rev); !errors.Is(err, ErrNoRef) {
			t.Errorf("%q: %s, error %v, want ErrNoRef", rev, got, err)
		}
	}
	include, exclude, err := r.Range(t.Context(), "HEAD~1..v1")
	if err != nil || len(include) != 1 || len(exclude) != 1 || exclude[0] != first {
		t.Errorf("%v %v %v", include, exclude, err)
	}
	for _, spec := range []string{"--all", "nowhere..HEAD", "", "nowhere", "a"} {
		if include, exclude, err := r.Range(t.Context(), spec); err == nil {
			t.Errorf("%q: %v %v", spec, include, exclude)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	for _, refs := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("%d packed refs", refs), func(b *testing.B) {
			f := newFixture(b)
			id := f.commit("a", "1")
			var list strings.Builder
			for i := range refs {
				fmt.Fprintf(&list, "create refs/heads/b%d %s\n", i, id)
			}
			f.gitIn(list.String(), "update-ref", "--stdin")
			f.git("pack-refs", "--all", "--prune")
			r := f.withoutGit()
			b.ReportAllocs()
			for b.Loop() {
				if _, got, err := r.Head(b.Context()); err != nil || got != id {
					b.Fatal(got, err)
				}
			}
		})
	}
}
