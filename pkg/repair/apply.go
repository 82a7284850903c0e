package repair

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
)

// Rewrites counts the commits that get another in their place.
func (p *Plan) Rewrites() (n int) {
	for _, s := range p.Steps {
		if s.Action != Beside {
			n++
		}
	}
	return n
}

// Signatures counts the signatures of git's own (gpgsig) on commits that are
// rewritten. They are over the old bytes and go.
func (p *Plan) Signatures() (n int) {
	for _, s := range p.Steps {
		if _, dropped := rebuilt(s.raw, s.commit, nil, nil); s.Action != Beside && dropped {
			n++
		}
	}
	return n
}

// Apply signs what the plan says, writes the new commits and the records, and moves
// branch, which must still be where the plan found it, from the old tip to the new.
// The old one stays in the reflog.
func (p *Plan) Apply(ctx context.Context, signer attestation.Signer, branch string) error {
	w := writer{plan: p, signer: signer, moved: map[change.ID]change.ID{}}
	for i := range p.Steps {
		if err := w.take(ctx, &p.Steps[i]); err != nil {
			return fmt.Errorf("commit %.10s: %w", p.Steps[i].ID, err)
		}
	}
	o := p.options
	if err := record.Add(ctx, o.Repo, signer.PublicKey().Fingerprint(), w.beside, o.Now); err != nil {
		return err
	}
	if len(w.commits) == 0 {
		return nil
	}
	written, err := o.Repo.WriteObjects(ctx, "commit", w.commits)
	if err != nil {
		return err
	}
	for i, id := range written {
		if id != w.ids[i] {
			return fmt.Errorf("git stored commit %s as %s", w.ids[i], id)
		}
	}
	tip := w.moved[p.Tip]
	if err := o.Repo.UpdateRef(ctx, branch, tip, p.Tip, fmt.Sprintf("gatekeeper repair: %d commits", len(written))); err != nil {
		return err
	}
	p.Tip = tip
	return nil
}

// A writer makes the new commits one after the other, each on those before.
type writer struct {
	plan    *Plan
	signer  attestation.Signer
	moved   map[change.ID]change.ID
	ids     []change.ID
	commits [][]byte
	beside  []attestation.Detached
}

func (w *writer) take(ctx context.Context, s *Step) error {
	message := s.commit.Message
	if len(s.Values) > 0 {
		a, err := attestation.Sign(ctx, w.signer, s.Values, attestation.Attestation{
			Time: w.plan.options.Now, Bind: change.Bind(s.trees, s.commit.Tree), Change: s.about})
		if err != nil {
			return err
		}
		if s.Action == Stamp {
			if message, err = w.plan.options.message(*s, a.String()); err != nil {
				return err
			}
		} else {
			w.beside = append(w.beside, attestation.Detached{Provenance: s.Values, Attestation: a})
		}
	}
	if s.Action == Beside {
		return nil
	}
	raw, _ := rebuilt(s.raw, s.commit, w.moved, message)
	s.New = w.plan.options.Repo.ObjectID("commit", raw)
	w.moved[s.ID] = s.New
	w.ids = append(w.ids, s.New)
	w.commits = append(w.commits, raw)
	return nil
}

// rebuilt is a commit object with the parents that moved exchanged and another
// message. Every other byte stays, but for a signature over the old bytes.
func rebuilt(raw []byte, c change.Commit, moved map[change.ID]change.ID, message []byte) (out []byte, dropped bool) {
	headers := raw[:len(raw)-len(c.Message)]
	parents := c.Parents
	signature := false
	for line := range bytes.Lines(headers) {
		switch {
		case signature && line[0] == ' ':
			continue // the rest of it
		case bytes.HasPrefix(line, []byte("gpgsig ")), bytes.HasPrefix(line, []byte("gpgsig-sha256 ")):
			signature, dropped = true, true
			continue
		}
		signature = false
		if bytes.HasPrefix(line, []byte("parent ")) && len(parents) > 0 {
			if to, ok := moved[parents[0]]; ok {
				line = []byte("parent " + to.String() + "\n")
			}
			parents = parents[1:]
		}
		out = append(out, line...)
	}
	return append(out, message...), dropped
}
