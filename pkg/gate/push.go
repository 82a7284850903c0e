package gate

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// pushed is a push on its way through the gate.
type pushed struct {
	gate   *Gate
	keep   Keep
	budget *budget
	alike  map[string][]*target // refs that are judged alike, by what makes them so
	keys   map[string]bool      // the ids of all signers' keys, once somebody asked

	covered    []CoveredValue
	exclusions map[policy.Rule]*exclusion // nil until somebody asks
}

// A target is one updated ref and what there is to judge for it.
type target struct {
	verdict RefVerdict
	rule    policy.Rule
	names   []string  // under which models are judged
	commits Range     // nothing to include: nothing to judge
	old     change.ID // the ref's own old commit, where commits does not exclude it anyway
	alike   string    // the key in pushed.alike; "" when it stands alone
	records bool      // it is a ref of records
}

// target finds out what an update asks for, and what is wrong with the ref itself.
func (p *pushed) target(ctx context.Context, u Update) (*target, error) {
	g := p.gate
	t := &target{verdict: RefVerdict{Ref: u.Ref, Old: printed(u.Old, u.New), New: printed(u.New, u.Old), Mode: string(policy.Enforce), Verdict: Accepted}}
	if isRecords(u.Ref) && g.Records != nil {
		return t, p.records(ctx, t, u)
	}
	if f := forbidden(u.Ref, u.New); f != nil {
		t.verdict.refuse(*f)
		return t, nil
	}
	var err error
	if t.rule, t.names, err = g.rule(ctx, u.Ref); err != nil {
		return t, err
	}
	t.verdict.Mode, t.verdict.Rule = string(t.rule.Mode), t.rule
	if len(t.names) > 1 {
		t.verdict.Target = t.names[1]
	}
	if f := forbidden(t.names[len(t.names)-1], u.New); f != nil { // by way of a symbolic ref
		t.verdict.refuse(*f)
		return t, nil
	}
	if u.New == "" || t.rule.Mode == policy.Off {
		return t, nil
	}
	tip, objectType, err := g.Source.Peel(ctx, u.New)
	if err != nil {
		return t, err
	}
	if tip == "" {
		t.verdict.refuse(notACommit(objectType))
		return t, nil
	}
	known, err := p.exclusion(ctx, t.rule)
	if err != nil {
		return t, err
	}
	t.commits = Range{Ref: u.Ref, Include: []change.ID{tip}, Exclude: known.commits}
	if u.Old == "" || known.values[u.Old] {
		t.alike = fmt.Sprintf("%+v", t.rule)
		p.alike[t.alike] = append(p.alike[t.alike], t)
		return t, nil
	}
	// A ref that held a tree or blob reached no commit.
	if t.old, _, err = g.Source.Peel(ctx, u.Old); err != nil {
		return t, err
	}
	return t, nil
}

// judge judges what an update brings. Refs that are judged alike, by one rule and upon
// the same commits, are walked together first: a hundred tags of one history cost what one does. Only when
// something is found is each of them judged by itself, to say which it is about.
func (p *pushed) judge(ctx context.Context, t *target) ([]CommitVerdict, error) {
	group := p.alike[t.alike]
	if t.alike == "" || len(group) == 1 || p.keep == KeepAll {
		return p.walk(ctx, t, t.commits)
	}
	delete(p.alike, t.alike)
	all := Range{Ref: t.verdict.Ref, Exclude: t.commits.Exclude}
	for _, one := range group {
		all.Include = append(all.Include, one.commits.Include...)
	}
	if w := p.gate.Witness; w != nil {
		if err := w.Mark(); err != nil {
			return nil, err
		}
	}
	together := *t
	commitsBefore, listedBefore := p.budget.commits, p.budget.listed
	commits, err := p.walk(ctx, &together, all)
	if err != nil {
		return nil, err
	}
	if together.verdict.Verdict == Accepted {
		t.verdict = together.verdict // it counts the commits of all
		for _, one := range group {
			one.commits.Include = nil
		}
		return commits, nil
	}
	p.budget.commits, p.budget.listed = commitsBefore, listedBefore
	if w := p.gate.Witness; w != nil {
		w.Back()
	}
	for _, one := range group {
		one.alike = ""
	}
	return p.walk(ctx, t, t.commits)
}

func (p *pushed) walk(ctx context.Context, t *target, commits Range) ([]CommitVerdict, error) {
	if len(commits.Include) == 0 {
		return nil, nil
	}
	if t.old != "" {
		commits.Exclude = append(slices.Clone(commits.Exclude), t.old)
	}
	return p.gate.walk(ctx, &t.verdict, t.rule, t.names, commits, p.keep, p.budget)
}
