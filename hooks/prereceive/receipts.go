package prereceive

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// receipts are those of earlier pushes, as the gate asks them. When they were taken away
// nothing is known, and more is judged; when they were changed that is an error, and the
// push is refused.
type receipts struct {
	log  *receipt.Log
	repo *repo.Repo

	mu       sync.Mutex
	received map[time.Time]*receipt.Received // by the time before which, once somebody asked
	refused  map[receipt.ChangeID]receipt.RefusedChange
}

// refusedChanges are those of earlier pushes, when the gate has asked what is covered.
func (r *receipts) refusedChanges() map[receipt.ChangeID]receipt.RefusedChange { return r.refused }

// Covered holds what receipts know against the refs as they are before the push.
func (r *receipts) Covered(ctx context.Context) ([]gate.CoveredValue, error) {
	known, err := r.log.Accepted(ctx)
	if err != nil {
		return nil, withAdvice(err)
	}
	r.refused = known.Refused()
	folders := map[string]bool{}
	for name := range known.Names() {
		folders[folder(name)] = true
	}
	if len(folders) == 0 {
		return nil, nil
	}
	var values []gate.CoveredValue
	for ref, err := range r.repo.Refs(ctx, slices.Sorted(maps.Keys(folders))...) {
		if err != nil {
			return nil, err
		}
		if standing, ok := known.Of(ref.Name, ref.ID); ok {
			values = append(values, gate.CoveredValue{Ref: ref.Name, Value: ref.ID, Rule: standing.Rule()})
		}
	}
	return values, nil
}

// Received reads all receipts from before a time, but only when a commit is signed with
// a key that is compromised, and only once.
func (r *receipts) Received(ctx context.Context, statement provenance.Digest, before time.Time) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.received[before]
	if known == nil {
		var err error
		if known, err = r.log.ReceivedBefore(ctx, before); err != nil {
			return false, withAdvice(err)
		}
		if r.received == nil {
			r.received = map[time.Time]*receipt.Received{}
		}
		r.received[before] = known
	}
	return known.Has(statement), nil
}

// folder is what git takes for all refs beside one, refs/heads/ for a branch, so that
// only those are read among which some may be covered.
func folder(ref string) string {
	parts := strings.SplitAfterN(ref, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "")
}
