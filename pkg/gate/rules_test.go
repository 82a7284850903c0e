package gate

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var update = flag.Bool("update", false, "rewrite testdata/words.golden")

// before and after are what the commit of a case starts from and leaves.
var (
	before = map[string]string{"a.txt": "one\ntwo\nthree\n"}
	after  = map[string]string{"a.txt": "one\nTWO\nthree\n"}
	moved  = map[string]string{"a.txt": "one\ntwo\nthree\n", "b.txt": "upstream\n"}
	picked = map[string]string{"a.txt": "one\nTWO\nthree\n", "b.txt": "upstream\n"}
)

// A ruling is one commit on a signed root, and the rules that speak against it.
type ruling struct {
	name     string
	defaults string // of the policy
	sketch   func(w *world, root change.ID) sketch
	want     []string
	evidence Evidence
	binding  Binding
}

func rulings(t *testing.T) []ruling {
	by := func(seeds ...byte) (list []attestation.Signer) {
		for _, s := range seeds {
			list = append(list, signer(t, s))
		}
		return list
	}
	plain := func(values []string, seeds ...byte) func(*world, change.ID) sketch {
		return func(_ *world, root change.ID) sketch {
			return sketch{parents: []change.ID{root}, files: after, values: values, by: by(seeds...)}
		}
	}
	with := func(alter func(w *world, s *sketch)) func(*world, change.ID) sketch {
		return func(w *world, root change.ID) sketch {
			s := plain([]string{good}, alice)(w, root)
			alter(w, &s)
			return s
		}
	}
	record := func(toolAndModel string) []string {
		return []string{toolAndModel + " lines=1/1 via=hook session=9f2c1b7e0a44"}
	}
	none := []string{"none via=hook"}
	const opus = `
[[model]]
id = "anthropic/claude-opus-4-6"
status = "approved"
[[alias]]
match = "claude-4.6-opus*"
id = "anthropic/claude-opus-4-6"
[[alias]]
match = "openrouter/acme/banned"
id = "acme/banned"
[[alias]]
match = "llama*"
id = "local/llama"
`
	sometimes := func() string {
		return fmt.Sprintf(`
[[signer]]
principal = "ci"
class = "tool"
key = %q
tools = ["aider"]
models = ["*"]
[[tool]]
id = "cursor"
versions = ">=1.3, <1.4"
status = "denied"
[[tool]]
id = "cursor"
versions = ">=1.0, <2"
status = "approved"
[[model]]
id = "acme/soon"
status = "approved"
from = 2026-06-01
[[model]]
id = "acme/here"
status = "approved"
refs = ["refs/heads/main"]
[[model]]
id = "acme/there"
status = "approved"
refs = ["refs/heads/release/*"]
`, signer(t, stranger).PublicKey().AuthorizedKey())
	}
	return []ruling{
		{name: "a signed record of an approved model", sketch: plain([]string{good}, alice), want: nil, evidence: Attested, binding: Exact},
		{name: "a signed none", sketch: plain(none, alice), evidence: NoneObserved, binding: Exact},
		{name: "two records, byte-sorted", sketch: plain([]string{"aider/1.0 local/llama lines=0/1 via=hook session=9f2c1b7e0a44", good}, alice), evidence: Attested, binding: Exact},

		{name: "nothing said", sketch: plain(nil), want: []string{AttestationMissing}, evidence: Unknown},
		{name: "a record that is not signed", sketch: plain([]string{good}), want: []string{AttestationMissing}, evidence: Declared},
		{name: "a none that is not signed", sketch: plain(none), want: []string{AttestationMissing}, evidence: Declared},
		{name: "a model nobody approved", sketch: plain(record("claude-code/2.1.330 acme/coder-2"), alice), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},
		{name: "a model that is denied", sketch: plain(record("claude-code/2.1.330 acme/banned"), alice), want: []string{ModelDenied}, evidence: Attested, binding: Exact},
		{name: "a model that is not known", sketch: plain(record("claude-code/2.1.330 unknown/unknown"), alice), want: []string{ModelUnknown}, evidence: Attested, binding: Exact},
		{name: "a model approved with another tool", sketch: plain(record("claude-code/2.1.330 local/llama"), alice), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},
		{name: "a tool too old", sketch: plain(record("claude-code/1.9 anthropic/claude-sonnet-4-5"), alice), want: []string{ToolNotApproved}, evidence: Attested, binding: Exact},
		{name: "an agent that is not known", sketch: plain(record("unknown/unknown anthropic/claude-sonnet-4-5"), alice), want: []string{ToolNotApproved}, evidence: Attested, binding: Exact},
		{name: "two faults are both told", sketch: plain(record("cursor/1.0 acme/coder-2"), alice), want: []string{ToolNotApproved, ModelNotApproved}, evidence: Attested, binding: Exact},

		{name: "an approval that has ended", defaults: `grace = "1h"`, sketch: plain(record("aider/1.0 acme/ended"), alice), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},
		{name: "within grace, signed before the end", defaults: `grace = "240h"`, sketch: with(func(_ *world, s *sketch) {
			s.values, s.at = record("aider/1.0 acme/ended"), time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC)
		}), evidence: Attested, binding: Exact},
		{name: "within grace, signed after the end", defaults: `grace = "240h"`, sketch: plain(record("aider/1.0 acme/ended"), alice), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},

		{name: "a signer nobody knows", sketch: plain([]string{good}, stranger), want: []string{SignerUnknown}, evidence: Declared},
		{name: "a signer nobody knows, of a kind that brings no key", sketch: with(func(_ *world, s *sketch) {
			s.by = []attestation.Signer{dsseSigner{newKey(stranger)}}
		}), want: []string{SignerUnknown}, evidence: Declared},
		{name: "a tool's own signature", sketch: with(func(_ *world, s *sketch) {
			s.by = []attestation.Signer{dsseSigner{newKey(gateway)}}
		}), evidence: Attested, binding: Exact},
		{name: "a signer who may not speak for the model", sketch: plain([]string{good}, bob), want: []string{SignerNotAllowed}, evidence: Attested, binding: Exact},
		{name: "a signer of too low a class", sketch: plain(record("aider/1.0 acme/guarded"), alice), want: []string{SignerNotAllowed}, evidence: Attested, binding: Exact},
		{name: "a signer of a high class beside a low one", sketch: plain(record("aider/1.0 acme/guarded"), alice, gateway), evidence: Attested, binding: Exact},
		{name: "a signer whose time is over", sketch: plain([]string{good}, expired), want: []string{SignerNotAllowed}, evidence: Declared},
		{name: "a signer whose time has not come", sketch: plain([]string{good}, later), want: []string{SignerNotAllowed}, evidence: Declared},
		{name: "a key that leaked, signed before", sketch: with(func(_ *world, s *sketch) {
			s.by, s.at = by(leaked), time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
		}), want: []string{SignerRevoked}, evidence: Declared},
		{name: "signed in the future", sketch: with(func(_ *world, s *sketch) { s.at = now.Add(11 * time.Minute) }), want: []string{TimeSkew}, evidence: Declared},
		{name: "signed in the future, within skew", sketch: with(func(_ *world, s *sketch) { s.at = now.Add(10 * time.Minute) }), evidence: Attested, binding: Exact},

		{name: "a record changed after signing", sketch: with(func(_ *world, s *sketch) {
			s.values = record("claude-code/2.1.330 acme/coder-2")
			s.rewrite = func(m string) string { return strings.Replace(m, "acme/coder-2", "anthropic/claude-sonnet-4-5", 1) }
		}), want: []string{AttestationInvalid}, evidence: Declared},
		{name: "a record dropped after signing", sketch: with(func(_ *world, s *sketch) {
			s.values = append(record("aider/1.0 acme/banned"), good)
			s.rewrite = func(m string) string {
				first, rest, _ := strings.Cut(m, "AI-Provenance: aider")
				_, rest, _ = strings.Cut(rest, "\n")
				return first + rest
			}
		}), want: []string{AttestationInvalid}, evidence: Declared},
		{name: "a time changed after signing", sketch: with(func(_ *world, s *sketch) {
			s.forge = func(a attestation.Attestation) attestation.Attestation { a.Time = a.Time.Add(time.Second); return a }
		}), want: []string{AttestationInvalid}, evidence: Declared},
		{name: "a known signer's name over a stranger's signature", sketch: with(func(_ *world, s *sketch) {
			s.by = by(stranger)
			s.forge = func(a attestation.Attestation) attestation.Attestation {
				a.Key = signer(t, alice).PublicKey().Fingerprint()
				return a
			}
		}), want: []string{AttestationInvalid}, evidence: Declared},
		{name: "a forgery beside a good signature", sketch: with(func(w *world, s *sketch) {
			s.by = by(alice, gateway)
			s.forge = func(a attestation.Attestation) attestation.Attestation {
				if a.Key == signer(t, gateway).PublicKey().Fingerprint() {
					a.Time = a.Time.Add(time.Second)
				}
				return a
			}
		}), want: []string{AttestationInvalid}, evidence: Attested, binding: Exact},
		{name: "a stranger beside a good signature", sketch: plain([]string{good}, stranger, alice), evidence: Attested, binding: Exact},

		{name: "files edited after signing", sketch: with(func(_ *world, s *sketch) {
			s.files = map[string]string{"a.txt": "one\nEVIL\nthree\n"}
			s.claimed = after
		}), want: []string{AttestationStale}, evidence: Declared},
		{name: "a clean rebase", sketch: with(func(w *world, s *sketch) {
			s.onto, s.claimed = s.parents, after
			s.parents = []change.ID{w.commit(sketch{parents: s.parents, files: moved, values: none, by: by(alice)})}
			s.files = picked
		}), evidence: Attested, binding: Change},
		{name: "a clean rebase where exact is asked for", defaults: `binding = "exact"`, sketch: with(func(w *world, s *sketch) {
			s.onto, s.claimed = s.parents, after
			s.parents = []change.ID{w.commit(sketch{parents: s.parents, files: moved, values: none, by: by(alice)})}
			s.files = picked
		}), want: []string{AttestationStale}, evidence: Declared},
		{name: "an old tree put back over a fix", sketch: with(func(w *world, s *sketch) {
			s.onto, s.claimed = s.parents, after
			fix := w.commit(sketch{parents: s.parents, files: moved, values: none, by: by(alice)})
			s.parents, s.files = []change.ID{fix}, after // undoes moved
		}), want: []string{AttestationStale}, evidence: Declared},
		{name: "two untouched lines swapped beside the change", sketch: with(func(w *world, s *sketch) {
			s.claimed = after
			s.files = map[string]string{"a.txt": "three\nTWO\none\n"}
		}), want: []string{AttestationStale}, evidence: Declared},

		{name: "a record seen at a lower grade", defaults: `via = "hook"`, sketch: plain([]string{strings.Replace(good, "via=hook", "via=process", 1)}, alice), want: []string{ObservationTooWeak}, evidence: Attested, binding: Exact},
		{name: "a none seen at a lower grade", defaults: `via = "hook"`, sketch: plain([]string{"none via=process"}, alice), want: []string{ObservationTooWeak}, evidence: NoneObserved, binding: Exact},
		{name: "a record of an unknown grade", defaults: `via = "declared"`, sketch: plain([]string{strings.Replace(good, "via=hook", "via=unknown", 1)}, alice), want: []string{ObservationTooWeak}, evidence: Attested, binding: Exact},

		{name: "a trailer that another reader would see", sketch: with(func(_ *world, s *sketch) {
			s.rewrite = func(m string) string {
				return strings.Replace(m, "\n\n", "\n\nai-provenance : none via=hook\n\n", 1)
			}
		}), want: []string{TrailerAmbiguous}, evidence: Unknown},
		{name: "provenance behind a NUL", sketch: with(func(_ *world, s *sketch) {
			s.rewrite = func(m string) string { return "Fine\x00\n\n" + m }
		}), want: []string{CommitMalformed}, evidence: Unknown},
		{name: "a look-alike letter in the model", sketch: with(func(_ *world, s *sketch) {
			s.rewrite = func(m string) string { return strings.Replace(m, "claude-sonnet", "cl\u0430ude-sonnet", 1) }
		}), want: []string{TrailerMalformed}, evidence: Unknown},
		{name: "none beside a record", sketch: with(func(_ *world, s *sketch) {
			s.rewrite = func(m string) string {
				return strings.Replace(m, "AI-Attestation", "AI-Provenance: none via=hook\nAI-Attestation", 1)
			}
		}), want: []string{TrailerMalformed}, evidence: Unknown},
		{name: "two attestations of one key", sketch: plain([]string{good}, alice, alice), want: []string{TrailerMalformed}, evidence: Unknown},
		{name: "an attestation without provenance", sketch: with(func(_ *world, s *sketch) {
			s.rewrite = func(m string) string { return strings.Replace(m, "AI-Provenance: "+good+"\n", "", 1) }
		}), want: []string{TrailerMalformed}, evidence: Unknown},
		{name: "provenance in another encoding", sketch: with(func(_ *world, s *sketch) {
			s.raw = func(o string) string { return strings.Replace(o, "\n\n", "\nencoding ISO-8859-1\n\n", 1) }
		}), want: []string{CommitMalformed}, evidence: Unknown},
		{name: "an encoding that moves letters", sketch: with(func(_ *world, s *sketch) {
			s.raw = func(o string) string { return strings.Replace(o, "\n\n", "\nencoding UTF-7\n\n", 1) }
		}), want: []string{TrailerAmbiguous}, evidence: Unknown},
		{name: "a second tree header", sketch: with(func(w *world, s *sketch) {
			s.raw = func(o string) string {
				return strings.Replace(o, "author ", "tree "+w.tree(before).String()+"\nauthor ", 1)
			}
		}), want: []string{CommitMalformed}, evidence: Unknown},
		{name: "a message of a megabyte", sketch: with(func(_ *world, s *sketch) {
			s.rewrite = func(m string) string { return strings.Repeat("x", 1<<20) + m }
		}), want: []string{MessageTooLarge}, evidence: Unknown},
		{name: "a change that costs too much to read", defaults: "\n[limits]\nread = \"10B\"\n", sketch: with(func(_ *world, s *sketch) {
			s.claimed, s.files = after, map[string]string{"a.txt": "one\nEVIL\nthree\n"}
		}), want: []string{PushTooLarge}, evidence: Declared},
		{name: "control characters in a subject are not shown raw", sketch: with(func(_ *world, s *sketch) {
			s.values = record("claude-code/2.1.330 acme/coder-2")
			s.rewrite = func(m string) string { return "\x1b[2K\u202eevil \xff" + m }
		}), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},

		{name: "where declared is enough, an unsigned record", defaults: `evidence = "declared"`, sketch: plain([]string{good}), evidence: Declared},
		{name: "where declared is enough, nothing said", defaults: `evidence = "declared"`, sketch: plain(nil), want: []string{AttestationMissing}, evidence: Unknown},
		{name: "where declared is enough, an unsigned model nobody approved", defaults: `evidence = "declared"`, sketch: plain(record("aider/1 acme/coder-2")), want: []string{ModelNotApproved}, evidence: Declared},
		{name: "where declared is enough, a restricted signer counts no less than none", defaults: `evidence = "declared"`, sketch: plain([]string{good}, bob), evidence: Attested, binding: Exact},
		{name: "where declared is enough, a stale signature", defaults: `evidence = "declared"`, sketch: with(func(_ *world, s *sketch) {
			s.claimed, s.files = after, map[string]string{"a.txt": "one\nother\nthree\n"}
		}), evidence: Declared},
		{name: "where declared is enough, a forgery", defaults: `evidence = "declared"`, sketch: with(func(_ *world, s *sketch) {
			s.forge = func(a attestation.Attestation) attestation.Attestation { a.Time = a.Time.Add(time.Second); return a }
		}), want: []string{AttestationInvalid}, evidence: Declared},
		{name: "a spelling with an alias", defaults: opus, sketch: plain(record("claude-code/2.1.330 unknown/claude-4.6-opus-high"), alice), evidence: Attested, binding: Exact},
		{name: "an alias for what is denied", defaults: opus, sketch: plain(record("claude-code/2.1.330 openrouter/acme/banned"), alice), want: []string{ModelDenied}, evidence: Attested, binding: Exact},
		{name: "a signer speaks for what an alias stands for", defaults: opus, sketch: plain(record("aider/1.0 unknown/llama3"), bob), evidence: Attested, binding: Exact},
		{name: "and for nothing else", defaults: opus, sketch: plain(record("claude-code/2.1.330 unknown/claude-4.6-opus-high"), bob), want: []string{SignerNotAllowed}, evidence: Attested, binding: Exact},
		{name: "a signer for some tools", defaults: sometimes(), sketch: plain(record("aider/1.0 local/llama"), stranger), evidence: Attested, binding: Exact},
		{name: "a signer for other tools", defaults: sometimes(), sketch: plain([]string{good}, stranger), want: []string{SignerNotAllowed}, evidence: Attested, binding: Exact},
		{name: "a signer for other tools beside one for all", defaults: sometimes(), sketch: plain([]string{good}, stranger, alice), evidence: Attested, binding: Exact},
		{name: "a version within a range", defaults: sometimes(), sketch: plain(record("cursor/1.9.2 acme/soon"), alice), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},
		{name: "a version beyond it", defaults: sometimes(), sketch: plain(record("cursor/2.0 acme/here"), alice), want: []string{ToolNotApproved}, evidence: Attested, binding: Exact},
		{name: "a version that is denied within it", defaults: sometimes(), sketch: plain(record("cursor/1.3 acme/here"), alice), want: []string{ToolNotApproved}, evidence: Attested, binding: Exact},
		{name: "a version that is not known", defaults: sometimes(), sketch: plain(record("cursor/unknown acme/here"), alice), want: []string{ToolNotApproved}, evidence: Attested, binding: Exact},
		{name: "a model for this ref", defaults: sometimes(), sketch: plain(record("cursor/1.0 acme/here"), alice), evidence: Attested, binding: Exact},
		{name: "a model for another ref", defaults: sometimes(), sketch: plain(record("cursor/1.0 acme/there"), alice), want: []string{ModelNotApproved}, evidence: Attested, binding: Exact},
		{name: "where anything will do, nothing said", defaults: `evidence = "any"`, sketch: plain(nil), evidence: Unknown},
		{name: "where anything will do, a denied model", defaults: `evidence = "any"`, sketch: plain(record("aider/1 acme/banned")), want: []string{ModelDenied}, evidence: Declared},
	}
}

