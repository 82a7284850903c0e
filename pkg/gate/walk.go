package gate

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A job is one commit on its way through the workers. Its answer comes out in
// the order in which commits were read, so a verdict is the same twice.
type job struct {
	id      change.ID
	commit  change.Commit
	parents []change.ID // trees of the parents, in order
	change  *provenance.Digest
	fault   *Finding // set when the commit could not even be read
	done    chan answer
}

type answer struct {
	verdict CommitVerdict
	err     error
}

// inFlight bounds the commits between reader and collector, a few MiB at most.
const inFlight = 256

// walk judges every commit of rg by rule, its models under each of names, and adds the outcome to r.
func (g *Gate) walk(ctx context.Context, r *RefVerdict, rule policy.Rule, names []string, rg Range, keep Keep, b *budget) ([]CommitVerdict, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan *job)
	queue := make(chan *job, inFlight)
	var workers sync.WaitGroup
	for range g.workers() {
		workers.Go(func() { g.work(ctx, jobs, &judge{gate: g, rule: rule, ref: rg.Ref, names: names, budget: b}) })
	}
	var over *Finding
	var readErr error
	go func() {
		defer close(queue)
		defer close(jobs)
		over, readErr = g.read(ctx, rg, b, jobs, queue)
	}()
	commits, err := collect(r, queue, keep)
	cancel()
	for range queue { // let the reader see that nobody listens
	}
	workers.Wait()
	switch {
	case err != nil:
		return nil, err
	case readErr != nil:
		return nil, readErr
	case over != nil:
		r.refuse(*over)
	}
	return commits, nil
}

func (g *Gate) workers() int {
	if g.Workers > 0 {
		return g.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// read sends each commit of rg, parents before children, to the workers and to
// the queue of answers. It stops with a finding when the push is too large.
func (g *Gate) read(ctx context.Context, rg Range, b *budget, jobs, queue chan<- *job) (*Finding, error) {
	trees := treeMemory{known: map[change.ID]change.ID{}, source: g.Source}
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
		select {
		case queue <- j:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
			j.done <- answer{err: ctx.Err()}
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

func newJob(ctx context.Context, raw change.RawCommit, trees *treeMemory) (*job, error) {
	j := &job{id: raw.ID, done: make(chan answer, 1)}
	trees.known[raw.ID] = "" // of an unreadable parent nothing is known, and nothing is asked
	if raw.TooLarge {
		j.fault = &Finding{MessageTooLarge, fmt.Sprintf("the commit object has %d bytes", raw.Size),
			"shorten the message, or ask an admin to raise limits.message"}
		return j, nil
	}
	commit, err := change.ParseCommit(append([]byte(nil), raw.Data...))
	if err != nil {
		j.fault = &Finding{CommitMalformed, Plain(err.Error()), "make the commit again with git itself"}
		return j, nil
	}
	j.commit = commit
	trees.known[raw.ID] = commit.Tree
	for _, p := range commit.Parents {
		t, err := trees.of(ctx, p)
		if err != nil {
			return nil, err
		}
		j.parents = append(j.parents, t)
	}
	return j, nil
}

// treeMemory remembers the trees of commits already read; parents come first, so
// only those at the edge of a range must be asked for.
type treeMemory struct {
	known  map[change.ID]change.ID
	source Source
}

func (m *treeMemory) of(ctx context.Context, commit change.ID) (change.ID, error) {
	if t, ok := m.known[commit]; ok {
		return t, nil
	}
	t, err := m.source.TreeOf(ctx, commit)
	if err != nil {
		return "", fmt.Errorf("read the parent %s: %w", commit, err)
	}
	m.known[commit] = t
	return t, nil
}

func (g *Gate) work(ctx context.Context, jobs <-chan *job, judge *judge) {
	defer judge.close()
	for j := range jobs {
		v, err := judge.commit(ctx, j)
		j.done <- answer{v, err}
	}
}

// collect takes the answers in order and keeps those that are asked for.
func collect(r *RefVerdict, queue <-chan *job, keep Keep) ([]CommitVerdict, error) {
	var kept []CommitVerdict
	for j := range queue {
		a := <-j.done
		if a.err != nil {
			return nil, a.err
		}
		r.Judged++
		faulty := len(a.verdict.Findings) > 0
		if faulty {
			r.Faulty++
		}
		r.Verdict = worse(r.Verdict, a.verdict.Verdict)
		if keep == KeepAll || faulty && r.Faulty <= MaxListed {
			kept = append(kept, a.verdict)
		}
	}
	return kept, nil
}

// budget counts what one push costs, over all its refs.
type budget struct {
	limits  policy.Limits
	commits int
	read    atomic.Int64 // bytes of files read for change digests
}

func newBudget(l policy.Limits) *budget { return &budget{limits: l} }

func (b *budget) commit() bool {
	b.commits++
	return b.commits <= b.limits.Commits
}

func tooManyCommits(limit int) *Finding {
	return &Finding{PushTooLarge, fmt.Sprintf("more than %d commits to judge in one push", limit),
		"push in smaller steps, or ask an admin to raise limits.commits"}
}
