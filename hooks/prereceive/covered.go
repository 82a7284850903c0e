package prereceive

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// covered is what the receipts know of the refs as they are before the push. Receipts
// that were taken away know nothing, and then more is judged; those that were changed
// are an error, and the push is refused.
type covered struct {
	log  *receipt.Log
	repo *repo.Repo
}

func (c covered) Values(ctx context.Context) ([]gate.CoveredValue, error) {
	known, err := c.log.Accepted(ctx)
	if err != nil {
		return nil, withAdvice(err)
	}
	folders := map[string]bool{}
	for name := range known.Names() {
		folders[folder(name)] = true
	}
	if len(folders) == 0 {
		return nil, nil
	}
	var values []gate.CoveredValue
	for ref, err := range c.repo.Refs(ctx, slices.Sorted(maps.Keys(folders))...) {
		if err != nil {
			return nil, err
		}
		if standing, ok := known.Of(ref.Name, ref.ID); ok {
			values = append(values, gate.CoveredValue{Ref: ref.Name, Value: ref.ID, Rule: standing.Rule()})
		}
	}
	return values, nil
}

// folder is what git takes for all refs beside one, refs/heads/ for a branch, so that
// only those are read among which some may be covered.
func folder(ref string) string {
	parts := strings.SplitAfterN(ref, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "")
}
