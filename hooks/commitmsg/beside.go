package commitmsg

import (
	"context"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// saidOf is what a stored commit says, in its message or else beside it. One that
// cannot be read says nothing.
func (h *hook) saidOf(ctx context.Context, objects *repo.Objects, id change.ID) said {
	if s, ok := h.told[id]; ok {
		return s
	}
	c, err := repo.ReadCommit(objects, id)
	if err != nil {
		return said{}
	}
	s := saidByMessage(c.Message)
	if s.merge = len(c.Parents) > 1; s.empty() && !s.merge {
		if at, err := placeOf(objects, c); err == nil {
			other := s.other
			s = h.saidBeside(ctx, at)
			s.other = other
		}
	}
	h.told[id] = s
	return s
}

// saidByMessage is what a commit's own message says; one that readers could see
// differently says nothing.
func saidByMessage(message []byte) said {
	block, err := trailer.Read(message)
	if err != nil {
		return said{}
	}
	return saidBy(block)
}

// saidOfOrigin is what the commit says that a pick moves. A clean pick makes the same
// change, so where git does not name the commit its records are found by that.
func (h *hook) saidOfOrigin(ctx context.Context, at *place) said {
	if at.origin != "" {
		return h.saidOf(ctx, at.objects, at.origin)
	}
	return h.saidBeside(ctx, at)
}

// saidBeside is what stands in a record beside the commit at p, and fits it.
func (h *hook) saidBeside(ctx context.Context, p *place) said {
	records := h.records(ctx)
	if records == nil || !records.Any() {
		return said{}
	}
	about, _, err := p.measure(ctx, nil)
	if err != nil {
		return said{}
	}
	list, err := records.Attestations(ctx, about)
	if err != nil {
		h.say("records beside commits are not read: %v", err)
	}
	for _, d := range list {
		s := said{values: d.Provenance, attestation: []string{d.Attestation.String()}}
		kept, err := h.fitting(s, p, func() (provenance.Digest, error) { return about, nil })
		if err == nil && kept != "" {
			return s
		}
	}
	return said{}
}

// records is what stands beside the commits of this clone, nil when it cannot be read.
func (h *hook) records(ctx context.Context) *record.Union {
	if h.beside == nil {
		reader := h.repo.Reader()
		h.done = append(h.done, reader.Close)
		var err error
		if h.beside, err = record.All(ctx, reader); err != nil {
			h.say("records beside commits are not read: %v", err)
			h.beside = record.Read(reader, nil)
		}
	}
	return h.beside
}

// detached are the attestations of the commits that a squash makes one of, in the
// form in which they are kept beside it. Their lines end in the new commit; their
// signatures would be lost.
func (h *hook) detached(ctx context.Context, at *place) (kept []string) {
	for _, id := range at.kept {
		s := h.saidOf(ctx, at.objects, id)
		for _, v := range s.attestation {
			a, err := attestation.Parse(v)
			if err != nil || !h.genuine(s.values, a) {
				continue
			}
			if d := (attestation.Detached{Provenance: s.values, Attestation: a}); !slices.Contains(kept, d.String()) {
				kept = append(kept, d.String())
			}
		}
	}
	return kept
}
