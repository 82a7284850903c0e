package gate

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A shelf is what stands beside commits, in memory, in the order in which it was
// put there.
type shelf []attestation.Detached

func (s shelf) Any() bool { return len(s) > 0 }

func (s shelf) Attestations(_ context.Context, about provenance.Digest) (found []attestation.Detached, err error) {
	for _, d := range s {
		if d.Attestation.Change == about {
			found = append(found, d)
		}
	}
	return found, nil
}

func (s shelf) Added(context.Context, change.ID, change.ID, int64) iter.Seq2[change.RawFile, error] {
	return func(func(change.RawFile, error) bool) {}
}

func (s shelf) Sizes(context.Context, change.ID, int64) (int, int64, error) { return 0, 0, nil }

// detached is what a signer says beside the commit that s sketches.
func (w *world) detached(s sketch, by attestation.Signer) attestation.Detached {
	w.t.Helper()
	a := w.attest(s, by)
	if s.forge != nil {
		a = s.forge(a)
	}
	return attestation.Detached{Provenance: s.values, Attestation: a}
}

// A bare commit on a root that needs nothing: what it says of itself is own, unless
// sketched otherwise.
type beside struct {
	*world
	root, commit change.ID
	sketch       sketch
}

func newBeside(t *testing.T, own sketch) *beside {
	w := newWorld(t)
	root := w.commit(sketch{files: map[string]string{"a": "a\n"}, values: []string{good}, by: []attestation.Signer{signer(t, alice)}})
	if own.parents == nil {
		own.parents = []change.ID{root}
	}
	own.files = map[string]string{"a": "a\n", "b": "b\n"}
	return &beside{world: w, root: root, commit: w.commit(own), sketch: own}
}

// says is what a signer of a seed says beside the commit.
func (b *beside) says(seed byte, with func(*sketch), values ...string) attestation.Detached {
	s := sketch{parents: b.sketch.parents, files: b.sketch.files, values: values}
	if with != nil {
		with(&s)
	}
	return b.detached(s, signer(b.t, seed))
}

// judge judges the commit with a shelf of records.
func (b *beside) judge(defaults string, records ...attestation.Detached) CommitVerdict {
	b.t.Helper()
	g := Gate{Policy: rules(b.t, house(b.t, defaults)), Source: b.world, Records: shelf(records), Now: now}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: b.root, New: b.commit}}, KeepAll)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(v.Commits) != 1 {
		b.t.Fatalf("judged %d commits", len(v.Commits))
	}
	return v.Commits[0]
}

// many is a record among others, whose lines nobody counted.
func many(record string) string { return strings.Replace(record, "lines=1/1", "lines=unknown/1", 1) }

const old = "claude-code/1.9 anthropic/claude-sonnet-4-5 lines=1/1 via=hook session=9f2c1b7e0a44"

func TestBeside(t *testing.T) {
	t.Run("a record stands for a commit that says nothing", func(t *testing.T) {
		b := newBeside(t, sketch{})
		v := b.judge("", b.says(alice, nil, good))
		if v.Verdict != Accepted || !v.Beside || v.Evidence != Attested || *v.Binding != Exact {
			t.Errorf("got %+v", v)
		}
		if diff := cmp.Diff([]string{"alice@example.com"}, principals(v)); diff != "" {
			t.Error(diff)
		}
		if len(v.Records) != 1 || v.Records[0].Model != "anthropic/claude-sonnet-4-5" {
			t.Errorf("its records are %+v", v.Records)
		}
	})

	t.Run("a record of nothing observed is as good", func(t *testing.T) {
		b := newBeside(t, sketch{})
		v := b.judge("", b.says(alice, nil, "none via=hook"))
		if v.Verdict != Accepted || !v.Beside || v.Evidence != NoneObserved || v.None != "hook" {
			t.Errorf("got %+v", v)
		}
	})

	t.Run("a record stands where the commit's own attestation is for other content", func(t *testing.T) {
		b := newBeside(t, sketch{values: []string{good}, by: []attestation.Signer{signer(t, alice)}, claimed: map[string]string{"a": "a\n", "b": "other\n"}})
		if v := b.judge(""); v.Verdict != Refused {
			t.Fatalf("without a record it is %s", v.Verdict)
		}
		if v := b.judge("", b.says(alice, nil, good)); v.Verdict != Accepted || !v.Beside {
			t.Errorf("got %+v", v)
		}
	})

	t.Run("a record counts by the change, except where a ref asks for exact", func(t *testing.T) {
		b := newBeside(t, sketch{})
		elsewhere := b.world.commit(sketch{files: map[string]string{"a": "a\n", "z": "z\n"}})
		moved := b.says(alice, func(s *sketch) {
			s.parents, s.files = []change.ID{elsewhere}, map[string]string{"a": "a\n", "b": "b\n", "z": "z\n"}
		}, good)
		if v := b.judge("", moved); v.Verdict != Accepted || *v.Binding != Change {
			t.Errorf("got %+v", v)
		}
		v := b.judge(`binding = "exact"`, moved)
		if diff := cmp.Diff([]string{AttestationMissing}, rulesOf(v)); diff != "" {
			t.Error(diff)
		}
		if v := b.judge(`binding = "exact"`, moved, b.says(alice, nil, good)); v.Verdict != Accepted || *v.Binding != Exact {
			t.Errorf("with an exact one beside it, got %+v", v)
		}
	})

	t.Run("a merge is bound exactly or not at all", func(t *testing.T) {
		w := newWorld(t)
		by := []attestation.Signer{signer(t, alice)}
		root := w.commit(sketch{files: map[string]string{"a": "a\n"}, values: []string{good}, by: by})
		side := w.commit(sketch{parents: []change.ID{root}, files: map[string]string{"a": "a\n", "s": "s\n"}, values: []string{good}, by: by})
		s := sketch{parents: []change.ID{root, side}, files: map[string]string{"a": "a\n", "s": "s\n", "evil": "x\n"}, values: []string{good}}
		bare := s
		bare.values = nil
		merge := w.commit(bare)
		judge := func(d attestation.Detached) Verdict {
			g := Gate{Policy: rules(t, house(t, "")), Source: w, Records: shelf{d}, Now: now}
			v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: side, New: merge}}, KeepAll)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := judge(w.detached(s, signer(t, alice))); v.Verdict != Accepted || !v.Commits[0].Beside {
			t.Errorf("got %+v", v)
		}
		other := s
		other.onto = []change.ID{side, root}
		if v := judge(w.detached(other, signer(t, alice))); v.Verdict != Refused {
			t.Errorf("signed for the other order of parents, it is %s", v.Verdict)
		}
	})
}

