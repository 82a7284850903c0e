package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

func TestMergesAreThoseOfGit(t *testing.T) {
	f := newFixture(t)
	f.commit("base", f.lines(20))
	base := f.id("HEAD")
	f.commit("ours", "1")
	ours := f.id("HEAD")
	f.git("checkout", "-q", "-b", "theirs", base.String())
	f.commit("theirs", "2")
	theirs := f.id("HEAD")
	f.git("merge", "-q", "-m", "m", "main")
	want := f.id("HEAD^{tree}")
	for _, r := range []*Repo{f.hook(), f.hook().Server()} {
		if tree, clean, err := r.MergeTree(t.Context(), theirs, ours); err != nil || !clean || tree != want {
			t.Errorf("clean merge: %s %v %v, want %s", tree, clean, err, want)
		}
	}
	f.git("checkout", "-q", "-b", "conflict", base.String())
	f.commit("ours", "another")
	if _, clean, err := f.hook().MergeTree(t.Context(), f.id("HEAD"), ours); err != nil || clean {
		t.Errorf("conflict: clean %v, %v", clean, err)
	}
	f.git("checkout", "-q", "--orphan", "unrelated")
	f.git("rm", "-rfq", ".")
	f.commit("elsewhere", "x")
	if tree, clean, err := f.hook().MergeTree(t.Context(), f.id("HEAD"), ours); err != nil || !clean || tree == "" {
		t.Errorf("unrelated histories: %s %v, %v", tree, clean, err)
	}
	if _, _, err := f.hook().MergeTree(t.Context(), objectID("commit", nil, 20), ours); err == nil {
		t.Error("a commit that is not there was merged")
	}
}

// Nothing that is pushed may start a program or choose how it is merged, even
// where the server's own configuration has merge drivers.
func TestPushedAttributesDoNotChooseAMergeDriver(t *testing.T) {
	f := newFixture(t)
	mark := filepath.Join(f.home, "driver-ran")
	f.write(".gitattributes", "* merge=evil\n*.u merge=union\n* filter=evil diff=evil\n")
	f.commit("both.u", "a\nb\nc\n")
	base := f.id("HEAD")
	f.commit("both.u", "a\nours\nc\n")
	ours := f.id("HEAD")
	f.git("checkout", "-q", "-b", "theirs", base.String())
	f.commit("both.u", "a\ntheirs\nc\n")
	theirs := f.id("HEAD")
	server := f.bareClone("server.git")
	for _, g := range []*fixture{f, server} {
		g.git("fetch", "-q", f.dir, "main:main")
		for _, kv := range []string{"merge.evil.driver", "diff.evil.command", "filter.evil.smudge", "filter.evil.clean", "core.fsmonitor", "core.sshCommand"} {
			g.git("config", kv, "touch '"+mark+"'; false")
		}
		g.git("config", "filter.evil.required", "true")
		for name, r := range map[string]*Repo{"server": g.hook().Server(), "client": g.hook()} {
			_, clean, err := r.MergeTree(t.Context(), theirs, ours)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Errorf("%s in %s: a driver ran", name, filepath.Base(g.dir))
				os.Remove(mark)
			}
			if clean {
				t.Errorf("%s in %s: pushed attributes made a conflict clean", name, filepath.Base(g.dir))
			}
		}
	}
}

