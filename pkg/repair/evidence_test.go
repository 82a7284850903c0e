package repair_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
)

// pair is a base that is covered, and a commit upon it.
func (w *world) pair(message string) (base, tip change.ID) {
	w.t.Helper()
	base = w.stamped(w.commit(draft{name: "base", message: "Base\n"}), []string{hooked}, w.alice)
	tip = w.commit(draft{name: "tip", parents: []change.ID{base}, message: message})
	w.main(tip)
	return base, tip
}

// stale is a commit like another whose message has an attestation for something else.
func (w *world) stale(commit change.ID, values []string, by attestation.Signer) change.ID {
	w.t.Helper()
	other := w.commit(draft{name: "other", message: "Other\n"})
	return w.with(commit, values, w.attested(by, other, values...).Attestation)
}

// with is a commit like another with these trailers at the end of its message.
func (w *world) with(commit change.ID, values []string, list ...attestation.Attestation) change.ID {
	w.t.Helper()
	text := strings.TrimRight(w.raw(commit), "\n") + "\n\n"
	for _, v := range values {
		text += "AI-Provenance: " + v + "\n"
	}
	for _, a := range list {
		text += "AI-Attestation: " + a.String() + "\n"
	}
	return w.put(text)
}

// records are the AI-Provenance values of HEAD that git shows.
func (w *world) values() []string {
	w.t.Helper()
	return strings.Fields(strings.ReplaceAll(w.Git(w.t, "log", "-1", "--format=%(trailers:key=AI-Provenance,valueonly)"), " ", "_"))
}

func wantValues(t *testing.T, w *world, want ...string) {
	t.Helper()
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], " ", "_")
	}
	if diff := cmp.Diff(want, w.values()); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestWhatFitsIsLeftAlone(t *testing.T) {
	for name, by := range map[string]func(w *world) attestation.Signer{
		"a signature of one's own":                func(w *world) attestation.Signer { return w.alice },
		"a stranger's":                            func(w *world) attestation.Signer { return signer(t, 9) },
		"a gateway's":                             func(w *world) attestation.Signer { return w.gateway },
		"that of a gateway nobody here knows of":  func(w *world) attestation.Signer { return dsseSigner{key(9)} },
		"one for the same change on other ground": nil,
		"one that says nothing was used":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			base, tip := w.pair("Tip\n")
			switch {
			case by != nil:
				tip = w.stamped(tip, []string{hooked}, by(w))
			case strings.Contains(name, "nothing"):
				tip = w.stamped(tip, []string{"none via=hook"}, w.alice)
			default:
				tip = w.stamped(tip, []string{hooked}, w.alice)
				under := w.stamped(w.commit(draft{name: "under", parents: []change.ID{base}, message: "Under\n"}), []string{hooked}, w.alice)
				tip = w.on(w.commit(draft{name: "tip", parents: []change.ID{under}, message: w.message(tip.String())}), under)
			}
			w.main(tip)
			plan := w.repair()
			for _, s := range plan.Steps {
				if s.Action != repair.Leave || !strings.Contains(s.Why, "no signer in the policy has the key") {
					t.Errorf("%+v", s)
				}
			}
			if got := w.id("HEAD"); got != tip {
				t.Errorf("%s became %s", tip, got)
			}
		})
	}

	t.Run("a signature that fits stays where another beside it does not", func(t *testing.T) {
		for name, by := range map[string]attestation.Signer{"stranger": signer(t, 9), "unknown gateway": dsseSigner{key(9)}} {
			w := newWorld(t)
			_, tip := w.pair("Tip\n\nFixes: 1\n")
			values := []string{hooked}
			good := w.attested(by, tip, values...).Attestation
			bad := w.attested(w.alice, w.id("HEAD^"), values...).Attestation
			w.main(w.with(tip, values, bad, good))
			wantActions(t, w.repair(), "clean Tip")
			if want := w.with(tip, values, good); w.id("HEAD") != want {
				t.Errorf("%s: it says\n%s\nwant\n%s", name, w.message("HEAD"), w.message(want.String()))
			}
		}
	})

	t.Run("a forgery beside a signature that fits is taken out", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		good := w.attested(w.alice, tip, hooked).Attestation
		forged := w.attested(signer(t, 9), tip, hooked).Attestation
		forged.Time = forged.Time.Add(1e9)
		w.main(w.with(tip, []string{hooked}, forged, good))
		wantActions(t, w.repair(), "clean Tip")
		w.accepted("refs/heads/main")
		if want := w.with(tip, []string{hooked}, good); w.id("HEAD") != want {
			t.Errorf("it says\n%s", w.message("HEAD"))
		}
	})

	t.Run("a signature from the future beside one that fits is no fault", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		good := w.attested(w.alice, tip, hooked).Attestation
		early, err := attestation.Sign(t.Context(), signer(t, 9), []string{hooked}, attestation.Attestation{Time: now.AddDate(1, 0, 0), Bind: good.Bind, Change: good.Change})
		if err != nil {
			t.Fatal(err)
		}
		w.main(w.with(tip, []string{hooked}, early, good))
		w.accepted("refs/heads/main")
		wantActions(t, w.repair(), "")
	})

	t.Run("nothing that is clean needs a signer", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		values := []string{hooked}
		w.main(w.with(tip, values, w.attested(w.alice, tip, values...).Attestation, w.attested(signer(t, 9), w.id("HEAD^"), values...).Attestation))
		plan := w.find()
		if plan.Attests() {
			t.Error("it asks for a signer")
		}
		if err := plan.Apply(t.Context(), nil, "refs/heads/main"); err != nil {
			t.Error(err)
		}
		w.accepted("refs/heads/main")
	})
}

