package inforce

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A Version is a policy as it was published at a time. Err says why it cannot be read.
type Version struct {
	Policy
	Since time.Time
	Err   error
}

// maxVersions bounds how far back a history is read.
const maxVersions = 1000

// History yields what was published at Ref, by the commit that it holds, the latest first:
// each version was in force from its time on, until that of the next one.
func History(ctx context.Context, r *repo.Repo, tip change.ID) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		objects, err := r.Batch(ctx)
		if err != nil {
			yield(Version{}, err)
			return
		}
		defer objects.Close()
		later := time.Unix(math.MaxInt32, 0)
		for range maxVersions {
			c, err := repo.ReadCommit(objects, tip)
			if err != nil {
				yield(Version{}, fmt.Errorf("read %s: %w", Ref, err))
				return
			}
			v := Version{Since: c.Committer.When}
			if v.Since.After(later) { // a clock went back
				v.Since = later
			}
			later = v.Since
			v.Policy, v.Err = fromCommit(ctx, r, tip, "", fmt.Sprintf("%s at %.10s", Ref, tip))
			if !yield(v, nil) || len(c.Parents) == 0 {
				return
			}
			tip = c.Parents[0]
		}
	}
}