func TestEachRuleSpeaksWhenItShould(t *testing.T) {
	var told strings.Builder
	for _, c := range rulings(t) {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			root := w.commit(sketch{files: before, values: []string{"none via=hook"}, by: []attestation.Signer{signer(t, alice)}})
			defaults, limits, _ := strings.Cut(c.defaults, "\n")
			v := w.push(rules(t, house(t, defaults)+limits), "refs/heads/main", w.commit(c.sketch(w, root)))
			if diff := cmp.Diff(append([]string{}, c.want...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s%+v", diff, v)
			}
			last := v.Commits[len(v.Commits)-1]
			if last.Evidence != c.evidence {
				t.Errorf("evidence %s, want %s", last.Evidence, c.evidence)
			}
			if got := bindingOf(last); got != c.binding {
				t.Errorf("binding %q, want %q", got, c.binding)
			}
			if (v.Verdict == Refused) != (len(c.want) > 0) {
				t.Errorf("verdict %s with %q", v.Verdict, c.want)
			}
			if len(c.want) > 0 {
				told.WriteString("# " + c.name + "\n" + text(t, v) + "\n")
			}
		})
	}
	golden(t, "testdata/words.golden", told.String())
}

func bindingOf(c CommitVerdict) Binding {
	if c.Binding == nil {
		return ""
	}
	return *c.Binding
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("words -want +got; -update rewrites them\n%s", diff)
	}
}
