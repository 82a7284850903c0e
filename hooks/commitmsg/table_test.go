package commitmsg_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of operations in README anew")

// A row is one of the operations of testdata/operations/hooks.md, which says what
// hooks git runs for each. do runs it in the fixture and returns the revisions whose
// commits it made; they bind as wanted, oldest first.
type row struct {
	name string
	do   func(w *world) string
	want string
	why  string // with none: why no hook could help
}

// sinceBase are the commits that HEAD has and the fixture's main had not.
const sinceBase = "HEAD --not refs/tags/base"

func on(revs string, do func(w *world)) func(w *world) string {
	return func(w *world) string {
		do(w)
		return revs
	}
}

func commits(do func(w *world)) func(w *world) string { return on(sinceBase, do) }

// amends are commits in the place of HEAD, so the fixture's own is not among them.
func amends(do func(w *world)) func(w *world) string { return on("--max-count=1 HEAD", do) }

func clean(do func(w *world)) func(w *world) string { return commits(plain(do)) }

// onTopic are the commits of topic that main has not.
func onTopic(do func(w *world)) func(w *world) string { return on("topic --not main", plain(do)) }

func onConf(do func(w *world)) func(w *world) string { return on("conf --not main", plain(do)) }

const (
	noCommit = "no commit"
	switched = "the hooks are switched off"
	plumbing = "plumbing calls no hook"
)

