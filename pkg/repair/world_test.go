package repair_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// now is when repairs are made; what was signed before was signed an hour earlier.
var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const (
	hooked   = "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=1/1 via=hook session=9f2c1b7e0a44"
	declared = "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=unknown/1 via=declared session=9f2c1b7e0a44"
	nobody   = "unknown/unknown unknown/unknown lines=unknown/1 via=unknown session=unknown"
)

// policyText knows alice and the gateway, and welcomes every model.
const policyText = `schema = 1
[[ref]]
match = "refs/heads/exact"
binding = "exact"
[[model]]
id = "*/*"
status = "approved"
[[model]]
id = "unknown/unknown"
status = "approved"
[[signer]]
principal = "alice@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["*"]
[[signer]]
principal = "gateway"
class = "gateway"
key = %q
tools = ["*"]
models = ["*"]
`

// A world is a repository without any of our hooks, and who may sign there.
type world struct {
	*gittest.Repo
	t       testing.TB
	repo    *repo.Repo
	alice   attestation.Signer
	gateway attestation.Signer // signs as tools and key services do
	policy  *policy.Policy
}

func newWorld(t testing.TB, initArgs ...string) *world {
	t.Helper()
	return worldOf(t, gittest.New(t, initArgs...))
}

func worldOf(t testing.TB, r *gittest.Repo) *world {
	t.Helper()
	w := &world{Repo: r, t: t, alice: signer(t, 1), gateway: dsseSigner{key(3)}}
	w.policy = policyOf(t, fmt.Sprintf(policyText, w.alice.PublicKey().AuthorizedKey(), w.gateway.PublicKey().AuthorizedKey()))
	var err error
	if w.repo, err = repo.Open(t.Context(), r.Dir, r.Env); err != nil {
		t.Fatal(err)
	}
	return w
}

