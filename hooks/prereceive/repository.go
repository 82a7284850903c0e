package prereceive

import (
	"context"
	"maps"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
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
// the first one: whoever may push code could otherwise set the rules for it.
func guardPolicy(ctx context.Context, reader *repo.Reader, inForce inforce.Policy, updates []gate.Update, v *gate.Verdict) error {
	if !inForce.InRepository || len(v.Refs) != len(updates) { // fewer when the push is too large to look at
		return nil
	}
	branch, _, err := reader.Head(ctx)
	if err != nil {
		return err
	}
	for i, u := range updates {
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
		if !same {
			r := &v.Refs[i]
			r.Verdict, v.Verdict = gate.Refused, gate.Refused
			r.Findings = append(r.Findings, gate.Finding{Rule: gate.PolicyProtected,
				Detail: "it changes " + inforce.Dir + "/, which sets the rules for pushes",
				Hint:   "an admin changes it on the server, where no push is judged"})
		}
	}
	return nil
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