func rows() []row {
	return []row{
		{"commit -m", commits(run("commit", "-qm", "x")), "exact", ""},
		{"commit (editor)", commits(func(w *world) { w.subject().git("commit", "-q") }), "exact", ""},
		{"commit -a -m", commits(func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-qam", "x") }), "exact", ""},
		{"commit -m -- path", commits(func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-qm", "x", "--", "a.txt") }), "exact", ""},
		{"commit -p/-i path (--include)", commits(func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-qm", "x", "-i", "a.txt") }), "exact", ""},
		{"commit -F file", commits(func(w *world) { w.put("message", "x\n\nbody\n", 0o644); w.git("commit", "-qF", w.home+"/message") }), "exact", ""},
		{"commit -F - (stdin)", commits(func(w *world) { w.feed("x\n\nbody\n", "commit", "-qF", "-") }), "exact", ""},
		{"commit -t template (editor)", commits(func(w *world) {
			w.put("template", "Subject\n\n# a template\nbody\n", 0o644)
			w.editing(`echo more >>"$1"`).git("commit", "-q", "-t", w.home+"/template")
		}), "exact", ""},
		{"commit -C topic", commits(run("commit", "-q", "-C", "topic")), "exact", ""},
		{"commit -c topic (editor)", commits(func(w *world) { w.editing("true").git("commit", "-q", "-c", "topic") }), "exact", ""},
		{"commit --fixup HEAD", commits(run("commit", "-q", "--fixup", "HEAD")), "exact", ""},
		{"commit --fixup=reword:HEAD", commits(func(w *world) { w.editing("true").git("commit", "-q", "--fixup=reword:HEAD") }), "exact", ""},
		{"commit --squash HEAD -m", commits(run("commit", "-q", "--squash", "HEAD", "-m", "x")), "exact", ""},
		{"commit --allow-empty", clean(run("commit", "-q", "--allow-empty", "-m", "x")), "exact", ""},
		{"commit --dry-run", commits(run("commit", "-q", "--dry-run")), noCommit, ""},
		{"commit -v (verbose diff in file)", commits(func(w *world) { w.subject().git("commit", "-q", "-v") }), "exact", ""},
		{"commit --cleanup=verbatim -m", commits(run("commit", "-q", "--cleanup=verbatim", "-m", "x\n# kept")), "exact", ""},
		{"commit --amend --no-edit", amends(run("commit", "-q", "--amend", "--no-edit")), "exact", ""},
		{"commit --amend (editor)", amends(func(w *world) { w.editing("true").git("commit", "-q", "--amend") }), "exact", ""},
		{"commit --amend -m", amends(run("commit", "-q", "--amend", "-m", "x")), "exact", ""},
		{"commit --amend -a --no-edit", amends(func(w *world) { w.write("a.txt", "z\n"); w.git("commit", "-q", "--amend", "-a", "--no-edit") }), "exact", ""},
		{"commit --no-verify -m", commits(run("commit", "-q", "--no-verify", "-m", "x")), "exact", ""},
		{"commit --amend --no-verify --no-edit", amends(run("commit", "-q", "--amend", "--no-verify", "--no-edit")), "exact", ""},
		{"commit --no-post-rewrite --amend", amends(run("commit", "-q", "--no-post-rewrite", "--amend", "--no-edit")), "exact", ""},
		{"commit in subdirectory", commits(func(w *world) {
			w.write("sub/x", "x\n")
			w.in("sub").git("add", ".")
			w.in("sub").git("commit", "-qm", "x")
		}), "exact", ""},
		{"commit with GIT_INDEX_FILE set by user", clean(func(w *world) {
			other := w.with("GIT_INDEX_FILE=" + w.home + "/ix")
			other.git("read-tree", "HEAD")
			other.git("commit", "-q", "--allow-empty", "-m", "x")
		}), "exact", ""},
		{"commit with GIT_DIR/WORK_TREE set", commits(func(w *world) {
			w.with("GIT_DIR="+w.dir+"/.git", "GIT_WORK_TREE="+w.dir).git("commit", "-qm", "x")
		}), "exact", ""},
		{"commit in linked worktree", on("linked --not main", func(w *world) {
			w.git("worktree", "add", "-q", "-b", "linked", w.home+"/wt")
			other := *w
			other.dir = w.home + "/wt"
			other.commit("x", "x\n", "In a work tree")
		}), "exact", ""},
		{"commit in submodule (superproject hooksPath unset)", func(w *world) string {
			w.submodule().commit("s", "t\n", "In the submodule")
			return "--max-count=1 HEAD"
		}, "none", "a submodule is a clone of its own: gatekeeper install there"},
		{"commit in submodule w/ global core.hooksPath", func(w *world) string {
			w.git("config", "--global", "core.hooksPath", w.dir+"/.git/hooks")
			w.submodule().commit("s", "t\n", "In the submodule")
			return "--max-count=1 HEAD"
		}, "exact", ""},
		{"commit with -c core.hooksPath=/dev/null", commits(run("-c", "core.hooksPath=/dev/null", "commit", "-qm", "x")), "none", switched},
		{"commit with rel. core.hooksPath=.hk from subdir", commits(func(w *world) {
			if err := os.CopyFS(w.dir+"/.hk", os.DirFS(w.dir+"/.git/hooks")); err != nil {
				w.t.Fatal(err)
			}
			w.git("config", "core.hooksPath", ".hk")
			w.write("sub/x", "x\n")
			w.in("sub").git("add", ".")
			w.in("sub").git("commit", "-qm", "x")
		}), "exact", ""},

		{"merge --no-ff (clean)", clean(run("merge", "-q", "--no-ff", "ahead")), "exact exact", ""},
		{"merge --no-ff --edit", clean(func(w *world) { w.editing("true").git("merge", "-q", "--no-ff", "--edit", "ahead") }), "exact exact", ""},
		{"merge (fast-forward)", clean(run("merge", "-q", "ahead")), "exact", ""},
		{"merge true (clean, 2 parents)", clean(run("merge", "-q", "--no-edit", "topic")), "exact exact exact exact", ""},
		{"merge -m msg", clean(run("merge", "-q", "-m", "x", "topic")), "exact exact exact exact", ""},
		{"merge --no-verify", clean(run("merge", "-q", "--no-verify", "--no-edit", "topic")), "exact exact exact exact", ""},
		{"merge --no-commit then commit", clean(func(w *world) {
			w.git("merge", "-q", "--no-commit", "topic")
			w.git("commit", "-q", "--no-edit")
		}), "exact exact exact exact", ""},
		{"merge octopus", clean(run("merge", "-q", "--no-edit", "topic", "side")), "exact exact exact exact exact", ""},
		{"merge -s ours", clean(run("merge", "-q", "-s", "ours", "--no-edit", "conf")), "exact exact", ""},
		{"merge conflict (stops)", clean(func(w *world) { w.conflict("merge", "-q", "conf") }), noCommit, ""},
		{"merge conflict -> commit --no-edit", clean(func(w *world) {
			w.conflict("merge", "-q", "conf")
			resolve(w)
			w.git("commit", "-q", "--no-edit")
		}), "exact exact", ""},
		{"merge conflict -> merge --continue", clean(func(w *world) {
			w.conflict("merge", "-q", "conf")
			resolve(w)
			w.editing("true").git("merge", "--continue")
		}), "exact exact", ""},
		{"merge --squash (no commit)", clean(run("merge", "-q", "--squash", "topic")), noCommit, ""},
		{"merge --squash then commit", clean(func(w *world) {
			w.git("merge", "-q", "--squash", "topic")
			w.git("commit", "-q", "--no-edit")
		}), "exact", ""},
		{"pull (ff)", clean(run("pull", "-q", "--ff-only", ".", "ahead")), "exact", ""},
		{"pull --no-rebase (merge)", clean(run("pull", "-q", "--no-rebase", "--no-edit", ".", "topic")), "exact exact exact exact", ""},
		{"pull --rebase", on("HEAD --not main", plain(func(w *world) {
			w.git("checkout", "-q", "topic")
			w.git("pull", "-q", "--rebase", ".", "main")
		})), "change change change", ""},
		{"pull --squash", clean(run("pull", "-q", "--no-rebase", "--squash", ".", "topic")), noCommit, ""},

		{"rebase (merge backend, 3 picks)", onTopic(run("rebase", "-q", "main", "topic")), "change change change", ""},
		{"rebase fast-forward only", on("topic --not ahead", plain(run("rebase", "-q", "ahead", "main"))), "exact exact exact", ""},
		{"rebase -f / --force-rebase (no-op picks)", on("--max-count=2 HEAD", plain(func(w *world) {
			w.with("GIT_COMMITTER_DATE=2026-02-03T04:05:06Z").git("rebase", "-q", "--force-rebase", "base~2")
		})), "exact exact", ""},
		{"rebase --apply (3 patches)", onTopic(run("rebase", "-q", "--apply", "main", "topic")), "change change change", ""},
		{"rebase --no-verify", onTopic(run("rebase", "-q", "--no-verify", "main", "topic")), "change change change", ""},
		{"rebase -i reword", onTopic(func(w *world) {
			w.todo("1s/pick/reword/").editing(`sed -i "1s/.*/Reworded/" "$1"`).git("rebase", "-q", "-i", "main", "topic")
		}), "change change change", ""},
		{"rebase -i squash", onTopic(func(w *world) {
			w.todo("2s/pick/squash/").editing("true").git("rebase", "-q", "-i", "main", "topic")
		}), "exact change", ""},
		{"rebase -i fixup", onTopic(func(w *world) { w.todo("2s/pick/fixup/").git("rebase", "-q", "-i", "main", "topic") }), "exact change", ""},
		{"rebase -i fixup -C", onTopic(func(w *world) { w.todo("2s/pick/fixup -C/").git("rebase", "-q", "-i", "main", "topic") }), "exact change", ""},
		{"rebase -i edit + commit --amend + --continue", onTopic(func(w *world) {
			w.todo("1s/pick/edit/").git("rebase", "-q", "-i", "main", "topic")
			w.add("edited.txt", "x\n")
			w.git("commit", "-q", "--amend", "--no-edit")
			w.git("rebase", "--continue")
		}), "exact change change", ""},
		{"rebase -i drop", onTopic(func(w *world) { w.todo("1d").git("rebase", "-q", "-i", "main", "topic") }), "change change", ""},
		{"rebase -i reorder", onTopic(func(w *world) { w.todo("1{h;d};2{G}").git("rebase", "-q", "-i", "main", "topic") }), "change change change", ""},
		{"rebase --exec", onTopic(run("rebase", "-q", "--exec", "git commit -q --amend --no-edit", "main", "topic")), "change change change", ""},
		{"rebase --autosquash", onTopic(func(w *world) {
			w.git("checkout", "-q", "topic")
			w.add("t1.txt", "uno\n")
			w.git("commit", "-q", "--fixup", "topic~2")
			w.todo("").git("rebase", "-q", "-i", "--autosquash", "main")
		}), "exact change change", ""},
		{"rebase --rebase-merges", onTopic(func(w *world) {
			w.git("checkout", "-q", "topic")
			w.git("merge", "-q", "--no-edit", "side")
			w.git("rebase", "-q", "--rebase-merges", "main")
		}), "change change change change exact", ""},
		{"rebase --signoff", onTopic(run("rebase", "-q", "--signoff", "main", "topic")), "change change change", ""},
		{"rebase --root", on("HEAD", plain(run("rebase", "-q", "--root", "--force-rebase"))), "exact exact exact", ""},
		{"rebase conflict -> --continue", onConf(func(w *world) {
			w.conflict("rebase", "-q", "main", "conf")
			resolve(w)
			w.editing("true").git("rebase", "--continue")
		}), "exact", ""},
		{"rebase --apply conflict -> --continue", onConf(func(w *world) {
			w.conflict("rebase", "-q", "--apply", "main", "conf")
			resolve(w)
			w.git("rebase", "--continue")
		}), "re-attested", ""},
		{"rebase conflict -> --skip", onConf(func(w *world) {
			w.conflict("rebase", "-q", "main", "conf")
			w.git("rebase", "--skip")
		}), noCommit, ""},

		{"cherry-pick", clean(run("cherry-pick", "topic")), "change", ""},
		{"cherry-pick (2 commits)", clean(run("cherry-pick", "topic~2..topic")), "change change", ""},
		{"cherry-pick -x", clean(run("cherry-pick", "-x", "topic")), "change", ""},
		{"cherry-pick topic~2", clean(run("cherry-pick", "topic~2")), "change", ""},
		{"cherry-pick -e", clean(func(w *world) { w.editing("true").git("cherry-pick", "-e", "topic") }), "change", ""},
		{"cherry-pick --ff (fast-forward)", clean(run("cherry-pick", "--ff", "ahead")), "exact", ""},
		{"cherry-pick -n then commit", clean(func(w *world) { w.git("cherry-pick", "-n", "topic"); w.git("commit", "-qm", "x") }), "exact", ""},
		{"cherry-pick -s", clean(run("cherry-pick", "-s", "topic")), "change", ""},
		{"cherry-pick conflict -> --continue", clean(func(w *world) {
			w.conflict("cherry-pick", "conf")
			resolve(w)
			w.editing("true").git("cherry-pick", "--continue")
		}), "exact", ""},
		{"cherry-pick conflict -> commit", clean(func(w *world) {
			w.conflict("cherry-pick", "conf")
			resolve(w)
			w.git("commit", "-q", "--no-edit")
		}), "exact", ""},
		{"revert --no-edit", clean(run("revert", "--no-edit", "HEAD")), "exact", ""},
		{"revert (editor)", clean(func(w *world) { w.editing("true").git("revert", "-e", "HEAD") }), "exact", ""},
		{"revert -n then commit", clean(func(w *world) { w.git("revert", "-n", "HEAD"); w.git("commit", "-q", "--no-edit") }), "exact", ""},
		{"revert conflict -> --continue", clean(func(w *world) {
			w.conflict("revert", "--no-edit", "base~2")
			resolve(w)
			w.editing("true").git("revert", "--continue")
		}), "exact", ""},

		{"am", clean(func(w *world) { w.feed(w.git("format-patch", "--stdout", "topic~1..topic")+"\n", "am", "-q") }), "change", ""},
		{"am --no-verify", clean(func(w *world) {
			patch := w.git("format-patch", "--stdout", "topic~1..topic") + "\n"
			if _, stderr, err := w.run(patch, "am", "-q", "--no-verify"); err != nil {
				if !strings.Contains(stderr, "unknown option") {
					w.t.Fatal(stderr)
				}
				w.feed(patch, "am", "-q") // git before 2.40 has only this
			}
		}), "change", ""},
		{"am -3 conflict -> --continue", clean(func(w *world) {
			w.conflictWith(w.git("format-patch", "--stdout", "conf~1..conf")+"\n", "am", "-q", "-3")
			resolve(w)
			w.git("am", "-q", "--continue")
		}), "re-attested", ""},
		{"apply + commit", clean(func(w *world) {
			w.feed(w.git("diff", "topic~1", "topic")+"\n", "apply", "--index")
			w.git("commit", "-qm", "x")
		}), "exact", ""},

		{"stash push / pop", commits(func(w *world) { w.git("stash", "push", "-q"); w.git("stash", "pop", "-q", "--index") }), noCommit, ""},
		{"tag -a -m", commits(run("tag", "-a", "-m", "x", "v1")), noCommit, ""},
		{"notes add", commits(run("notes", "add", "-m", "x")), noCommit, ""},
		{"checkout branch", clean(run("checkout", "-q", "-b", "elsewhere")), noCommit, ""},
		{"switch -c", clean(run("switch", "-q", "-c", "elsewhere")), noCommit, ""},
		{"worktree add", commits(func(w *world) { w.git("worktree", "add", "-q", w.home+"/wt", "topic") }), noCommit, ""},
		{"clone (template hooks n/a)", commits(func(w *world) { w.git("clone", "-q", ".", w.home+"/clone") }), noCommit, ""},
		{"commit-tree + update-ref", commits(func(w *world) {
			w.git("update-ref", "HEAD", w.git("commit-tree", "-p", "HEAD", "-m", "x", w.git("write-tree")))
		}), "none", plumbing},
		{"fast-import", clean(func(w *world) {
			w.feed("commit refs/heads/main\ncommitter A <a@example.com> 1767323045 +0000\ndata 2\nx\nfrom refs/heads/main^0\nM 100644 inline f\ndata 2\nf\n\n", "fast-import", "--quiet")
			w.git("reset", "-q", "--hard")
		}), "none", plumbing},
		{"filter-branch --msg-filter", on("--max-count=1 HEAD", plain(func(w *world) {
			w.with("FILTER_BRANCH_SQUELCH_WARNING=1").git("filter-branch", "-f", "--msg-filter", "head -1", "HEAD~1..HEAD")
		})), "none", "filter-branch calls no hook, and here drops all of the message but its subject"},
		{"replace --graft", commits(run("replace", "--graft", "HEAD")), noCommit, ""},

		{"push (new branch)", clean(run("push", "-q", "server", "topic")), noCommit, ""},
		{"push (update) + tag", clean(func(w *world) { w.git("tag", "v1"); w.git("push", "-q", "server", "main", "v1") }), noCommit, ""},
		{"push up-to-date", clean(func(w *world) { w.git("push", "-q", "server", "main"); w.git("push", "-q", "server", "main") }), noCommit, ""},
		{"push --no-verify", clean(run("push", "-q", "--no-verify", "server", "main")), noCommit, ""},
		{"push --dry-run", clean(run("push", "-q", "--dry-run", "server", "main")), noCommit, ""},
		{"push --delete", clean(func(w *world) {
			w.git("push", "-q", "server", "topic")
			w.git("push", "-q", "--delete", "server", "topic")
		}), noCommit, ""},
		{"push --force (rewind)", clean(func(w *world) {
			w.git("push", "-q", "server", "main")
			w.git("push", "-q", "--force", "server", "main~1:main")
		}), noCommit, ""},
		{"push non-ff (rejected locally)", clean(func(w *world) {
			w.git("push", "-q", "server", "main")
			w.conflict("push", "-q", "server", "topic:main")
		}), noCommit, ""},
		{"push --all --atomic", clean(run("push", "-q", "--all", "--atomic", "server")), noCommit, ""},
		{"push HEAD:refs/for/main", clean(run("push", "-q", "server", "HEAD:refs/for/main")), noCommit, ""},
		{"push by path (no remote name)", clean(func(w *world) { w.git("push", "-q", w.home+"/server.git", "main") }), noCommit, ""},
		{"send-pack (plumbing)", clean(func(w *world) { w.git("send-pack", w.home+"/server.git", "main:main") }), noCommit, ""},
		{"gc --auto", clean(run("gc", "-q", "--auto")), noCommit, ""},
	}
}

// feed runs git with an input.
func (w *world) feed(stdin string, args ...string) {
	w.t.Helper()
	_, stderr, err := w.run(stdin, args...)
	if *w.stderr = stderr; err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
}

// conflictWith is conflict with an input.
func (w *world) conflictWith(stdin string, args ...string) {
	w.t.Helper()
	_, stderr, err := w.run(stdin, args...)
	if *w.stderr = stderr; err == nil {
		w.t.Fatalf("git %s did not stop", strings.Join(args, " "))
	}
}

// subject is the world with an editor that writes a subject.
func (w *world) subject() *world { return w.editing(`sed -i "1s/^/Subject/" "$1"`) }

// submodule adds a submodule and returns the world in it, which from then on is also
// what the commits of the operation are looked for in.
func (w *world) submodule() *world {
	source := filepath.Join(w.home, "source")
	w.git("init", "-q", source)
	w.git("-C", source, "-c", "core.hooksPath=/dev/null", "commit", "-q", "--allow-empty", "-m", "Source")
	w.git("reset", "-q", "--hard")
	w.git("submodule", "-q", "add", source, "sub")
	w.dir = filepath.Join(w.dir, "sub")
	return w
}

var buildAll = sync.OnceValues(func() (string, error) {
	if _, err := build(); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", bin, "../../cmd/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Join(bin, "gatekeeper"), nil
})

// installed is the fixture after `gatekeeper install`, with a server that knows
// nothing of gatekeeper, a branch ahead of main and one that parted from topic.
func installed(t *testing.T) *world {
	gatekeeper, err := buildAll()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.git("config", "--global", "--unset", "core.hooksPath")
	w.env = append(w.env, "PATH="+filepath.Dir(gatekeeper)+":"+os.Getenv("PATH"))
	w.gatekeeper(0, "install")
	w.furnish()
	w.git("checkout", "-q", "-b", "ahead", "main")
	w.git("stash", "-q")
	w.commit("ahead.txt", "ahead\n", "Ahead")
	w.git("checkout", "-q", "-b", "side", "topic~3")
	w.commit("side.txt", "side\n", "Side")
	w.git("checkout", "-q", "main")
	w.git("stash", "pop", "-q", "--index")
	w.git("init", "-q", "--bare", w.home+"/server.git")
	w.git("remote", "add", "server", w.home+"/server.git")
	return w
}

// gatekeeper runs the command, which must end as told.
func (w *world) gatekeeper(code int, args ...string) string {
	w.t.Helper()
	gatekeeper, err := buildAll()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(gatekeeper, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Fatalf("gatekeeper %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, &out)
	}
	return out.String()
}

// policyFor is a policy under which every signed commit of the world is welcome.
func (w *world) policyFor() string {
	key := strings.TrimSpace(w.gatekeeper(0, "key", "show"))
	fields := strings.Fields(strings.Split(key, "\n")[0])
	w.put("policy.toml", fmt.Sprintf(`schema = 1
[[model]]
id = "**"
status = "approved"
[[model]]
id = "unknown/unknown"
status = "approved"
[[signer]]
principal = "alice@example.com"
key = %q
`, strings.Join(fields[len(fields)-2:], " ")), 0o644)
	return w.home + "/policy.toml"
}

func TestTable(t *testing.T) {
	listed := tableNames(t)
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.check(t)
		})
	}
	if diff := cmp.Diff(listed, names); diff != "" {
		t.Errorf("the operations of the table and those that are run (-listed +run):\n%s", diff)
	}
	t.Run("README says what is held here", func(t *testing.T) { checkReadme(t, rows()) })
}

func (r row) check(t *testing.T) {
	w := installed(t)
	before := w.git("rev-list", "--all")
	revs := strings.Fields(r.do(w))
	if r.want == noCommit {
		if out := w.git(append([]string{"rev-list", "HEAD", "--not"}, strings.Fields(before)...)...); out != "" {
			t.Errorf("made commits: %s", out)
		}
		return
	}
	list := strings.Fields(w.git(append([]string{"rev-list", "--reverse", "--topo-order"}, revs...)...))
	var got []string
	for _, rev := range list {
		got = append(got, w.binding(rev))
	}
	if got := strings.Join(got, " "); got != r.want {
		t.Fatalf("got %q, want %q\n%s\n%s", got, r.want, *w.stderr, w.git("log", "--format=%h %s%n%(trailers)", "-3"))
	}
	r.judge(w, list)
}

// judge holds what was found here against the gate: it accepts all that binds, and
// what it does not accept, one command mends.
func (r row) judge(w *world, list []string) {
	policy := w.policyFor()
	verify := []string{"verify", "--policy", policy, "--ref", "refs/heads/main", "--at", "2026-12-31"}
	last := list[len(list)-1]
	parents := strings.Fields(w.git("log", "-1", "--format=%P", list[0]))
	spec := last
	if len(parents) > 0 {
		spec = parents[0] + ".." + last
	}
	if r.want != "none" {
		w.gatekeeper(0, append(verify, spec)...)
		return
	}
	said := w.gatekeeper(1, append(verify, spec)...)
	if !strings.Contains(said, "gatekeeper repair") {
		w.t.Errorf("the refusal does not say what to do:\n%s", said)
	}
	w.gatekeeper(0, "repair", spec)
	w.gatekeeper(0, append(verify, strings.Replace(spec, last, "HEAD", 1))...)
	if records := w.records("HEAD"); !strings.HasPrefix(records, "unknown/unknown unknown/unknown ") {
		w.t.Errorf("repair says more than is known: %q", records)
	}
}

// tableNames are the operations of the table, in its order.
func tableNames(t *testing.T) (names []string) {
	data, err := os.ReadFile("../../testdata/operations/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 16 || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[1]) == "operation" {
			continue
		}
		names = append(names, strings.TrimSpace(cells[1]))
	}
	if len(names) != 112 {
		t.Fatalf("the table has %d operations", len(names))
	}
	return names
}

const (
	tableBegin = "<!-- operations: go test ./hooks/commitmsg -run TestTable -update -->\n"
	tableEnd   = "<!-- end of operations -->\n"
)

// checkReadme compares the generated part of README with the rows.
func checkReadme(t *testing.T, rows []row) {
	path := "../../README.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatal("README has no place for the table of operations")
	}
	want := before + tableBegin + writeTable(rows) + tableEnd + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("README is not up to date (-want +got):\n%s", diff)
	}
}

// writeTable has a line for each outcome, and the operations that end in it. An
// operation with several commits stands where its weakest one does.
func writeTable(rows []row) string {
	var b strings.Builder
	b.WriteString("| outcome | operations |\n|---|---|\n")
	for _, outcome := range []string{"exact", "change", "re-attested", "none", noCommit} {
		var names []string
		for _, r := range rows {
			if r.weakest() == outcome {
				names = append(names, r.written())
			}
		}
		fmt.Fprintf(&b, "| %s | %s |\n", outcome, strings.Join(names, " · "))
	}
	return b.String()
}

func (r row) weakest() string {
	order := []string{"exact", "change", "re-attested", "none"}
	found := strings.Fields(r.want)
	if r.want == noCommit {
		return r.want
	}
	return slices.MaxFunc(found, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
}

func (r row) written() string {
	name := "`" + r.name + "`"
	if r.why != "" {
		name += " (" + r.why + ")"
	}
	return name
}
