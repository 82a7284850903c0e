package gate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/pusher"
)

// crew is house with people who have names on a server, and one who may override.
func crew(t *testing.T, defaults string) string {
	text := strings.Replace(house(t, defaults), `"bob@example.com"`, `"bob@example.com,bob,*@bob.example.com"`, 1)
	text = strings.Replace(text, `principal = "gateway"`, `principal = "*@example.com,gateway"`, 1)
	return text + "[override]\nprincipals = [\"bob@example.com\", \"release\"]\n"
}

func fingerprint(t *testing.T, seed byte) string { return signer(t, seed).PublicKey().Fingerprint() }

func TestPusher(t *testing.T) {
	p := rules(t, crew(t, ""))
	named := func(name string) pusher.Identity { return pusher.Identity{Source: pusher.HTTP, Name: name} }
	keyed := func(seed byte) pusher.Identity {
		return pusher.Identity{Source: pusher.Certificate, Key: fingerprint(t, seed)}
	}
	for _, c := range []struct {
		name      string
		who       pusher.Identity
		overrides bool
		is, isNot string // addresses
		says      string // part of what people are told
	}{
		{"by a name that is a principal's", named("bob"), true, "bob@example.com", "alice@example.com", "bob"},
		{"by a principal's pattern, once known by name", named("bob"), true, "anything@bob.example.com", "bob@bob.example.org", "bob"},
		{"by a name in [override] alone", named("release"), true, "release", "release@example.com", "release"},
		{"by an address that is a principal", named("alice@example.com"), false, "alice@example.com", "bob@example.com", "alice@example.com"},
		{"by a name that only a pattern fits", named("mallory@example.com"), false, "mallory@example.com", "alice@example.com", "mallory@example.com"},
		{"by a name in another case", named("Bob"), false, "Bob", "bob@example.com", "Bob"},
		{"by a name nobody has", named("eve"), false, "eve", "eve@example.com", "eve"},
		{"by the key of somebody", keyed(bob), true, "bob@example.com", "alice@example.com", "bob@example.com"},
		{"by the key of somebody else", keyed(alice), false, "alice@example.com", "bob@example.com", "alice@example.com"},
		{"by a key that leaked", keyed(leaked), false, "", "leaked@example.com", "does not count now (policy.toml:"},
		{"by a key whose time is over", keyed(expired), false, "", "old@example.com", "does not count now"},
		{"by a key nobody has", keyed(stranger), false, "", "alice@example.com", "the policy does not know"},
		{"by nothing", pusher.Identity{Source: pusher.HTTP}, false, "", "", "nobody whom the server knows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := NewPusher(p, c.who, now)
			if got := who.MayOverride(p); got != c.overrides {
				t.Errorf("may override: %v", got)
			}
			if c.is != "" && !who.is(c.is) {
				t.Errorf("is not %s", c.is)
			}
			if who.is(c.isNot) {
				t.Errorf("is %s", c.isNot)
			}
			if got := who.String(); !strings.Contains(got, c.says) {
				t.Errorf("says %q", got)
			}
		})
	}
	t.Run("a key that is not for git signs no push", func(t *testing.T) {
		for namespaces, want := range map[string]bool{`namespaces="gatekeeper"`: false, `namespaces="gatekeeper,git"`: true, "": true} {
			line := fmt.Sprintf("dora@example.com %s %s\n", namespaces, signer(t, stranger).PublicKey().AuthorizedKey())
			p := withSigners(t, "schema = 1\n[signers]\nallowed_signers = \"allowed_signers\"\n", line)
			if who := NewPusher(p, keyed(stranger), now); who.is("dora@example.com") != want {
				t.Errorf("%s: got %s", namespaces, who)
			}
		}
	})
}

