package commitmsg_test

import (
	"strings"
	"testing"
)

// An operation makes commits; after it, those from base to HEAD bind as wanted,
// oldest first.
type operation struct {
	name string
	do   func(w *world)
	want string
}

// fixture is a repository with a main branch, one that merges cleanly, one that
// conflicts, and a change in the index.
func fixture(t *testing.T) *world {
	w := newWorld(t)
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
	return w
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
		{"commit -m", run("commit", "-qm", "x"), "exact"},
		{"commit in an editor", func(w *world) {
			w.editing(`echo Subject >"$1.new"; cat "$1" >>"$1.new"; mv "$1.new" "$1"`).git("commit", "-q")
		}, "exact"},
		{"commit -a", func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-qam", "x") }, "exact"},
		{"commit -- path", func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-qm", "x", "--", "a.txt") }, "exact"},
		{"commit --include", func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-qm", "x", "-i", "a.txt") }, "exact"},
		{"commit -F -", func(w *world) {
			if _, stderr, err := w.run("x\n\nbody\n", "commit", "-qF", "-"); err != nil {
				w.t.Fatal(stderr)
			}
		}, "exact"},
		{"commit -t", func(w *world) {
			w.put("template", "Subject\n\n# a template\nbody\n", 0o644)
			w.editing("echo more >>\"$1\"").git("commit", "-q", "-t", w.home+"/template")
		}, "exact"},
		{"commit -C", run("commit", "-q", "-C", "topic"), "exact"},
		{"commit -C HEAD", run("commit", "-q", "-C", "HEAD"), "exact"},
		{"commit -c", func(w *world) { w.editing("true").git("commit", "-q", "-c", "topic") }, "exact"},
		{"commit --fixup", run("commit", "-q", "--fixup", "HEAD"), "exact"},
		{"commit --fixup=reword", func(w *world) { w.editing("true").git("commit", "-q", "--fixup=reword:HEAD") }, "exact"},
		{"commit --squash", run("commit", "-q", "--squash", "HEAD", "-m", "x"), "exact"},
		{"commit --allow-empty", plain(run("commit", "-q", "--allow-empty", "-m", "x")), "exact"},
		{"commit -v", func(w *world) { w.editing(`sed -i "1s/^/Subject/" "$1"`).git("commit", "-q", "-v") }, "exact"},
		{"commit --cleanup=verbatim", run("commit", "-q", "--cleanup=verbatim", "-m", "x\n# kept"), "exact"},
		{"commit --cleanup=scissors", func(w *world) {
			w.editing(`sed -i "1s/^/Subject/" "$1"`).git("commit", "-q", "--cleanup=scissors")
		}, "exact"},
		{"commit with another comment character", func(w *world) {
			w.git("config", "core.commentChar", ";")
			w.editing(`sed -i "1s/^/Subject/" "$1"`).git("commit", "-q")
		}, "exact"},
		{"commit --no-verify", run("commit", "-q", "--no-verify", "-m", "x"), "exact"},
		{"commit -n in an editor", func(w *world) {
			w.editing(`sed -i "1s/^/Subject\n\n/" "$1"`).git("commit", "-q", "-n", "-m", "x", "-e")
		}, "exact"},
		{"commit --amend --no-edit", run("commit", "-q", "--amend", "--no-edit"), "exact"},
		{"commit --amend in an editor", func(w *world) { w.editing("true").git("commit", "-q", "--amend") }, "exact"},
		{"commit --amend -m", run("commit", "-q", "--amend", "-m", "x"), "exact"},
		{"commit --amend -a", func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-q", "--amend", "-a", "--no-edit") }, "exact"},
		{"commit --amend of the message only", plain(run("commit", "-q", "--amend", "-m", "x")), "exact"},
		{"commit --am, cut short", run("commit", "-q", "--am", "--no-e"), "exact"},
		{"commit -m --amend, which is a message", run("commit", "-q", "-m", "--amend"), "exact"},
		{"commit --amend -n", run("commit", "-q", "--amend", "-n", "--no-edit"), "exact"},
		{"commit in a subdirectory", func(w *world) {
			w.write("sub/x", "x\n")
			w.in("sub").git("add", ".")
			w.in("sub").git("commit", "-qm", "x")
		}, "exact"},
		{"commit with an index of the user's", func(w *world) {
			other := w.with("GIT_INDEX_FILE=" + w.home + "/ix")
			other.git("read-tree", "HEAD")
			other.git("commit", "-q", "--allow-empty", "-m", "x")
		}, "exact"},
		{"commit with GIT_DIR and GIT_WORK_TREE", func(w *world) {
			w.with("GIT_DIR="+w.dir+"/.git", "GIT_WORK_TREE="+w.dir).git("commit", "-qm", "x")
		}, "exact"},
		{"commit behind an alias", run("-c", "alias.ci=commit --amend", "ci", "-q", "-m", "x"), "exact"},
		{"commit with GIT_EDITOR=:", func(w *world) {
			w.put("template", "Subject\n\n# a template\n", 0o644)
			w.with("GIT_EDITOR=:").git("commit", "-q", "--amend")
		}, "exact"},

		{"merge", plain(run("merge", "-q", "--no-ff", "topic")), "exact exact exact exact"},
		{"merge in an editor", plain(func(w *world) { w.editing("true").git("merge", "-q", "--no-ff", "--edit", "topic") }), "exact exact exact exact"},
		{"merge -m", plain(run("merge", "-q", "-m", "x", "topic")), "exact exact exact exact"},
		{"merge --no-verify", plain(run("merge", "-q", "--no-verify", "--no-edit", "topic")), "exact exact exact exact"},
		{"merge --no-commit, then commit", plain(func(w *world) {
			w.git("merge", "-q", "--no-commit", "topic")
			w.git("commit", "-q", "--no-edit")
		}), "exact exact exact exact"},
		{"merge of two branches", plain(func(w *world) {
			w.git("branch", "o1", "base~2")
			w.git("checkout", "-q", "o1")
			w.commit("o1.txt", "o\n", "O1")
			w.git("checkout", "-q", "main")
			w.git("merge", "-q", "--no-edit", "topic", "o1")
		}), "exact exact exact exact exact"},
		{"merge of two branches that HEAD is an ancestor of", plain(func(w *world) {
			w.git("checkout", "-q", "-b", "o1")
			w.commit("o1.txt", "o\n", "O1")
			w.git("checkout", "-q", "-b", "o2", "base")
			w.commit("o2.txt", "o\n", "O2")
			w.git("checkout", "-q", "main")
			w.git("merge", "-q", "--no-edit", "o1", "o2")
		}), "exact exact exact"},
		{"merge -s ours", plain(run("merge", "-q", "-s", "ours", "--no-edit", "conf")), "exact exact"},
		{"merge conflict, commit", plain(func(w *world) {
			w.conflict("merge", "-q", "conf")
			resolve(w)
			w.git("commit", "-q", "--no-edit")
		}), "exact exact"},
		{"merge conflict, merge --continue", plain(func(w *world) {
			w.conflict("merge", "-q", "conf")
			resolve(w)
			w.editing("true").git("merge", "--continue")
		}), "exact exact"},
		{"merge --squash, commit", plain(func(w *world) {
			w.git("merge", "-q", "--squash", "topic")
			w.git("commit", "-q", "--no-edit")
		}), "exact"},
		{"merge --squash, commit in an editor", plain(func(w *world) {
			w.git("merge", "-q", "--squash", "topic")
			w.editing("true").git("commit", "-q")
		}), "exact"},
		{"merge --squash, commit -m", plain(func(w *world) {
			w.git("merge", "-q", "--squash", "topic")
			w.git("commit", "-q", "-m", "x")
		}), "exact"},
		{"pull with a merge", plain(run("pull", "-q", "--no-rebase", "--no-edit", ".", "topic")), "exact exact exact exact"},
		{"pull --rebase", plain(func(w *world) {
			w.git("checkout", "-q", "topic")
			w.git("pull", "-q", "--rebase", ".", "main")
		}), "change change change"},

		{"cherry-pick", plain(run("cherry-pick", "topic")), "change"},
		{"cherry-pick of several", plain(run("cherry-pick", "topic~2..topic")), "change change"},
		{"cherry-pick -x", plain(run("cherry-pick", "-x", "topic")), "change"},
		{"cherry-pick -s", plain(run("cherry-pick", "-s", "topic")), "change"},
		{"cherry-pick -e", plain(func(w *world) { w.editing("true").git("cherry-pick", "-e", "topic") }), "change"},
		{"cherry-pick -n, commit", plain(func(w *world) { w.git("cherry-pick", "-n", "topic"); w.git("commit", "-qm", "x") }), "exact"},
		{"cherry-pick conflict, --continue", plain(func(w *world) {
			w.conflict("cherry-pick", "conf")
			resolve(w)
			w.editing("true").git("cherry-pick", "--continue")
		}), "exact"},
		{"cherry-pick conflict, commit", plain(func(w *world) {
			w.conflict("cherry-pick", "conf")
			resolve(w)
			w.git("commit", "-q", "--no-edit")
		}), "exact"},
		{"revert", plain(run("revert", "--no-edit", "HEAD")), "exact"},
		{"revert in an editor", plain(func(w *world) { w.editing("true").git("revert", "-e", "HEAD") }), "exact"},
		{"revert -n, commit", plain(func(w *world) { w.git("revert", "-n", "HEAD"); w.git("commit", "-q", "--no-edit") }), "exact"},
		{"revert conflict, --continue", plain(func(w *world) {
			w.conflict("revert", "--no-edit", "base~2")
			resolve(w)
			w.editing("true").git("revert", "--continue")
		}), "exact"},

		{"rebase", plain(run("rebase", "-q", "main", "topic")), "change change change"},
		{"rebase --force-rebase", plain(func(w *world) {
			w.with("GIT_COMMITTER_DATE=2026-02-03T04:05:06Z").git("rebase", "-q", "--force-rebase", "base~2")
			w.git("tag", "-f", "base", "base~2")
		}), "exact exact"},
		{"rebase --signoff", plain(run("rebase", "-q", "--signoff", "main", "topic")), "change change change"},
		{"rebase --no-verify", plain(run("rebase", "-q", "--no-verify", "main", "topic")), "change change change"},
		{"rebase --exec amend", plain(run("rebase", "-q", "--exec", "git commit -q --amend --no-edit", "main", "topic")), "change change change"},
		{"rebase -i reword", plain(func(w *world) {
			w.todo("1s/pick/reword/").editing(`sed -i "1s/.*/Reworded/" "$1"`).git("rebase", "-q", "-i", "main", "topic")
		}), "change change change"},
		{"rebase -i reorder", plain(func(w *world) { w.todo("1{h;d};2{G}").git("rebase", "-q", "-i", "main", "topic") }), "change change change"},
		{"rebase -i drop", plain(func(w *world) { w.todo("1d").git("rebase", "-q", "-i", "main", "topic") }), "change change"},
		{"rebase -i squash", plain(func(w *world) {
			w.todo("2s/pick/squash/").editing("true").git("rebase", "-q", "-i", "main", "topic")
		}), "exact change"},
		{"rebase -i fixup", plain(func(w *world) { w.todo("2s/pick/fixup/").git("rebase", "-q", "-i", "main", "topic") }), "exact change"},
		{"rebase -i fixup -C", plain(func(w *world) { w.todo("2s/pick/fixup -C/").git("rebase", "-q", "-i", "main", "topic") }), "exact change"},
		{"rebase -i squash of three", plain(func(w *world) {
			w.todo("2,3s/pick/squash/").editing("true").git("rebase", "-q", "-i", "main", "topic")
		}), "exact"},
		{"rebase -i edit", plain(func(w *world) {
			w.todo("1s/pick/edit/").git("rebase", "-q", "-i", "main", "topic")
			w.add("edited.txt", "x\n")
			w.git("commit", "-q", "--amend", "--no-edit")
			w.git("rebase", "--continue")
		}), "exact change change"},
		{"rebase --autosquash", plain(func(w *world) {
			w.git("checkout", "-q", "topic")
			w.add("t1.txt", "uno\n")
			w.git("commit", "-q", "--fixup", "topic~2")
			w.todo("").git("rebase", "-q", "-i", "--autosquash", "main")
		}), "exact change change"},
		{"rebase --rebase-merges", plain(func(w *world) {
			w.git("checkout", "-q", "-b", "side", "topic~2")
			w.commit("side.txt", "s\n", "Side")
			w.git("checkout", "-q", "topic")
			w.git("merge", "-q", "--no-edit", "side")
			w.git("rebase", "-q", "--rebase-merges", "main")
		}), "change change change change exact"},
		{"rebase --root", plain(func(w *world) {
			w.git("rebase", "-q", "--root", "--force-rebase")
			w.git("tag", "-d", "base")
		}), "exact exact exact"},
		{"rebase --root onto", plain(func(w *world) {
			w.git("checkout", "-q", "--orphan", "other")
			w.git("rm", "-rfq", ".")
			w.commit("other.txt", "other\n", "Other root")
			w.git("rebase", "-q", "--root", "--onto", "other", "main")
			w.git("tag", "-f", "base", "other")
		}), "change change change"},
		{"rebase conflict, --continue", plain(func(w *world) {
			w.conflict("rebase", "-q", "main", "conf")
			resolve(w)
			w.editing("true").git("rebase", "--continue")
		}), "exact"},
		{"apply, commit", plain(func(w *world) {
			patch := w.git("diff", "topic~1", "topic")
			if _, stderr, err := w.run(patch+"\n", "apply", "--index"); err != nil {
				w.t.Fatal(stderr)
			}
			w.git("commit", "-qm", "x")
		}), "exact"},
		{"am", plain(func(w *world) {
			patch := w.git("format-patch", "--stdout", "topic~1..topic")
			if _, stderr, err := w.run(patch+"\n", "am", "-q"); err != nil {
				w.t.Fatal(stderr)
			}
		}), "change"},
		{"rebase --apply", plain(run("rebase", "-q", "--apply", "main", "topic")), "change change change"},
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
