package commitmsg

import (
	"context"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// marked reports whether an agent left a mark of its own.
func (s said) marked() bool { return len(mark.Find(s.other)) > 0 }

// markRecords are the declarations that agents write into a message themselves, but for
// those of tools that records tell of already: whoever watched knows better than a
// model that was told to sign.
func markRecords(trailers []trailer.Line, records []provenance.Record) (declared []provenance.Record) {
	for _, m := range mark.Find(trailers) {
		model := agent.CanonicalModel(m.Model)
		if !accounted(records, m, model) {
			declared = append(declared, provenance.Record{Tool: provenance.Tool{Name: m.Tool}, Model: model, Via: provenance.ViaDeclared})
		}
	}
	return declared
}

// accounted reports whether one of the records tells of a mark, of this model. An earlier
// declaration without a model leaves room for one that names it.
func accounted(records []provenance.Record, m mark.Mark, model provenance.Model) bool {
	for i := range records {
		known := &records[i]
		if !m.Of(known.Tool.Name) {
			continue
		}
		switch known.Via {
		case provenance.ViaHook, provenance.ViaProcess:
			return true
		case provenance.ViaDeclared:
			if known.Model.Name != "" || model.Name == "" {
				return true
			}
		}
	}
	return false
}

// withMarks adds to what is known of a commit, which adds total lines, what agents
// write of themselves; added is false where that is nothing new. What lines are known to
// be whose stays so.
func withMarks(known provenance.Provenance, total int, trailers []trailer.Line) (all provenance.Provenance, added bool) {
	declared := markRecords(trailers, known.Records)
	if len(declared) == 0 {
		return known, false
	}
	all = provenance.Union(total, known, provenance.Provenance{Records: declared})
	for i := range all.Records {
		for j := range known.Records {
			r, k := &all.Records[i], &known.Records[j]
			if k.Tool == r.Tool && k.Model == r.Model && k.Session == r.Session && k.Via == r.Via {
				r.Lines = k.Lines
			}
		}
	}
	return all, true
}

// addMarks adds to p the marks of the message as it will be stored. A signature over less
// is none any more.
func (h *hook) addMarks(ctx context.Context, p *session.Prepared, trailers []trailer.Line) error {
	if p.Kept || len(mark.Find(trailers)) == 0 {
		return nil
	}
	known, err := provenance.Parse(p.Values)
	if err != nil {
		return fmt.Errorf("the records do not go together: %w", err)
	}
	all, added := withMarks(known, p.Added, trailers)
	if !added {
		return nil
	}
	values := all.Values()
	p.Trace = h.retrace(p, values)
	p.Values, p.Attestation = values, ""
	p.Add = trailer.Public(all, h.publicStyle(ctx))
	p.Remove = append(p.Remove, p.Add...)
	return nil
}

// retrace keeps a copy of the trace of p for the records that p is to have, among which its
// own are, and names it; zero where there is none.
func (h *hook) retrace(p *session.Prepared, values []string) (copied provenance.Digest) {
	old := p.Trace
	if a, err := attestation.Parse(p.Attestation); err == nil {
		old, _ = a.Trace()
	}
	if old.IsZero() {
		return copied
	}
	copied, err := record.RenumberTrace(h.repo.CommonDir, old, p.Values, values)
	if err != nil {
		h.say("lines are not traced: %v", err)
	}
	return copied
}
