package commitmsg_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/hooks/commitmsg"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// bin is the directory of the light binary, "" until it is built.
var bin string

func TestMain(m *testing.M) {
	if os.Getenv("COMMITMSG_BLIND") != "" {
		os.Exit(blindHook())
	}
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// blindHook is the light binary on a system that does not tell which processes
// stand above.
func blindHook() int {
	dir, _ := os.Getwd()
	return commitmsg.Run(context.Background(), commitmsg.Env{
		Args: os.Args[1:], Environ: os.Environ(), Dir: dir, Stderr: os.Stderr, Now: time.Now,
		Ancestors: func() []agent.Process { return nil },
	})
}

// program builds the light binary at its first use.
func program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	var err error
	if bin, err = os.MkdirTemp("", "gatekeeper-bin-"); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "../../cmd/gatekeeper-commit-msg")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Join(bin, "gatekeeper-commit-msg"), nil
})

// A world is one repository whose person has the hooks and a key.
type world struct {
	t      testing.TB
	dir    string   // where git runs
	env    []string // nothing of the machine's own configuration
	home   string
	stderr *string // of the last git, here or in a world made from this one
}

const gitconfig = `[user]
	name = Alice
	email = alice@example.com
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol "file"]
	allow = always
`

// newWorld makes a repository with hooks in the person's core.hooksPath, so
// that submodules and linked work trees have them, too.
func newWorld(t testing.TB, initArgs ...string) *world {
	t.Helper()
	w := &world{t: t, stderr: new(string), home: t.TempDir(), dir: t.TempDir()}
	w.put(".gitconfig", gitconfig, 0o644)
	w.env = []string{
		"HOME=" + w.home, "GIT_CONFIG_GLOBAL=" + filepath.Join(w.home, ".gitconfig"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "TZ=UTC", "TERM=dumb", "PATH=" + os.Getenv("PATH"),
	}
	w.git(append([]string{"init", "-q"}, initArgs...)...)
	seed := sha256.Sum256([]byte("alice"))
	key := ed25519.NewKeyFromSeed(seed[:])
	w.put("key", string(attestation.MarshalKey(key, "alice")), 0o600)
	for _, name := range []string{"prepare-commit-msg", "applypatch-msg", "post-applypatch", "post-rewrite"} {
		w.put("hooks/"+name, fmt.Sprintf("#!/bin/sh\nexec %q %s \"$@\"\n", program(t), name), 0o755)
	}
	w.put("hooks/commit-msg", fmt.Sprintf(`#!/bin/sh
state=${GIT_DIR:-.git}/gatekeeper
if [ -e "$state/stamped" ] && read -r git <"$state/stamped" && [ "$git" = "$PPID" ]; then exit 0; fi
exec %q commit-msg "$@"
`, program(t)), 0o755)
	w.put("hooks/post-commit", fmt.Sprintf(`#!/bin/sh
g="${GIT_DIR:-.git}/gatekeeper"
if [ -e "$g/prepared" ] || [ -e "$g/declared" ]; then exec %q post-commit; fi
`, program(t)), 0o755)
	w.git("config", "--global", "core.hooksPath", filepath.Join(w.home, "hooks"))
	w.git("config", "--global", "gatekeeper.signingKey", filepath.Join(w.home, "key"))
	return w
}

func (w *world) put(name, content string, mode os.FileMode) {
	w.t.Helper()
	path := filepath.Join(w.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		w.t.Fatal(err)
	}
}

// git runs git, which must not fail, and keeps what it said.
func (w *world) git(args ...string) string {
	w.t.Helper()
	out, stderr, err := w.run("", args...)
	*w.stderr = stderr
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return strings.TrimSuffix(out, "\n")
}

// conflict runs git, which must stop.
func (w *world) conflict(args ...string) {
	w.t.Helper()
	out, stderr, err := w.run("", args...)
	*w.stderr = stderr
	if err == nil {
		w.t.Fatalf("git %s did not stop:\n%s%s", strings.Join(args, " "), out, stderr)
	}
}

func (w *world) run(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = w.dir, w.env, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// with is the world with variables added to its environment.
func (w *world) with(vars ...string) *world {
	other := *w
	other.env = append(append([]string{}, w.env...), vars...)
	return &other
}

// in is the world seen from another directory.
func (w *world) in(dir string) *world {
	other := *w
	other.dir = filepath.Join(w.dir, dir)
	return &other
}

// nobody is what a commit says when its environment shows no agent. The tests
// themselves may run under one, which the hooks see above git.
func (w *world) nobody() string {
	var seen []string
	for _, o := range agent.Detect(w.env, agent.Ancestors()) {
		seen = append(seen, o.Tool.Name)
	}
	if len(seen) > 0 {
		return strings.Join(seen, " ")
	}
	return "none via=process"
}

// editing is the world with an editor that runs a shell script on the file $1.
func (w *world) editing(script string) *world {
	w.put("editor", "#!/bin/sh\n"+script+"\n", 0o755)
	return w.with("GIT_EDITOR='" + filepath.Join(w.home, "editor") + "'")
}

// todo is the world with an editor for rebase's list of commands.
func (w *world) todo(sed string) *world {
	return w.with("GIT_SEQUENCE_EDITOR=sed -i -e '" + sed + "'")
}

func (w *world) write(path, content string) {
	w.t.Helper()
	file := filepath.Join(w.dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// add writes a file and puts it into the index.
func (w *world) add(path, content string) {
	w.t.Helper()
	w.write(path, content)
	w.git("add", "--", path)
}

// commit commits one file with a message.
func (w *world) commit(path, content, message string) string {
	w.t.Helper()
	w.add(path, content)
	w.git("commit", "-q", "-m", message)
	return w.git("rev-parse", "HEAD")
}

func lines(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintf(&b, "line %d\n", n)
	}
	return b.String()
}

// values are the values of a trailer as git itself reads them.
func (w *world) values(rev, key string) []string {
	w.t.Helper()
	out := w.git("log", "-1", "--format=%(trailers:key="+key+",valueonly)", rev)
	return strings.Split(strings.TrimSpace(out), "\n")
}

// records are the AI-Provenance values, without their line counts.
func (w *world) records(rev string) string {
	w.t.Helper()
	return strings.Join(w.values(rev, "AI-Provenance"), "\n")
}

// binding says how an attestation binds a commit: exact, change, stale or none for
// the one in its message; re-attested for one beside it where that does not bind. It
// goes by git's own reading of commits, trailers and trees, and a signature that
// ssh-keygen does not accept fails the test.
func (w *world) binding(rev string) string {
	w.t.Helper()
	parents := strings.Fields(w.git("log", "-1", "--format=%P", rev))
	trees := []string{}
	for _, p := range parents {
		trees = append(trees, w.git("rev-parse", p+"^{tree}"))
	}
	tree := w.git("rev-parse", rev+"^{tree}")
	bind, changed := bindOf(w.t, trees, tree), w.changeOf(trees, tree)
	binds := func(value string, records []string) string {
		a, err := attestation.Parse(value)
		if err != nil {
			w.t.Fatalf("%s: %v", rev, err)
		}
		w.checkSignature(a, records)
		switch {
		case a.Bind.String() == bind:
			return "exact"
		case len(parents) == 1 && a.Change == changed:
			return "change"
		}
		return "stale"
	}
	own := "none"
	if found := w.values(rev, "AI-Attestation"); len(found) == 1 && found[0] != "" {
		own = binds(found[0], w.values(rev, "AI-Provenance"))
	}
	if own != "none" && own != "stale" {
		return own
	}
	for _, text := range w.besides(changed) {
		value, records := lineOf(text, "AI-Attestation")[0], lineOf(text, "AI-Provenance")
		if got := binds(value, records); got == "exact" || got == "change" {
			return "re-attested"
		}
	}
	return own
}

// besides are the records about a change, each of which must stand under the digest
// of its own text.
func (w *world) besides(changed provenance.Digest) (texts []string) {
	w.t.Helper()
	for _, ref := range strings.Fields(w.git("for-each-ref", "--format=%(refname)", "refs/gatekeeper/records/")) {
		for _, path := range strings.Fields(w.git("ls-tree", "-r", "--name-only", ref, "att/"+hex.EncodeToString(changed[:])+"/")) {
			text := w.git("cat-file", "blob", ref+":"+path) + "\n"
			sum := sha256.Sum256([]byte(text))
			if !strings.HasSuffix(path, "/"+hex.EncodeToString(sum[:])) {
				w.t.Errorf("%s does not have the name of its content", path)
			}
			texts = append(texts, text)
		}
	}
	return texts
}

// lineOf are the values of a key in the text of a record.
func lineOf(text, key string) (values []string) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, key+": "); ok {
			values = append(values, strings.TrimSuffix(v, "\n"))
		}
	}
	return values
}

