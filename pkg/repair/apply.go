package repair

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
)

// Rewrites counts the commits that get another in their place.
func (p *Plan) Rewrites() (n int) {
	for _, s := range p.Steps {
		if s.Moves {
			n++
		}
	}
	return n
}

// Attests reports whether anything is to be signed.
func (p *Plan) Attests() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return len(s.Values) > 0 })
}

// Signatures counts the signatures of git's own (gpgsig) on commits that are
// rewritten. They are over the old bytes and go.
func (p *Plan) Signatures() (n int) {
	for _, s := range p.Steps {
		if !s.Moves {
			continue
		}
		if _, dropped := rebuilt(s.raw, s.commit, nil, nil); dropped {
			n++
		}
	}
	return n
}

// Apply signs what the plan says, writes the new commits and the records, and moves
// branch, which must still be where the plan found it, from the old tip to the new.
// The old one stays in the reflog. Before that, nothing that is in use changes: after
// an error, objects that nobody refers to may be left, or records beside commits
// that are true of the old ones as well. Where nothing is to be signed, signer may
// be nil.
func (p *Plan) Apply(ctx context.Context, signer attestation.Signer, branch string) error {
	w := writer{plan: p, signer: signer, moved: map[change.ID]change.ID{}}
	for i := range p.Steps {
		if err := w.take(ctx, &p.Steps[i]); err != nil {
			return fmt.Errorf("commit %.10s: %w", p.Steps[i].ID, err)
		}
	}
	if err := w.write(ctx); err != nil {
		return err
	}
	if len(w.commits) == 0 {
		return nil
	}
	r, tip := p.options.Repo, w.moved[p.Tip]
	if err := r.MoveBranch(ctx, branch, tip, p.Tip, fmt.Sprintf("gatekeeper repair: %d commits", len(w.commits))); err != nil {
		if held, look := r.Ref(ctx, branch); look == nil && held != p.Tip {
			return fmt.Errorf("%s has moved meanwhile and stays as it is now; repair again", branch)
		}
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
	message := s.text
	if len(s.Values) > 0 {
		a, err := attestation.Sign(ctx, w.signer, s.Values, attestation.Attestation{
			Time: w.plan.options.Now, Bind: change.Bind(s.trees, s.commit.Tree), Change: s.about})
		if err != nil {
			return err
		}
		if s.Action == Beside {
			w.beside = append(w.beside, attestation.Detached{Provenance: s.Values, Attestation: a})
		} else if message, err = w.plan.options.message(*s, a.String()); err != nil {
			return err
		}
	}
	if !s.Moves {
		return nil
	}
	raw, _ := rebuilt(s.raw, s.commit, w.moved, message)
	s.New = w.plan.options.Repo.ObjectID("commit", raw)
	w.moved[s.ID] = s.New
	w.ids = append(w.ids, s.New)
	w.commits = append(w.commits, raw)
	return nil
}

// write stores the commits, and then the records.
func (w *writer) write(ctx context.Context) error {
	o := w.plan.options
	written, err := o.Repo.WriteObjects(ctx, "commit", w.commits)
	if err != nil {
		return err
	}
	for i, id := range written {
		if id != w.ids[i] {
			return fmt.Errorf("git stored commit %s as %s", w.ids[i], id)
		}
	}
	if len(w.beside) == 0 {
		return nil
	}
	return record.Add(ctx, o.Repo, w.signer.PublicKey().Fingerprint(), w.beside, o.Now)
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
