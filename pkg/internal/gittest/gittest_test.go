package gittest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
)

func TestHistory(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run("a draft's trees in "+format+" are those that git writes", func(t *testing.T) {
			r := gittest.New(t, "--object-format="+format)
			var want []string
			record := func(d gittest.Draft) (string, error) {
				want = append(want, d.Tree)
				for _, id := range append(d.Parents, d.Tree) {
					if _, _, ok := d.Object(id); !ok {
						t.Errorf("commit %d: tree %s is not to be had", d.N, id)
					}
				}
				return d.Subject, nil
			}
			generate(t, r, gittest.History{Commits: 25, Message: record})
			r.Git(t, "reset", "-q", "--hard")
			r.Write(t, "folder/inner", "text\n")
			r.Write(t, "folder.txt", "text\n")
			want = append(want, strings.TrimSpace(r.Git(t, "rev-parse", r.Commit(t, "by hand")+"^{tree}")))
			tip := generate(t, r, gittest.History{Commits: 3, Onto: "HEAD", Message: record})

			got := strings.Fields(r.Git(t, "log", "--reverse", "--format=%T", tip))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("trees (-worked out +git's):\n%s", diff)
			}
			r.Git(t, "fsck", "--strict")

			wide := gittest.History{Commits: 12, Files: 30, Folders: 10, Changes: 4, Edits: 3, Onto: tip, Branch: "wide", Message: record}
			want = nil
			wide.Onto = generate(t, r, wide)
			generate(t, r, wide)
			got = strings.Fields(r.Git(t, "log", "--reverse", "--format=%T", tip+"..wide"))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("trees with folders (-worked out +git's):\n%s", diff)
			}
			if got, want := r.Git(t, "diff", "--shortstat", "wide~13", "wide~12"), " 4 files changed, 12 insertions(+), 12 deletions(-)"; got != want {
				t.Errorf("a commit of several files: got %q, want %q", got, want)
			}
			r.Git(t, "fsck", "--strict")
		})
	}
}

func generate(t *testing.T, r *gittest.Repo, h gittest.History) string {
	t.Helper()
	tip, err := r.Generate(h)
	if err != nil {
		t.Fatal(err)
	}
	return tip
}

func TestEnvironment(t *testing.T) {
	t.Run("nothing of the machine comes in", func(t *testing.T) {
		t.Setenv("GIT_DIR", "/nowhere")
		t.Setenv("CLAUDECODE", "1")
		for _, kv := range gittest.Env(t) {
			if strings.HasPrefix(kv, "GIT_DIR=") || strings.HasPrefix(kv, "CLAUDECODE=") {
				t.Errorf("%s is in the environment", kv)
			}
		}
	})
	t.Run("ids are the same in every run", func(t *testing.T) {
		r := gittest.New(t)
		r.Write(t, "a", "a\n")
		if got, want := r.Commit(t, "First"), "ccf12429e044d42bc79a1538c558cae35164d6ff"; got != want {
			t.Errorf("commit is %s, was %s", got, want)
		}
	})
}

func TestServers(t *testing.T) {
	const history = 3000 // more than one http.postBuffer of 1 MiB, so it comes in chunks
	root := t.TempDir()
	env := append(gittest.Env(t), "GITTEST_MARK=seen")
	server := map[string]func() string{
		"http": func() string { return gittest.ServeHTTP(t, root, env, "alice").URL },
		"ssh": func() string {
			s := gittest.ServeSSH(t, env)
			env = append(env, "GIT_SSH_COMMAND="+s.Command)
			return s.URL + root
		},
	}
	for name, start := range server {
		t.Run("a push over "+name+" reaches the hook with the server's environment", func(t *testing.T) {
			url := start() + "/" + name + ".git"
			bare := &gittest.Repo{Dir: filepath.Join(root, name+".git"), Env: gittest.Env(t)}
			if err := os.Mkdir(bare.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			bare.Git(t, "init", "-q", "--bare")
			bare.Hook(t, "pre-receive", "#!/bin/sh\necho mark=$GITTEST_MARK home=$HOME date=$GIT_COMMITTER_DATE\n")

			work := gittest.New(t)
			work.Env = env
			tip := generate(t, work, gittest.History{Commits: history, Lines: 60})
			_, stderr, err := work.Run("", "push", url, "main")
			if err != nil {
				t.Fatalf("push: %v\n%s", err, stderr)
			}
			home := env[slices.IndexFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })]
			want := "mark=seen home=" + strings.TrimPrefix(home, "HOME=") + " date="
			if !strings.Contains(stderr, want+"\n") && !strings.Contains(stderr, want+" ") {
				t.Errorf("the hook's environment: got\n%s\nwant %s", stderr, want)
			}
			if got := bare.Git(t, "rev-parse", "main"); got != tip {
				t.Errorf("server has %s, pushed %s", got, tip)
			}
		})
	}
}

func TestAgent(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := gittest.NewKey(key, "ed25519"); err != nil {
		t.Fatal(err)
	}
	agent := gittest.ServeAgent(t, key)
	cmd := exec.Command("ssh-add", "-L")
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+agent.Socket)
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the agent's keys (-want +got):\n%s", diff)
	}
}

func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	take := func() gittest.Snapshot {
		s, err := gittest.Take(dir, "log")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	steps := []struct {
		name    string
		do      func() error
		differs bool
	}{
		{"a file comes", func() error { return os.WriteFile(file, []byte("a"), 0o600) }, true},
		{"a byte changes", func() error { return os.WriteFile(file, []byte("b"), 0o600) }, true},
		{"the mode changes", func() error { return os.Chmod(file, 0o700) }, true},
		{"an empty folder comes", func() error { return os.Mkdir(filepath.Join(dir, "new"), 0o755) }, true},
		{"a link comes", func() error { return os.Symlink("file", filepath.Join(dir, "link")) }, true},
		{"the same bytes are written again", func() error { return os.WriteFile(file, []byte("b"), 0o700) }, false},
		{"what is left out comes", func() error { return os.WriteFile(filepath.Join(dir, "log"), nil, 0o600) }, false},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			before := take()
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			if diff := before.Diff(take()); (len(diff) > 0) != step.differs {
				t.Errorf("differs: got %q, want %v", diff, step.differs)
			}
		})
	}
}

func TestNormal(t *testing.T) {
	in := `commit 3f2a91c4d5e6f708192a3b4c5d6e7f8091a2b3c4
  3f2a91c  Add retry loop, 10000000 lines
  aaaaaaa  at 2026-11-23T07:12:45Z in /tmp/x/work
AI-Attestation: v1 key=SHA256:kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3k time=2026-11-23T07:12:45Z bind=kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3kP3k sig=sshsig:AbC+/=
http://127.0.0.1:40123/server.git ssh://[127.0.0.1]:2222/x
`
	want := `commit <id-1>
  <id-1>  Add retry loop, 10000000 lines
  <id-2>  at <time> in $WORK/work
AI-Attestation: v1 key=SHA256:<key-1> time=<time> bind=<digest> sig=sshsig:<sig>
http://127.0.0.1:<port>/server.git ssh://[127.0.0.1:<port>/x
`
	got := gittest.Normal(in, map[string]string{"/tmp/x": "$WORK"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