func TestWhatDoesNotFit(t *testing.T) {
	t.Run("a stale signature's words become the repairer's, as declared", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		w.main(w.stale(tip, []string{hooked}, signer(t, 9)))
		wantActions(t, w.repair(), "stamp Tip")
		wantValues(t, w, declared)
		w.accepted("refs/heads/exact")
		if n := strings.Count(w.message("HEAD"), "AI-Attestation:"); n != 1 {
			t.Errorf("%d attestations", n)
		}
	})

	t.Run("a stale none is of unknown origin", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		w.main(w.stale(tip, []string{"none via=hook"}, w.alice))
		w.repair()
		wantValues(t, w, nobody)
		w.accepted("refs/heads/main")
	})

	t.Run("an import stays an import, which is less than declared", func(t *testing.T) {
		w := newWorld(t)
		imported := strings.Replace(declared, "declared", "import", 1)
		w.pair("Tip\n\nAI-Provenance: " + imported + "\n")
		w.repair()
		wantValues(t, w, imported)
	})

	t.Run("somebody unknown is not forgotten beside somebody known", func(t *testing.T) {
		w := newWorld(t)
		w.pair("Tip\n\nAI-Provenance: " + declared + "\nAI-Provenance: " + nobody + "\n")
		w.repair()
		wantValues(t, w, declared, nobody)
	})

	t.Run("a signature from the future is made anew", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		good := w.attested(w.alice, tip, hooked).Attestation
		early, err := attestation.Sign(t.Context(), w.alice, []string{hooked}, attestation.Attestation{Time: now.AddDate(1, 0, 0), Bind: good.Bind, Change: good.Change})
		if err != nil {
			t.Fatal(err)
		}
		w.main(w.with(tip, []string{hooked}, early))
		wantActions(t, w.repair(), "stamp Tip")
		w.accepted("refs/heads/main")
	})

	t.Run("where binding is exact, what was only moved is signed again", func(t *testing.T) {
		w := newWorld(t)
		base, tip := w.pair("Tip\n")
		tip = w.stamped(tip, []string{hooked}, w.alice)
		under := w.stamped(w.commit(draft{name: "under", parents: []change.ID{base}, message: "Under\n"}), []string{hooked}, w.alice)
		w.main(w.commit(draft{name: "tip", parents: []change.ID{under}, message: w.message(tip.String())}))
		wantActions(t, w.find(), "")
		wantActions(t, w.repair(func(o *repair.Options) { o.Ref = "refs/heads/exact" }), "stamp Tip")
		wantValues(t, w, declared)
		w.accepted("refs/heads/exact")
	})
}