func TestAuthor(t *testing.T) {
	by := func(name string) *pusher.Identity { return &pusher.Identity{Source: pusher.GitLab, Name: name} }
	for _, c := range []struct {
		name     string
		defaults string
		author   string // instead of alice@example.com
		signer   byte   // instead of alice; stranger for nobody
		pusher   *pusher.Identity
		want     []string
	}{
		{name: "the author is the signer", defaults: `author = "signer"`},
		{name: "the author is somebody else", defaults: `author = "signer"`, author: "eve@example.org", want: []string{AuthorMismatch}},
		{name: "the author is a principal, but not the signer", defaults: `author = "signer"`, author: "bob@example.com", want: []string{AuthorMismatch}},
		{name: "the author is one of a signer's pattern", defaults: `author = "signer"`, author: "x@example.com", signer: gateway},
		{name: "the author's name tells nothing", defaults: `author = "signer"`, author: "alice", want: []string{AuthorMismatch}},
		{name: "what is not signed is told once", defaults: `author = "signer"`, signer: stranger, want: []string{AttestationMissing}},
		{name: "what need not be signed has no author", defaults: "author = \"signer\"\nevidence = \"declared\"", signer: stranger, want: []string{AuthorMismatch}},
		{name: "nobody asks", author: "eve@example.org"},

		{name: "the author pushes", defaults: `author = "pusher"`, pusher: by("alice@example.com")},
		{name: "somebody else pushes", defaults: `author = "pusher"`, pusher: by("bob"), want: []string{AuthorMismatch}},
		{name: "the author pushes what another signed", defaults: `author = "pusher"`, author: "bob@example.com", pusher: by("bob")},
		{name: "the server does not know who pushes", defaults: `author = "pusher"`, pusher: by(""), want: []string{AuthorMismatch}},
		{name: "away from a server nobody can know", defaults: `author = "pusher"`, pusher: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := sketch{files: after, values: []string{good}, by: []attestation.Signer{signer(t, alice)}}
			switch c.signer {
			case stranger:
				s.by = nil
			case gateway:
				s.by = []attestation.Signer{signer(t, gateway)}
			}
			if c.author != "" {
				s.raw = func(object string) string {
					return strings.Replace(object, "author Alice <alice@example.com>", "author Alice <"+c.author+">", 1)
				}
			}
			p := rules(t, crew(t, c.defaults))
			g := Gate{Policy: p, Source: w, Now: now}
			if c.pusher != nil {
				g.Pusher = NewPusher(p, *c.pusher, now)
			}
			v, err := g.Push(t.Context(), []Update{{Ref: "refs/heads/main", New: w.commit(s)}}, KeepAll)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, nilIfNone(names(v))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func nilIfNone(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// A merge that brings nothing of its own is signed by nobody; yet who pushes it is known.
func TestAuthorOfMerge(t *testing.T) {
	w := newWorld(t)
	root := w.commit(sketch{files: before, values: []string{good}, by: []attestation.Signer{signer(t, alice)}})
	one := w.commit(sketch{parents: []change.ID{root}, files: after, values: []string{good}, by: []attestation.Signer{signer(t, alice)}})
	other := w.commit(sketch{parents: []change.ID{root}, files: moved, values: []string{good}, by: []attestation.Signer{signer(t, alice)}})
	merge := w.commit(sketch{parents: []change.ID{one, other}, files: picked})
	w.merges[[2]change.ID{one, other}] = w.treeOf(merge)
	for _, c := range []struct {
		author, name string
		platform     Platform
		want         []string
	}{
		{"signer", "eve", nil, nil},
		{"pusher", "alice@example.com", nil, nil},
		{"pusher", "eve", nil, []string{AuthorMismatch}},
		{"pusher", "eve", pressing{}, nil}, // the forge says who made it, and who pressed is another
	} {
		p := rules(t, crew(t, fmt.Sprintf("author = %q", c.author)))
		g := Gate{Policy: p, Source: w, Now: now, Baseline: []change.ID{one, other}, Platform: c.platform,
			Pusher: NewPusher(p, pusher.Identity{Source: pusher.GitLab, Name: c.name}, now)}
		v, err := g.Push(t.Context(), []Update{{Ref: "refs/heads/main", New: merge}}, KeepAll)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, nilIfNone(names(v))); diff != "" {
			t.Errorf("author = %q, pushed by %s: %s", c.author, c.name, diff)
		}
	}
}

// pressing is a platform whose button is pressed.
type pressing struct{ Platform }

func (pressing) Makes(change.ID) bool { return true }

func TestOverride(t *testing.T) {
	bad := []string{"claude-code/2.1.330 acme/banned lines=1/1 via=hook session=9f2c1b7e0a44"}
	signed := func(s sketch) sketch {
		s.files, s.by = after, []attestation.Signer{signer(t, alice)}
		if s.values == nil {
			s.values = []string{good}
		}
		return s
	}
	for _, c := range []struct {
		name   string
		sketch sketch
		ref    string
		limits string
		want   Outcome
	}{
		{name: "a model that is denied", sketch: signed(sketch{values: bad}), want: Warned},
		{name: "nothing said", sketch: sketch{files: after}, want: Warned},
		{name: "two readers of trailers", sketch: signed(sketch{rewrite: func(m string) string { return m + "\nAI-Provenance: none via=hook\n\nx\n" }}), want: Warned},
		{name: "nothing wrong", sketch: signed(sketch{}), want: Accepted},
		{name: "an object that two readers see differently", sketch: signed(sketch{raw: func(o string) string { return "tree " + strings.Repeat("1", 40) + "\n" + o }}), want: Refused},
		{name: "a message that was not read", sketch: signed(sketch{rewrite: func(m string) string { return strings.Repeat("x", 2<<20) + "\n\n" + m }}), want: Refused},
		{name: "more commits than were judged", sketch: signed(sketch{}), limits: "[limits]\ncommits = 1\n", want: Refused},
		{name: "a ref that belongs to the server", sketch: signed(sketch{}), ref: "refs/gatekeeper/policy", want: Refused},
		{name: "replacement objects", sketch: signed(sketch{}), ref: "refs/replace/" + strings.Repeat("1", 40), want: Refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			ref := c.ref
			if ref == "" {
				ref = "refs/heads/main"
			}
			tip := w.commit(c.sketch)
			if c.limits != "" {
				tip = w.commit(signed(sketch{parents: []change.ID{tip}}))
			}
			g := Gate{Policy: rules(t, crew(t, "")+c.limits), Source: w, Now: now, Override: true}
			v, err := g.Push(t.Context(), []Update{{Ref: ref, New: tip}}, KeepAll)
			if err != nil {
				t.Fatal(err)
			}
			if v.Verdict != c.want || v.Overridden() != (c.want == Warned) {
				t.Errorf("got %s, overridden %v: %q", v.Verdict, v.Overridden(), names(v))
			}
			if c.want == Warned && len(names(v)) == 0 {
				t.Error("nothing is told")
			}
		})
	}
	t.Run("what only warns is not overridden", func(t *testing.T) {
		w := newWorld(t)
		g := Gate{Policy: rules(t, crew(t, "")), Source: w, Now: now, Override: true}
		v, err := g.Push(t.Context(), []Update{{Ref: "refs/heads/wip/x", New: w.commit(sketch{files: after})}}, KeepAll)
		if err != nil || v.Verdict != Warned || v.Overridden() {
			t.Errorf("%s, %v, %v", v.Verdict, v.Overridden(), err)
		}
	})
}

func TestNotJudged(t *testing.T) {
	for author, want := range map[string]bool{"any": false, "signer": false, "pusher": true} {
		p := rules(t, fmt.Sprintf("schema = 1\n[defaults]\nauthor = %q\n", author))
		if got := NotJudged(p.Rule("refs/heads/main")); slices.Contains(got, AuthorMismatch) != want || !slices.IsSorted(got) {
			t.Errorf("author = %q: %q", author, got)
		}
	}
}

// withSigners is a policy with an allowed_signers file of one line.
func withSigners(t *testing.T, text, line string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(text), func(string) ([]byte, error) { return []byte(line), nil })
	if err != nil {
		t.Fatal(err)
	}
	return p
}
