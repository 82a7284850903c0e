package gate

import (
	"context"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// pushed is a push on its way through the gate.
type pushed struct {
	gate   *Gate
	keep   Keep
	budget *budget
	alike  map[string][]*target // new refs that are judged alike, by what makes them so
	keys   map[string]bool      // the ids of all signers' keys, once somebody asked
}

// A target is one updated ref and what there is to judge for it.
type target struct {
	verdict RefVerdict
	rule    policy.Rule
	names   []string // under which models are judged
	commits Range    // nothing to include: nothing to judge
	alike   string   // the key in pushed.alike; "" when it stands alone
	records bool     // it is a ref of records
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
	exclude, err := g.known(ctx, u.Old)
	if err != nil {
		return t, err
	}
	t.commits = Range{Ref: u.Ref, Include: []change.ID{tip}, Exclude: exclude}
	if u.Old == "" {
		t.alike = fmt.Sprintf("%+v %s", t.rule, g.Policy.Alike(t.names...))
		p.alike[t.alike] = append(p.alike[t.alike], t)
	}
	return t, nil
}

// judge judges what an update brings. New refs that are judged alike are walked
// together first: a hundred tags of one history cost what one does. Only when
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
	return p.gate.walk(ctx, &t.verdict, t.rule, t.names, commits, p.keep, p.budget)
}
