package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
)

const enforcing = `schema = 1
[defaults]
mode = "enforce"
[[ref]]
match = "refs/heads/wip/**"
mode  = "off"
[signers]
allowed_signers = "allowed_signers"
`

func (b *bench) serverOptions() ServerOptions {
	return ServerOptions{Dir: b.Dir, Binaries: b.bin, Environ: b.Env, Now: now}
}

func (b *bench) installServer(change ...func(*ServerOptions)) Result {
	b.t.Helper()
	o := b.serverOptions()
	for _, c := range change {
		c(&o)
	}
	res, err := Server(context.Background(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) uninstallServer() Result {
	b.t.Helper()
	res, err := UninstallServer(context.Background(), b.serverOptions())
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// policyFile writes a policy beside the bench, with an empty allowed_signers.
func (b *bench) policyFile(text string) string {
	b.t.Helper()
	dir := filepath.Join(filepath.Dir(b.Dir), "policies")
	b.write(filepath.Join(dir, "site.toml"), text)
	b.write(filepath.Join(dir, "allowed_signers"), "# nobody yet\n")
	return filepath.Join(dir, "site.toml")
}

func withPolicy(file string) func(*ServerOptions) {
	return func(o *ServerOptions) { o.Policy = file }
}

func hardened(o *ServerOptions)    { o.Harden = true }
func rebaselined(o *ServerOptions) { o.Rebaseline = true }

// commit makes a commit on a ref of a bare repository and returns its id.
func (b *bench) commit(ref string, parents ...string) string {
	b.t.Helper()
	empty, _, err := b.Run("", "mktree")
	if err != nil {
		b.t.Fatal(err)
	}
	args := []string{"commit-tree", "-m", ref, strings.TrimSpace(empty)}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	id := b.Git(b.t, args...)
	b.Git(b.t, "update-ref", ref, id)
	return id
}

func (b *bench) baseline() []string {
	b.t.Helper()
	return strings.Fields(read(b.t, filepath.Join(b.Dir, "gatekeeper/baseline")))
}

func TestServer(t *testing.T) {
	layouts := []struct {
		name string
		init []string
		lay  func(b *bench)
	}{
		{"a fresh repository", nil, func(b *bench) {}},
		{"a repository with SHA-256 ids", []string{"--object-format=sha256"}, func(b *bench) { b.commit("refs/heads/main") }},
		{"a shared repository", []string{"--shared=group"}, func(b *bench) { b.commit("refs/heads/main") }},
		{"hooks that are there", nil, func(b *bench) {
			b.hook(filepath.Join(b.Dir, "hooks/pre-receive"), "theirs")
			b.hook(filepath.Join(b.Dir, "hooks/post-receive"), "theirs")
			b.hook(filepath.Join(b.Dir, "hooks/update"), "theirs")
		}},
		{"a hooksPath of its own", nil, func(b *bench) {
			b.Git(b.t, "config", "core.hooksPath", "custom")
			b.hook(filepath.Join(b.Dir, "custom/pre-receive"), "theirs")
		}},
		{"a policy that is there", nil, func(b *bench) {
			b.write(filepath.Join(b.Dir, "gatekeeper/policy.toml"), "schema = 1\n")
			b.write(filepath.Join(b.Dir, "gatekeeper/allowed_signers"), "# theirs\n")
		}},
		{"settings that are there", nil, func(b *bench) { b.Git(b.t, "config", "receive.fsckObjects", "false") }},
	}
	for _, l := range layouts {
		t.Run("uninstall restores "+l.name, func(t *testing.T) {
			b := newBench(t, append([]string{"--bare"}, l.init...)...)
			l.lay(b)
			file := b.policyFile(enforcing)
			before := snapshot(t, b.Dir)
			for _, o := range []func(*ServerOptions){func(*ServerOptions) {}, withPolicy(file), hardened} {
				b.installServer(o)
				installed := snapshot(t, b.Dir)
				if res := b.installServer(o); res.Changed {
					t.Errorf("a second install says that it changed things: %v", res.Actions)
				}
				if res := b.installServer(); res.Changed {
					t.Errorf("a second install without options changed things: %v", res.Actions)
				}
				same(t, installed, snapshot(t, b.Dir))
				if res := b.uninstallServer(); !res.Complete() {
					t.Errorf("uninstall left things: %v", res.Actions)
				}
				same(t, before, snapshot(t, b.Dir))
			}
		})
	}

	t.Run("a shared repository stays so", func(t *testing.T) {
		b := newBench(t, "--bare", "--shared=group")
		b.installServer()
		for path, want := range map[string]os.FileMode{
			"hooks/pre-receive": 0o775, "gatekeeper/policy.toml": 0o664, "gatekeeper/baseline": 0o664, "gatekeeper": 0o775 | os.ModeSetgid | os.ModeDir,
			"gatekeeper/receipts": 0o775 | os.ModeSetgid | os.ModeDir,
		} {
			st, err := os.Stat(filepath.Join(b.Dir, path))
			if err != nil {
				t.Fatal(err)
			}
			if st.Mode() != want {
				t.Errorf("%s has mode %v, want %v", path, st.Mode(), want)
			}
		}
	})

	t.Run("pre-receive and post-receive run, with what was there chained", func(t *testing.T) {
		s, b := newBench(t, "--bare"), newBench(t)
		b.Env = append(b.Env, "LOG="+s.log)
		s.hook(filepath.Join(s.Dir, "hooks/pre-receive"), "theirs-pre")
		s.hook(filepath.Join(s.Dir, "hooks/post-receive"), "theirs-post")
		s.installServer()
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		b.Git(t, "push", "-q", s.Dir, "main")
		id := b.Git(t, "rev-parse", "main")
		line := strings.Repeat("0", len(id)) + " " + id + " refs/heads/main"
		wantLog(t, s.logged(),
			"theirs-pre pre-receive <"+line+"|>", "gatekeeper-pre-receive pre-receive <"+line+">",
			"theirs-post post-receive <"+line+"|>", "gatekeeper-pre-receive post-receive <"+line+">")
	})

	t.Run("without the binary every push is refused, in words", func(t *testing.T) {
		s, b := newBench(t, "--bare"), newBench(t)
		s.installServer()
		os.RemoveAll(s.bin)
		b.Git(t, "commit", "-q", "--allow-empty", "-m", "one")
		_, stderr, err := b.Run("", "push", "-q", s.Dir, "main")
		if err == nil || !strings.Contains(stderr, "gatekeeper: cannot check: binary missing at "+s.bin) ||
			!strings.Contains(stderr, "gatekeeper: nothing was stored") {
			t.Errorf("push: %v\n%s", err, stderr)
		}
		if out := s.Git(t, "for-each-ref", "refs/heads"); out != "" {
			t.Errorf("the server has %s", out)
		}
		hook := s.Command()
		hook.Path, hook.Args = filepath.Join(s.Dir, "hooks/pre-receive"), []string{"hooks/pre-receive"}
		hook.Run()
		if got := hook.ProcessState.ExitCode(); got != 3 {
			t.Errorf("exit code %d, want 3", got)
		}
	})

	t.Run("a starter that warns is written, and says so", func(t *testing.T) {
		b := newBench(t, "--bare")
		res := b.installServer()
		if got := read(t, filepath.Join(b.Dir, "gatekeeper/policy.toml")); got != string(policy.Starter(policy.Warn)) {
			t.Errorf("policy.toml is\n%s", got)
		}
		if !slices.ContainsFunc(res.Notes, func(n string) bool {
			return strings.Contains(n, "refuses nothing yet") && strings.Contains(n, "--rebaseline")
		}) {
			t.Errorf("notes: %q", res.Notes)
		}
	})

	t.Run("a policy that was edited survives install and uninstall", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.installServer()
		path := filepath.Join(b.Dir, "gatekeeper/policy.toml")
		b.write(path, "schema = 1\n# mine\n")
		if got := done(b.installServer(), Policy); !slices.Equal(got, []string{"kept policy.toml", "published policy"}) {
			t.Errorf("actions: %v", got)
		}
		res := b.uninstallServer()
		if !res.Complete() || read(t, path) != "schema = 1\n# mine\n" {
			t.Errorf("after uninstall: %v", res.Actions)
		}
		if diff := cmp.Diff([]string{"kept policy.toml", "removed baseline"}, done(res, State)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("a new policy replaces the old one and keeps what was edited", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.installServer()
		path := filepath.Join(b.Dir, "gatekeeper/policy.toml")
		b.write(path, "schema = 1\n# mine\n")
		b.installServer(withPolicy(b.policyFile(enforcing)))
		if got := read(t, path); got != enforcing {
			t.Errorf("policy.toml is %q", got)
		}
		if got := read(t, path+".before-20261123T071245Z"); got != "schema = 1\n# mine\n" {
			t.Errorf("the old one is %q", got)
		}
		if got := b.Git(t, "show", PolicyRef+":allowed_signers"); got != "# nobody yet" {
			t.Errorf("published allowed_signers: %q", got)
		}
	})

	t.Run("a bad policy changes nothing", func(t *testing.T) {
		b := newBench(t, "--bare")
		for _, text := range []string{"schema = 1\nnope = 1\n", "schema = 1\n[signers]\nallowed_signers = \"missing\"\n"} {
			before := snapshot(t, b.Dir)
			o := b.serverOptions()
			o.Policy = b.policyFile(text)
			_, err := Server(context.Background(), o)
			wantUsage(t, err, "site.toml:", "nothing was changed")
			var at *policy.Error
			if !errors.As(err, &at) {
				t.Errorf("%v does not carry the place", err)
			}
			same(t, before, snapshot(t, b.Dir))
		}
		b.write(filepath.Join(b.Dir, "gatekeeper/policy.toml"), "nope = 1\n")
		before := snapshot(t, b.Dir)
		_, err := Server(context.Background(), b.serverOptions())
		wantUsage(t, err, "policy.toml:1")
		same(t, before, snapshot(t, b.Dir))
	})

	t.Run("a policy for a whole site is used where it is", func(t *testing.T) {
		b := newBench(t, "--bare")
		file := b.policyFile(enforcing)
		b.Git(t, "config", "gatekeeper.policy", file)
		before := snapshot(t, b.Dir)
		b.installServer()
		if _, err := os.Stat(filepath.Join(b.Dir, "gatekeeper/policy.toml")); err == nil {
			t.Error("a policy.toml was written that nobody reads")
		}
		if got := b.Git(t, "show", PolicyRef+":policy.toml"); got+"\n" != enforcing {
			t.Errorf("published %q", got)
		}
		o := b.serverOptions()
		o.Policy = file
		_, err := Server(context.Background(), o)
		wantUsage(t, err, "gatekeeper.policy")
		b.uninstallServer()
		same(t, before, snapshot(t, b.Dir))
	})

	t.Run("the policy of the default branch is published where the setting says repo", func(t *testing.T) {
		s, b := newBench(t, "--bare"), newBench(t)
		b.write(filepath.Join(b.Dir, ".gatekeeper/policy.toml"), enforcing)
		b.write(filepath.Join(b.Dir, ".gatekeeper/allowed_signers"), "# in the branch\n")
		b.Git(t, "add", ".")
		b.Git(t, "commit", "-q", "-m", "policy")
		b.Git(t, "push", "-q", s.Dir, "main")
		s.Git(t, "config", "gatekeeper.policy", "repo")
		before := snapshot(t, s.Dir)
		s.installServer()
		if got := s.Git(t, "show", PolicyRef+":allowed_signers"); got != "# in the branch" {
			t.Errorf("published %q", got)
		}
		s.uninstallServer()
		same(t, before, snapshot(t, s.Dir))
	})

	t.Run("safe settings are proposed, and set only when asked for", func(t *testing.T) {
		b := newBench(t, "--bare")
		res := b.installServer()
		if got := strings.Join(res.Notes, "\n"); !strings.Contains(got, "receive.fsckObjects true") || !strings.Contains(got, "receive.advertisePushOptions true") {
			t.Errorf("notes: %s", got)
		}
		if _, _, err := b.Run("", "config", "receive.fsckObjects"); err == nil {
			t.Error("receive.fsckObjects was set unasked")
		}
		b.installServer(hardened)
		for _, key := range safe {
			if got := b.Git(t, "config", "--type=bool", key); got != "true" {
				t.Errorf("%s = %s", key, got)
			}
		}
	})

	t.Run("hooks that are shared with other repositories are refused", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.Git(t, "config", "--global", "core.hooksPath", "/srv/hooks")
		before := snapshot(t, b.Dir)
		_, err := Server(context.Background(), b.serverOptions())
		wantUsage(t, err, "/srv/hooks", "global")
		b.Git(t, "config", "--global", "--unset", "core.hooksPath")
		os.RemoveAll(filepath.Join(b.Dir, "hooks"))
		if err := os.Symlink("../shared", filepath.Join(b.Dir, "hooks")); err != nil {
			t.Fatal(err)
		}
		_, err = Server(context.Background(), b.serverOptions())
		wantUsage(t, err, "not this repository's own")
		os.Remove(filepath.Join(b.Dir, "hooks"))
		os.Mkdir(filepath.Join(b.Dir, "hooks"), 0o755)
		for path := range before {
			if name, ok := strings.CutPrefix(path, "hooks/"); ok {
				b.write(filepath.Join(b.Dir, "hooks", name), "")
			}
		}
	})

	t.Run("a platform that this version does not know is refused", func(t *testing.T) {
		b := newBench(t, "--bare")
		o := b.serverOptions()
		o.Platform = "sourcehut"
		_, err := Server(context.Background(), o)
		wantUsage(t, err, "sourcehut", "plain")
	})

	t.Run("receipts stay, whatever is taken out, and in which order", func(t *testing.T) {
		for _, server1st := range []bool{true, false} {
			b := newBench(t)
			b.installServer()
			b.install()
			kept := filepath.Join(b.gitDir(), receipt.Dir, "000001.jsonl")
			b.write(kept, "a receipt\n")
			out := []func() Result{b.uninstallServer, b.uninstall}
			if !server1st {
				slices.Reverse(out)
			}
			var notes []string
			for _, uninstall := range out {
				notes = append(notes, uninstall().Notes...)
			}
			if read(t, kept) != "a receipt\n" || !slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, "the receipts of pushes stay in ") }) {
				t.Errorf("the server first: %v: %q", server1st, notes)
			}
		}
	})
	t.Run("a folder inside of a repository is a slip", func(t *testing.T) {
		b := newBench(t)
		o := b.serverOptions()
		o.Dir = filepath.Join(b.Dir, "server.git")
		os.Mkdir(o.Dir, 0o755)
		_, err := Server(context.Background(), o)
		wantUsage(t, err, "server.git", "inside of")
	})

	t.Run("a client and a server in one repository do not disturb each other", func(t *testing.T) {
		b := newBench(t)
		before := b.snapshot()
		b.install()
		client := b.snapshot()
		b.installServer(hardened)
		b.uninstallServer()
		now := b.snapshot()
		delete(now, "gatekeeper/settings") // a cache, which is the client's, too
		same(t, client, now)
		b.installServer()
		b.uninstall()
		if _, err := os.Stat(filepath.Join(b.gitDir(), "gatekeeper/policy.toml")); err != nil {
			t.Error("the client's uninstall took the server's policy")
		}
		b.uninstallServer()
		same(t, before, b.snapshot())
	})
}