func policyOf(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func signer(t testing.TB, seed byte) attestation.Signer {
	t.Helper()
	s, err := pubkey.NewSigner(key(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type dsseSigner struct{ ed25519.PrivateKey }

func (s dsseSigner) PublicKey() attestation.PublicKey {
	inner, err := pubkey.NewSigner(s.PrivateKey)
	if err != nil {
		panic(err)
	}
	return inner.PublicKey()
}

func (s dsseSigner) Sign(_ context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	const kind = "application/vnd.in-toto+json"
	return attestation.DSSE, ed25519.Sign(s.PrivateKey, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(statement), statement)), nil
}

func (w *world) id(rev string) change.ID {
	w.t.Helper()
	id, err := change.ParseID(w.Git(w.t, "rev-parse", "--verify", rev))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) ids(revs ...string) (ids []change.ID) {
	w.t.Helper()
	for _, rev := range revs {
		ids = append(ids, w.id(rev))
	}
	return ids
}

// raw is an object of git's, whole.
func (w *world) raw(id change.ID) string {
	w.t.Helper()
	out, stderr, err := w.Run("", "cat-file", "commit", id.String())
	if err != nil {
		w.t.Fatalf("cat-file: %v\n%s", err, stderr)
	}
	return out
}

func (w *world) message(rev string) string {
	w.t.Helper()
	_, message, _ := strings.Cut(w.raw(w.id(rev)), "\n\n")
	return message
}

// put stores a commit as it is given, well formed or not.
func (w *world) put(raw string) change.ID {
	w.t.Helper()
	out, stderr, err := w.Run(raw, "hash-object", "-w", "-t", "commit", "--literally", "--stdin")
	if err != nil {
		w.t.Fatalf("hash-object: %v\n%s", err, stderr)
	}
	return w.parse(strings.TrimSpace(out))
}

func (w *world) parse(hex string) change.ID {
	w.t.Helper()
	id, err := change.ParseID(hex)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

const people = "author Ann Other <ann@example.com> 1700000000 -0730\ncommitter Carl <carl@example.com> 1700000001 +0545\n"

// A draft is a commit to be made, of one file named after it.
type draft struct {
	name    string
	parents []change.ID
	headers string // after the committer
	message string
	tree    string // a revision; "" is one file more than the first parent has
}

func (w *world) commit(d draft) change.ID {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", w.tree(d))
	for _, p := range d.parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	return w.put(b.String() + people + d.headers + "\n" + d.message)
}

func (w *world) tree(d draft) string {
	w.t.Helper()
	if d.tree != "" {
		return w.Git(w.t, "rev-parse", d.tree+"^{tree}")
	}
	blob, _, err := w.Run(d.name+"\n", "hash-object", "-w", "--stdin")
	if err != nil {
		w.t.Fatal(err)
	}
	var list string
	if len(d.parents) > 0 {
		list = w.Git(w.t, "ls-tree", d.parents[0].String()) + "\n"
	}
	list = strings.TrimLeft(list, "\n") + fmt.Sprintf("100644 blob %s\t%s\n", strings.TrimSpace(blob), d.name)
	out, stderr, err := w.Run(list, "mktree")
	if err != nil {
		w.t.Fatalf("mktree: %v\n%s", err, stderr)
	}
	return strings.TrimSpace(out)
}

// line makes main of commits with these messages, one on the other.
func (w *world) line(messages ...string) (ids []change.ID) {
	w.t.Helper()
	for i, m := range messages {
		d := draft{name: fmt.Sprintf("file%d", i), message: m}
		if i > 0 {
			d.parents = ids[i-1:]
		}
		ids = append(ids, w.commit(d))
	}
	w.Git(w.t, "update-ref", "refs/heads/main", ids[len(ids)-1].String())
	return ids
}

// attested is the attestation that a signer makes for a commit as it stands.
func (w *world) attested(s attestation.Signer, commit change.ID, values ...string) attestation.Detached {
	w.t.Helper()
	objects, err := w.repo.Batch(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer objects.Close()
	d, err := record.Attest(w.t.Context(), objects, s, commit, values, now.Add(-time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// keep puts attestations into the records of a signer.
func (w *world) keep(by attestation.Signer, list ...attestation.Detached) {
	w.t.Helper()
	if err := record.Add(w.t.Context(), w.repo, by.PublicKey().Fingerprint(), list, now); err != nil {
		w.t.Fatal(err)
	}
}

// stamped is a commit like another, with the attestations of signers in its message.
func (w *world) stamped(commit change.ID, values []string, by ...attestation.Signer) change.ID {
	w.t.Helper()
	var lines []trailer.Line
	for _, v := range values {
		lines = append(lines, trailer.Line{Key: trailer.KeyProvenance, Value: v})
	}
	for _, s := range by {
		lines = append(lines, trailer.Line{Key: trailer.KeyAttestation, Value: w.attested(s, commit, values...).Attestation.String()})
	}
	head, message, _ := strings.Cut(w.raw(commit), "\n\n")
	out, err := trailer.Buffer{Verbatim: true}.Stamp([]byte(message), nil, lines)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.put(head + "\n\n" + string(out))
}

// on is a commit like another on other parents.
func (w *world) on(commit change.ID, parents ...change.ID) change.ID {
	w.t.Helper()
	var kept []string
	head, message, _ := strings.Cut(w.raw(commit), "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if !strings.HasPrefix(line, "parent ") {
			kept = append(kept, line)
		}
	}
	for i, p := range parents {
		kept = slices.Insert(kept, 1+i, "parent "+p.String())
	}
	return w.put(strings.Join(kept, "\n") + "\n\n" + message)
}

type option = func(*repair.Options)

func of(include []change.ID, exclude ...change.ID) option {
	return func(o *repair.Options) { o.Include, o.Exclude = include, exclude }
}

func beside(o *repair.Options) { o.Beside = true }

func named(value string) option {
	return func(o *repair.Options) {
		r, err := provenance.ParseRecord(value)
		if err != nil {
			panic(err)
		}
		o.Named = &r
	}
}

func (w *world) options(options ...option) repair.Options {
	w.t.Helper()
	tip := w.id("HEAD")
	o := repair.Options{Repo: w.repo, Policy: w.policy, Ref: "refs/heads/main", Now: now, Tip: tip,
		Include: []change.ID{tip}, Style: trailer.Styles[0]}
	for _, set := range options {
		set(&o)
	}
	return o
}

func (w *world) find(options ...option) *repair.Plan {
	w.t.Helper()
	plan, err := repair.Find(w.t.Context(), w.options(options...))
	if err != nil {
		w.t.Fatal(err)
	}
	return plan
}

// branch is what HEAD points at, or HEAD itself.
func (w *world) branch() string {
	out, _, err := w.Run("", "symbolic-ref", "-q", "HEAD")
	if err != nil {
		return "HEAD"
	}
	return strings.TrimSpace(out)
}

// repair repairs all of HEAD unless options say less, and holds the outcome to what
// every repair promises.
func (w *world) repair(options ...option) *repair.Plan {
	w.t.Helper()
	plan := w.find(options...)
	old := plan.Tip
	if err := plan.Apply(w.t.Context(), w.alice, w.branch()); err != nil {
		w.t.Fatal(err)
	}
	w.faithful(plan, old)
	if o := w.options(options...); o.Include[0] != o.Tip { // the range names old commits
		return plan
	}
	if again := w.find(options...); slices.ContainsFunc(again.Steps, func(s repair.Step) bool { return s.Action != repair.Leave }) {
		w.t.Errorf("there is something left to do after a repair: %s", actions(again))
	}
	return plan
}

// actions are the steps of a plan, as "stamp Subject".
func actions(p *repair.Plan) string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, fmt.Sprintf("%s %s", s.Action, s.Subject))
	}
	return strings.Join(list, ", ")
}

// verify judges what HEAD reaches as a server would, records included.
func (w *world) verify(ref string) gate.Verdict {
	w.t.Helper()
	reader := w.repo.Reader()
	defer reader.Close()
	records, err := record.All(w.t.Context(), reader)
	if err != nil {
		w.t.Fatal(err)
	}
	g := gate.Gate{Policy: w.policy, Source: reader, Records: records, Now: now}
	v, err := g.Push(w.t.Context(), []gate.Update{{Ref: ref, New: w.id("HEAD")}}, gate.KeepAll)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// accepted fails the test where the server would refuse any of HEAD's commits.
func (w *world) accepted(ref string) {
	w.t.Helper()
	for _, c := range w.verify(ref).Commits {
		if len(c.Findings) > 0 {
			w.t.Errorf("%.10s %q: %+v", c.ID, c.Subject, c.Findings)
		}
	}
}

// faithful compares each commit with the one in its place, by a model that shares
// no code with the package: all lines are the same but parents, in their places,
// signatures of git's own, and trailers that it may write.
func (w *world) faithful(plan *repair.Plan, old change.ID) {
	w.t.Helper()
	moved := map[string]string{}
	for _, s := range plan.Steps {
		switch {
		case s.Moves && s.New == s.ID, !s.Moves && s.New != s.ID:
			w.t.Errorf("%s of %.10s: moves is %v, and it became %.10s", s.Action, s.ID, s.Moves, s.New)
		case s.Moves:
			moved[s.ID.String()] = s.New.String()
		}
		for _, v := range s.Values {
			if strings.HasPrefix(v, "none") || strings.Contains(v, "via=hook") || strings.Contains(v, "via=process") {
				w.t.Errorf("%s of %.10s claims more than is known: %s", s.Action, s.ID, v)
			}
		}
	}
	for _, s := range plan.Steps {
		if !s.Moves {
			continue
		}
		was, wasMessage := modelOf(w.raw(s.ID), moved)
		is, isMessage := modelOf(w.raw(s.New), nil)
		if was != is {
			w.t.Errorf("%s of %.10s changed its headers:\n%s\nwere, with the parents that moved:\n%s", s.Action, s.ID, is, was)
		}
		if s.Action == repair.Follow && cutHead(w.raw(s.ID)) != cutHead(w.raw(s.New)) {
			w.t.Errorf("following changed the message of %.10s", s.ID)
		}
		if !slices.Equal(wasMessage, isMessage) {
			w.t.Errorf("%s of %.10s changed its message:\n%q\nwas\n%q", s.Action, s.ID, isMessage, wasMessage)
		}
	}
	if want := cmpOr(moved[old.String()], old.String()); plan.Tip.String() != want || w.id("HEAD").String() != want {
		w.t.Errorf("HEAD is at %s and the plan at %s, want %s", w.id("HEAD"), plan.Tip, want)
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func cutHead(raw string) string {
	_, message, _ := strings.Cut(raw, "\n\n")
	return message
}

// modelOf takes apart what must stay: the headers, and the lines of the message that
// are neither blank nor ours.
func modelOf(raw string, moved map[string]string) (headers string, message []string) {
	head, body, _ := strings.Cut(raw, "\n\n")
	signature := false
	for line := range strings.SplitSeq(head, "\n") {
		signature = strings.HasPrefix(line, "gpgsig") || signature && strings.HasPrefix(line, " ")
		if signature {
			continue
		}
		if parent, ok := strings.CutPrefix(line, "parent "); ok && moved[parent] != "" {
			line = "parent " + moved[parent]
		}
		headers += line + "\n"
	}
	for line := range strings.SplitSeq(body, "\n") {
		text := strings.TrimLeft(line, " \t")
		if strings.Trim(line, " \t\r") != "" && !strings.HasPrefix(text, "AI-Provenance:") && !strings.HasPrefix(text, "AI-Attestation:") && !strings.HasPrefix(text, "Assisted-by: ") {
			message = append(message, line)
		}
	}
	return headers, message
}
