package gate

import (
	"context"
	"errors"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// content is where all workers of a walk read trees and blobs. They take turns, a
// row each: what one commit leaves behind the next ones change, so it is fetched
// once, and memory holds the files of one commit, however many workers there are.
type content struct {
	mu       sync.Mutex
	source   Source
	watch    func() *policy.PathWatch // nil where no path matters
	reader   change.ObjectReader      // opened when the first change digest asks for it
	digester change.Digester
	failed   bool // a digest could not be made
	ids      []change.ID
}

// scouting is how many commits are looked at ahead of the one whose digest is being
// made: more than most projects have levels of folders, each of which takes a turn.
const scouting = 8

// digests makes the change digest of each job, and finds out on the way which paths it
// changes. Those of merges are another question.
func (c *content) digests(ctx context.Context, b *budget, jobs ...*job) {
	scout := func(j *job) *change.Scout { return change.NewScout(j.base(), j.commit.Tree) }
	err := c.each(ctx, b, jobs, scout, func(m metered, j *job) {
		var watch *policy.PathWatch
		if len(j.parents) < 2 {
			watch = c.begin(j)
		}
		c.digester.Touched = m.told(watch)
		var first provenance.Digest
		first, _, j.digestErr = c.digester.Compute(m, j.base(), j.commit.Tree)
		j.digested, j.digest = true, change.OfMerge(len(j.parents), first)
		c.failed = c.failed || j.digestErr != nil
		j.settlePaths(watch, j.digestErr)
	})
	if err != nil {
		for _, j := range jobs {
			j.digested, j.digestErr = true, err
		}
	}
}

// each opens the contents and does for each job what is to be done, while scouts look
// ahead of it.
func (c *content) each(ctx context.Context, b *budget, jobs []*job, scout func(*job) *change.Scout, do func(metered, *job)) error {
	if len(jobs) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.open(ctx); err != nil {
		return err
	}
	m := metered{ctx, c, b}
	var scouts []*change.Scout
	for _, j := range jobs {
		scouts = append(scouts, scout(j))
	}
	for range scouting {
		c.lookAhead(m, scouts)
	}
	for i, j := range jobs {
		c.lookAhead(m, scouts[i+1:])
		do(m, j)
	}
	return nil
}

func (c *content) open(ctx context.Context) (err error) {
	if c.reader == nil {
		c.reader, err = c.source.Contents(ctx)
	}
	return err
}

// lookAhead takes the first scouts one step further. What they open is not counted,
// since a digest opens it again.
func (c *content) lookAhead(m metered, scouts []*change.Scout) {
	if !m.mayPrefetch() {
		return
	}
	c.ids = c.ids[:0]
	for _, s := range scouts[:min(len(scouts), scouting)] {
		c.ids = s.Step(c.reader, c.ids)
	}
	m.Prefetch(c.ids)
}

// close ends the reader, when no worker is left.
func (c *content) close() {
	if c.reader != nil {
		c.reader.Close()
	}
}

// errBudget reports that a push made the gate read all that the policy allows.
var errBudget = errors.New("limits.read is used up")

// metered counts what is read against the budget of the push, and ends with it.
type metered struct {
	ctx     context.Context
	content *content
	budget  *budget
}

// openCost is what opening an object counts for at least, in bytes: a tree of a few
// bytes that is opened again and again costs time, too.
const openCost = 4 << 10

// Open opens nothing any more once the budget is used up: git would first have to
// get through the object that was too much.
func (m metered) Open(id change.ID) (change.Object, error) {
	if err := m.ctx.Err(); err != nil {
		return change.Object{}, err
	}
	if m.budget.spent(0) {
		return change.Object{}, errBudget
	}
	o, err := m.content.reader.Open(id)
	if err != nil {
		return o, err
	}
	if m.budget.spent(max(o.Size, openCost)) {
		o.Close()
		return change.Object{}, errBudget
	}
	return o, nil
}

// mayPrefetch reports whether what is read ahead will be counted. After a digest
// that could not be made, some of it never may.
func (m metered) mayPrefetch() bool {
	_, ok := m.content.reader.(change.Prefetcher)
	return ok && !m.content.failed && !m.budget.spent(0)
}

func (m metered) Prefetch(ids []change.ID) {
	if m.mayPrefetch() {
		m.content.reader.(change.Prefetcher).Prefetch(ids)
	}
}

func (m metered) Release(ids []change.ID) {
	if p, ok := m.content.reader.(change.Prefetcher); ok {
		p.Release(ids)
	}
}
