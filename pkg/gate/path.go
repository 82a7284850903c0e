package gate

import (
	"context"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// touched is what is known of the paths that a commit changes: as many as the policy
// needs to decide, or why they are not known.
type touched struct {
	asked bool
	paths []string
	err   error
	fault *Finding // err, where the commit is to blame
}

// watchesPaths is how paths are watched; nil where no path matters.
func (g *Gate) watchesPaths() func() *policy.PathWatch {
	if g.FormOnly || g.Policy.WatchPaths() == nil {
		return nil
	}
	return g.Policy.WatchPaths
}

// asksPaths reports whether some of the records are of a model that is kept from some
// paths. Only then are trees read for that.
func (j *judge) asksPaths(job *job, records []provenance.Record) bool {
	return j.content.watch != nil && !job.touched.asked &&
		slices.ContainsFunc(records, func(r provenance.Record) bool { return j.gate.Policy.RestrictsPaths(r.Model) })
}

// touch sees to it that the paths of a commit are known where records ask for them.
func (j *judge) touch(ctx context.Context, job *job, records []provenance.Record) (err error) {
	if j.asksPaths(job, records) {
		j.content.paths(ctx, j.budget, job)
	}
	if t := &job.touched; t.err != nil && t.fault == nil {
		t.fault, err = undigested(t.err)
	}
	return err
}

// keptFrom reports paths that could not be found of a commit whose model is kept from some.
func (j *judge) keptFrom(job *job, model provenance.Model) []Finding {
	if job == nil || job.touched.fault == nil || !j.gate.Policy.RestrictsPaths(model) {
		return nil
	}
	return []Finding{*job.touched.fault}
}

// paths finds out which paths each job changes, in turn with the digests.
func (c *content) paths(ctx context.Context, b *budget, jobs ...*job) {
	scout := func(j *job) *change.Scout {
		if len(j.parents) > 1 { // it would meet trees that are the same in another parent
			return change.NewPathScout("", "")
		}
		return change.NewPathScout(j.base(), j.commit.Tree)
	}
	err := c.each(ctx, b, jobs, scout, func(m metered, j *job) {
		watch := c.begin(j)
		err := change.Paths(m, j.parents, j.commit.Tree, m.told(watch))
		c.failed = c.failed || err != nil
		j.settlePaths(watch, err)
	})
	if err != nil {
		for _, j := range jobs {
			j.touched = touched{asked: true, err: err}
		}
	}
}

// begin watches the paths of a job, nil where none matters.
func (c *content) begin(j *job) *policy.PathWatch {
	if c.watch == nil {
		return nil
	}
	return c.watch()
}

func (j *job) settlePaths(watch *policy.PathWatch, err error) {
	if watch != nil {
		j.touched = touched{asked: true, paths: watch.Paths(), err: err}
	}
}

// pathCost is what a path counts for against the budget beside its length, in bytes:
// a few trees can stand for paths without number.
const pathCost = 256

// told is what is told of each path; nil where nobody asks.
func (m metered) told(watch *policy.PathWatch) func(path []byte) error {
	if watch == nil {
		return nil
	}
	return func(path []byte) error {
		if m.budget.spent(int64(len(path)) + pathCost) {
			return errBudget
		}
		watch.See(path)
		return nil
	}
}