func TestBaseline(t *testing.T) {
	t.Run("it holds the tips of enforced refs, through tags, once each", func(t *testing.T) {
		b := newBench(t, "--bare")
		main := b.commit("refs/heads/main")
		b.Git(t, "update-ref", "refs/heads/same", main)
		wip := b.commit("refs/heads/wip/parked", main)
		old := b.commit("refs/heads/old")
		b.Git(t, "tag", "-a", "-m", "tag", "v1", old)
		b.Git(t, "tag", "-a", "-m", "tag of a tag", "v2", "v1")
		b.Git(t, "update-ref", "-d", "refs/heads/old")
		b.commit("refs/notes/commits")
		b.commit("refs/gatekeeper/records/0123")
		b.Git(t, "update-ref", "refs/tags/tree", b.Git(t, "rev-parse", main+"^{tree}"))
		b.installServer(withPolicy(b.policyFile(enforcing)))
		want := []string{main, old}
		slices.Sort(want)
		if diff := cmp.Diff(want, b.baseline()); diff != "" {
			t.Errorf("(-want +got):\n%s\n%s is parked", diff, wip)
		}
	})

	t.Run("while nothing is enforced it holds the tips of refs that warn", func(t *testing.T) {
		b := newBench(t, "--bare")
		main := b.commit("refs/heads/main")
		b.commit("refs/heads/wip/parked", main)
		b.installServer(withPolicy(b.policyFile(strings.Replace(enforcing, `"enforce"`, `"warn"`, 1))))
		if diff := cmp.Diff([]string{main}, b.baseline()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("it is written once, and only --rebaseline rewrites it, keeping the old one", func(t *testing.T) {
		b := newBench(t, "--bare")
		first := b.commit("refs/heads/main")
		file := b.policyFile(enforcing)
		before := snapshot(t, b.Dir)
		b.installServer(withPolicy(file))
		second := b.commit("refs/heads/main", first)
		b.installServer(withPolicy(file))
		if diff := cmp.Diff([]string{first}, b.baseline()); diff != "" {
			t.Errorf("after a second install (-want +got):\n%s", diff)
		}
		b.installServer(rebaselined)
		if diff := cmp.Diff([]string{second}, b.baseline()); diff != "" {
			t.Errorf("after --rebaseline (-want +got):\n%s", diff)
		}
		if got := read(t, filepath.Join(b.Dir, "gatekeeper/baseline.before-20261123T071245Z")); got != first+"\n" {
			t.Errorf("the old one is %q", got)
		}
		if res := b.installServer(rebaselined); res.Changed {
			t.Errorf("rebaselining again: %v", res.Actions)
		}
		b.Git(t, "update-ref", "refs/heads/main", first)
		b.uninstallServer()
		same(t, before, snapshot(t, b.Dir))
	})

	t.Run("an empty repository has an empty one", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.installServer()
		if got := b.baseline(); len(got) != 0 {
			t.Errorf("got %v", got)
		}
		b.commit("refs/heads/main")
		b.installServer()
		if got := b.baseline(); len(got) != 0 {
			t.Errorf("a second install took in %v", got)
		}
	})
}

func TestPublish(t *testing.T) {
	publish := func(t *testing.T, b *bench) Publication {
		t.Helper()
		p, err := Publish(context.Background(), PublishOptions{Dir: b.Dir, Environ: append(b.Env, "GIT_DIR=."), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Run("each change is a commit on the one before, no change is none", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.commit("refs/heads/main")
		b.installServer()
		first := publish(t, b)
		if first.Changed {
			t.Error("what install published was published again")
		}
		b.write(filepath.Join(b.Dir, "gatekeeper/policy.toml"), "schema = 1\n")
		second := publish(t, b)
		if !second.Changed || b.Git(t, "rev-parse", PolicyRef) != second.Commit || b.Git(t, "rev-parse", PolicyRef+"^") != first.Commit {
			t.Errorf("got %+v", second)
		}
		if again := publish(t, b); again.Changed || again.Commit != second.Commit {
			t.Errorf("got %+v, want %s again", again, second.Commit)
		}
		if got := b.Git(t, "ls-tree", "-r", "--name-only", PolicyRef); got != "baseline\npolicy.toml" {
			t.Errorf("published files: %q", got)
		}
		if got := b.Git(t, "log", "-1", "--format=%an <%ae> %aI", PolicyRef); got != "gatekeeper <gatekeeper@localhost> 2026-11-23T07:12:45+00:00" {
			t.Errorf("published by %s", got)
		}
	})
	t.Run("a policy that is not valid is not published", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.installServer()
		before := b.Git(t, "rev-parse", PolicyRef)
		b.write(filepath.Join(b.Dir, "gatekeeper/policy.toml"), "nope = 1\n")
		if _, err := Publish(context.Background(), PublishOptions{Dir: b.Dir, Environ: b.Env, Now: now}); err == nil {
			t.Error("no error")
		}
		if got := b.Git(t, "rev-parse", PolicyRef); got != before {
			t.Errorf("%s moved to %s", PolicyRef, got)
		}
	})
}

// A run that fails at any of its steps leaves every byte as it was.
func TestServerRollsBack(t *testing.T) {
	for _, name := range []string{"installing", "installing again", "uninstalling"} {
		t.Run("when "+name, func(t *testing.T) {
			b := newBench(t, "--bare")
			b.hook(filepath.Join(b.Dir, "hooks/pre-receive"), "theirs")
			b.commit("refs/heads/main")
			act := Server
			if name != "installing" {
				b.installServer()
				b.commit("refs/heads/main")
			}
			if name == "uninstalling" {
				act = UninstallServer
			}
			before := snapshot(t, b.Dir)
			for fail := 0; ; fail++ {
				o := b.serverOptions()
				o.Harden, o.Rebaseline, o.Policy = true, true, b.policyFile(enforcing)
				n := 0
				boom := errors.New("boom")
				o.stop = func(step string) error {
					if n++; n > fail {
						return fmt.Errorf("%s: %w", step, boom)
					}
					return nil
				}
				_, err := act(context.Background(), o)
				if err == nil {
					if fail < 4 {
						t.Errorf("only %d steps", fail)
					}
					break
				}
				if !errors.Is(err, boom) || strings.Contains(err.Error(), "taking it back failed") {
					t.Fatalf("step %d: %v", fail, err)
				}
				same(t, before, snapshot(t, b.Dir))
				if t.Failed() {
					t.Fatalf("after failing at step %d", fail)
				}
			}
		})
	}
}
