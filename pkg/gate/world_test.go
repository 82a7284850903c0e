package gate

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// now is when pushes are received, and signed when commits were signed, in every test.
var (
	now    = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	signed = now.Add(-time.Hour)
)

const good = "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=1/1 via=hook session=9f2c1b7e0a44"

// A world is a repository in memory, as a Source.
type world struct {
	t       testing.TB
	objects map[change.ID]object
	symrefs map[string]string
	merges  map[[2]change.ID]change.ID // clean ones
	picks   map[[2]change.ID]change.ID // clean ones
	noMerge bool                       // a git without merge-tree
	cut     map[change.ID]bool         // commits whose reading fails
	mute    error                      // Contents fails with it
	limit   int                        // after so many commits the list just ends, 0 for never
}

type object struct {
	kind string
	data []byte
}

func newWorld(t testing.TB) *world {
	return &world{t: t, objects: map[change.ID]object{}, symrefs: map[string]string{},
		merges: map[[2]change.ID]change.ID{}, picks: map[[2]change.ID]change.ID{}, cut: map[change.ID]bool{}}
}

func (w *world) put(kind string, data []byte) change.ID {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(data), data))
	id := change.ID(sum[:])
	w.objects[id] = object{kind, data}
	return id
}

// tree is a tree of files, by their paths.
func (w *world) tree(files map[string]string) change.ID {
	var b bytes.Buffer
	below := map[string]map[string]string{}
	entries := map[string]string{} // by what they are sorted by
	for path, text := range files {
		name, rest, deeper := strings.Cut(path, "/")
		if !deeper {
			entries[name] = fmt.Sprintf("100644 %s\x00%s", name, []byte(w.put("blob", []byte(text))))
			continue
		}
		if below[name] == nil {
			below[name] = map[string]string{}
		}
		below[name][rest] = text
	}
	for name, files := range below {
		entries[name+"/"] = fmt.Sprintf("40000 %s\x00%s", name, []byte(w.tree(files)))
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		b.WriteString(entries[key])
	}
	return w.put("tree", b.Bytes())
}

