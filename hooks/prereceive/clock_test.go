package prereceive

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
)

// A clockwork is a repository whose hook is called at any time.
type clockwork struct {
	*testing.T
	dir string
	env []string
	log *receipt.Log
	tip string
}

func newClockwork(t *testing.T) *clockwork {
	t.Helper()
	home := t.TempDir()
	c := &clockwork{T: t, dir: filepath.Join(home, "server.git"), env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_AUTHOR_DATE=1772000000 +0000", "GIT_COMMITTER_DATE=1772000000 +0000",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com"}}
	c.git(home, "init", "-q", "--bare", c.dir)
	c.tip = c.git(c.dir, "commit-tree", "-m", "Begin", c.git(c.dir, "mktree"))
	c.log = receipt.Open(receipt.In(c.dir))
	policy := filepath.Join(c.dir, "gatekeeper", "policy.toml")
	if err := os.Mkdir(filepath.Dir(policy), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(policy, []byte("schema = 1\n[defaults]\nevidence = \"any\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *clockwork) git(dir string, args ...string) string {
	c.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, c.env
	out, err := cmd.Output()
	if err != nil {
		c.Fatalf("git %s: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// push calls a hook at a time, as git does for a push to a new branch.
func (c *clockwork) push(hook, branch string, at time.Time) (code int, said string) {
	c.Helper()
	var stderr bytes.Buffer
	code = Run(c.Context(), Hook{Args: []string{hook}, Environ: append(c.env, "GIT_DIR=."), Dir: c.dir,
		Stdin:  strings.NewReader(strings.Repeat("0", len(c.tip)) + " " + c.tip + " refs/heads/" + branch + "\n"),
		Stdout: &stderr, Stderr: &stderr, Now: func() time.Time { return at }})
	return code, stderr.String()
}

func (c *clockwork) lastTime() time.Time {
	c.Helper()
	head, err := c.log.Last(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return head.Time
}

func TestAClockThatIsSetBackIsNotBelieved(t *testing.T) {
	c := newClockwork(t)
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	if code, said := c.push("pre-receive", "a", noon); code != exitAccepted {
		t.Fatalf("exit %d: %s", code, said)
	}
	for _, back := range []time.Duration{time.Second, maxSetback} {
		if code, said := c.push("pre-receive", "b", noon.Add(-back)); code != exitAccepted || said != "" {
			t.Errorf("%s back: exit %d: %s", back, code, said)
		}
		if got := c.lastTime(); !got.Equal(noon) {
			t.Errorf("%s back: the receipt is of %s", back, got)
		}
	}
	for _, back := range []time.Duration{maxSetback + time.Second, 24 * 365 * time.Hour} {
		code, said := c.push("pre-receive", "c", noon.Add(-back))
		if flat := strings.Join(strings.Fields(said), " "); code != exitUnchecked || !strings.Contains(flat, "the server's clock says "+noon.Add(-back).Format(time.RFC3339)) ||
			!strings.Contains(flat, "its last receipt is of 2026-06-01T12:00:00Z; set the clock") {
			t.Errorf("%s back: exit %d: %s", back, code, said)
		}
	}
	if code, said := c.push("pre-receive", "d", noon.Add(time.Minute)); code != exitAccepted || said != "" {
		t.Errorf("when the clock was set: exit %d: %s", code, said)
	}
	if v, err := c.log.Verify(t.Context(), nil); err != nil || !v.Intact || v.Decisions != 6 {
		t.Errorf("%+v %v", v, err)
	}
}

// The refusal of a push at a wrong time leaves a receipt, and so does what happens then:
// neither must be what the next push takes for the time.
func TestARefusalByTheClockDoesNotSetItBack(t *testing.T) {
	c := newClockwork(t)
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	c.push("pre-receive", "a", noon)
	c.push("post-receive", "a", noon.Add(-48*time.Hour))
	for n := range 3 {
		if code, said := c.push("pre-receive", "b", noon.Add(-24*time.Hour)); code != exitUnchecked {
			t.Errorf("push %d: exit %d: %s", n, code, said)
		}
	}
}