// What would not count in the message counts no more beside it.
func TestBesideThatDoesNotStand(t *testing.T) {
	for _, c := range []struct {
		name string
		seed byte
		with func(*sketch)
	}{
		{"of a stranger", stranger, nil},
		{"of a key whose time is over", expired, nil},
		{"of a key whose time has not come", later, nil},
		{"of a key that leaked", leaked, nil},
		{"from the future", alice, func(s *sketch) { s.at = now.Add(time.Hour) }},
		{"about the same change to another commit's content", alice, func(s *sketch) { s.claimed = map[string]string{"a": "a\n", "b": "other\n"} }},
		{"with a signature cut off another", alice, func(s *sketch) {
			s.forge = func(a attestation.Attestation) attestation.Attestation {
				a.Time = a.Time.Add(time.Second)
				return a
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBeside(t, sketch{})
			d := b.says(c.seed, c.with, good)
			v := b.judge("", d)
			if diff := cmp.Diff([]string{AttestationMissing}, rulesOf(v)); diff != "" {
				t.Error(diff)
			}
			if v.Beside || v.Evidence != Unknown || len(v.Signers) > 0 {
				t.Errorf("it is shown: %+v", v)
			}
			if v := b.judge("", d, b.says(alice, nil, good)); v.Verdict != Accepted {
				t.Errorf("it stands in the way of one that stands: %v", rulesOf(v))
			}
		})
	}
}

// Nothing that a commit says of itself can be talked away.
func TestBesideTalksNothingAway(t *testing.T) {
	const (
		unknownModel = "claude-code/2.1.330 unknown/unknown lines=1/1 via=hook session=9f2c1b7e0a44"
		nobody       = "unknown/unknown unknown/unknown lines=1/1 via=unknown session=unknown"
		evilServer   = "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=1/1 via=hook session=9f2c1b7e0a44 mcp=evil"
	)
	for _, c := range []struct {
		name     string
		own, say []string
		stands   bool
	}{
		{"a banned model", []string{banned}, []string{good}, false},
		{"a banned model, by none", []string{banned}, []string{"none via=hook"}, false},
		{"a tool", []string{another}, []string{good}, false},
		{"a version", []string{old}, []string{good}, false},
		{"a server that was used", []string{evilServer}, []string{good}, false},
		{"that somebody was there", []string{nobody}, []string{"none via=hook"}, false},
		{"the same again", []string{good}, []string{good}, true},
		{"more", []string{good}, []string{many(another), many(good)}, true},
		{"one of two", []string{many(another), many(good)}, []string{many(good)}, false},
		{"what the commit did not know", []string{unknownModel}, []string{good}, true},
		{"that nothing was observed", []string{"none via=process"}, []string{good}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBeside(t, sketch{values: c.own})
			v := b.judge("", b.says(alice, nil, c.say...))
			if v.Beside != c.stands || (v.Verdict == Accepted) != c.stands {
				t.Errorf("got %s, beside %v: %v", v.Verdict, v.Beside, rulesOf(v))
			}
		})
	}
}

