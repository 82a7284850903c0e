// Package corpus holds testdata/gate, the pushes with expected verdicts, to what it
// says: it makes the cases, and runs them through the hook that ships.
package corpus

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// A pushCase is a push, what the server has before it, and what must come of it. Nothing
// of that is asked of the code that is tested: it is written here by hand.
type pushCase struct {
	*world
	policy   string            // of the server; "" for none
	server   map[string]string // more files of the server, below gatekeeper/
	refs     []string          // ID NAME
	symrefs  []string          // NAME TARGET
	config   []string          // KEY VALUE
	env      []string          // NAME=VALUE
	updates  []string          // OLD NEW REF
	expected []string
	exit     int
}

// An entry of the table: the name of a case, what it shows, and how it comes about.
type entry struct {
	name, about string
	build       func(c *pushCase)
	sha256      bool
}

const sonnet = "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=N/N via=hook session=9f2c1b7e0a44"

// by signs with keys of the corpus.
func (c *pushCase) by(names ...string) (list []attestation.Signer) {
	for _, name := range names {
		list = append(list, key(c.t, name))
	}
	return list
}

// base is what nearly every case begins with: a branch main of one commit.
func (c *pushCase) base() *commit {
	b := c.commit(sketch{subject: "Begin", set: files{"retry.txt": "one\ntwo\nthree\nfour\nfive\nsix\nseven\n", "README": "A project\n"}})
	c.has("refs/heads/main", b)
	return b
}

// has gives the server a ref.
func (c *pushCase) has(ref string, at *commit) { c.refs = append(c.refs, at.id+" "+ref) }

// push is one updated ref, and what must come of it. A nil commit is none.
func (c *pushCase) push(ref string, old, new *commit, verdict string, rules ...string) {
	c.pushIDs(ref, c.idOf(old), c.idOf(new), verdict, rules...)
}

func (c *pushCase) pushIDs(ref, old, new, verdict string, rules ...string) {
	c.updates = append(c.updates, fmt.Sprintf("%s %s %s", old, new, ref))
	c.expect("ref %s %s", ref, verdict)
	for _, r := range rules {
		c.expect("rule %s - %s", ref, r)
	}
	if verdict == "refused" {
		c.exit = 1
	}
}

func (c *pushCase) idOf(of *commit) string {
	if of == nil {
		return c.zero()
	}
	return of.id
}

func (c *pushCase) zero() string {
	if c.sha256 {
		return strings.Repeat("0", 64)
	}
	return strings.Repeat("0", 40)
}

// whole is what must come of a push that is refused before its refs are looked at.
func (c *pushCase) whole(exit int, rules ...string) {
	c.exit, c.expected = exit, nil
	for _, r := range rules {
		c.expect("rule - - %s", r)
	}
}

// judged is what must come of a commit on its way to a ref: verdict, evidence and binding
// in words, and the rules that speak.
func (c *pushCase) judged(ref string, of *commit, outcome string, rules ...string) {
	c.expect("commit %s %s %s", ref, of.id, outcome)
	for _, r := range rules {
		c.expect("rule %s %s %s", ref, of.id, r)
	}
}

func (c *pushCase) expect(format string, args ...any) {
	c.expected = append(c.expected, fmt.Sprintf(format, args...))
}

// one is a push of one commit to main, the commonest case.
func (c *pushCase) one(base *commit, s sketch, outcome string, rules ...string) *commit {
	s.parents = []*commit{base}
	if s.set == nil {
		s.set = files{"retry.txt": "one\ntwo\nthree\nfour\nagain\nfive\nsix\nseven\n"}
	}
	made := c.commit(s)
	verdict, _, _ := strings.Cut(outcome, " ")
	c.push("refs/heads/main", base, made, verdict)
	c.judged("refs/heads/main", made, outcome, rules...)
	return made
}

// files are those of the case, by their paths.
func (c *pushCase) folder(about string) map[string]string {
	f := map[string]string{
		"about":    about + "\n",
		"objects":  c.stream.String(),
		"updates":  lines(c.updates),
		"expected": fmt.Sprintf("exit %d\n", c.exit) + lines(c.expected),
		"refs":     lines(c.refs), "symrefs": lines(c.symrefs), "config": lines(c.config), "env": lines(c.env),
	}
	if c.sha256 {
		f["object-format"] = "sha256\n"
	}
	if c.policy != "" {
		f["gatekeeper/policy.toml"] = c.policy
	}
	for name, text := range c.server {
		f["gatekeeper/"+name] = text
	}
	for i, o := range c.raw {
		f[fmt.Sprintf("raw/%d.%s", i+1, o.kind)] = string(o.data)
	}
	maps.DeleteFunc(f, func(_, text string) bool { return text == "" })
	return f
}

func lines(list []string) string {
	var b strings.Builder
	for _, l := range list {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// make builds a case.
func (e entry) make(t testing.TB) map[string]string {
	t.Helper()
	c := &pushCase{world: newWorld(t, e.sha256), policy: policyText(t, "", "")}
	e.build(c)
	return c.folder(e.about)
}

// write puts the files of a case in place of those that are there.
func write(t testing.TB, dir string, f map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// policyText is the policy of a case: defaults over those of most, and entries behind them.
func policyText(t testing.TB, defaults, entries string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "schema = 1\n\n[defaults]\nmode = \"enforce\"\n%s\n", defaults)
	fmt.Fprintf(&b, "%s[[model]]\nid     = \"anthropic/claude-sonnet-4-5\"\nstatus = \"approved\"\n\n", entries)
	b.WriteString("[[model]]\nid     = \"example/withdrawn-*\"\nstatus = \"denied\"\nreason = \"withdrawn by its maker\"\n")
	signer := func(name, class, more string) {
		public := strings.TrimSpace(key(t, name).PublicKey().AuthorizedKey())
		fmt.Fprintf(&b, "\n[[signer]]\nprincipal = \"%s@example.com\"\nclass     = %q\nkey       = %q\n%s", name, class, public, more)
	}
	signer("alice", "developer", "")
	signer("bob", "developer", "")
	signer("carol", "developer", "models    = [\"local/*\"]\n")
	signer("dave", "developer", "valid_before = 2025-01-01\n")
	signer("erin", "developer", "compromised_since = 2025-01-01T00:00:00Z\n")
	signer("frank", "developer", "valid_after = 2999-01-01\n")
	signer("gateway", "gateway", "")
	return b.String()
}
