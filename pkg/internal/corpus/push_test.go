package corpus

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// notPushed are cases in which git push cannot do what an attacker can who speaks its
// protocol, or what another part of git has done before the hook runs.
var notPushed = map[string]string{
	"ref-outside-of-refs":         "git push refuses the name",
	"tree-that-is-missing":        "git push has no tree to send, and receive-pack would miss it",
	"override-by-nobody":          "its option is in the environment",
	"certificate-of-another-push": "its certificate is in the environment",
}

// push sends a case by git push to a server that has what it had before and no more: what
// is pushed waits in quarantine while it is judged.
func (s servers) push(t *testing.T, f map[string]string, want expected) {
	work := filepath.Join(t.TempDir(), "work.git")
	format := "sha1"
	if f["object-format"] != "" {
		format = "sha256"
	}
	s.run(t, "", "", "git", "init", "-q", "--bare", "--object-format="+format, work)
	s.fill(t, work, f)
	server := s.installed(t, f)
	s.send(t, work, server, f)
	s.point(t, server, f)
	before := s.heads(t, server)

	argv := []string{"push", "--quiet", "--force", "--no-signed", server}
	after := maps.Clone(before)
	for line := range strings.Lines(f["updates"]) {
		u := strings.Fields(line)
		old, id, ref := u[0], u[1], u[2]
		if strings.Trim(id, "0") == "" {
			id = ""
		}
		if had := before[ref]; had != strings.Trim(old, "0") {
			t.Fatalf("%s is at %q, and not at %s", ref, had, old)
		}
		argv = append(argv, id+":"+ref)
		if after[ref] = id; id == "" {
			delete(after, ref)
		}
	}
	if want.exit != 0 {
		after = before
	}
	cmd := exec.Command("git", argv...)
	cmd.Dir, cmd.Env = work, s.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); (err == nil) != (want.exit == 0) {
		t.Errorf("%s%v, want exit %d\n%s", f["about"], err, want.exit, stderr.String())
	}
	if diff := cmp.Diff(want.shown(), told(stderr.String())); diff != "" {
		t.Errorf("%swhat is told (-want +got):\n%s\n%s", f["about"], diff, stderr.String())
	}
	if diff := cmp.Diff(after, s.heads(t, server)); diff != "" {
		t.Errorf("%srefs after the push (-want +got):\n%s", f["about"], diff)
	}
}

// send brings what the server has before a push into its repository, as a pack.
func (s servers) send(t *testing.T, work, server string, f map[string]string) {
	t.Helper()
	var tips []string
	for line := range strings.Lines(f["refs"]) {
		tips = append(tips, strings.Fields(line)[0])
	}
	if len(tips) == 0 {
		return
	}
	pack := s.run(t, work, strings.Join(slices.Compact(tips), "\n")+"\n", "git", "pack-objects", "--quiet", "--revs", "--stdout")
	s.run(t, server, pack, "git", "index-pack", "--stdin")
}

// heads are a server's refs and what they hold, but for those that gatekeeper publishes.
func (s servers) heads(t *testing.T, dir string) map[string]string {
	t.Helper()
	heads := map[string]string{}
	for line := range strings.Lines(s.run(t, dir, "", "git", "for-each-ref", "--format=%(objectname) %(refname)")) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if heads[name] = id; name == "refs/gatekeeper/policy" {
			delete(heads, name)
		}
	}
	return heads
}