// Whoever can write there could do more; but what a merge comes to must not hang on it.
func TestARepositorysOwnSettingsChangeNoMerge(t *testing.T) {
	f := newFixture(t)
	mark := filepath.Join(f.home, "driver-ran")
	f.commit("both", "a\nb\nc\nd\ne\n")
	base := f.id("HEAD")
	f.commit("both", "A\nb\nc\nd\ne\n")
	ours := f.id("HEAD")
	f.git("checkout", "-q", "-b", "theirs", base.String())
	f.commit("both", "a\nb\nc\nd\nE\n")
	theirs := f.id("HEAD")
	f.git("merge", "-q", "-m", "Merge", ours.String())
	want := f.id("HEAD^{tree}")
	for _, g := range []*fixture{f, f.bareClone("server.git")} {
		gitDir := g.hook().GitDir
		if err := os.MkdirAll(filepath.Join(gitDir, "info"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(gitDir, "info", "attributes"), []byte("* merge=evil\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		g.git("config", "merge.evil.driver", "touch '"+mark+"'")
		tree, clean, err := g.hook().Server().MergeTree(t.Context(), theirs, ours)
		if err != nil || !clean || tree != want {
			t.Errorf("%s: tree %s, clean %v, %v; want %s", filepath.Base(g.dir), tree, clean, err, want)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Errorf("%s: the driver ran", filepath.Base(g.dir))
		}
	}
}

func TestNothingOfARepositoryRunsInPlumbing(t *testing.T) {
	f := newFixture(t)
	mark := filepath.Join(f.home, "ran")
	tip := f.commit("a", "1")
	run := "touch '" + mark + "'"
	f.write(".git/hooks/reference-transaction", "#!/bin/sh\n"+run+"\n")
	f.write(".git/hooks/post-index-change", "#!/bin/sh\n"+run+"\n")
	for _, h := range []string{"reference-transaction", "post-index-change"} {
		if err := os.Chmod(filepath.Join(f.dir, ".git/hooks", h), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.git("config", "core.fsmonitor", run)
	f.git("config", "core.alternateRefsCommand", run)
	f.git("config", "core.pager", run)
	r := f.hook("GIT_TRACE=1", "GIT_EXTERNAL_DIFF="+run, "GIT_PAGER="+run, "GIT_CONFIG="+os.DevNull)
	os.Remove(mark)
	if err := r.UpdateRef(t.Context(), "refs/gatekeeper/policy", tip, "", "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriteTree(t.Context(), f.index()); err != nil {
		t.Fatal(err)
	}
	if out, err := r.output(t.Context(), nil, "diff-tree", "-p", "--root", "--end-of-options", tip.String()); err != nil || !strings.Contains(out, "+1") {
		t.Fatal(out, err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("something ran")
	}
}

func TestReplacementsAndGraftsAreNotSeen(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	first := f.id("HEAD")
	real := f.commit("a", "2")
	tree := f.id("HEAD^{tree}")
	f.git("replace", real.String(), first.String())
	f.write(".git/info/grafts", real.String()+"\n")
	reader := f.hook("GIT_GRAFT_FILE=" + filepath.Join(f.dir, ".git/info/grafts")).Server().Reader()
	defer reader.Close()
	if got, err := reader.TreeOf(t.Context(), real); err != nil || got != tree {
		t.Errorf("tree %s, %v; want the real one %s", got, err, tree)
	}
	var walked []change.ID
	for c, err := range reader.Commits(t.Context(), []change.ID{real}, nil, 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		walked = append(walked, c.ID)
	}
	if !slices.Contains(walked, first) {
		t.Errorf("a graft hides a commit: walked %s", walked)
	}
}

// A repository of another user is refused where git must find it, and read where
// a hook was told of it.
func TestAnotherUsersRepositoryIsReadWhenNamed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can give a repository away")
		return
	}
	f := newFixture(t)
	tip := f.commit("a", "1")
	server := f.bareClone("server.git")
	err := filepath.Walk(server.dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 12345, 12345)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), server.dir, server.env); err == nil || !strings.Contains(err.Error(), "dubious ownership") {
		t.Errorf("error %v, want git's own about the owner", err)
	}
	reader := server.hook("GIT_DIR=.").Server().Reader()
	defer reader.Close()
	if _, err := reader.TreeOf(t.Context(), tip); err != nil {
		t.Error(err)
	}
}

// Ten levels of ten equal entries are ten objects and 10^10 paths, and git looks at
// each of them for a file that was renamed. That ends in an error, not in all the
// memory of the server.
func TestAMergeOfPathsWithoutNumberEnds(t *testing.T) {
	f := newFixture(t)
	blob := func(text string) string { return strings.TrimSpace(f.gitIn(text, "hash-object", "-w", "--stdin")) }
	tree := func(entries ...string) string {
		return strings.TrimSpace(f.gitIn(strings.Join(entries, "\n")+"\n", "mktree"))
	}
	file, changed := blob(strings.Repeat("line\n", 9)), blob(strings.Repeat("line\n", 9)+"more\n")
	keep := "100644 blob " + file + "\tkeep"
	bomb, kind := blob("x\n"), "100644 blob "
	for range 10 {
		var entries []string
		for i := range 10 {
			entries = append(entries, fmt.Sprintf("%s%s\tn%d", kind, bomb, i))
		}
		bomb, kind = tree(entries...), "040000 tree "
	}
	base := strings.TrimSpace(f.git("commit-tree", "-m", "base", tree("100644 blob "+file+"\tf", keep)))
	gone := strings.TrimSpace(f.git("commit-tree", "-m", "gone", "-p", base, tree(kind+bomb+"\tbomb", keep)))
	edit := strings.TrimSpace(f.git("commit-tree", "-m", "edit", "-p", base, tree("100644 blob "+changed+"\tf", keep)))
	if merged, clean, err := f.hook().MergeTree(t.Context(), f.id(gone), f.id(edit)); err == nil && clean {
		t.Errorf("merged to %s", merged)
	} else if err != nil && !strings.Contains(err.Error(), "git merge-tree") {
		t.Errorf("the error does not say what failed: %v", err)
	}
}
