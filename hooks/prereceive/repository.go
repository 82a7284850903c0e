package prereceive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// baseline is what is never judged: the repository's own list and the policy's.
// Ids that the repository does not have are passed over.
func baseline(ctx context.Context, reader *repo.Reader, inForce inforce.Policy) ([]change.ID, error) {
	name := filepath.Join(reader.CommonDir, "gatekeeper", "baseline")
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ids, err := inforce.Baseline(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, hex := range inForce.Baseline() {
		id, err := change.ParseID(hex)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	missing, err := reader.Missing(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look for the baseline: %w", err)
	}
	return slices.DeleteFunc(ids, func(id change.ID) bool { return slices.Contains(missing, id) }), nil
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
