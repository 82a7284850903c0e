package repo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type place struct {
	GitDir, CommonDir, WorkTree string
	IDSize                      int
}

func (r *Repo) place() place { return place{r.GitDir, r.CommonDir, r.WorkTree, r.IDSize} }

// What a hook works out without git is what git says.
func TestTheRepositoryOfAHookIsTheOneThatGitOpens(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	root := filepath.Dir(f.dir)
	f.git("worktree", "add", "-q", filepath.Join(root, "linked"))
	f.git("init", "-q", "--separate-git-dir", filepath.Join(root, "apart.git"), filepath.Join(root, "apart"))
	f.git("init", "-q", "--bare", filepath.Join(root, "bare.git"))
	f.git("init", "-q", "--object-format=sha256", filepath.Join(root, "sha256"))
	f.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f.dir, "sub")
	f.git("init", "-q", filepath.Join(root, "extended"))
	extended := f.at(filepath.Join(root, "extended"))
	extended.git("config", "extensions.worktreeConfig", "true")
	for name, env := range map[string][]string{
		"work":     nil,
		"work/sub": {"GIT_DIR=" + filepath.Join(f.dir, ".git/modules/sub"), "GIT_WORK_TREE=" + filepath.Join(f.dir, "sub")},
		"linked":   {"GIT_DIR=" + filepath.Join(f.dir, ".git/worktrees/linked")},
		"apart":    nil,
		"bare.git": {"GIT_DIR=."},
		"sha256":   nil,
		"extended": nil,
	} {
		t.Run(name, func(t *testing.T) {
			g := f.at(filepath.Join(root, name))
			for _, env := range [][]string{env, nil} {
				light := g.withoutGit(env...)
				if !light.light {
					t.Error("left to git")
				}
				opened, err := Open(t.Context(), g.dir, append(slices.Clone(g.env), env...))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(opened.place(), light.place()); diff != "" {
					t.Errorf("with %v (-git +hook):\n%s", env, diff)
				}
			}
		})
	}
}

func TestFormatsThatAreNotKnownAreLeftToGit(t *testing.T) {
	for _, config := range []string{
		"[core]\nrepositoryformatversion = 2\n",
		"[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = reftable\n",
		"[core]\nrepositoryformatversion = 1\n[extensions]\nfuture\n",
		"[core]\nrepositoryformatversion = 0\n[extensions]\nobjectFormat = sha256\n",
		"[core\n",
	} {
		f := newFixture(t)
		f.write(".git/config", config)
		r := f.withoutGit()
		if r.light {
			t.Errorf("%q is read without git", config)
		}
		if _, _, err := r.Head(t.Context()); err == nil {
			t.Errorf("%q: HEAD was read without git", config)
		}
	}
}

func TestNoRepositoryIsAnError(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []string{f.home, "/"} {
		if _, err := FromHook(f.env, dir); !errors.Is(err, ErrNotRepository) {
			t.Errorf("hook in %s: error %v, want ErrNotRepository", dir, err)
		}
		if _, err := Open(t.Context(), dir, f.env); !errors.Is(err, ErrNotRepository) {
			t.Errorf("%s: error %v, want ErrNotRepository", dir, err)
		}
	}
}

func TestOpenFindsTheRepositoryOfASubdirectory(t *testing.T) {
	f := newFixture(t)
	f.write("a/b/c", "x")
	r, err := Open(t.Context(), filepath.Join(f.dir, "a/b"), f.env)
	if err != nil || r.WorkTree != f.dir || r.GitDir != filepath.Join(f.dir, ".git") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWritingAndReadingBack(t *testing.T) {
	f := newFixture(t)
	tip := f.commit("a", "1")
	r := f.hook()
	blob, err := r.WriteObject(t.Context(), "blob", []byte("policy\n"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := r.WriteObject(t.Context(), "tree", append([]byte("100644 policy.toml\x00"), blob...))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.git("cat-file", "-p", tree.String()+":policy.toml"); got != "policy" {
		t.Errorf("stored %q", got)
	}
	if _, err := r.WriteObject(t.Context(), "commit", []byte("nonsense")); err == nil {
		t.Error("git stored nonsense as a commit")
	}
	const ref = "refs/gatekeeper/policy"
	if err := r.UpdateRef(t.Context(), ref, tip, "", "new"); err != nil {
		t.Fatal(err)
	}
	if err := r.UpdateRef(t.Context(), ref, tip, "", "again"); err == nil {
		t.Error("a ref that exists was created")
	}
	if err := r.UpdateRef(t.Context(), ref, tip, tree, "moved"); err == nil {
		t.Error("a ref was moved from where it does not stand")
	}
	if got, err := f.withoutGit().Ref(t.Context(), ref); err != nil || got != tip {
		t.Errorf("%s is %s, %v", ref, got, err)
	}
	if err := r.UpdateRef(t.Context(), ref, "", tip, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.withoutGit().Ref(t.Context(), ref); !errors.Is(err, ErrNoRef) {
		t.Errorf("error %v, want ErrNoRef", err)
	}
}

func TestAFileIsReplacedWithItsModeAndThroughLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "MSG"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("MSG", link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileAtomic(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	info, _ := os.Lstat(link)
	mode, _ := os.Stat(path)
	if err != nil || string(data) != "new" || info.Mode()&os.ModeSymlink == 0 || mode.Mode().Perm() != 0o640 {
		t.Errorf("%q %v %v %v", data, err, info.Mode(), mode.Mode())
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
	if err := WriteFileAtomic(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("no error in a directory that is not there")
	}
}

// The parser agrees with git on every file that both accept. White space inside a
// value is another in git before 2.45, which turns each into a blank.
func FuzzConfig(f *testing.F) {
	f.Add("[core]\n bare = false ; c\n[extensions]\nx\n[a \"b\\\"c\"]\nk = \"a b \" c\\\n d # e\n[A.B]\nK=\\t\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		var mine strings.Builder
		err := parseConfig(text, func(key, value string) { mine.WriteString(key + "\n" + value + "\x00") })
		if err != nil || strings.ContainsAny(text, "\x00\r\t") {
			return
		}
		path := filepath.Join(dir, "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := (&fixture{dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "GIT_DIR=" + dir}}).try("", "config", "-f", path, "--no-includes", "--list", "-z")
		if err != nil {
			return
		}
		var git strings.Builder
		for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
			if key, value, ok := strings.Cut(entry, "\n"); ok {
				git.WriteString(key + "\n" + value + "\x00")
			} else if entry != "" {
				git.WriteString(entry + "\ntrue\x00")
			}
		}
		if mine.String() != git.String() {
			t.Errorf("%q\nread as %q\ngit says %q", text, mine.String(), git.String())
		}
	})
}
