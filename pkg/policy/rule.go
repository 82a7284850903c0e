package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Mode says what becomes of a finding on a ref. Compare with Off and Warn: any
// other value, the zero one included, enforces.
type Mode string

const (
	Enforce Mode = "enforce" // a finding refuses the push
	Warn    Mode = "warn"    // a finding is shown to the pusher
	Off     Mode = "off"     // nothing is judged
)

// Evidence is the least proof that a commit must bring.
type Evidence string

const (
	Attested    Evidence = "attested" // a valid signature over records, or over none
	Declared    Evidence = "declared" // trailers, signed or not
	AnyEvidence Evidence = "any"      // nothing at all will do
)

// Binding is how closely an attestation must fit its commit.
type Binding string

const (
	Exact  Binding = "exact"  // the same content on the same content
	Change Binding = "change" // the same change, wherever it was rebased to
)

// ViaAny in Rule.Via asks for no grade of observation.
const ViaAny provenance.Via = "any"

// Values of Rule.Author.
const (
	AuthorAny    = "any"
	AuthorSigner = "signer" // the author's address must be the signer's principal
	AuthorPusher = "pusher" // the author's address must be that of who pushes, which only a server knows
)

// DefaultMatch is the Match of a rule that comes from [defaults] alone.
const DefaultMatch = "[defaults]"

// A Rule is what one ref asks of the commits pushed to it.
type Rule struct {
	Match    string         // the pattern of the deciding [[ref]], or DefaultMatch; joined by " + " after Stricter
	Line     int            // its line in the policy; 0 when the file has no [defaults]
	Mode     Mode           //
	Evidence Evidence       //
	Via      provenance.Via // hook, process, declared or ViaAny
	Binding  Binding        //
	Author   string         // AuthorAny, AuthorSigner or AuthorPusher
	Skew     time.Duration  // how far a signing time may lie ahead of the time of receipt
	Grace    time.Duration  // how long after an approval ends a commit signed before it may still arrive
	Models   string         // which of the [[model]] entries that name refs are for this one; see modelsFor
}

// The words of each key, strictest first. A word that is not listed counts as
// the strictest, so that a Rule nobody filled in lets nothing through.
var (
	modes     = []Mode{Enforce, Warn, Off}
	evidences = []Evidence{Attested, Declared, AnyEvidence}
	vias      = []provenance.Via{provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared, ViaAny}
	bindings  = []Binding{Exact, Change}
	authors   = []string{AuthorSigner, AuthorPusher, AuthorAny}
)

// laxity is 0 for the strictest word and grows as words ask for less.
func laxity[T comparable](words []T, w T) int { return max(slices.Index(words, w), 0) }

func stricterWord[T comparable](words []T, a, b T) T {
	return words[min(laxity(words, a), laxity(words, b))]
}

// Stricter joins two rules: of each key the stricter value. It judges a symbolic
// ref, by the rules of its name and of its target. The order of joining does not
// matter, and a rule joined with itself is the same rule.
func Stricter(a, b Rule) Rule {
	return Rule{
		Match:    join(a.Match, b.Match, " + "), // no ref has a space in its name
		Line:     firstLine(a.Line, b.Line),
		Mode:     stricterWord(modes, a.Mode, b.Mode),
		Evidence: stricterWord(evidences, a.Evidence, b.Evidence),
		Via:      stricterWord(vias, a.Via, b.Via),
		Binding:  stricterWord(bindings, a.Binding, b.Binding),
		Author:   stricterWord(authors, a.Author, b.Author),
		Skew:     min(a.Skew, b.Skew),
		Grace:    min(a.Grace, b.Grace),
		Models:   join(a.Models, b.Models, alsoModels),
	}
}

// WeakerThan reports whether r asks for less evidence, observation or binding than
// other, or approves models by entries for other refs: then what was accepted under r
// says nothing about other.
func (r Rule) WeakerThan(other Rule) bool {
	return laxity(evidences, r.Evidence) > laxity(evidences, other.Evidence) ||
		laxity(vias, r.Via) > laxity(vias, other.Via) ||
		laxity(bindings, r.Binding) > laxity(bindings, other.Binding) ||
		!includesModels(r.Models, other.Models)
}

// Common is what both rules ask for, as far as WeakerThan looks: what was accepted
// under either was accepted under it.
func Common(a, b Rule) Rule {
	weaker := a
	if (Rule{Evidence: b.Evidence}).WeakerThan(Rule{Evidence: a.Evidence}) {
		weaker.Evidence = b.Evidence
	}
	if (Rule{Via: b.Via}).WeakerThan(Rule{Via: a.Via}) {
		weaker.Via = b.Via
	}
	if (Rule{Binding: b.Binding}).WeakerThan(Rule{Binding: a.Binding}) {
		weaker.Binding = b.Binding
	}
	weaker.Models = commonModels(a.Models, b.Models)
	return weaker
}

// Observed reports whether a record seen by way of via is observed well enough.
// What was imported from another format, or seen in an unknown way, is so only
// where any observation will do.
func (r Rule) Observed(via provenance.Via) bool {
	if r.Via == ViaAny {
		return true
	}
	i := slices.Index(vias, via)
	return i >= 0 && via != ViaAny && i <= laxity(vias, r.Via)
}

// join is the union of two lists of words.
func join(a, b, sep string) string {
	all := append(strings.Split(a, sep), strings.Split(b, sep)...)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > 1 && all[0] == "" {
		all = all[1:]
	}
	return strings.Join(all, sep)
}

func firstLine(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
