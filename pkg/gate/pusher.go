package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/pusher"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// A Pusher is who pushes, and who that is to a policy: the signers of the key that
// signed the push certificate, or those that have the server's name for them in their
// list of principals ("alice@example.com,alice"). A pattern there is no name.
type Pusher struct {
	pusher.Identity
	signers []trust.Signer
	why     string // there is no signer for the key
}

// NewPusher finds out who i is to a policy at the time of receipt. A key that does not
// count then, or not for what git signs, belongs to nobody.
func NewPusher(p *policy.Policy, i pusher.Identity, at time.Time) *Pusher {
	who := &Pusher{Identity: i}
	if i.Key != "" {
		who.why = "the policy does not know"
		for _, s := range p.Signers().Find(i.Key) {
			switch {
			case s.Valid(at) != nil:
				who.why = "does not count now (" + s.Source + ")"
			case len(s.Namespaces) > 0 && !trust.MatchList(s.Namespaces, "git"):
				who.why = `counts for no push without namespaces="git,gatekeeper" (` + s.Source + ")"
			default:
				who.signers = append(who.signers, s)
			}
		}
		return who
	}
	for _, s := range p.Signers().All() {
		if i.Name != "" && slices.Contains(namesOf(s), i.Name) {
			who.signers = append(who.signers, s)
		}
	}
	return who
}

func namesOf(s trust.Signer) []string { return strings.Split(s.Principal, ",") }

// Title is the name of the pusher for people: the server's, or that of the key's
// holder; "" when nobody has one.
func (p *Pusher) Title() string {
	if p.Name == "" && len(p.signers) > 0 {
		return p.signers[0].Principal
	}
	return p.Name
}

// String says who pushes, fit to be shown.
func (p *Pusher) String() string {
	switch {
	case p.Title() != "":
		return Plain(p.Title())
	case p.Key != "":
		return "somebody whose key " + p.Key + " " + p.why
	}
	return "nobody whom the server knows"
}

// MayOverride reports whether the policy names the pusher in [override].
func (p *Pusher) MayOverride(pol *policy.Policy) bool {
	return slices.ContainsFunc(pol.Override(), func(principal string) bool {
		return p.Name != "" && p.Name == principal ||
			slices.ContainsFunc(p.signers, func(s trust.Signer) bool { return slices.Contains(namesOf(s), principal) })
	})
}

// is reports whether an address is the pusher's.
func (p *Pusher) is(address string) bool {
	return p.Name != "" && p.Name == address ||
		slices.ContainsFunc(p.signers, func(s trust.Signer) bool { return s.Is(address) })
}

// byPusher reports an author who is not who pushes, where the rule asks for that and
// anybody can know.
func (j *judge) byPusher(author string) []Finding {
	who := j.gate.Pusher
	if j.rule.Author != policy.AuthorPusher || who == nil || who.is(author) {
		return nil
	}
	if !who.Somebody() {
		return []Finding{{AuthorMismatch, "the author must be who pushes, and the server does not know who does", Introduce(who.Source)}}
	}
	return []Finding{{AuthorMismatch, fmt.Sprintf("author %s is not who pushes: %s", Plain(author), who), reauthor}}
}

// bySigner reports an author for whom nobody signed who has their address. Where
// nothing is signed that should be, that has been said.
func (j *judge) bySigner(author string, claims []claim) []Finding {
	if j.rule.Author == policy.AuthorAny || j.rule.Author == policy.AuthorPusher {
		return nil
	}
	signer := ""
	for _, c := range claims {
		if !c.stands() {
			continue
		}
		for _, s := range c.signers {
			if s.Is(author) {
				return nil
			}
			signer = s.Principal
		}
	}
	switch {
	case signer != "":
		return []Finding{{AuthorMismatch, fmt.Sprintf("author %s is not the signer: %s", Plain(author), Plain(signer)), reauthor}}
	case j.rule.Evidence == policy.Attested:
		return nil
	}
	return []Finding{{AuthorMismatch, fmt.Sprintf("author %s has not signed it", Plain(author)), restamp}}
}

const reauthor = "whoever wrote it signs and pushes it; if that is you: git commit --amend --reset-author"

// Introduce says how a pusher makes themselves known to a server that goes by source.
func Introduce(source pusher.Source) string {
	switch source {
	case pusher.None, "":
		return "an admin says how to know pushers: gatekeeper install --server DIR --pusher SOURCE"
	case pusher.Certificate:
		return "sign the push: git config gpg.format ssh, then git push --signed"
	}
	return fmt.Sprintf("push by a road on which the server knows you; it goes by %s", source)
}

// allTheSame are the rules that no override passes over: what they refuse could not be
// judged, would be seen differently by two readers of git, or would change what is
// believed from then on.
var allTheSame = []string{CertificateInvalid, CommitMalformed, MessageTooLarge, PolicyInvalid, PushTooLarge, RecordsRewrite, RefForbidden}

// comesTo is what findings on a commit come to.
func (g *Gate) comesTo(findings []Finding, mode policy.Mode) Outcome {
	firm := func(f Finding) bool { return slices.Contains(allTheSame, f.Rule) }
	if g.Override && !slices.ContainsFunc(findings, firm) {
		return Warned
	}
	return outcome(mode)
}

// Overridden reports whether an override has let in what would have been refused.
func (v Verdict) Overridden() bool {
	return v.Verdict == Warned && slices.ContainsFunc(v.Refs, func(r RefVerdict) bool {
		return r.Verdict == Warned && r.Faulty > 0 && r.Mode != string(policy.Warn)
	})
}

// Add adds a finding about the i-th ref, and what it comes to, to a verdict.
func (v *Verdict) Add(i int, f Finding, o Outcome) {
	r := &v.Refs[i]
	r.Findings = append(r.Findings, f)
	r.Verdict, v.Verdict = worse(r.Verdict, o), worse(v.Verdict, o)
}

// NotJudged lists the rules that nobody but a server can judge for a ref with this
// rule; see ServerOnly.
func NotJudged(rule policy.Rule) []string {
	rules := slices.Clone(ServerOnly)
	if rule.Author == policy.AuthorPusher {
		rules = append(rules, AuthorMismatch)
	}
	slices.Sort(rules)
	return rules
}
