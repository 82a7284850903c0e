package gate

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/batch"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A job is one commit on its way through the workers.
type job struct {
	id      change.ID
	size    int64 // of the commit object, in bytes
	commit  change.Commit
	parents []change.ID // trees of the parents, in order
	fault   *Finding    // set when the commit could not even be read

	said      said
	claims    []claim
	digested  bool              // its change, because somebody asked for that
	digest    provenance.Digest // then: that which the commit is to carry
	digestErr error             // or why there is none
	touched   touched
	verdict   CommitVerdict
}

// base is the tree that the commit is compared with; "" is none.
func (j *job) base() change.ID {
	if len(j.parents) == 0 {
		return ""
	}
	return j.parents[0]
}

// release lets go of all but the verdict.
func (j *job) release() { *j = job{id: j.id, verdict: j.verdict} }

// A row is some commits one after the other, which one worker judges: the cheap checks of
// all, and then the costly ones, which profit from each other. Rows are answered in
// the order in which commits were read, so a verdict is the same twice.
type row struct {
	jobs []*job
	size int64
	done chan error // says that all jobs have a verdict
}

// Limits of a row; and of rows that wait for the answer to an earlier one. Most commits
// have one signature.
const (
	maxRow     = batch.Most
	maxRowSize = 256 << 10 // bytes of commits; a larger commit comes alone, or last
	inFlight   = 8
)

func (r *row) full() bool { return len(r.jobs) == maxRow || r.size >= maxRowSize }

// walk judges every commit of rg by rule, its models under each of names, and adds the outcome to r.
func (g *Gate) walk(outer context.Context, r *RefVerdict, rule policy.Rule, names []string, rg Range, keep Keep, b *budget) ([]CommitVerdict, error) {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	out := dispatch{workers: make(chan *row), queue: make(chan *row, inFlight)}
	shared := &content{source: g.Source, watch: g.watchesPaths()}
	var workers sync.WaitGroup
	for range g.workers() {
		judge := &judge{gate: g, rule: rule, ref: rg.Ref, names: names, budget: b, content: shared, keys: new(batch.Verifier)}
		workers.Go(func() { judge.work(ctx, out.workers) })
	}
	var over *Finding
	var readErr error
	go func() {
		defer out.close()
		over, readErr = g.read(ctx, rg, b, &out)
		if err := out.flush(ctx); readErr == nil {
			readErr = err
		}
	}()
	commits, err := g.collect(r, out.queue, keep, b)
	cancel()
	for range out.queue { // let the reader see that nobody listens
	}
	workers.Wait()
	shared.close()
	switch {
	case err != nil:
		return nil, err
	case readErr != nil:
		return nil, readErr
	case outer.Err() != nil: // a Source that just ends must not look like a short history
		return nil, outer.Err()
	case over != nil:
		r.find(*over, rule.Mode)
	}
	return commits, nil
}

// maxWorkers check more signatures than git can read commits.
const maxWorkers = 8

func (g *Gate) workers() int {
	if g.Workers > 0 {
		return g.Workers
	}
	return min(runtime.GOMAXPROCS(0), maxWorkers)
}

