package gate

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// Source is the repository as the gate needs it. Its methods are called from
// several goroutines at once.
type Source interface {
	// Commits yields each commit reachable from include and not from exclude,
	// parents before children. The content of a commit above limit bytes is
	// passed over and marked TooLarge.
	Commits(ctx context.Context, include, exclude []change.ID, limit int64) iter.Seq2[change.RawCommit, error]
	// Peel follows annotated tags from id. It returns the commit at their end, or
	// the type of what stands there instead.
	Peel(ctx context.Context, id change.ID) (commit change.ID, objectType string, err error)
	// TreeOf returns the tree of a commit.
	TreeOf(ctx context.Context, commit change.ID) (change.ID, error)
	// MergeTree merges two commits as git does and returns the tree, or clean =
	// false when it cannot without help; change.ErrNoMergeTree says that this git cannot.
	MergeTree(ctx context.Context, a, b change.ID) (tree change.ID, clean bool, err error)
	// PickTree does to onto what a commit with one parent did to that, as
	// git cherry-pick does, and answers as MergeTree.
	PickTree(ctx context.Context, onto, commit change.ID) (tree change.ID, clean bool, err error)
	// Contents opens a reader of trees and blobs, for one goroutine at a time. One
	// that is a change.Prefetcher is told what it will be asked for.
	Contents(ctx context.Context) (change.ObjectReader, error)
	// Symref returns the ref that ref points at, or "" when it is an ordinary one.
	Symref(ctx context.Context, ref string) (string, error)
}

// Update is one ref of a push. A zero Old creates the ref, a zero New deletes it.
type Update struct {
	Ref      string
	Old, New change.ID
}

// Gate judges pushes under one policy at one time.
type Gate struct {
	Policy   *policy.Policy
	Source   Source
	Records  Records     // what stands beside commits; nil when nothing does, and nothing may
	Platform Platform    // what makes commits at the press of a button; nil when nothing does
	Receipts Receipts    // of earlier pushes; nil when there are none
	Witness  Witness     // who is told of every commit; nil when nobody is
	Now      time.Time   // the server's time of receipt
	Baseline []change.ID // what these reach is never judged; they exist in Source
	Workers  int         // that judge commits; 0 is one a processor, up to 8
	Pusher   *Pusher     // who pushes; nil away from a server, where nobody can know
	Override bool        // the pusher may, and wants to, push past refusals: they are warnings, but for some
	FormOnly bool        // only form, signatures and bindings count: nobody is a stranger, no model unwelcome
	Marks    bool        // with FormOnly: tools' own marks that no record tells of count, too
}

// Push judges all updates of a push. Each commit that is not plainly accepted,
// and with keep every commit, is in the Verdict, in the order of refs and from
// parents to children. The error says that something could not be checked;
// then nothing may be accepted.
func (g *Gate) Push(ctx context.Context, updates []Update, keep Keep) (Verdict, error) {
	v := Verdict{Schema: Schema, Policy: g.Policy.Digest(), Verdict: Accepted, Refs: []RefVerdict{}, Commits: []CommitVerdict{}}
	if limit := g.Policy.Limits().Refs; len(updates) > limit {
		v.Verdict = Refused
		v.Refs = append(v.Refs, RefVerdict{Verdict: Refused, Mode: string(policy.Enforce), Findings: []Finding{tooManyRefs(len(updates), limit)}})
		return v, nil
	}
	p := &pushed{gate: g, keep: keep, budget: newBudget(g.Policy.Limits()), alike: map[string][]*target{}}
	var targets []*target
	for _, u := range updates {
		t, err := p.target(ctx, u)
		if err != nil {
			return v, fmt.Errorf("judge %s: %w", Plain(u.Ref), err)
		}
		targets = append(targets, t)
	}
	if slices.ContainsFunc(targets, func(t *target) bool { return t.records && t.verdict.Verdict == Refused }) {
		return v.unjudged(targets), nil
	}
	for _, t := range targets {
		commits, err := p.judge(ctx, t)
		if err != nil {
			return v, fmt.Errorf("judge %s: %w", Plain(t.verdict.Ref), err)
		}
		v.Refs = append(v.Refs, t.verdict)
		v.Commits = append(v.Commits, commits...)
		v.Verdict = worse(v.Verdict, t.verdict.Verdict)
	}
	return v, nil
}

// unjudged answers for refs alone. By records that are refused nothing is judged: they
// may be made to be read for ever.
func (v Verdict) unjudged(targets []*target) Verdict {
	for _, t := range targets {
		v.Refs = append(v.Refs, t.verdict)
		v.Verdict = worse(v.Verdict, t.verdict.Verdict)
	}
	return v
}

