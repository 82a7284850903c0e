package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func TestRule(t *testing.T) {
	p, err := Load(corpus + "/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	base := Rule{Match: DefaultMatch, Line: 4, Mode: Enforce, Evidence: Attested, Via: provenance.ViaProcess, Binding: Change,
		Author: AuthorSigner, Skew: 5 * time.Minute, Grace: 336 * time.Hour}
	wip, release, notes := base, base, base
	wip.Match, wip.Line, wip.Mode = "refs/heads/wip/*", 13, Warn
	release.Match, release.Line, release.Via, release.Binding = "refs/heads/release/**", 17, provenance.ViaHook, Exact
	notes.Match, notes.Line, notes.Mode = "refs/notes/**", 23, Off
	for ref, want := range map[string]Rule{
		"refs/heads/main":         base,
		"refs/heads/wip/x":        wip,
		"refs/heads/wip/x/y":      base,
		"refs/heads/WIP/x":        base,
		"refs/heads/wip":          base,
		"refs/heads/release/1/2":  release,
		"refs/notes/commits":      notes,
		"x/refs/heads/wip/x":      base,
		"refs/heads/release":      base,
		"refs/heads/wip/x\nx":     wip, // git allows no such name; it proves that $ is no end of line here
		"refs/heads/wip/x\n/main": base,
	} {
		t.Run("the rule for "+ref, func(t *testing.T) {
			got := p.Rule(ref)
			if got.Models = ""; got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	t.Run("without [defaults] the defaults are the strict ones", func(t *testing.T) {
		got := parse(t, "schema = 1").Rule(main)
		want := Rule{Match: DefaultMatch, Mode: Enforce, Evidence: Attested, Via: ViaAny, Binding: Change, Author: AuthorAny,
			Skew: 10 * time.Minute, Grace: 336 * time.Hour}
		if got != want {
			t.Errorf("got %+v", got)
		}
	})
}

// someRules differ in one or several ways, with every word of every key.
func someRules() []Rule {
	var rules []Rule
	for i := range 24 {
		rules = append(rules, Rule{
			Match: []string{DefaultMatch, "refs/heads/a", "refs/heads/b"}[i%3], Line: []int{0, 7, 3}[i%3],
			Mode: modes[i%3], Evidence: evidences[i/2%3], Via: vias[i/3%4], Binding: bindings[i/5%2], Author: authors[i/7%2],
			Skew: time.Duration(i%5) * time.Minute, Grace: time.Duration(i%4) * time.Hour,
			Models: []string{"d", "a", "b", "c", "a+b"}[i%5],
		})
	}
	return rules
}

func TestStricter(t *testing.T) {
	rules := someRules()
	t.Run("the order of the two does not matter", func(t *testing.T) {
		for _, a := range rules {
			for _, b := range rules {
				if Stricter(a, b) != Stricter(b, a) {
					t.Fatalf("%+v and %+v", a, b)
				}
			}
		}
	})
	t.Run("the order of joining three does not matter", func(t *testing.T) {
		for _, a := range rules {
			for _, b := range rules {
				for _, c := range rules {
					if Stricter(Stricter(a, b), c) != Stricter(a, Stricter(b, c)) {
						t.Fatalf("%+v, %+v and %+v", a, b, c)
					}
				}
			}
		}
	})
	t.Run("a rule joined with itself is itself", func(t *testing.T) {
		for _, a := range rules {
			if Stricter(a, a) != a {
				t.Fatalf("%+v became %+v", a, Stricter(a, a))
			}
		}
	})
	t.Run("it is weaker than neither", func(t *testing.T) {
		for _, a := range rules {
			for _, b := range rules {
				s := Stricter(a, b)
				if s.WeakerThan(a) || s.WeakerThan(b) || laxity(modes, s.Mode) > laxity(modes, a.Mode) || s.Skew > a.Skew || s.Grace > b.Grace {
					t.Fatalf("%+v and %+v gave %+v", a, b, s)
				}
			}
		}
	})
	t.Run("a rule that nobody filled in asks for the most", func(t *testing.T) {
		lax := Rule{Match: DefaultMatch, Mode: Off, Evidence: AnyEvidence, Via: ViaAny, Binding: Change, Author: AuthorAny}
		got := Stricter(Rule{}, lax)
		if got.Mode != Enforce || got.Evidence != Attested || got.Via != provenance.ViaHook || got.Binding != Exact || got.Author != AuthorSigner {
			t.Errorf("%+v", got)
		}
	})
}

func TestObserved(t *testing.T) {
	for least, enough := range map[provenance.Via][]provenance.Via{
		provenance.ViaHook:     {provenance.ViaHook},
		provenance.ViaProcess:  {provenance.ViaHook, provenance.ViaProcess},
		provenance.ViaDeclared: {provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared},
		"":                     {provenance.ViaHook},
		ViaAny:                 {provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared, provenance.ViaImport, provenance.ViaUnknown, ViaAny, ""},
	} {
		for _, via := range []provenance.Via{provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared, provenance.ViaImport, provenance.ViaUnknown, ViaAny, ""} {
			if got := (Rule{Via: least}).Observed(via); got != slices.Contains(enough, via) {
				t.Errorf("via %q where %q is the least: %v", via, least, got)
			}
		}
	}
}