// read dispatches each commit of rg, parents before children. It stops with a
// finding when the push is too large.
func (g *Gate) read(ctx context.Context, rg Range, b *budget, out *dispatch) (*Finding, error) {
	trees := treeMemory{young: map[change.ID]change.ID{}, source: g.Source}
	for raw, err := range g.Source.Commits(ctx, rg.Include, rg.Exclude, g.Policy.Limits().Message) {
		if err != nil {
			return nil, err
		}
		if !b.commit() {
			return tooManyCommits(b.limits.Commits), nil
		}
		j, err := newJob(ctx, raw, &trees)
		if err != nil {
			return nil, err
		}
		if err := out.add(ctx, j); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// A dispatch hands commits to workers in full rows: a processor that seems to be idle
// meanwhile is one that git has a use for.
type dispatch struct {
	workers chan *row
	queue   chan *row // of all that were begun, for the answers
	open    *row      // being filled
}

func (d *dispatch) add(ctx context.Context, j *job) error {
	if d.open == nil {
		r := &row{done: make(chan error, 1)}
		select {
		case d.queue <- r:
			d.open = r
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.open.jobs = append(d.open.jobs, j)
	d.open.size += j.size
	if d.open.full() {
		return d.flush(ctx)
	}
	return nil
}

// flush hands over what is left.
func (d *dispatch) flush(ctx context.Context) error {
	r := d.open
	d.open = nil
	if r == nil {
		return nil
	}
	select {
	case d.workers <- r:
		return nil
	case <-ctx.Done():
		r.done <- ctx.Err()
		return ctx.Err()
	}
}

func (d *dispatch) close() {
	close(d.workers)
	close(d.queue)
}

func newJob(ctx context.Context, raw change.RawCommit, trees *treeMemory) (*job, error) {
	j := &job{id: raw.ID, size: int64(len(raw.Data))}
	if raw.TooLarge {
		trees.learn(raw.ID, "")
		j.fault = &Finding{MessageTooLarge, fmt.Sprintf("the commit object has %d bytes", raw.Size),
			"shorten the message, or ask an admin to raise limits.message"}
		return j, nil
	}
	commit, err := change.ParseCommit(append([]byte(nil), raw.Data...))
	if err != nil {
		trees.learn(raw.ID, "")
		j.fault = &Finding{CommitMalformed, Plain(err.Error()), "make the commit again with git itself"}
		return j, nil
	}
	j.commit = commit
	trees.learn(raw.ID, commit.Tree)
	for _, p := range commit.Parents {
		t, err := trees.of(ctx, p)
		if err != nil {
			return nil, err
		}
		j.parents = append(j.parents, t)
	}
	return j, nil
}

// treeMemory remembers the trees of commits read lately. Parents come first and
// mostly not long before, so few are asked for twice; "" is the tree of a commit
// that could not be read. Two generations keep memory bounded.
type treeMemory struct {
	young, old map[change.ID]change.ID
	source     Source
}

// maxYoung is some 5 MiB of trees.
const maxYoung = 1 << 14

func (m *treeMemory) learn(commit, tree change.ID) {
	if len(m.young) == maxYoung {
		m.young, m.old = make(map[change.ID]change.ID, maxYoung), m.young
	}
	m.young[commit] = tree
}

func (m *treeMemory) of(ctx context.Context, commit change.ID) (change.ID, error) {
	if t, ok := m.young[commit]; ok {
		return t, nil
	}
	if t, ok := m.old[commit]; ok {
		return t, nil
	}
	t, err := m.source.TreeOf(ctx, commit)
	if err != nil {
		return "", fmt.Errorf("read the parent %s: %w", commit, err)
	}
	m.learn(commit, t)
	return t, nil
}

func (j *judge) work(ctx context.Context, rows <-chan *row) {
	for r := range rows {
		r.done <- j.row(ctx, r.jobs)
	}
}

// collect takes the answers in order, tells them, and keeps those that are asked for.
func (g *Gate) collect(r *RefVerdict, queue <-chan *row, keep Keep, b *budget) ([]CommitVerdict, error) {
	var kept []CommitVerdict
	for row := range queue {
		if err := <-row.done; err != nil {
			return nil, err
		}
		for _, j := range row.jobs {
			if g.Witness != nil {
				if err := g.Witness.Judged(j.verdict); err != nil {
					return nil, err
				}
			}
			r.Judged++
			faulty := len(j.verdict.Findings) > 0
			if faulty {
				r.Faulty++
			}
			r.Verdict = worse(r.Verdict, j.verdict.Verdict)
			if keep == KeepAll || faulty && r.Faulty <= MaxListed && b.list() {
				kept = append(kept, j.verdict)
			}
		}
	}
	return kept, nil
}

// budget counts what one push costs, over all its refs.
type budget struct {
	limits  policy.Limits
	commits int
	listed  int
	read    atomic.Int64 // bytes of files read for change digests
	parts   atomic.Int64 // commits judged because others were made of them
}

func newBudget(l policy.Limits) *budget { return &budget{limits: l} }

func (b *budget) commit() bool {
	b.commits++
	return b.commits <= b.limits.Commits
}

// part reports whether n more commits may be judged that others were made of.
func (b *budget) part(n int) bool { return b.parts.Add(int64(n)) <= int64(b.limits.Commits) }

// spent counts n bytes read, and reports whether that is more than may be.
func (b *budget) spent(n int64) bool { return b.read.Add(n) > b.limits.Read }

// list reports whether one more faulty commit may be listed.
func (b *budget) list() bool {
	b.listed++
	return b.listed <= maxListedAll
}

func tooManyCommits(limit int) *Finding {
	return &Finding{PushTooLarge, fmt.Sprintf("more than %d commits to judge in one push", limit),
		"push in smaller steps, or ask an admin to raise limits.commits"}
}
