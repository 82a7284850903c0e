package commitmsg

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// commitMsg has the argument FILE.
func commitMsg(ctx context.Context, h *hook, args []string) error {
	path := h.path(args[0])
	message, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("nothing recorded: %w", err)
	}
	p, ok := h.prepared(ctx)
	if !ok {
		if p, err = h.workOut(ctx, message, "", ""); err != nil {
			return h.lost(err)
		}
	}
	if err := h.becomeBig(ctx, p); err != nil {
		return err
	}
	h.failed(h.put(ctx, path, message, &p), &p)
	if p.Lost || p.Unsigned || h.unsettled(p) || refusable(p, message) {
		return h.keep(p) // with --allow-empty-message there is a commit, and post-commit says so
	}
	return h.state.Drop()
}

// prepared is what prepare-commit-msg left for this commit. What an aborted
// commit left belongs to a git that is gone, or to another HEAD.
func (h *hook) prepared(ctx context.Context) (session.Prepared, bool) {
	p, ok, err := h.state.Prepared()
	if !ok && err == nil {
		p, ok, err = h.state.Stamp()
	}
	if err != nil {
		h.say("begin anew: %v", err)
	}
	if !ok || p.Lost {
		return p, false
	}
	if p.Git != 0 && p.Git == os.Getppid() {
		return p, true
	}
	if git := h.invocation().pid; p.Git != 0 && git != 0 {
		return p, p.Git == git
	}
	_, head, err := h.repo.Head(ctx)
	return p, err == nil && p.Head == head
}

// stands reports whether the block has the lines of p already, signed if they
// can be.
func stands(p *session.Prepared, b trailer.Block) bool {
	if !slices.Equal(b.Provenance, p.Values) {
		return false
	}
	if p.Attestation == "" {
		return p.Unsigned && len(b.Attestation) == 0
	}
	return len(b.Attestation) == 1 && b.Attestation[0] == p.Attestation
}