// A forgery is met with no second chance, whatever stands beside it.
func TestBesideAForgery(t *testing.T) {
	forgery := func(a attestation.Attestation) attestation.Attestation {
		a.Time = a.Time.Add(time.Second)
		return a
	}
	b := newBeside(t, sketch{values: []string{good}, by: []attestation.Signer{signer(t, alice)}, forge: forgery})
	v := b.judge("", b.says(alice, nil, good))
	if diff := cmp.Diff([]string{AttestationInvalid}, rulesOf(v)); diff != "" {
		t.Error(diff)
	}
}

// Whatever stands beside a commit, in whatever order, the verdict is that of the most
// favourable, and what does not stand changes nothing.
func TestBesideInAnyOrder(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		b := newBeside(t, sketch{})
		var list []attestation.Detached
		best, refusedOnly := false, false
		for range 1 + r.IntN(6) {
			switch r.IntN(5) {
			case 0:
				list, best = append(list, b.says(alice, nil, good)), true
			case 1:
				list, refusedOnly = append(list, b.says(alice, nil, banned)), true
			case 2:
				list = append(list, b.says(stranger, nil, good))
			case 3:
				list, refusedOnly = append(list, b.says(bob, nil, good)), true // may not speak for it
			case 4:
				list, best = append(list, b.says(gateway, func(s *sketch) { s.at = signed.Add(time.Duration(r.IntN(60)) * time.Second) }, good)), true
			}
		}
		first := b.judge("", list...)
		if (first.Verdict == Accepted) != best || first.Beside != (best || refusedOnly) {
			t.Fatalf("seed %d: got %s, beside %v, of %d records: %v", seed, first.Verdict, first.Beside, len(list), rulesOf(first))
		}
		for range 5 {
			r.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
			again := b.judge("", list...)
			if again.Verdict != first.Verdict || again.Evidence != first.Evidence || again.Beside != first.Beside {
				t.Fatalf("seed %d: %s in one order, %s in another", seed, first.Verdict, again.Verdict)
			}
			if best && !cmp.Equal(first, again) {
				t.Fatalf("seed %d: %s", seed, cmp.Diff(first, again))
			}
		}
	}
}

// A record never makes a verdict worse: whoever may attest could otherwise have other
// people's commits refused.
func TestBesideNeverMakesItWorse(t *testing.T) {
	for _, defaults := range []string{`evidence = "declared"`, `evidence = "any"`} {
		b := newBeside(t, sketch{values: []string{good}})
		if v := b.judge(defaults); v.Verdict != Accepted {
			t.Fatalf("%s: without records it is %s: %v", defaults, v.Verdict, rulesOf(v))
		}
		v := b.judge(defaults, b.says(alice, nil, many(banned), many(good)))
		if v.Beside {
			t.Errorf("%s: what stands beside it is not welcome, and shown all the same", defaults)
		}
		if v.Verdict != Accepted {
			t.Errorf("%s: somebody's record has it %s: %v", defaults, v.Verdict, rulesOf(v))
		}
		v = b.judge(defaults, b.says(alice, nil, good))
		if v.Verdict != Accepted || !v.Beside || v.Evidence != Attested {
			t.Errorf("%s: a good record is passed over: %+v", defaults, v)
		}
	}
}

// What was squashed by the platform of good parts stays good, whatever somebody says
// beside it.
func TestBesideWhatThePlatformMade(t *testing.T) {
	r := newRequest(t, stamped(t, good), stamped(t, another))
	plain := r.commit(sketch{parents: []change.ID{r.main}, files: map[string]string{"a": "a\n", "b": "b\n", "c": "c\n", "m": "m\n"}, message: "Both (#7)\n"})
	f := r.pressing()
	f.makes[plain] = true
	bad := r.detached(sketch{parents: []change.ID{r.main}, files: map[string]string{"a": "a\n", "b": "b\n", "c": "c\n", "m": "m\n"}, values: []string{banned}}, signer(t, alice))
	g := Gate{Policy: rules(t, house(t, "")), Source: r.world, Records: shelf{bad}, Platform: f, Now: now}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: r.main, New: plain}}, KeepAll)
	if err != nil {
		t.Fatal(err)
	}
	if c := v.Commits[0]; c.Verdict != Accepted || !c.Made || c.Beside {
		t.Errorf("got %s: %v", c.Verdict, rulesOf(c))
	}
}

// A thousand records of one change cost each commit that makes it a thousand
// signatures, so they count against what a push may make the gate read.
func TestBesideIsPaidFor(t *testing.T) {
	b := newBeside(t, sketch{})
	var list []attestation.Detached
	for i := range 1000 {
		list = append(list, b.says(alice, func(s *sketch) { s.at = signed.Add(-time.Duration(i) * time.Second) }, banned))
	}
	limits := "\n[limits]\nread = \"1MiB\""
	v := b.judge(limits, list...)
	if !slices.Contains(rulesOf(v), PushTooLarge) {
		t.Errorf("got %v", rulesOf(v))
	}
	if v := b.judge(limits, list[:100]...); slices.Contains(rulesOf(v), PushTooLarge) {
		t.Errorf("of a hundred, got %v", rulesOf(v))
	}
}
