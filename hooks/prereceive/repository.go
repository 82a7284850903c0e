package prereceive

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// recordsAfter are the records as they will be after the push, so that commits and
// what stands beside them may come together. What is wrong with new ones refuses the
// whole push.
func recordsAfter(ctx context.Context, reader *repo.Reader, updates []gate.Update) (*record.Union, error) {
	heads, err := record.Heads(ctx, reader.Repo)
	if err != nil {
		return nil, err
	}
	for _, u := range updates {
		if !record.IsRef(u.Ref) || u.New == "" {
			continue
		}
		if commit, _, err := reader.Peel(ctx, u.New); err != nil {
			return nil, err
		} else if commit != "" {
			heads[u.Ref] = commit
		}
	}
	return record.Read(reader, slices.Collect(maps.Values(heads))), nil
}

// guardPolicy refuses a push that would change an in-repository policy, or bring
// the first one, unless the policy from before names the pusher in [override]: whoever
// may push code could otherwise set the rules for it. The pusher sees that they do.
func guardPolicy(ctx context.Context, reader *repo.Reader, inForce inforce.Policy, r *ruling) error {
	if !inForce.InRepository || len(r.verdict.Refs) != len(r.updates) { // fewer when the push is too large to look at
		return nil
	}
	branch, _, err := reader.Head(ctx)
	if err != nil {
		return err
	}
	for i, u := range r.updates {
		target, err := reader.Symref(ctx, u.Ref)
		if err != nil {
			return err
		}
		if u.Ref != branch && target != branch {
			continue
		}
		same, err := samePolicy(ctx, reader, u)
		if err != nil {
			return err
		}
		if same {
			continue
		}
		f, outcome := policyChange(r.who, inForce.Policy)
		if outcome == gate.Warned {
			if f, outcome, err = policyAfter(ctx, reader.Repo, u.New, f); err != nil {
				return err
			}
		}
		r.verdict.Add(i, f, outcome)
	}
	return nil
}

// policyChange is what a change of the policy comes to for a pusher.
func policyChange(who *gate.Pusher, p *policy.Policy) (gate.Finding, gate.Outcome) {
	f := gate.Finding{Rule: gate.PolicyProtected, Detail: "it changes " + inforce.Dir + "/, which sets the rules for pushes"}
	switch {
	case who.MayOverride(p):
		f.Hint = who.String() + " may do so by [override]; it counts from the next push on"
		return f, gate.Warned
	case who.Somebody():
		f.Hint = "somebody whom [override] names pushes it, and not " + who.String()
	case len(p.Override()) > 0:
		f.Hint = "somebody whom [override] names pushes it. " + gate.Introduce(who.Source)
	default:
		f.Hint = "an admin changes it on the server, where no push is judged"
	}
	return f, gate.Refused
}

// policyAfter looks at what the policy would be after the push. One that is broken
// would refuse every push, its own repair included; to remove it is no slip.
func policyAfter(ctx context.Context, r *repo.Repo, tip change.ID, f gate.Finding) (gate.Finding, gate.Outcome, error) {
	if tip != "" {
		_, err := inforce.At(ctx, r, tip)
		var bad *policy.Error
		switch {
		case err == nil:
			return f, gate.Warned, nil
		case errors.As(err, &bad):
			return gate.Finding{Rule: gate.PolicyInvalid, Detail: "after it no push could be judged: " + gate.Plain(err.Error()),
				Hint: "gatekeeper policy check " + inforce.Dir + "/" + inforce.File}, gate.Refused, nil
		case !errors.Is(err, inforce.ErrNone):
			return f, gate.Refused, err
		}
	}
	f.Detail = "it removes the policy; without one, every push is refused"
	f.Hint = "an admin puts one in place on the server"
	return f, gate.Warned, nil
}

func samePolicy(ctx context.Context, reader *repo.Reader, u gate.Update) (bool, error) {
	objects, err := reader.Contents(ctx)
	if err != nil {
		return false, err
	}
	defer objects.Close()
	old, err := policyID(objects, u.Old)
	if err != nil {
		return false, err
	}
	new, err := policyID(objects, u.New)
	return old == new, err
}

func policyID(objects change.Objects, commit change.ID) (change.ID, error) {
	if commit == "" {
		return "", nil
	}
	root, err := repo.TreeOf(objects, commit)
	if err != nil {
		return "", err
	}
	id, _, err := inforce.Entry(objects, root, inforce.Dir)
	return id, err
}
