package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 23, 7, 12, 45, 0, time.UTC)

// A bench is a clone, a server it pushes to, and binaries that only say they ran.
type bench struct {
	*clone
	t   *testing.T
	bin string // the binaries
	log string // what ran, a line each

	agents string // to set up: none, so that those of the machine stay out of it
}

// newBench makes a repository with a commit, whose hooks and binaries write to one log.
func newBench(t *testing.T, initArgs ...string) *bench {
	t.Helper()
	return benchIn(t, t.TempDir(), initArgs...)
}

func benchIn(t *testing.T, root string, initArgs ...string) *bench {
	t.Helper()
	b := &bench{t: t, agents: "none", bin: filepath.Join(root, "bin"), log: filepath.Join(root, "log")}
	b.clone = &clone{Dir: filepath.Join(root, "clone"), Env: environ(t)}
	for _, dir := range []string{b.Dir, b.bin} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.Env = append(b.Env, "LOG="+b.log)
	b.Git(t, append([]string{"init", "-q"}, initArgs...)...)
	for _, name := range []string{"gatekeeper-commit-msg", "gatekeeper-pre-push", "gatekeeper-pre-receive"} {
		b.binary(name)
	}
	return b
}

// binary stands in for one of ours: it logs its arguments and stdin, and chains as
// the real one does, the earlier hook first.
func (b *bench) binary(name string) {
	b.script(filepath.Join(b.bin, name), `
chain=
if [ "$1" = --chain ]; then chain=$2; shift 2; fi
in=$(cat)
if [ -n "$chain" ]; then
	printf '%s\n' "$in" | "$chain" "$@" || exit
fi
printf '`+name+` %s <%s>\n' "$*" "$(printf '%s' "$in" | tr '\n' '|')" >> "$LOG"
`)
}

// hook writes an executable hook that logs its name, arguments and stdin.
func (b *bench) hook(path, says string) {
	b.script(path, `
printf '`+says+` %s <%s>\n' "$*" "$(cat | tr '\n' '|')" >> "$LOG"
[ ! -e "$LOG.fail" ] || exit 7
`)
}

func (b *bench) script(path, body string) {
	b.t.Helper()
	b.write(path, "#!/bin/sh\n"+body)
	if err := os.Chmod(path, 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) write(path, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) gitDir() string { return filepath.Join(b.Dir, ".git") }

func (b *bench) options() Options {
	return Options{Dir: b.Dir, Binaries: b.bin, Environ: b.Env, Agents: b.agents}
}

func (b *bench) install() Result {
	b.t.Helper()
	res, err := Client(context.Background(), b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) uninstall() Result {
	b.t.Helper()
	res, err := UninstallClient(context.Background(), b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// logged returns what ran since the last call.
func (b *bench) logged() []string {
	b.t.Helper()
	data, err := os.ReadFile(b.log)
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	os.Remove(b.log)
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func (b *bench) snapshot() picture { return snapshot(b.t, b.gitDir()) }

func same(t *testing.T, want, got picture) {
	t.Helper()
	for _, line := range want.Diff(got) {
		t.Error(line)
	}
}

func wantLog(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
}

// done are the actions of a result as "done what name", for a look at the whole.
func done(res Result, what string) []string {
	var all []string
	for _, a := range res.Actions {
		if a.What == what {
			all = append(all, fmt.Sprintf("%s %s", a.Done, filepath.Base(a.Name)))
		}
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantUsage(t *testing.T, err error, words ...string) {
	t.Helper()
	usage, ok := err.(*UsageError)
	if !ok {
		t.Fatalf("got error %v, want a UsageError", err)
	}
	for _, w := range words {
		if !strings.Contains(usage.Error(), w) {
			t.Errorf("error %q does not say %q", usage, w)
		}
	}
}

// needs runs a command that must succeed.
func needs(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out.String())
	}
	return out.String()
}
