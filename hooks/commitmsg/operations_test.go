package commitmsg_test

import (
	"strings"
	"testing"
)

// An operation makes commits, in a way of which git's table of operations knows
// nothing (see rows); after it, those from base to HEAD bind as wanted, oldest first.
type operation struct {
	name string
	do   func(w *world)
	want string
}

// fixture is a repository with a main branch, one that merges cleanly, one that
// conflicts, and a change in the index.
func fixture(t *testing.T) *world {
	w := newWorld(t)
	w.furnish()
	return w
}

func (w *world) furnish() {
	w.commit("a.txt", lines(1, 20), "Root")
	w.commit("b.txt", lines(1, 5), "Second")
	w.git("checkout", "-q", "-b", "topic")
	w.commit("t1.txt", "one\n", "Topic one")
	w.commit("t2.txt", "two\n", "Topic two")
	w.commit("t3.txt", "three\n", "Topic three")
	w.git("checkout", "-q", "-b", "conf", "main")
	w.commit("a.txt", "other\n"+lines(2, 20), "Conflicting")
	w.git("checkout", "-q", "main")
	w.commit("a.txt", "mine\n"+lines(2, 20), "Third")
	w.git("tag", "base")
	w.add("new.txt", lines(1, 50))
}

func run(args ...string) func(*world) {
	return func(w *world) { w.git(args...) }
}

// plain is the fixture's work tree without the change in the index.
func plain(do func(w *world)) func(*world) {
	return func(w *world) {
		w.git("reset", "-q", "--hard")
		do(w)
	}
}

func resolve(w *world) { w.add("a.txt", "both\n"+lines(2, 20)) }

func operations() []operation {
	return []operation{
		{"commit -C HEAD", run("commit", "-q", "-C", "HEAD"), "exact"},
		{"commit --cleanup=scissors", func(w *world) {
			w.editing(`sed -i "1s/^/Subject/" "$1"`).git("commit", "-q", "--cleanup=scissors")
		}, "exact"},
		{"commit with another comment character", func(w *world) {
			w.git("config", "core.commentChar", ";")
			w.editing(`sed -i "1s/^/Subject/" "$1"`).git("commit", "-q")
		}, "exact"},
		{"commit -n in an editor", func(w *world) {
			w.editing(`sed -i "1s/^/Subject\n\n/" "$1"`).git("commit", "-q", "-n", "-m", "x", "-e")
		}, "exact"},
		{"commit --amend of the message only", plain(run("commit", "-q", "--amend", "-m", "x")), "exact"},
		{"commit --am, cut short", run("commit", "-q", "--am", "--no-e"), "exact"},
		{"commit -m --amend, which is a message", run("commit", "-q", "-m", "--amend"), "exact"},
		{"commit --amend -n", run("commit", "-q", "--amend", "-n", "--no-edit"), "exact"},
		{"commit behind an alias", run("-c", "alias.ci=commit --amend", "ci", "-q", "-m", "x"), "exact"},
		{"commit with GIT_EDITOR=:", func(w *world) {
			w.put("template", "Subject\n\n# a template\n", 0o644)
			w.with("GIT_EDITOR=:").git("commit", "-q", "--amend")
		}, "exact"},
		{"merge of two branches that HEAD is an ancestor of", plain(func(w *world) {
			w.git("checkout", "-q", "-b", "o1")
			w.commit("o1.txt", "o\n", "O1")
			w.git("checkout", "-q", "-b", "o2", "base")
			w.commit("o2.txt", "o\n", "O2")
			w.git("checkout", "-q", "main")
			w.git("merge", "-q", "--no-edit", "o1", "o2")
		}), "exact exact exact"},
		{"merge --squash, commit in an editor", plain(func(w *world) {
			w.git("merge", "-q", "--squash", "topic")
			w.editing("true").git("commit", "-q")
		}), "exact"},
		{"merge --squash, commit -m", plain(func(w *world) {
			w.git("merge", "-q", "--squash", "topic")
			w.git("commit", "-q", "-m", "x")
		}), "exact"},
		{"rebase -i squash of three", plain(func(w *world) {
			w.todo("2,3s/pick/squash/").editing("true").git("rebase", "-q", "-i", "main", "topic")
		}), "exact"},
		{"rebase --root onto", plain(func(w *world) {
			w.git("checkout", "-q", "--orphan", "other")
			w.git("rm", "-rfq", ".")
			w.commit("other.txt", "other\n", "Other root")
			w.git("rebase", "-q", "--root", "--onto", "other", "main")
			w.git("tag", "-f", "base", "other")
		}), "change change change"},
		{"split commit", plain(func(w *world) {
			w.git("reset", "-q", "HEAD^")
			w.git("commit", "-qam", "again")
		}), "exact"},
	}
}

func TestOperations(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			w := fixture(t)
			op.do(w)
			// An amend replaces base, which is then no ancestor.
			revs := w.git("rev-list", "--reverse", "--topo-order", "HEAD", "--not", "--ignore-missing", "refs/tags/base")
			var got []string
			for _, rev := range strings.Fields(revs) {
				got = append(got, w.binding(rev))
			}
			if got := strings.Join(got, " "); got != op.want {
				t.Errorf("got %q, want %q\n%s\n%s", got, op.want, *w.stderr, w.git("log", "--format=%h %s%n%(trailers)", "-3"))
			}
			if left := w.git("status", "--porcelain"); strings.Contains(left, "gatekeeper") {
				t.Errorf("left in the work tree: %s", left)
			}
		})
	}
}