// bindOf is the binding as the design words it, computed apart.
func bindOf(t testing.TB, parents []string, tree string) string {
	t.Helper()
	var b bytes.Buffer
	number := func(n int) { binary.Write(&b, binary.BigEndian, uint32(n)) }
	number(len(parents))
	for _, id := range append(parents, tree) {
		raw, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		number(len(raw))
		b.Write(raw)
	}
	sum := sha256.Sum256(b.Bytes())
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (w *world) changeOf(parents []string, tree string) provenance.Digest {
	w.t.Helper()
	r, err := repo.Open(w.t.Context(), w.dir, w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	objects, err := r.Batch(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer objects.Close()
	var from change.ID
	if len(parents) > 0 {
		from, _ = change.ParseID(parents[0])
	}
	to, _ := change.ParseID(tree)
	d, _, err := change.Compute(objects, from, to)
	if err != nil {
		w.t.Fatal(err)
	}
	return change.OfMerge(len(parents), d)
}

func (w *world) checkSignature(a attestation.Attestation, values []string) {
	w.t.Helper()
	armored, err := a.Armored()
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := pubkey.Embedded(a)
	if err != nil {
		w.t.Fatal(err)
	}
	w.put("signature", string(armored), 0o600)
	w.put("allowed", `alice@example.com namespaces="gatekeeper" `+key.AuthorizedKey()+"\n", 0o600)
	cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", filepath.Join(w.home, "allowed"),
		"-I", "alice@example.com", "-n", "gatekeeper", "-s", filepath.Join(w.home, "signature"))
	cmd.Stdin = bytes.NewReader(attestation.Statement(values, a))
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
}
