package audit

import (
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// An Approval is what a policy said of a use, at the time of the commit.
type Approval struct {
	Judged  bool   // false: no policy was known
	Allowed bool   //
	Policy  string // its digest
	Entry   string // file:line of what decided; "" when nothing matched
	Rule    string // that refuses; "" when allowed
	Reason  string
}

// Approvals decides about uses, and remembers what it decided: between two turns of a
// policy the answer stays the same. One goroutine uses it.
type Approvals struct {
	view    *View
	instead *policy.Policy // by which to judge all, nil for those of the index
	known   map[approvalKey]*Approval
	turns   map[*policy.Policy][]time.Time
	none    Approval
}

type approvalKey struct {
	policy *policy.Policy
	period int
	repo   int64
	use    int64
	class  string
}

// Approvals prepares to decide by the policies of the index or, when it is not nil, by
// another one instead of all of them.
func (v *View) Approvals(instead *policy.Policy) *Approvals {
	return &Approvals{view: v, instead: instead, known: map[approvalKey]*Approval{}, turns: map[*policy.Policy][]time.Time{}}
}

// Of decides about a use in a commit. What it returns is not to be changed.
func (a *Approvals) Of(e *Entry, use int64) *Approval {
	repo := a.view.Repositories[e.Repo]
	at := time.Unix(e.At, 0).UTC()
	p := a.instead
	if p == nil {
		p = repo.Law.at(at)
	}
	if p == nil {
		return &a.none
	}
	key := approvalKey{p, a.period(p, at), e.Repo, use, e.Class}
	if found, ok := a.known[key]; ok {
		return found
	}
	decided := decide(p, a.view.Uses[use], repo.Default, e.Class, at)
	a.known[key] = &decided
	return &decided
}

func (a *Approvals) period(p *policy.Policy, at time.Time) int {
	turns, ok := a.turns[p]
	if !ok {
		turns = p.Turns()
		a.turns[p] = turns
	}
	i, found := slices.BinarySearchFunc(turns, at, time.Time.Compare)
	if found {
		i++
	}
	return i
}

// decide asks a policy about a tool and a model.
func decide(p *policy.Policy, u Use, ref, class string, at time.Time) Approval {
	c, _ := trust.ParseClass(class) // without a signer the lowest
	q := policy.Query{Tool: u.Tool, Model: u.Model, Via: u.Via, Ref: ref, At: at, Class: c}
	d := p.Tool(q)
	if d.Allowed {
		d = p.Model(q)
	}
	return Approval{Judged: true, Allowed: d.Allowed, Policy: p.Digest(), Entry: d.Entry, Rule: d.Rule, Reason: d.Reason}
}
