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

// release lets go of a commit that has been judged: up to a MiB each waits for
// nothing but its turn in the verdict.
func (j *job) release() { j.commit, j.parents = change.Commit{}, nil }

type answer struct {
	verdict CommitVerdict
	err     error
}

// inFlight bounds the answers that wait for an earlier one. Commits themselves are
// held only by the workers, since jobs are handed over one by one.
const inFlight = 256

// walk judges every commit of rg by rule, its models under each of names, and adds the outcome to r.
func (g *Gate) walk(outer context.Context, r *RefVerdict, rule policy.Rule, names []string, rg Range, keep Keep, b *budget) ([]CommitVerdict, error) {
	ctx, cancel := context.WithCancel(outer)
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
	commits, err := g.collect(r, queue, keep, b)
	cancel()
	for range queue { // let the reader see that nobody listens
	}
	workers.Wait()
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

func (g *Gate) workers() int {
	if g.Workers > 0 {
		return g.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// read sends each commit of rg, parents before children, to the workers and to
// the queue of answers. It stops with a finding when the push is too large.
func (g *Gate) read(ctx context.Context, rg Range, b *budget, jobs, queue chan<- *job) (*Finding, error) {
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

func (g *Gate) work(ctx context.Context, jobs <-chan *job, judge *judge) {
	defer judge.close()
	for j := range jobs {
		v, err := judge.commit(ctx, j)
		j.release()
		j.done <- answer{v, err}
	}
}

// collect takes the answers in order, tells them, and keeps those that are asked for.
func (g *Gate) collect(r *RefVerdict, queue <-chan *job, keep Keep, b *budget) ([]CommitVerdict, error) {
	var kept []CommitVerdict
	for j := range queue {
		a := <-j.done
		if a.err != nil {
			return nil, a.err
		}
		if g.Witness != nil {
			if err := g.Witness.Judged(a.verdict); err != nil {
				return nil, err
			}
		}
		r.Judged++
		faulty := len(a.verdict.Findings) > 0
		if faulty {
			r.Faulty++
		}
		r.Verdict = worse(r.Verdict, a.verdict.Verdict)
		if keep == KeepAll || faulty && r.Faulty <= MaxListed && b.list() {
			kept = append(kept, a.verdict)
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

// list reports whether one more faulty commit may be listed.
func (b *budget) list() bool {
	b.listed++
	return b.listed <= maxListedAll
}

func tooManyCommits(limit int) *Finding {
	return &Finding{PushTooLarge, fmt.Sprintf("more than %d commits to judge in one push", limit),
		"push in smaller steps, or ask an admin to raise limits.commits"}
}
