package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Platform is the software around the repository. When somebody presses its button
// to squash, rebase or merge a request, it makes commits itself, and no hook on
// anybody's laptop sees them.
type Platform interface {
	// Makes reports whether the platform itself says that it makes the commit, in
	// this push or in one before.
	Makes(commit change.ID) bool
	// Heads lists what a commit that it makes may be made of, the likeliest first: the
	// commits that merge requests end in. The words of the message may help to find
	// the likeliest; they prove nothing.
	Heads(ctx context.Context, commit, parent change.ID, message []byte) ([]change.ID, error)
	// Made is told that the commit was made of head, so that it is known from now on.
	Made(commit, head change.ID) error
}

// maxHeads bounds the requests that are tried for one commit, maxPicks the commits of
// a request that are tried for one that was rebased, and maxParts the commits that one
// may be made of.
const (
	maxHeads = 32
	maxPicks = 32
	maxParts = 1000
)

// made judges a commit that the platform made at the press of a button: it counts
// only when doing the same again, with commits that the repository has, gives exactly
// its tree. Its records are then those commits' records, and each of them must be
// welcome by itself. It returns nil for any other commit.
func (j *judge) made(ctx context.Context, job *job, v CommitVerdict) (*CommitVerdict, error) {
	if len(job.commit.Parents) != 1 || !j.makes(job) {
		return nil, nil
	}
	parent := job.commit.Parents[0]
	heads, err := j.gate.Platform.Heads(ctx, job.id, parent, job.commit.Message)
	if err != nil {
		return nil, err
	}
	for _, head := range heads[:min(len(heads), maxHeads)] {
		parts, err := j.parts(ctx, job, head)
		if errors.Is(err, change.ErrNoMergeTree) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if len(parts) > 0 {
			made, err := j.madeOf(ctx, v, parts)
			if err == nil {
				err = j.gate.Platform.Made(job.id, head)
			}
			return made, err
		}
	}
	return nil, nil
}

// makes reports whether the platform says that it makes the commit.
func (j *judge) makes(job *job) bool { return j.gate.Platform != nil && j.gate.Platform.Makes(job.id) }

// parts finds the commits of a request that the commit is made of: all of them when
// it is their squash, one when it is that one, rebased; none when it is neither.
func (j *judge) parts(ctx context.Context, job *job, head change.ID) ([]change.RawCommit, error) {
	parent := job.commit.Parents[0]
	var all []change.RawCommit
	for raw, err := range j.gate.Source.Commits(ctx, []change.ID{head}, []change.ID{parent}, j.gate.Policy.Limits().Message) {
		if err != nil {
			return nil, err
		}
		raw.Data = bytes.Clone(raw.Data)
		if all = append(all, raw); len(all) > maxParts {
			return nil, nil
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	tree, clean, err := j.gate.Source.MergeTree(ctx, parent, head)
	if err != nil || clean && tree == job.commit.Tree {
		return all, err
	}
	return j.picked(ctx, job, all)
}

// picked finds the one of all that the commit is, on another parent. Whoever wrote
// it and what it is called tell which ones are worth the work.
func (j *judge) picked(ctx context.Context, job *job, all []change.RawCommit) ([]change.RawCommit, error) {
	tried := 0
	for _, raw := range all {
		c, err := change.ParseCommit(raw.Data)
		if err != nil || len(c.Parents) != 1 || c.Author != job.commit.Author || Subject(c.Message) != Subject(job.commit.Message) {
			continue
		}
		if tried++; tried > maxPicks {
			break
		}
		tree, clean, err := j.gate.Source.PickTree(ctx, job.commit.Parents[0], raw.ID)
		if err != nil {
			return nil, err
		}
		if clean && tree == job.commit.Tree {
			return []change.RawCommit{raw}, nil
		}
	}
	return nil, nil
}

// madeOf judges the parts of a commit and sums them up.
func (j *judge) madeOf(ctx context.Context, v CommitVerdict, parts []change.RawCommit) (*CommitVerdict, error) {
	if !j.budget.part(len(parts)) {
		v = j.settle(v, *tooManyCommits(j.budget.limits.Commits))
		return &v, nil
	}
	alone := *j.gate
	alone.Platform = nil // a part is judged by what it brings itself
	alone.Pusher = nil   // who presses the button did not push the parts
	inner := &judge{gate: &alone, rule: j.rule, ref: j.ref, names: j.names, budget: j.budget, content: j.content, keys: j.keys}
	trees := treeMemory{young: map[change.ID]change.ID{}, source: j.gate.Source}
	v.Made, v.Beside, v.Evidence, v.None = true, false, "", ""
	v.Records, v.Signers = []RecordView{}, []SignerView{}
	binding := Replay
	v.Binding = &binding
	var findings []Finding
	for some := range slices.Chunk(parts, maxRow) {
		var jobs []*job
		for _, raw := range some {
			part, err := newJob(ctx, raw, &trees)
			if err != nil {
				return nil, err
			}
			jobs = append(jobs, part)
		}
		if err := inner.row(ctx, jobs); err != nil {
			return nil, err
		}
		for _, part := range jobs {
			v.add(part.verdict)
			for _, f := range part.verdict.Findings {
				f.Detail = fmt.Sprintf("made of %.7s: %s", part.verdict.ID, f.Detail)
				findings = append(findings, f)
			}
		}
	}
	if v.Evidence == "" { // nothing but merges that bring nothing
		v.Evidence = Unknown
	}
	v = j.settle(v, unique(findings)...)
	return &v, nil
}

// add takes a part's records and signers into the verdict on what was made of it. The
// weakest evidence is that of the whole. How many lines of a part are still there is
// not known.
func (c *CommitVerdict) add(part CommitVerdict) {
	c.Statements = append(c.Statements, part.Statements...)
	if part.Verdict == Exempt {
		return
	}
	if c.Evidence == "" || c.Evidence.rank() > part.Evidence.rank() {
		c.Evidence = part.Evidence
	}
	for _, r := range part.Records {
		r.Lines = nil
		if !slices.ContainsFunc(c.Records, r.same) {
			c.Records = append(c.Records, r)
		}
	}
	if c.None == "" {
		c.None = part.None
	}
	if len(c.Records) > 0 {
		c.None = ""
	}
	for _, s := range part.Signers {
		s.Time = "" // each part has its own
		if !slices.Contains(c.Signers, s) {
			c.Signers = append(c.Signers, s)
		}
	}
}