func (w *world) treeOf(commit change.ID) change.ID {
	t, err := w.TreeOf(context.Background(), commit)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// A sketch is a commit to be made. Signatures cover what the zero values of its
// last fields say: the commit as it is.
type sketch struct {
	parents []change.ID
	files   map[string]string
	values  []string // of AI-Provenance
	by      []attestation.Signer
	at      time.Time // of signing

	onto    []change.ID                                           // the parents that the signers saw
	claimed map[string]string                                     // the files that the signers saw
	forge   func(attestation.Attestation) attestation.Attestation // after signing
	message string                                                // instead of one of its own
	rewrite func(message string) string
	raw     func(object string) string
}

func (w *world) commit(s sketch) change.ID {
	w.t.Helper()
	tree := w.tree(s.files)
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range s.parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	message := w.message(s)
	if s.message != "" {
		message = s.message
	}
	if s.rewrite != nil {
		message = s.rewrite(message)
	}
	fmt.Fprintf(&b, "author Alice <alice@example.com> 1772000000 +0000\ncommitter Alice <alice@example.com> 1772000000 +0000\n\n%s", message)
	raw := b.String()
	if s.raw != nil {
		raw = s.raw(raw)
	}
	return w.put("commit", []byte(raw))
}

func (w *world) message(s sketch) string {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("Add retry loop\n\n")
	for _, v := range s.values {
		fmt.Fprintf(&b, "AI-Provenance: %s\n", v)
	}
	for _, signer := range s.by {
		a := w.attest(s, signer)
		if s.forge != nil {
			a = s.forge(a)
		}
		fmt.Fprintf(&b, "AI-Attestation: %s\n", a)
	}
	return b.String()
}

func (w *world) attest(s sketch, signer attestation.Signer) attestation.Attestation {
	w.t.Helper()
	parents, files := s.parents, s.files
	if s.onto != nil {
		parents = s.onto
	}
	if s.claimed != nil {
		files = s.claimed
	}
	tree := w.tree(files)
	var trees []change.ID
	for _, p := range parents {
		trees = append(trees, w.treeOf(p))
	}
	var old change.ID
	if len(trees) > 0 {
		old = trees[0]
	}
	sum, _, err := change.Compute(w, old, tree)
	if err != nil {
		w.t.Fatal(err)
	}
	at := s.at
	if at.IsZero() {
		at = signed
	}
	a, err := attestation.Sign(context.Background(), signer, s.values, attestation.Attestation{Time: at, Bind: change.Bind(trees, tree), Change: change.OfMerge(len(trees), sum)})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// signer is the one whose Ed25519 key has this seed.
func signer(t testing.TB, seed byte) attestation.Signer {
	t.Helper()
	s, err := pubkey.NewSigner(newKey(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// dsseSigner signs as tools and key services do.
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
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(statement), statement)
	return attestation.DSSE, ed25519.Sign(s.PrivateKey, pae), nil
}

// Seeds of the signers that house knows, and of a stranger.
const (
	alice    = iota + 1
	bob      // may speak for local models only
	gateway  // of a higher class
	expired  // since January
	leaked   // compromised since February
	later    // not yet
	stranger // in no policy
)

// house is the policy of most tests. Its first line is 1, so that entries have places.
func house(t testing.TB, defaults string) string {
	t.Helper()
	key := func(seed byte) string { return signer(t, seed).PublicKey().AuthorizedKey() }
	return fmt.Sprintf(`schema = 1
[defaults]
%s
[[ref]]
match = "refs/heads/wip/*"
mode = "warn"
[[ref]]
match = "refs/heads/free/*"
mode = "off"
[[model]]
id = "anthropic/claude-sonnet-4-*"
status = "approved"
[[model]]
id = "local/llama"
status = "approved"
tools = ["aider"]
[[model]]
id = "acme/banned"
status = "denied"
reason = "it leaked"
[[model]]
id = "acme/ended"
status = "approved"
until = 2026-03-01
[[model]]
id = "acme/guarded"
status = "approved"
min_class = "gateway"
[[tool]]
id = "claude-code"
versions = ">=2.0"
status = "approved"
[[tool]]
id = "aider"
status = "approved"
[[signer]]
principal = "alice@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["*"]
[[signer]]
principal = "bob@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["local/*"]
[[signer]]
principal = "gateway"
class = "gateway"
key = %q
tools = ["*"]
models = ["*"]
[[signer]]
principal = "old@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["*"]
valid_before = 2026-01-01
[[signer]]
principal = "leaked@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["*"]
compromised_since = 2026-02-01T00:00:00Z
[[signer]]
principal = "later@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["*"]
valid_after = 2027-01-01
`, defaults, key(alice), key(bob), key(gateway), key(expired), key(leaked), key(later))
}

func rules(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// push judges a push of tip to a new ref.
func (w *world) push(p *policy.Policy, ref string, tip change.ID) Verdict {
	w.t.Helper()
	g := Gate{Policy: p, Source: w, Now: now}
	v, err := g.Push(context.Background(), []Update{{Ref: ref, New: tip}}, KeepAll)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// names lists the rules that spoke, about refs first.
func names(v Verdict) []string {
	list := []string{}
	for _, r := range v.Refs {
		for _, f := range r.Findings {
			list = append(list, f.Rule)
		}
	}
	for _, c := range v.Commits {
		for _, f := range c.Findings {
			list = append(list, f.Rule)
		}
	}
	return list
}

// The world as a Source.

func (w *world) Commits(ctx context.Context, include, exclude []change.ID, limit int64) iter.Seq2[change.RawCommit, error] {
	return func(yield func(change.RawCommit, error) bool) {
		seen := map[change.ID]bool{}
		w.reach(exclude, seen, func(change.ID) {})
		var order []change.ID
		w.reach(include, seen, func(id change.ID) { order = append(order, id) })
		for i, id := range order {
			if ctx.Err() != nil {
				yield(change.RawCommit{}, ctx.Err())
				return
			}
			if w.cut[id] {
				yield(change.RawCommit{}, fmt.Errorf("commit %s: %w", id, change.ErrMissing))
				return
			}
			if w.limit > 0 && i == w.limit {
				return
			}
			// One buffer for all, as a real reader has.
			c := change.RawCommit{ID: id, Size: int64(len(w.objects[id].data)), Data: bytes.Clone(w.objects[id].data)}
			if c.Size > limit {
				c.Data, c.TooLarge = nil, true
			}
			if !yield(c, nil) {
				return
			}
			for i := range c.Data {
				c.Data[i] = 0xff
			}
		}
	}
}

// reach visits parents before children.
func (w *world) reach(from []change.ID, seen map[change.ID]bool, visit func(change.ID)) {
	for _, id := range from {
		if seen[id] {
			continue
		}
		seen[id] = true
		for line := range strings.SplitSeq(string(w.objects[id].data), "\n") {
			hex, ok := strings.CutPrefix(line, "parent ")
			if line == "" {
				break
			}
			if p, err := change.ParseID(hex); ok && err == nil {
				w.reach([]change.ID{p}, seen, visit)
			}
		}
		visit(id)
	}
}

func (w *world) Peel(_ context.Context, id change.ID) (change.ID, string, error) {
	for {
		o, ok := w.objects[id]
		if !ok {
			return "", "", change.ErrMissing
		}
		switch o.kind {
		case "commit":
			return id, "commit", nil
		case "tag":
			id = header(o.data, "object ")
		default:
			return "", o.kind, nil
		}
	}
}

func header(data []byte, name string) change.ID {
	line, _, _ := strings.Cut(string(data), "\n")
	id, _ := change.ParseID(strings.TrimPrefix(line, name))
	return id
}

func (w *world) TreeOf(_ context.Context, commit change.ID) (change.ID, error) {
	o, ok := w.objects[commit]
	if !ok {
		return "", change.ErrMissing
	}
	return header(o.data, "tree "), nil
}

func (w *world) MergeTree(_ context.Context, a, b change.ID) (change.ID, bool, error) {
	if w.noMerge {
		return "", false, change.ErrNoMergeTree
	}
	tree, clean := w.merges[[2]change.ID{a, b}]
	return cmp.Or(tree, w.treeOf(a)), clean, nil
}

func (w *world) PickTree(_ context.Context, onto, commit change.ID) (change.ID, bool, error) {
	tree, clean := w.picks[[2]change.ID{onto, commit}]
	return tree, clean, nil
}

func (w *world) Contents(context.Context) (change.ObjectReader, error) {
	if w.mute != nil {
		return nil, w.mute
	}
	return contents{w}, nil
}

type contents struct{ *world }

func (contents) Close() error { return nil }

func (w *world) Open(id change.ID) (change.Object, error) {
	o, ok := w.objects[id]
	if !ok {
		return change.Object{}, change.ErrMissing
	}
	return change.Object{Type: o.kind, Size: int64(len(o.data)), ReadCloser: io.NopCloser(bytes.NewReader(o.data))}, nil
}

func (w *world) Symref(_ context.Context, ref string) (string, error) { return w.symrefs[ref], nil }

var _ Source = (*world)(nil)
