package gate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// receipts are what receipts say of refs, in a test.
type receipts []CoveredValue

func (receipts) Received(context.Context, provenance.Digest, time.Time) (bool, error) {
	return false, nil
}

func (k receipts) Covered(context.Context) ([]CoveredValue, error) { return slices.Clone(k), nil }

// strict is the rule of a ref in the house, as somebody accepted by it.
func strict(with ...func(*policy.Rule)) policy.Rule {
	r := policy.Rule{Mode: policy.Enforce, Evidence: policy.Attested, Via: policy.ViaAny, Binding: policy.Change}
	for _, change := range with {
		change(&r)
	}
	return r
}

// covering judges a push of updates where other refs are covered.
func (w *world) covering(t *testing.T, text string, k Receipts, updates ...Update) Verdict {
	t.Helper()
	g := Gate{Policy: rules(t, text), Source: w, Now: now, Receipts: k}
	v, err := g.Push(context.Background(), updates, KeepFaulty)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCoveredValuesExclude(t *testing.T) {
	const main, topic = "refs/heads/main", "refs/heads/topic"
	w := newWorld(t)
	base := w.line(w.root(), 1)
	parked := w.line(base, 2, 0) // one commit says nothing
	tip := w.line(parked, 1)
	tag := w.put("tag", fmt.Appendf(nil, "object %s\ntype commit\ntag x\n\n", parked))
	for _, c := range []struct {
		name     string
		ref      string
		value    change.ID
		rule     policy.Rule
		defaults string
		want     int // commits judged
	}{
		{"by the very rule", topic, parked, strict(), "", 1},
		{"by one that asks for more", topic, parked, strict(func(r *policy.Rule) { r.Binding, r.Via = policy.Exact, "hook" }), "", 1},
		{"of which only a part is below", topic, base, strict(), "", 3},
		{"by less evidence", topic, parked, strict(func(r *policy.Rule) { r.Evidence = policy.Declared }), "", 5},
		{"by none", topic, parked, strict(func(r *policy.Rule) { r.Evidence = policy.AnyEvidence }), "", 5},
		{"by less observation", topic, parked, strict(), `via = "process"`, 5},
		{"by a looser binding", topic, parked, strict(), `binding = "exact"`, 5},
		{"by models of some refs only", topic, parked, strict(func(r *policy.Rule) { r.Models = "other" }), "", 5},
		{"by a rule that nobody filled in", topic, parked, policy.Rule{}, "", 1},
		{"a tag", "refs/tags/v1", tag, strict(), "", 5},
		{"a tag of the commit itself", "refs/tags/v1", parked, strict(), "", 5},
		{"notes", "refs/notes/commits", parked, strict(), "", 5},
		{"records", "refs/gatekeeper/records/00", parked, strict(), "", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := w.covering(t, house(t, c.defaults), receipts{{c.ref, c.value, c.rule}}, Update{Ref: main, New: tip})
			if got := v.Refs[0].Judged; got != c.want {
				t.Errorf("%d commits were judged, want %d", got, c.want)
			}
			if refused := v.Verdict == Refused; refused != (c.want > 1) && c.defaults == "" {
				t.Errorf("%s", v.Verdict)
			}
		})
	}
}

func TestAnAliasExcludesByTheStricterOfItsRules(t *testing.T) {
	w := newWorld(t)
	base := w.line(w.root(), 1)
	w.symrefs["refs/heads/wip/alias"] = "refs/heads/release"
	text := house(t, "") + "[[ref]]\nmatch = \"refs/heads/release\"\nbinding = \"exact\"\n"
	k := receipts{{"refs/heads/topic", base, strict()}}
	if v := w.covering(t, text, k, Update{Ref: "refs/heads/wip/other", New: base}); v.Refs[0].Judged != 0 {
		t.Errorf("%d commits were judged for a ref that asks for no more", v.Refs[0].Judged)
	}
	if v := w.covering(t, text, k, Update{Ref: "refs/heads/wip/alias", New: base}); v.Refs[0].Judged != 2 {
		t.Errorf("%d commits were judged for one whose target does", v.Refs[0].Judged)
	}
}

func TestWhoCannotSayWhatIsCoveredRefuses(t *testing.T) {
	w := newWorld(t)
	g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Receipts: unsure{}}
	_, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: w.root()}}, KeepFaulty)
	if !errors.Is(err, errUnsure) {
		t.Errorf("got %v", err)
	}
	if _, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: w.root()}, {Ref: "refs/heads/free/x", New: w.root()}}, KeepFaulty); err != nil {
		t.Errorf("it was asked where nothing is judged: %v", err)
	}
}

type unsure struct{}

var errUnsure = errors.New("unsure")

func (unsure) Covered(context.Context) ([]CoveredValue, error) { return nil, errUnsure }

func (unsure) Received(context.Context, provenance.Digest, time.Time) (bool, error) {
	return false, errUnsure
}

// arrivals are when statements were received.
type arrivals map[provenance.Digest]time.Time

func (arrivals) Covered(context.Context) ([]CoveredValue, error) { return nil, nil }

func (a arrivals) Received(_ context.Context, statement provenance.Digest, before time.Time) (bool, error) {
	at, ok := a[statement]
	return ok && at.Before(before), nil
}

// A notebook keeps which statements a push brought.
type notebook []provenance.Digest

func (n *notebook) Judged(c CommitVerdict) error { *n = append(*n, c.Statements...); return nil }
func (n *notebook) Mark() error                  { return nil }
func (n *notebook) Back()                        {}

