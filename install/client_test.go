package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClient(t *testing.T) {
	layouts := []struct {
		name string
		init []string
		lay  func(b *bench)
	}{
		{"a fresh repository", nil, func(b *bench) {}},
		{"a repository with SHA-256 ids", []string{"--object-format=sha256"}, func(b *bench) {}},
		{"a repository without a hooks directory", nil, func(b *bench) { os.RemoveAll(filepath.Join(b.gitDir(), "hooks")) }},
		{"a shared repository", []string{"--shared=group"}, func(b *bench) {}},
		{"a git directory elsewhere", []string{"--separate-git-dir=../apart"}, func(b *bench) {}},
		{"hooks that are there", nil, func(b *bench) {
			b.hook(filepath.Join(b.gitDir(), "hooks/commit-msg"), "theirs")
			b.hook(filepath.Join(b.gitDir(), "hooks/pre-push"), "theirs")
			b.hook(filepath.Join(b.gitDir(), "hooks/pre-commit"), "theirs")
			os.Chmod(filepath.Join(b.gitDir(), "hooks/pre-push"), 0o700)
		}},
		{"hooks that do not run", nil, func(b *bench) {
			b.write(filepath.Join(b.gitDir(), "hooks/post-commit"), "#!/bin/sh\nexit 1\n")
		}},
		{"a hook that is a link", nil, func(b *bench) {
			b.hook(filepath.Join(b.Dir, "tracked-hook"), "theirs")
			os.MkdirAll(filepath.Join(b.gitDir(), "hooks"), 0o755)
			os.Symlink("../../tracked-hook", filepath.Join(b.gitDir(), "hooks/commit-msg"))
		}},
		{"a config in a hand of its own", nil, func(b *bench) {
			b.write(filepath.Join(b.gitDir(), "config"), "[core]\n    bare=false ; no\n  hooksPath=.husky/_   # husky\n[gatekeeper]\n[user]\n\tname = Al")
			b.hook(filepath.Join(b.Dir, ".husky/_/commit-msg"), "husky")
		}},
		{"two hooksPaths", nil, func(b *bench) {
			b.Git(b.t, "config", "--add", "core.hooksPath", "one")
			b.Git(b.t, "config", "--add", "core.hooksPath", "~/two")
		}},
		{"a hooks directory that is a link", nil, func(b *bench) {
			b.hook(filepath.Join(b.Dir, "../shared/commit-msg"), "shared")
			os.RemoveAll(filepath.Join(b.gitDir(), "hooks"))
			os.Symlink("../../shared", filepath.Join(b.gitDir(), "hooks"))
		}},
		{"hooks switched off", nil, func(b *bench) { b.Git(b.t, "config", "core.hooksPath", "/dev/null") }},
	}
	for _, l := range layouts {
		t.Run("uninstall restores "+l.name, func(t *testing.T) {
			b := newBench(t, l.init...)
			l.lay(b)
			before, outside := b.snapshot(), snapshot(t, filepath.Dir(b.Dir))
			for range 2 {
				b.install()
				installed := b.snapshot()
				if res := b.install(); res.Changed {
					t.Errorf("a second install says that it changed things: %v", res.Actions)
				}
				same(t, installed, b.snapshot())
				if res := b.uninstall(); !res.Complete() {
					t.Errorf("uninstall left things: %v", res.Actions)
				}
				same(t, before, b.snapshot())
			}
			same(t, outside, snapshot(t, filepath.Dir(b.Dir)))
		})
	}

	t.Run("hooks that are there run first, with arguments, stdin and exit code", func(t *testing.T) {
		b := newBench(t)
		hooks := filepath.Join(b.gitDir(), "hooks")
		for _, name := range append([]string{"pre-commit"}, clientHooks...) {
			b.hook(filepath.Join(hooks, name), "theirs-"+name)
		}
		b.install()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		wantLog(t, b.logged(),
			"theirs-pre-commit  <>",
			"theirs-prepare-commit-msg .git/COMMIT_EDITMSG message <>",
			"gatekeeper-commit-msg prepare-commit-msg .git/COMMIT_EDITMSG message <>",
			"theirs-commit-msg .git/COMMIT_EDITMSG <>",
			"gatekeeper-commit-msg commit-msg .git/COMMIT_EDITMSG <>",
			"theirs-post-commit  <>",
		)
		first := b.Git(t, "rev-parse", "HEAD")
		b.write(filepath.Join(b.gitDir(), "gatekeeper/prepared"), "")
		b.Git(t, "commit", "-q", "--amend", "--allow-empty", "-m", "two")
		second := b.Git(t, "rev-parse", "HEAD")
		log := b.logged()
		wantLog(t, log[len(log)-4:],
			"theirs-post-commit  <>",
			"gatekeeper-commit-msg post-commit <>",
			fmt.Sprintf("theirs-post-rewrite amend <%s %s|>", first, second),
			fmt.Sprintf("gatekeeper-commit-msg post-rewrite amend <%s %s>", first, second),
		)
		server := newClone(t, "--bare")
		b.Git(t, "push", "-q", server.Dir, "main")
		line := fmt.Sprintf("refs/heads/main %s refs/heads/main %s", second, strings.Repeat("0", len(second)))
		wantLog(t, b.logged(),
			fmt.Sprintf("theirs-pre-push %s %s <%s|>", server.Dir, server.Dir, line),
			fmt.Sprintf("gatekeeper-pre-push %s %s <%s>", server.Dir, server.Dir, line),
		)

		b.write(b.log+".fail", "")
		head := b.Git(t, "rev-parse", "HEAD")
		if _, _, err := b.Run("", "commit", "-q", "--no-verify", "--allow-empty", "-m", "three"); err == nil {
			t.Error("a prepare-commit-msg hook that fails let the commit through")
		}
		if got := b.Git(t, "rev-parse", "HEAD"); got != head {
			t.Errorf("HEAD moved to %s", got)
		}
		wantLog(t, b.logged(), "theirs-prepare-commit-msg .git/COMMIT_EDITMSG message <>")
		for _, name := range []string{"post-rewrite", "commit-msg"} {
			cmd := b.Command()
			cmd.Path, cmd.Args = filepath.Join(hooks, name), []string{filepath.Join(hooks, name)}
			cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != 7 {
				t.Errorf("%s ends with %d, want the earlier hook's 7", name, got)
			}
		}
	})

	t.Run("without the binaries commits and pushes go on, and one line says so", func(t *testing.T) {
		b := newBench(t)
		b.hook(filepath.Join(b.gitDir(), "hooks/pre-push"), "theirs")
		b.install()
		os.RemoveAll(b.bin)
		_, stderr, err := b.Run("", "commit", "-q", "--no-verify", "--allow-empty", "-m", "one")
		if err != nil {
			t.Fatal(err)
		}
		want := "gatekeeper: nothing recorded: no " + b.bin + "/gatekeeper-commit-msg; run gatekeeper install\n"
		if stderr != want {
			t.Errorf("got %q, want %q", stderr, want)
		}
		server := newClone(t, "--bare")
		_, stderr, err = b.Run("", "push", "-q", server.Dir, "main")
		if err != nil || !strings.Contains(stderr, "gatekeeper: push not checked: no ") {
			t.Errorf("push: %v, %q", err, stderr)
		}
		if log := b.logged(); !strings.HasPrefix(log[0], "theirs ") || len(log) != 1 || !strings.Contains(log[0], "refs/heads/main") {
			t.Errorf("the earlier pre-push did not run: %q", log)
		}
	})

	t.Run("post-commit starts nothing when nothing waits for it", func(t *testing.T) {
		b := newBench(t)
		b.install()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		for _, line := range b.logged() {
			if strings.Contains(line, "post-commit") {
				t.Errorf("post-commit ran: %s", line)
			}
		}
	})

	t.Run("paths with spaces, quotes, dollars and newlines", func(t *testing.T) {
		b := benchIn(t, filepath.Join(t.TempDir(), "it's $HOME \"a\\b\"\nend `x`"))
		before := b.snapshot()
		b.install()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		if log := b.logged(); len(log) != 2 {
			t.Errorf("ran: %q", log)
		}
		b.uninstall()
		os.Remove(filepath.Join(b.gitDir(), "index"))
		now := b.snapshot()
		for _, path := range before.Diff(now) {
			if strings.Contains(path, "hooks") || strings.Contains(path, "config") || strings.Contains(path, "gatekeeper/") {
				t.Error(path)
			}
		}
	})

	t.Run("git-lfs's hooks keep working", func(t *testing.T) {
		b := newBench(t)
		for _, name := range []string{"pre-push", "post-commit"} {
			// As git-lfs 3 writes them, with its command in the place of git-lfs.
			b.write(filepath.Join(b.gitDir(), "hooks", name), "#!/bin/sh\ncommand -v lfs >/dev/null 2>&1 || { printf >&2 \"\\n%s\\n\\n\" \"lfs was not found on your path.\"; exit 2; }\nlfs "+name+" \"$@\"\n")
			os.Chmod(filepath.Join(b.gitDir(), "hooks", name), 0o755)
		}
		b.hook(filepath.Join(b.bin, "lfs"), "lfs")
		b.Env = append(b.Env, "PATH="+b.bin+":"+os.Getenv("PATH"))
		b.install()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		server := newClone(t, "--bare")
		b.Git(t, "push", "-q", server.Dir, "main")
		var lfs []string
		for _, line := range b.logged() {
			if strings.HasPrefix(line, "lfs ") {
				lfs = append(lfs, line)
			}
		}
		id := b.Git(t, "rev-parse", "HEAD")
		wantLog(t, lfs, "lfs post-commit <>", fmt.Sprintf("lfs pre-push %s %s <refs/heads/main %s refs/heads/main %s|>",
			server.Dir, server.Dir, id, strings.Repeat("0", len(id))))
	})

	t.Run("a linked worktree and its repository share one installation", func(t *testing.T) {
		b := newBench(t)
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		tree := filepath.Join(filepath.Dir(b.Dir), "linked")
		b.Git(t, "worktree", "add", "-q", tree)
		b.Git(t, "config", "core.hooksPath", ".husky/_")
		b.hook(filepath.Join(tree, ".husky/_/commit-msg"), "linked")
		b.hook(filepath.Join(b.Dir, ".husky/_/commit-msg"), "main")
		before := b.snapshot()
		o := b.options()
		o.Dir = tree
		if _, err := Client(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		if res := b.install(); res.Changed {
			t.Errorf("from the other worktree: %v", res.Actions)
		}
		b.Git(t, "-C", tree, "hook", "run", "commit-msg", "--", "file")
		b.Git(t, "hook", "run", "commit-msg", "--", "file")
		wantLog(t, b.logged(), "linked file <>", "gatekeeper-commit-msg commit-msg file <>",
			"main file <>", "gatekeeper-commit-msg commit-msg file <>")
		b.write(filepath.Join(b.gitDir(), "worktrees/linked/gatekeeper/declared"), "x")
		b.write(filepath.Join(b.gitDir(), "gatekeeper/declared"), "x")
		b.uninstall()
		same(t, before, b.snapshot())
	})

	t.Run("a submodule has an installation of its own", func(t *testing.T) {
		sub := newClone(t)
		sub.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		b := newBench(t)
		b.Git(t, "submodule", "--quiet", "add", sub.Dir, "sub")
		before := b.snapshot()
		o := b.options()
		o.Dir = filepath.Join(b.Dir, "sub")
		res, err := Client(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(b.gitDir(), "modules/sub"); res.GitDir != want {
			t.Errorf("installed in %s, want %s", res.GitDir, want)
		}
		b.Git(t, "-C", "sub", "commit", "-q", "--allow-empty", "-m", "two")
		if log := b.logged(); len(log) != 2 {
			t.Errorf("ran: %q", log)
		}
		if _, err := UninstallClient(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		for _, path := range before.Diff(b.snapshot()) {
			if !strings.Contains(path, "logs/") && !strings.Contains(path, "COMMIT_EDITMSG") && !strings.Contains(path, "refs/heads") && !strings.Contains(path, "index") {
				t.Error(path)
			}
		}
	})

	t.Run("a bare repository is a server's", func(t *testing.T) {
		b := newBench(t, "--bare")
		_, err := Client(context.Background(), b.options())
		wantUsage(t, err, "bare repository", "--server")
	})

	t.Run("a repository that is none", func(t *testing.T) {
		b := newBench(t)
		o := b.options()
		o.Dir = t.TempDir()
		_, err := Client(context.Background(), o)
		wantUsage(t, err, "not in a git repository")
	})

	t.Run("missing binaries are named", func(t *testing.T) {
		b := newBench(t)
		os.Remove(filepath.Join(b.bin, "gatekeeper-pre-push"))
		before := b.snapshot()
		_, err := Client(context.Background(), b.options())
		wantUsage(t, err, filepath.Join(b.bin, "gatekeeper-pre-push"))
		same(t, before, b.snapshot())
	})

	t.Run("an address that is missing or is a pattern is refused before anything is done", func(t *testing.T) {
		for _, email := range []string{"", "*@example.com", "a,b@example.com", "a b@example.com"} {
			b := newBench(t)
			b.Git(t, "config", "user.email", email)
			before := b.snapshot()
			_, err := Client(context.Background(), b.options())
			wantUsage(t, err, "user.email")
			same(t, before, b.snapshot())
		}
	})
}

// A run that fails at any of its steps leaves every byte as it was.
func TestClientRollsBack(t *testing.T) {
	lay := func(b *bench) {
		b.hook(filepath.Join(b.gitDir(), "hooks/commit-msg"), "theirs")
		b.Git(b.t, "config", "core.hooksPath", ".husky/_")
	}
	for name, prepare := range map[string]func(b *bench){
		"installing": lay,
		"healing": func(b *bench) {
			lay(b)
			b.install()
			b.Git(b.t, "config", "core.hooksPath", "elsewhere")
		},
		"going from one way to the other": func(b *bench) {
			b.hook(filepath.Join(b.gitDir(), "hooks/commit-msg"), "theirs")
			b.install()
			b.Git(b.t, "config", "core.hooksPath", ".husky/_")
		},
		"uninstalling": func(b *bench) { lay(b); b.install() },
	} {
		t.Run("when "+name, func(t *testing.T) {
			b := newBench(t)
			prepare(b)
			act := Client
			if name == "uninstalling" {
				act = UninstallClient
			}
			root := filepath.Dir(b.Dir)
			before, home := b.snapshot(), snapshot(t, getenv(b.Env, "HOME"))
			boom := errors.New("boom")
			for fail := 0; ; fail++ {
				o := b.options()
				n := 0
				o.stop = func(step string) error {
					if n++; n > fail {
						return fmt.Errorf("%s: %w", step, boom)
					}
					return nil
				}
				_, err := act(context.Background(), o)
				if err == nil {
					if fail < 5 {
						t.Errorf("only %d steps", fail)
					}
					break
				}
				if !errors.Is(err, boom) || strings.Contains(err.Error(), "taking it back failed") {
					t.Fatalf("step %d: %v", fail, err)
				}
				same(t, before, b.snapshot())
				same(t, home, snapshot(t, getenv(b.Env, "HOME")))
				if t.Failed() {
					t.Fatalf("after failing at step %d in %s", fail, root)
				}
			}
		})
	}
}

func TestHooksPath(t *testing.T) {
	husky := func(b *bench) {
		// As husky 9 does it: the stub runs what is committed, if it is there.
		for _, name := range []string{"pre-commit", "commit-msg", "prepare-commit-msg", "pre-push"} {
			b.script(filepath.Join(b.Dir, ".husky/_", name), ". \"$(dirname \"$0\")/h\"\n")
		}
		b.write(filepath.Join(b.Dir, ".husky/_/h"), "n=$(basename \"$0\")\ns=$(dirname \"$(dirname \"$0\")\")/$n\n[ ! -f \"$s\" ] && exit 0\nsh -e \"$s\" \"$@\"\nc=$?\nexit $c\n")
		b.write(filepath.Join(b.Dir, ".husky/pre-commit"), "echo husky-pre-commit >> \"$LOG\"\n")
		b.write(filepath.Join(b.Dir, ".husky/commit-msg"), "echo husky-commit-msg \"$1\" >> \"$LOG\"\n")
		b.Git(b.t, "config", "core.hooksPath", ".husky/_")
	}

	t.Run("husky's hooks run, and nothing is written where they are", func(t *testing.T) {
		b := newBench(t)
		husky(b)
		tree := snapshot(t, filepath.Join(b.Dir, ".husky"))
		b.install()
		os.MkdirAll(filepath.Join(b.Dir, "deep/er"), 0o755)
		b.Git(t, "-C", "deep/er", "commit", "-q", "--allow-empty", "-m", "one")
		want := []string{"husky-pre-commit",
			"gatekeeper-commit-msg prepare-commit-msg .git/COMMIT_EDITMSG message <>",
			"husky-commit-msg .git/COMMIT_EDITMSG",
			"gatekeeper-commit-msg commit-msg .git/COMMIT_EDITMSG <>"}
		wantLog(t, b.logged(), want...)
		same(t, tree, snapshot(t, filepath.Join(b.Dir, ".husky")))
	})

	t.Run("a second install heals what husky's prepare sets anew", func(t *testing.T) {
		b := newBench(t)
		husky(b)
		before := b.snapshot()
		b.install()
		b.Git(t, "config", "core.hooksPath", ".husky/_")
		res := b.install()
		if diff := cmp.Diff([]string{"set core.hooksPath", "kept id_ed25519"}, append(done(res, Config), done(res, Key)...)); diff != "" {
			t.Errorf("actions (-want +got):\n%s", diff)
		}
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		if log := b.logged(); len(log) != 4 {
			t.Errorf("ran: %q", log)
		}
		b.uninstall()
		if got := b.Git(t, "config", "--local", "core.hooksPath"); got != ".husky/_" {
			t.Errorf("core.hooksPath is %q after uninstall", got)
		}
		// The last word about the config was husky's, so its bytes are git's, not the old ones.
		if diff := before.Diff(b.snapshot()); len(diff) > 0 && !strings.HasPrefix(diff[0], "COMMIT_EDITMSG") {
			for _, d := range diff {
				if strings.HasPrefix(d, "config") || strings.HasPrefix(d, "hooks") {
					t.Error(d)
				}
			}
		}
	})

	t.Run("uninstall leaves a core.hooksPath that was set anew", func(t *testing.T) {
		b := newBench(t)
		husky(b)
		b.install()
		b.Git(t, "config", "core.hooksPath", "other")
		b.uninstall()
		if got := b.Git(t, "config", "--local", "core.hooksPath"); got != "other" {
			t.Errorf("core.hooksPath is %q", got)
		}
	})

	t.Run("husky that comes after us, and goes again", func(t *testing.T) {
		b := newBench(t)
		b.hook(filepath.Join(b.gitDir(), "hooks/commit-msg"), "plain")
		before := b.snapshot()
		b.install()
		husky(b)
		b.install()
		if got := read(t, filepath.Join(b.gitDir(), "hooks/commit-msg")); strings.Contains(got, marker) {
			t.Error("the shims in hooks/ stay though git looks elsewhere")
		}
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		if log := b.logged(); len(log) != 4 || log[2] != "husky-commit-msg .git/COMMIT_EDITMSG" {
			t.Errorf("ran: %q", log)
		}
		b.Git(t, "config", "--unset", "core.hooksPath")
		b.install()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "two")
		wantLog(t, b.logged(),
			"gatekeeper-commit-msg prepare-commit-msg .git/COMMIT_EDITMSG message <>",
			"plain .git/COMMIT_EDITMSG <>",
			"gatekeeper-commit-msg commit-msg .git/COMMIT_EDITMSG <>")
		b.uninstall()
		for _, d := range before.Diff(b.snapshot()) {
			if strings.HasPrefix(d, "config") || strings.HasPrefix(d, "hooks") || strings.HasPrefix(d, "gatekeeper") {
				t.Error(d)
			}
		}
	})

	t.Run("a global directory's hooks run, all of them", func(t *testing.T) {
		b := newBench(t)
		global := filepath.Join(getenv(b.Env, "HOME"), "my hooks")
		for _, name := range []string{"commit-msg", "post-checkout", "reference-transaction"} {
			b.hook(filepath.Join(global, name), "global-"+name)
		}
		b.Git(t, "config", "--global", "core.hooksPath", "~/my hooks")
		home, before := snapshot(t, global), b.snapshot()
		b.install()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		b.Git(t, "checkout", "-q", "-b", "topic")
		all := strings.Join(b.logged(), "\n")
		for _, want := range []string{"global-commit-msg .git", "global-reference-transaction committed", "global-post-checkout ", "gatekeeper-commit-msg commit-msg"} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is not in what ran:\n%s", want, all)
			}
		}
		same(t, home, snapshot(t, global))
		b.uninstall()
		for _, d := range before.Diff(b.snapshot()) {
			if strings.HasPrefix(d, "config") || strings.HasPrefix(d, "hooks") || strings.HasPrefix(d, "gatekeeper") {
				t.Error(d)
			}
		}
	})

	t.Run("the repository's own hooks directory, named, is used as it is", func(t *testing.T) {
		b := newBench(t)
		b.Git(t, "config", "core.hooksPath", ".git/hooks")
		b.install()
		if got := b.Git(t, "config", "core.hooksPath"); got != ".git/hooks" {
			t.Errorf("core.hooksPath is %q", got)
		}
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		if log := b.logged(); len(log) != 2 {
			t.Errorf("ran: %q", log)
		}
	})

	t.Run("a core.hooksPath of one command or one worktree is refused", func(t *testing.T) {
		b := newBench(t)
		before := b.snapshot()
		o := b.options()
		o.Environ = append(o.Environ, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.hooksPath", "GIT_CONFIG_VALUE_0=/x")
		_, err := Client(context.Background(), o)
		wantUsage(t, err, "core.hooksPath=/x", "one command")
		same(t, before, b.snapshot())

		b.Git(t, "config", "extensions.worktreeConfig", "true")
		b.Git(t, "config", "--worktree", "core.hooksPath", "/y")
		_, err = Client(context.Background(), b.options())
		wantUsage(t, err, "core.hooksPath=/y", "worktree")
	})

	t.Run("an included file that has the last word is refused", func(t *testing.T) {
		b := newBench(t)
		b.write(filepath.Join(b.gitDir(), "more"), "[core]\n\thooksPath = theirs\n")
		b.Git(t, "config", "include.path", "more")
		before := b.snapshot()
		_, err := Client(context.Background(), b.options())
		wantUsage(t, err, "theirs", "--show-origin")
		same(t, before, b.snapshot())
	})
}

func TestHookManagers(t *testing.T) {
	t.Run("pre-commit, which keeps our shim as legacy, is left in charge", func(t *testing.T) {
		b := newBench(t)
		hook := filepath.Join(b.gitDir(), "hooks/commit-msg")
		b.hook(hook, "theirs")
		theirs := read(t, hook)
		b.install()
		if err := os.Rename(hook, hook+".legacy"); err != nil {
			t.Fatal(err)
		}
		b.script(hook, "echo pre-commit >> \"$LOG\"\n\"$0.legacy\" \"$@\"\n")
		manager := read(t, hook)
		if res := b.install(); res.Changed {
			t.Errorf("changed: %v", res.Actions)
		}
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		wantLog(t, b.logged()[1:], "pre-commit", "theirs .git/COMMIT_EDITMSG <>", "gatekeeper-commit-msg commit-msg .git/COMMIT_EDITMSG <>")
		if res := b.uninstall(); !res.Complete() {
			t.Errorf("left: %v", res.Actions)
		}
		if got := read(t, hook); got != manager {
			t.Error("the manager's hook changed")
		}
		if got := read(t, hook+".legacy"); got != theirs {
			t.Errorf("NAME.legacy is %q, want the hook that was there first", got)
		}
	})

	t.Run("lefthook, which displaces our shim again and again, is taken in again and again", func(t *testing.T) {
		b := newBench(t)
		hook := filepath.Join(b.gitDir(), "hooks/commit-msg")
		b.install()
		for range 2 {
			if err := os.Rename(hook, hook+".old"); err != nil {
				t.Fatal(err)
			}
			b.hook(hook, "lefthook")
			b.install()
			b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
			wantLog(t, b.logged()[1:], "lefthook .git/COMMIT_EDITMSG <>", "gatekeeper-commit-msg commit-msg .git/COMMIT_EDITMSG <>")
			if _, err := os.Stat(hook + ".old"); err == nil {
				t.Error("NAME.old stays in lefthook's way")
			}
		}
		b.uninstall()
		if got := read(t, hook); !strings.Contains(got, "lefthook") {
			t.Errorf("after uninstall: %q", got)
		}
	})

	t.Run("two different hooks for one name are left to the user", func(t *testing.T) {
		b := newBench(t)
		hook := filepath.Join(b.gitDir(), "hooks/commit-msg")
		b.hook(hook, "first")
		b.install()
		b.hook(hook, "second")
		before := b.snapshot()
		_, err := Client(context.Background(), b.options())
		wantUsage(t, err, hook, "commit-msg.before-gatekeeper")
		same(t, before, b.snapshot())
	})

	t.Run("an edited shim is not destroyed, and the rest is taken out", func(t *testing.T) {
		b := newBench(t)
		hook := filepath.Join(b.gitDir(), "hooks/commit-msg")
		b.hook(hook, "theirs")
		b.install()
		edited := read(t, hook) + "# mine\n"
		b.write(hook, edited)
		_, err := Client(context.Background(), b.options())
		wantUsage(t, err, hook, "edited")

		res := b.uninstall()
		if res.Complete() {
			t.Error("uninstall says that nothing was left")
		}
		want := []string{"removed prepare-commit-msg", "left commit-msg", "removed applypatch-msg", "removed post-applypatch", "removed post-commit", "removed post-rewrite", "removed pre-push"}
		if diff := cmp.Diff(want, done(res, Hook)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if read(t, hook) != edited {
			t.Error("the edited hook changed")
		}
		if _, err := os.Stat(filepath.Join(b.gitDir(), "hooks/pre-push")); err == nil {
			t.Error("pre-push stays")
		}
		if err := os.Remove(hook); err != nil {
			t.Fatal(err)
		}
		if res := b.uninstall(); !res.Complete() {
			t.Errorf("left: %v", res.Actions)
		}
		if got := read(t, hook); !strings.Contains(got, "theirs") {
			t.Errorf("the hook from before did not come back: %q", got)
		}
		if _, err := os.Stat(filepath.Join(b.gitDir(), "gatekeeper")); err == nil {
			t.Error("the state directory stays")
		}
	})
}

func TestKey(t *testing.T) {
	t.Run("one is made, pinned, kept for other clones and never deleted", func(t *testing.T) {
		b := newBench(t)
		res := b.install()
		key := filepath.Join(getenv(b.Env, "XDG_CONFIG_HOME"), "gatekeeper/id_ed25519")
		if got := b.Git(t, "config", "--local", "gatekeeper.signingKey"); got != key {
			t.Errorf("gatekeeper.signingKey is %q, want %q", got, key)
		}
		st, err := os.Stat(key)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the key's file: %v, %v", st.Mode(), err)
		}
		fields := strings.Fields(read(t, key+".pub"))
		want := `alice@example.com namespaces="gatekeeper" ` + fields[0] + " " + fields[1]
		if res.AllowedSigners != want {
			t.Errorf("the admin's line is\n%s, want\n%s", res.AllowedSigners, want)
		}

		other := newBench(t)
		other.Env = b.Env
		again := other.install()
		if again.AllowedSigners != want || cmp.Diff([]string{"kept id_ed25519"}, done(again, Key)) != "" {
			t.Errorf("another clone: %v", again.Actions)
		}
		gone := b.uninstall()
		if len(gone.Notes) != 1 || !strings.Contains(gone.Notes[0], key) {
			t.Errorf("uninstall does not say where the key is: %q", gone.Notes)
		}
		if _, err := os.Stat(key); err != nil {
			t.Error(err)
		}
	})

	sshKey := func(t *testing.T, b *bench, args ...string) string {
		path := filepath.Join(getenv(b.Env, "HOME"), "id_test")
		cmd := b.Command()
		cmd.Path, cmd.Args = "/usr/bin/ssh-keygen", append([]string{"ssh-keygen", "-q", "-t", "ed25519", "-f", path}, args...)
		needs(t, cmd)
		return path
	}

	t.Run("the key that signs commits already is used and not pinned", func(t *testing.T) {
		b := newBench(t)
		key := sshKey(t, b, "-N", "")
		b.Git(t, "config", "--global", "gpg.format", "ssh")
		b.Git(t, "config", "--global", "user.signingKey", "~/id_test.pub")
		res := b.install()
		if !strings.Contains(res.AllowedSigners, strings.Fields(read(t, key+".pub"))[1]) {
			t.Errorf("the admin's line is of another key: %s", res.AllowedSigners)
		}
		if out, _, err := b.Run("", "config", "gatekeeper.signingKey"); err == nil {
			t.Errorf("pinned to %s", out)
		}
	})

	t.Run("a key with a passphrase is used only when named", func(t *testing.T) {
		b := newBench(t)
		key := sshKey(t, b, "-N", "secret")
		b.Git(t, "config", "gpg.format", "ssh")
		b.Git(t, "config", "user.signingKey", key)
		res := b.install()
		if diff := cmp.Diff([]string{"skipped id_test", "made id_ed25519"}, done(res, Key)); diff != "" {
			t.Errorf("(-want +got):\n%s\n%v", diff, res.Actions)
		}
		b.Git(t, "config", "gatekeeper.signingKey", key)
		res = b.install()
		if !strings.Contains(res.AllowedSigners, strings.Fields(read(t, key+".pub"))[1]) {
			t.Errorf("the named key is not used: %v", res.Actions)
		}
	})

	t.Run("a named key that cannot be used is an error", func(t *testing.T) {
		b := newBench(t)
		b.Git(t, "config", "gatekeeper.signingKey", "/no/such/key")
		before := b.snapshot()
		_, err := Client(context.Background(), b.options())
		wantUsage(t, err, "gatekeeper.signingKey=/no/such/key")
		same(t, before, b.snapshot())
	})
}

func TestFetchPolicy(t *testing.T) {
	server := func(t *testing.T) *bench {
		s := newBench(t, "--bare")
		if _, err := Server(context.Background(), ServerOptions{Dir: s.Dir, Binaries: s.bin, Environ: s.Env, Now: now}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("the policy that the server publishes is fetched, and nothing else", func(t *testing.T) {
		s, b := server(t), newBench(t)
		b.Git(t, "remote", "add", "origin", s.Dir)
		before := b.snapshot()
		res := b.install()
		if diff := cmp.Diff([]string{"fetched policy"}, done(res, Policy)); diff != "" {
			t.Errorf("(-want +got):\n%s\n%v", diff, res.Actions)
		}
		if got, want := b.Git(t, "rev-parse", PolicyRef), s.Git(t, "rev-parse", PolicyRef); got != want {
			t.Errorf("fetched %s, want %s", got, want)
		}
		if res := b.install(); res.Changed {
			t.Errorf("a second time: %v", res.Actions)
		}
		b.uninstall()
		same(t, before, b.snapshot())
	})
	t.Run("a policy that pre-push fetches later goes with uninstall, one from before stays", func(t *testing.T) {
		s, b := server(t), newBench(t)
		b.install()
		b.Git(t, "fetch", "-q", s.Dir, "+"+PolicyRef+":"+PolicyRef)
		b.uninstall()
		if got := b.Git(t, "for-each-ref", PolicyRef); got != "" {
			t.Errorf("stays: %s", got)
		}
		b.Git(t, "fetch", "-q", s.Dir, "+"+PolicyRef+":"+PolicyRef)
		b.install()
		b.uninstall()
		if got := b.Git(t, "for-each-ref", PolicyRef); got == "" {
			t.Error("the one from before has gone")
		}
	})
	t.Run("a server that cannot be reached, or publishes none, is no failure", func(t *testing.T) {
		b := newBench(t)
		b.Git(t, "remote", "add", "origin", "/no/such/server")
		if diff := cmp.Diff([]string{"skipped policy"}, done(b.install(), Policy)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.Git(t, "remote", "set-url", "origin", newClone(t, "--bare").Dir)
		if diff := cmp.Diff([]string{"skipped policy"}, done(b.install(), Policy)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestWriteText(t *testing.T) {
	b := newBench(t)
	b.hook(filepath.Join(b.gitDir(), "hooks/commit-msg"), "theirs")
	res := b.install()
	var out bytes.Buffer
	if err := res.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(getenv(b.Env, "XDG_CONFIG_HOME"), "gatekeeper/id_ed25519")
	text := strings.NewReplacer(b.gitDir(), "GITDIR", key, "KEY", res.AllowedSigners, "LINE").Replace(out.String())
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.Contains(line, "SHA256:") {
			lines = append(lines, line)
		}
	}
	want := `client installed in GITDIR
  wrote hook: prepare-commit-msg applypatch-msg post-applypatch post-commit post-rewrite pre-push
  moved hook: commit-msg (runs first, as commit-msg.before-gatekeeper)
  wrote hook: commit-msg (after the one that was there)
  set config: gatekeeper.signingKey (KEY)
  skipped policy: refs/gatekeeper/policy (no remote to fetch it from)
the admin adds this line to allowed_signers, beside the policy:
LINE
`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