func TestNamed(t *testing.T) {
	const (
		aider     = "aider/0.50 openai/gpt-5 lines=0/0 via=declared session=unknown"
		byAider   = "aider/0.50 openai/gpt-5 lines=unknown/1 via=declared session=unknown"
		someAider = "aider/unknown unknown/unknown lines=1/1 via=process session=unknown"
		oldAider  = "aider/0.40 unknown/unknown lines=1/1 via=hook session=9f2c1b7e0a44"
	)
	rows := []struct {
		name   string
		said   []string
		signed bool
		action string
		want   []string
	}{
		{"one that says nothing", nil, false, "stamp Tip", []string{byAider}},
		{"unsigned, of nobody", []string{nobody}, false, "stamp Tip", []string{byAider}},
		{"signed, of nobody", []string{nobody}, true, "stamp Tip", []string{byAider}},
		{"signed, of the same tool, which was seen", []string{someAider}, true, "stamp Tip", []string{byAider}},
		{"what is known of it stays", []string{oldAider}, true, "stamp Tip", []string{"aider/0.40 openai/gpt-5 lines=unknown/1 via=declared session=9f2c1b7e0a44"}},
		{"of an import no more than that", []string{strings.Replace(someAider, "process", "import", 1)}, true, "stamp Tip",
			[]string{strings.Replace(byAider, "declared", "import", 1)}},
		{"its provider known already", []string{strings.Replace(someAider, "unknown/unknown", "openai/unknown", 1)}, true, "stamp Tip", []string{byAider}},
		{"another provider's is another's", []string{strings.Replace(someAider, "unknown/unknown", "mistral/unknown", 1)}, true, "", nil},
		{"another tool's", []string{strings.Replace(someAider, "aider", "cursor", 1)}, true, "", nil},
		{"another tool's unsigned gains nobody", []string{hooked}, false, "stamp Tip", []string{declared}},
		{"others of the commit stay", []string{oldAider, hooked}, false, "stamp Tip",
			[]string{"aider/0.40 openai/gpt-5 lines=unknown/1 via=declared session=9f2c1b7e0a44", declared}},
		{"its own words twice are once", []string{strings.Replace(byAider, "unknown/1", "0/1", 1), strings.Replace(nobody, "unknown/1", "0/1", 1)}, true, "stamp Tip", []string{byAider}},
		{"nothing was used, signed", []string{"none via=hook"}, true, "", nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			_, tip := w.pair("Tip\n")
			switch {
			case row.signed:
				tip = w.stamped(tip, row.said, signer(t, 9))
			case row.said != nil:
				tip = w.with(tip, row.said)
			}
			w.main(tip)
			wantActions(t, w.repair(named(aider)), row.action)
			if row.want == nil {
				row.want = row.said
			}
			wantValues(t, w, row.want...)
			if row.action != "" {
				w.accepted("refs/heads/main")
			}
		})
	}

	t.Run("what a record beside the commit knows besides is kept", func(t *testing.T) {
		for _, rewrite := range []bool{true, false} {
			w := newWorld(t)
			_, tip := w.pair("Tip\n")
			if !rewrite {
				tip = w.commit(draft{name: "tip", parents: w.ids("HEAD^"), message: "Tip\n\n---\n"})
				w.main(tip)
			}
			w.keep(w.alice, w.attested(w.alice, tip, strings.Replace(oldAider, "1/1", "0/1", 1), hooked))
			wantActions(t, w.find(), "")
			plan := w.repair(named(aider))
			want := []string{"aider/0.40 openai/gpt-5 lines=unknown/1 via=declared session=9f2c1b7e0a44", declared}
			if diff := cmp.Diff(want, plan.Steps[0].Values); diff != "" {
				t.Errorf("rewrite %v (-want +got):\n%s", rewrite, diff)
			}
			w.accepted("refs/heads/main")
		}
	})
}

func TestBeside(t *testing.T) {
	t.Run("all are covered and none is touched", func(t *testing.T) {
		w := newWorld(t)
		w.line("One\n", "Two\n\nAI-Provenance: "+hooked+"\n", "", "Four\n\n---\n")
		five := w.commit(draft{name: "five", parents: w.ids("main"), message: "Five\n"})
		w.main(w.stale(five, []string{hooked}, signer(t, 9)))
		before := w.Git(t, "for-each-ref", "refs/heads/")
		plan := w.repair(beside)
		for _, s := range plan.Steps {
			if s.Action != repair.Beside || s.Moves {
				t.Errorf("%+v", s)
			}
		}
		if got := w.Git(t, "for-each-ref", "refs/heads/"); got != before {
			t.Errorf("refs were\n%s\nare\n%s", before, got)
		}
		w.accepted("refs/heads/exact")
		for _, c := range w.verify("refs/heads/exact").Commits {
			if *c.Binding != gate.Exact {
				t.Errorf("%+v", c)
			}
		}
		wantActions(t, w.repair(), "")
	})

	t.Run("what speaks against a record is told, and not signed", func(t *testing.T) {
		for name, message := range map[string]string{
			"ambiguous": "Tip\n\nAI-Provenance: " + hooked + "\n\nBody\n",
			"malformed": "Tip\n\nAI-Provenance: " + nobody + "\nAI-Provenance: " + hooked + "\n",
		} {
			w := newWorld(t)
			w.pair(message)
			plan := w.repair(beside)
			s := plan.Steps[0]
			if s.Action != repair.Leave || !strings.Contains(s.Hint, "gatekeeper repair") || plan.Attests() {
				t.Errorf("%s: %+v", name, s)
			}
		}
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		forged := w.attested(signer(t, 9), tip, hooked).Attestation
		forged.Time = forged.Time.Add(1e9)
		w.main(w.with(tip, []string{hooked}, forged))
		wantActions(t, w.repair(beside), "leave Tip")
		wantActions(t, w.repair(), "stamp Tip")
		w.accepted("refs/heads/main")
	})

	t.Run("a model is named beside what was attested beside, and not against a signature", func(t *testing.T) {
		const aider = "aider/0.50 openai/gpt-5 lines=0/0 via=declared session=unknown"
		w := newWorld(t)
		base, _ := w.pair("Tip\n")
		w.repair(beside)
		wantActions(t, w.repair(beside, named(aider)), "beside Tip")
		w.accepted("refs/heads/main")
		w.main(w.stamped(w.commit(draft{name: "tip", parents: []change.ID{base}, message: "Signed\n"}), []string{nobody}, w.alice))
		wantActions(t, w.repair(beside, named(aider)), "leave Signed")
	})
}