// Keep says which commits a Verdict lists.
type Keep int

const (
	KeepFaulty Keep = iota // those with findings, at most MaxListed a ref
	KeepAll                // every commit judged
)

// MaxListed and maxListedAll bound the faulty commits that a Verdict lists, for one
// ref and for all, so that memory does not grow with a push; RefVerdict.Faulty
// counts them all.
const (
	MaxListed    = 100
	maxListedAll = 10 * MaxListed
)

// Range is a set of commits judged as if they were pushed to Ref.
type Range struct {
	Ref              string
	Include, Exclude []change.ID
}

// Check judges a range of commits by the rule for its ref, as Push would.
func (g *Gate) Check(ctx context.Context, rg Range, keep Keep) (Verdict, error) {
	v := Verdict{Schema: Schema, Policy: g.Policy.Digest(), Refs: []RefVerdict{}, Commits: []CommitVerdict{}}
	rule := g.Policy.Rule(rg.Ref)
	r := RefVerdict{Ref: rg.Ref, Mode: string(rule.Mode), Verdict: Accepted}
	if len(rg.Include) > 0 {
		r.Old, r.New = printed("", rg.Include[0]), rg.Include[0].String()
	}
	commits, err := g.walk(ctx, &r, rule, []string{rg.Ref}, rg, keep, newBudget(g.Policy.Limits()))
	if err != nil {
		return v, err
	}
	v.Verdict = r.Verdict
	v.Refs = append(v.Refs, r)
	v.Commits = append(v.Commits, commits...)
	return v, nil
}

// rule is the policy's rule for a ref, and the names under which models are judged.
// Where the ref is symbolic, that is the stricter rule of its name and its target,
// and both names, so that an alias opens no side door.
func (g *Gate) rule(ctx context.Context, ref string) (policy.Rule, []string, error) {
	rule := g.Policy.Rule(ref)
	target, err := g.Source.Symref(ctx, ref)
	if err != nil {
		return rule, nil, fmt.Errorf("resolve the ref: %w", err)
	}
	if target == "" {
		return rule, []string{ref}, nil
	}
	return policy.Stricter(rule, g.Policy.Rule(target)), []string{ref, target}, nil
}

// forbidden names refs that nobody may push, whatever the policy's mode:
// refs/replace makes git show other bytes than were judged, and refs/gatekeeper
// is the server's own.
func forbidden(ref string, new change.ID) *Finding {
	switch {
	case strings.HasPrefix(ref, "refs/replace/") && new != "":
		return &Finding{RefForbidden, "replacement objects would hide what was judged",
			"rewrite the commits themselves instead of replacing them"}
	case strings.HasPrefix(ref, "refs/gatekeeper/"):
		return &Finding{RefForbidden, "refs/gatekeeper/ belongs to the server",
			"leave it out of the push"}
	case strings.HasPrefix(ref, "refs/namespaces/"):
		return &Finding{RefForbidden, "a namespace would hide which ref it is",
			"push to the ref itself, with GIT_NAMESPACE where the server has namespaces"}
	case !strings.HasPrefix(ref, "refs/"):
		return &Finding{RefForbidden, "the name does not begin with refs/", "push to a branch or tag"}
	}
	return nil
}

func notACommit(objectType string) Finding {
	return Finding{RefForbidden, "it ends in a " + Plain(objectType) + ", not in a commit",
		"push a branch, or a tag of a commit"}
}

func tooManyRefs(n, limit int) Finding {
	return Finding{PushTooLarge, fmt.Sprintf("%d refs in one push, limit %d", n, limit),
		"push fewer refs at a time, or ask an admin to raise limits.refs"}
}

// refuse is for what no mode makes a warning.
func (r *RefVerdict) refuse(f Finding) {
	r.Findings = append(r.Findings, f)
	r.Verdict = Refused
}

// find adds a finding about the ref, which counts as the mode has it.
func (r *RefVerdict) find(f Finding, mode policy.Mode) {
	r.Findings = append(r.Findings, f)
	r.Verdict = worse(r.Verdict, outcome(mode))
}

// outcome is what a finding comes to.
func outcome(mode policy.Mode) Outcome {
	if mode == policy.Warn {
		return Warned
	}
	return Refused
}

// worse returns the outcome that counts when both happened in one push.
func worse(a, b Outcome) Outcome {
	if a == Refused || b == Refused {
		return Refused
	}
	if a == Warned || b == Warned {
		return Warned
	}
	return Accepted
}

// printed is id as git prints it, zeros as long as other's id for none.
func printed(id, other change.ID) string {
	if id == "" {
		return strings.Repeat("00", max(len(other), 20))
	}
	return id.String()
}
