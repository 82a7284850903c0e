package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Receipts tell what was judged and received before this push. Who takes receipts away
// makes them know less, and then more is judged. Several goroutines may ask at once.
type Receipts interface {
	// Covered lists the refs that had a value before the push, of which it is known
	// that whatever it reaches, but for the baseline, was judged and accepted under Rule
	// in enforce mode. It may leave out any of them. It is asked once a push.
	Covered(ctx context.Context) ([]CoveredValue, error)
	// Received reports whether the statement with this digest reached the server before
	// a time, under a signature that was valid.
	Received(ctx context.Context, statement provenance.Digest, before time.Time) (bool, error)
}

// A CoveredValue is what a ref holds, and what everything below it has proved.
type CoveredValue struct {
	Ref   string
	Value change.ID
	Rule  policy.Rule // the weakest that any of it was judged by
}

// excludes reports whether a value of a ref may exclude commits of others. Tags and
// notes never do: they are for pointing at anything, and stay for ever.
func (c CoveredValue) excludes() bool {
	return !slices.ContainsFunc([]string{"refs/tags/", "refs/notes/", "refs/gatekeeper/", "refs/replace/"},
		func(prefix string) bool { return strings.HasPrefix(c.Ref, prefix) })
}

// An exclusion is what is not judged again on the way to refs under one rule: the
// baseline, and covered values.
type exclusion struct {
	commits []change.ID
	values  map[change.ID]bool
}

// exclusion is that for refs under rule.
func (p *pushed) exclusion(ctx context.Context, rule policy.Rule) (*exclusion, error) {
	if p.exclusions == nil {
		if err := p.askCovered(ctx); err != nil {
			return nil, fmt.Errorf("ask what is covered: %w", err)
		}
		p.exclusions = map[policy.Rule]*exclusion{}
	}
	asked := policy.Rule{Evidence: rule.Evidence, Via: rule.Via, Binding: rule.Binding, Models: rule.Models}
	if x := p.exclusions[asked]; x != nil {
		return x, nil
	}
	x := &exclusion{commits: slices.Clone(p.gate.Baseline), values: map[change.ID]bool{}}
	for _, c := range p.covered {
		if !x.values[c.Value] && !c.Rule.WeakerThan(asked) {
			x.values[c.Value] = true
			x.commits = append(x.commits, c.Value)
		}
	}
	p.exclusions[asked] = x
	return x, nil
}

func (p *pushed) askCovered(ctx context.Context) error {
	if p.gate.Receipts == nil {
		return nil
	}
	list, err := p.gate.Receipts.Covered(ctx)
	p.covered = slices.DeleteFunc(list, func(c CoveredValue) bool { return !c.excludes() })
	return err
}
