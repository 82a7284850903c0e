package prepush

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// SignOwed signs, beside their commits, the records that nobody could sign when the
// commits were made. What still cannot be signed waits for the next time. It asks for
// a signer only when there is something to sign.
func SignOwed(ctx context.Context, r *repo.Repo, open func(context.Context) (attestation.Signer, error), now time.Time) error {
	state := session.Open(r.CommonDir)
	owed, err := state.Owed()
	if err != nil || len(owed) == 0 {
		return err
	}
	signer, err := open(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("%d recorded commits are not signed yet: %w", len(owed), err), state.Owe(owed...))
	}
	objects, err := r.Batch(ctx)
	if err != nil {
		return errors.Join(err, state.Owe(owed...))
	}
	defer objects.Close()
	var made []attestation.Detached
	for i, u := range owed {
		d, err := record.Attest(ctx, objects, signer, u.Commit, u.Values, now)
		if errors.Is(err, change.ErrMissing) {
			continue // amended or thrown away since, and collected
		}
		if err != nil {
			return errors.Join(err, state.Owe(owed[i:]...), record.Add(ctx, r, signer.PublicKey().Fingerprint(), made, now))
		}
		made = append(made, d)
	}
	if err := record.Add(ctx, r, signer.PublicKey().Fingerprint(), made, now); err != nil {
		return errors.Join(err, state.Owe(owed...))
	}
	return nil
}

func (p push) signer(ctx context.Context) (attestation.Signer, error) {
	if p.hook.OpenSigner == nil {
		return nil, errors.New("this program opens no keys")
	}
	settings, err := p.repo.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return p.hook.OpenSigner(ctx, attestation.KeyNames(settings.Value)[0].Spec)
}
