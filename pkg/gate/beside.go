package gate

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Records is what stands beside commits: attestations that are kept apart from
// them, in refs below RecordsPrefix.
type Records interface {
	// Any reports whether there is any record at all. While there is none, nobody
	// needs to know what a commit changed to look for one.
	Any() bool
	// Attestations returns the detached attestations about a change, in a fixed
	// order. They are read, not believed.
	Attestations(ctx context.Context, about provenance.Digest) ([]attestation.Detached, error)
	// Added yields each file that the commits from old to new add, and each folder that
	// had to be read for that (change.Added). An error that wraps change.ErrNotGrown
	// says that they do more than that.
	Added(ctx context.Context, old, new change.ID, limit int64) iter.Seq2[change.RawFile, error]
	// Sizes adds up the files below a commit and their paths, and stops at more than
	// most bytes.
	Sizes(ctx context.Context, commit change.ID, most int64) (files int, size int64, err error)
}

// An opinion is what a commit comes to under one set of attestations.
type opinion struct {
	said     said
	claims   []claim
	evidence Evidence
	findings []Finding
}

// mayStandBeside reports whether anything could stand beside a commit and count. One
// with a forged attestation gets no second chance.
func (j *judge) mayStandBeside(job *job) bool {
	records := j.gate.Records
	return job.fault == nil && records != nil && records.Any() && !slices.ContainsFunc(job.claims, func(c claim) bool { return c.forged })
}

// beside judges a commit, none of whose own attestations stands, by those that stand
// beside it. It returns nil when none of them stands, and what kept it from looking
// as a finding.
//
// The most favourable counts: whoever may attest could as well have written the
// same into the commit itself. But nothing that the commit itself says of a tool,
// model or server can be talked away.
func (j *judge) beside(ctx context.Context, job *job) (*opinion, *Finding, error) {
	if !j.mayStandBeside(job) {
		return nil, nil, nil
	}
	if !job.digested {
		j.content.digests(ctx, j.budget, job)
	}
	if job.digestErr != nil {
		f, err := undigested(job.digestErr)
		return nil, f, err
	}
	list, err := j.gate.Records.Attestations(ctx, job.digest)
	if err != nil {
		return nil, nil, err
	}
	var best *opinion
	for _, d := range list {
		if j.budget.spent(max(int64(len(d.String())), openCost)) {
			f, err := undigested(errBudget)
			return nil, f, err
		}
		o, err := j.opinion(ctx, job, d)
		if err != nil {
			return nil, nil, err
		}
		if o != nil && (best == nil || o.compare(best) < 0) {
			best = o
		}
	}
	return best, nil, nil
}

// opinion judges the commit by one detached attestation; nil when that does not stand.
func (j *judge) opinion(ctx context.Context, job *job, d attestation.Detached) (*opinion, error) {
	p, err := provenance.Parse(d.Provenance)
	if err != nil || !covers(p, job.said.provenance) {
		return nil, nil
	}
	s := said{values: d.Provenance, provenance: p, attestations: []attestation.Attestation{d.Attestation}, author: job.said.author}
	c := j.claim(d.Attestation)
	c.check(s.values)
	j.hold(ctx, &c, job)
	if err := c.close(job); err != nil || !c.stands() {
		return nil, err
	}
	if err := j.touch(ctx, job, p.Records); err != nil {
		return nil, err
	}
	o := &opinion{said: s, claims: []claim{c}}
	o.evidence, _, _ = weigh(s, o.claims)
	o.findings = j.findings(job, s, o.claims, o.evidence)
	return o, nil
}

// view puts what stands beside a commit into its verdict.
func (o *opinion) view(v CommitVerdict) CommitVerdict {
	v.Evidence, v.Binding, v.Signers = weigh(o.said, o.claims)
	v.Trace, v.Statements = traceOf(o.claims), append(v.Statements, statements(o.claims)...)
	v.Change = changeOf(o.claims)
	v.Records, v.None = ViewRecords(o.said.provenance.Records), string(o.said.provenance.None)
	v.Beside = true
	return v
}

// welcome reports whether nothing speaks against what stands beside a commit.
func (o *opinion) welcome() bool { return o != nil && len(o.findings) == 0 }

// compare puts the more favourable first, then the stronger binding, then the later.
func (o *opinion) compare(other *opinion) int {
	a, b := o.claims[0], other.claims[0]
	return cmp.Or(
		cmp.Compare(min(len(o.findings), 1), min(len(other.findings), 1)),
		-cmp.Compare(a.binding, b.binding), // "exact" comes after "change"
		b.attestation.Time.Compare(a.attestation.Time),
	)
}

// covers reports whether p accounts for each tool, model and server that the commit
// itself names, signed or not.
func covers(p, own provenance.Provenance) bool {
	for _, r := range own.Records {
		if !slices.ContainsFunc(p.Records, func(q provenance.Record) bool { return accounts(q, r) }) {
			return false
		}
	}
	return true
}

// accounts reports whether q may be what r is. A part that r does not know may be
// anything.
func accounts(q, r provenance.Record) bool {
	same := func(said, known string) bool { return said == "" || said == known }
	unsaid := func(server string) bool { return !slices.Contains(q.MCP, server) }
	return same(r.Tool.Name, q.Tool.Name) && same(r.Tool.Version, q.Tool.Version) &&
		same(r.Model.Provider, q.Model.Provider) && same(r.Model.Name, q.Model.Name) &&
		!slices.ContainsFunc(r.MCP, unsaid)
}

// undigested says why a change could not be named, where the commit is to blame.
func undigested(err error) (*Finding, error) {
	var broken *change.MalformedError
	switch {
	case errors.Is(err, errBudget):
		return &Finding{PushTooLarge, "checking it would read more than limits.read allows",
			"push in smaller steps, or ask an admin to raise limits.read"}, nil
	case errors.As(err, &broken):
		return &Finding{CommitMalformed, Plain(err.Error()), "make the commit again with git itself"}, nil
	case errors.Is(err, change.ErrTooLarge):
		return &Finding{PushTooLarge, Plain(err.Error()), "split the commit"}, nil
	}
	return nil, err
}
