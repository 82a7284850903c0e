package record

import (
	"context"
	"fmt"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Attest signs provenance values for a commit that is there already, bound to
// exactly that commit.
func Attest(ctx context.Context, objects change.Objects, s attestation.Signer, commit change.ID, values []string, now time.Time) (attestation.Detached, error) {
	c, err := repo.ReadCommit(objects, commit)
	if err != nil {
		return attestation.Detached{}, fmt.Errorf("attest %.7s: %w", commit, err)
	}
	var trees []change.ID
	for _, p := range c.Parents {
		tree, err := repo.TreeOf(objects, p)
		if err != nil {
			return attestation.Detached{}, fmt.Errorf("attest %.7s: %w", commit, err)
		}
		trees = append(trees, tree)
	}
	about, _, err := change.OfCommit(objects, trees, c.Tree)
	if err != nil {
		return attestation.Detached{}, fmt.Errorf("attest %.7s: %w", commit, err)
	}
	a, err := attestation.Sign(ctx, s, values, attestation.Attestation{Time: now, Bind: change.Bind(trees, c.Tree), Change: about})
	if err != nil {
		return attestation.Detached{}, fmt.Errorf("attest %.7s: %w", commit, err)
	}
	return attestation.Detached{Provenance: values, Attestation: a}, nil
}