func TestWhatWasReceivedBeforeACompromiseStaysValid(t *testing.T) {
	w := newWorld(t)
	compromise := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	push := func(r Receipts, tip change.ID) (CommitVerdict, notebook) {
		var n notebook
		g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Receipts: r, Witness: &n}
		v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepAll)
		if err != nil {
			t.Fatal(err)
		}
		return v.Commits[0], n
	}
	old := sketch{files: before, values: none, by: w.by(leaked), at: compromise.Add(-time.Hour)}
	tip := w.commit(old)
	verdict, told := push(nil, tip)
	if verdict.Verdict != Refused || len(told) != 1 {
		t.Fatalf("without receipts it is %s, and %d statements were told", verdict.Verdict, len(told))
	}
	for _, c := range []struct {
		name string
		at   time.Time
		want Outcome
	}{
		{"long before", compromise.Add(-24 * time.Hour), Accepted},
		{"in the second before", compromise.Add(-time.Second), Accepted},
		{"in that second", compromise, Refused},
		{"after", compromise.Add(time.Hour), Refused},
	} {
		t.Run("received "+c.name, func(t *testing.T) {
			v, _ := push(arrivals{told[0]: c.at}, tip)
			if v.Verdict != c.want || c.want == Refused && v.Findings[0].Rule != SignerRevoked {
				t.Errorf("%s %v", v.Verdict, v.Findings)
			}
		})
	}
	t.Run("another statement, with the date of signing set back", func(t *testing.T) {
		other := old
		other.at = compromise.Add(-2 * time.Hour)
		if v, _ := push(arrivals{told[0]: compromise.Add(-time.Hour)}, w.commit(other)); v.Verdict != Refused {
			t.Errorf("%s", v.Verdict)
		}
	})
	t.Run("the statement, in another commit", func(t *testing.T) {
		again := old
		again.rewrite = func(message string) string { return "Another subject\n\n" + message[strings.Index(message, "AI-"):] }
		if v, _ := push(arrivals{told[0]: compromise.Add(-time.Hour)}, w.commit(again)); v.Verdict != Accepted {
			t.Errorf("%s %v", v.Verdict, v.Findings)
		}
	})
	t.Run("the statement, for another content", func(t *testing.T) {
		again := old
		again.claimed, again.files = before, map[string]string{"b.txt": "x\n"}
		if v, _ := push(arrivals{told[0]: compromise.Add(-time.Hour)}, w.commit(again)); v.Verdict != Refused {
			t.Errorf("%s", v.Verdict)
		}
	})
	t.Run("a forged signature tells nobody", func(t *testing.T) {
		forged := old
		forged.forge = func(a attestation.Attestation) attestation.Attestation {
			a.Time = a.Time.Add(time.Second)
			return a
		}
		if v, told := push(nil, w.commit(forged)); v.Verdict != Refused || len(told) != 0 {
			t.Errorf("%s, %d statements were told", v.Verdict, len(told))
		}
	})
	t.Run("who cannot say when refuses", func(t *testing.T) {
		g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Receipts: silent{}}
		if _, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepAll); !errors.Is(err, errUnsure) {
			t.Errorf("got %v", err)
		}
	})
}

// silent know of no ref, and cannot say of anything when it came.
type silent struct{ unsure }

func (silent) Covered(context.Context) ([]CoveredValue, error) { return nil, nil }

// Whatever history looks like and whatever is covered, exactly those commits are judged
// that no excluding value, no old value and no baseline reaches; and refs that are judged
// together come to what each of them comes to alone.
func TestWhatIsNotExcludedIsJudged(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t)
		all := []change.ID{w.root()}
		for range 12 {
			silent := []int{}
			if r.IntN(4) == 0 {
				silent = append(silent, 0)
			}
			all = append(all, w.line(all[r.IntN(len(all))], 1, silent...))
		}
		anyOf := func() change.ID { return all[r.IntN(len(all))] }
		var k receipts
		for n := range 4 {
			rule := strict()
			if r.IntN(3) == 0 {
				rule.Evidence = policy.Declared
			}
			k = append(k, CoveredValue{fmt.Sprint([]string{"refs/heads/", "refs/tags/"}[r.IntN(2)], n), anyOf(), rule})
		}
		var updates []Update
		for n := range 4 {
			u := Update{Ref: fmt.Sprint("refs/heads/new-", n), New: anyOf()}
			if r.IntN(2) == 0 {
				u.Old = anyOf()
			}
			updates = append(updates, u)
		}
		together := w.covering(t, house(t, ""), k, updates...)
		for i, u := range updates {
			exclude := []change.ID{}
			if u.Old != "" {
				exclude = append(exclude, u.Old)
			}
			for _, c := range k {
				if c.Ref[:11] == "refs/heads/" && c.Rule.Evidence == policy.Attested {
					exclude = append(exclude, c.Value)
				}
			}
			want := 0
			seen := map[change.ID]bool{}
			w.reach(exclude, seen, func(change.ID) {})
			w.reach([]change.ID{u.New}, seen, func(change.ID) { want++ })
			alone := w.covering(t, house(t, ""), k, u)
			if alone.Refs[0].Judged != want {
				t.Fatalf("seed %d: %d commits were judged for update %d, want %d", seed, alone.Refs[0].Judged, i, want)
			}
			if together.Verdict == Refused && together.Refs[i].Verdict != alone.Refs[0].Verdict ||
				alone.Verdict == Refused && together.Verdict != Refused {
				t.Fatalf("seed %d: update %d alone is %s, and %s together", seed, i, alone.Refs[0].Verdict, together.Refs[i].Verdict)
			}
		}
	}
}
