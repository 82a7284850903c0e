package commitmsg

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

func TestParseInvocation(t *testing.T) {
	tests := []struct {
		line string
		want invocation
	}{
		{"git commit -m x", invocation{name: "commit", message: true}},
		{"git commit --amend --no-edit", invocation{name: "commit", amend: true, noEdit: true}},
		{"git commit --am", invocation{name: "commit", amend: true}},
		{"git commit --a", invocation{name: "commit"}}, // git refuses it as ambiguous
		{"git commit -m --amend", invocation{name: "commit", message: true}},
		{"git commit -am --amend", invocation{name: "commit", message: true}},
		{"git commit -nam x", invocation{name: "commit", noVerify: true, message: true}},
		{"git commit -mn x", invocation{name: "commit", message: true}},
		{"git commit -Skey -n", invocation{name: "commit", noVerify: true}},
		{"git commit -uno -v", invocation{name: "commit", verbose: true}},
		{"git commit --message --amend", invocation{name: "commit", message: true}},
		{"git commit --mess=--amend -- --amend", invocation{name: "commit", message: true}},
		{"git commit --author x --no-verify --verify", invocation{name: "commit"}},
		{"git commit --cleanup verbatim", invocation{name: "commit", cleanup: "verbatim"}},
		{"git commit --cleanup=scissors -e -F f", invocation{name: "commit", cleanup: "scissors", edit: true, message: true}},
		{"git commit --fixup HEAD", invocation{name: "commit", message: true}},
		{"git commit --fixup=amend:HEAD", invocation{name: "commit"}},
		{"git -C dir -c a.b=c --git-dir=x --work-tree y --no-pager commit --amend", invocation{name: "commit", amend: true}},
		{"/usr/lib/git-core/git-commit --amend", invocation{name: "commit", amend: true}},
		{"git merge -n --no-verify topic", invocation{name: "merge", noVerify: true}},
		{"git merge -e topic", invocation{name: "merge", edit: true}},
		{"git cherry-pick -n -x topic", invocation{name: "cherry-pick", signs: true}},
		{"git rebase -i --amend", invocation{name: "rebase"}},
		{"git gui --amend", invocation{name: "gui"}},
		{"git --version", invocation{}},
		{"git", invocation{}},
	}
	for _, tt := range tests {
		tt.want.known = tt.want.name != "" && tt.want.name != "gui"
		got := *parseInvocation(strings.Fields(tt.line))
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(invocation{})); diff != "" {
			t.Errorf("%s: %s", tt.line, diff)
		}
	}
}

func TestRun(t *testing.T) {
	run := func(env Env) (int, string) {
		var said bytes.Buffer
		env.Stderr = &said
		return Run(t.Context(), env), said.String()
	}
	t.Run("a hook that is none of ours is a wrong use", func(t *testing.T) {
		for _, args := range [][]string{nil, {"pre-commit"}, {"commit-msg"}} {
			if code, said := run(Env{Args: args}); code != 2 || !strings.HasPrefix(said, "gatekeeper: ") {
				t.Errorf("%q: got %d, %q", args, code, said)
			}
		}
	})
	t.Run("outside a repository a commit would go on", func(t *testing.T) {
		code, said := run(Env{Args: []string{"commit-msg", "x"}, Dir: t.TempDir()})
		if code != 0 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "gatekeeper: nothing recorded: ") {
			t.Errorf("got %d, %q", code, said)
		}
	})
	t.Run("a panic does not stop a commit", func(t *testing.T) {
		env := Env{Args: []string{"prepare-commit-msg", "HEAD"}, Dir: bareDir(t)}
		env.Ancestors = func() []agent.Process { panic("boom") }
		code, said := run(env)
		if code != 0 || !strings.Contains(said, "internal error: boom") {
			t.Errorf("got %d, %q", code, said)
		}
	})
}

// bareDir is the least that git calls a repository.
func bareDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"objects", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"HEAD": "ref: refs/heads/main\n", "config": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
