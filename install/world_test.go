package install

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// environ is a world of its own: a home with a person's settings, and nothing that
// git, ssh or an agent left in this process.
func environ(t *testing.T) []string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	config := "[user]\n\tname = Alice\n\temail = alice@example.com\n[init]\n\tdefaultBranch = main\n" +
		"[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[receive]\n\tautogc = false\n[protocol \"file\"]\n\tallow = always\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	const date = "2026-01-02T03:04:05Z"
	env := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, ".config"), "PATH=" + os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL=" + filepath.Join(home, ".gitconfig"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "TZ=UTC"}
	if tmp, ok := os.LookupEnv("TMPDIR"); ok {
		env = append(env, "TMPDIR="+tmp)
	}
	return env
}

// A clone is a repository and the environment in which git works on it.
type clone struct {
	Dir string
	Env []string
}

func (c *clone) getenv(name string) string {
	for _, kv := range slices.Backward(c.Env) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

func newClone(t *testing.T, initArgs ...string) *clone {
	t.Helper()
	c := &clone{Dir: t.TempDir(), Env: environ(t)}
	c.Git(t, append([]string{"init", "-q"}, initArgs...)...)
	return c
}

func (c *clone) Command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	return cmd
}

// Git returns what git printed, without the last newline.
func (c *clone) Git(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := c.Run("", args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return strings.TrimSuffix(stdout, "\n")
}

func (c *clone) Run(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := c.Command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// A picture is a directory as it stands: for each path its mode, and the digest of
// its content or the target of the link.
type picture map[string]string

// snapshot leaves out objects: those that no ref holds stay for git's gc.
func snapshot(t *testing.T, dir string) picture {
	t.Helper()
	p := picture{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "objects" {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		p[name] = info.Mode().String()
		switch {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			var target string
			target, err = os.Readlink(path)
			p[name] += " to " + target
		case info.Mode().IsRegular():
			var data []byte
			data, err = os.ReadFile(path)
			p[name] += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Diff lists the paths in which now differs, in order.
func (p picture) Diff(now picture) []string {
	var diff []string
	for path, was := range p {
		if is, ok := now[path]; !ok {
			diff = append(diff, path+": gone")
		} else if is != was {
			diff = append(diff, fmt.Sprintf("%s: was %s, is %s", path, was, is))
		}
	}
	for path := range now {
		if _, ok := p[path]; !ok {
			diff = append(diff, path+": new")
		}
	}
	slices.Sort(diff)
	return diff
}
