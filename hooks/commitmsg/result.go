package commitmsg

import (
	"context"
	"fmt"
	"os"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// postCommit looks at HEAD when the hooks before it could not be certain of
// what would become of it, or when it used declarations.
func postCommit(ctx context.Context, h *hook, _ []string) error {
	p, ok, err := h.state.Prepared()
	if err != nil || !ok {
		_ = h.state.Drop() // a file that cannot be read was reported by commit-msg
		return nil
	}
	defer h.state.Drop()
	landed, err := h.landed(ctx, p)
	switch {
	case err != nil:
		return fmt.Errorf("HEAD was not looked at: %w", err)
	case landed && !p.Unsigned:
		return h.state.Use(p.Declared...)
	case p.Unsigned:
		return nil // that was said before
	}
	return fmt.Errorf("HEAD does not carry what was recorded for it; run git commit --amend --no-edit")
}

// landed reports whether HEAD is the commit that p was worked out for, and
// carries the lines of p, signed.
func (h *hook) landed(ctx context.Context, p session.Prepared) (bool, error) {
	_, head, err := h.repo.Head(ctx)
	if err != nil || head == "" {
		return false, err
	}
	objects := h.repo.Objects(ctx)
	defer objects.Close()
	c, err := readCommit(objects, head)
	if err != nil {
		return false, err
	}
	block, err := trailer.Read(c.Message)
	if err != nil || !stands(&p, block) {
		return false, nil
	}
	var trees []change.ID
	for _, parent := range c.Parents {
		tree, err := repo.TreeOf(objects, parent)
		if err != nil {
			return false, err
		}
		trees = append(trees, tree)
	}
	return change.Bind(trees, c.Tree) == p.Bind, nil
}

// applypatchMsg has the argument FILE. git runs it before it applies the patch,
// so neither tree nor change can be known here. A patch that carries its author's
// attestation keeps it, which binds where the patch applies cleanly.
func applypatchMsg(_ context.Context, h *hook, args []string) error {
	message, err := os.ReadFile(h.path(args[0]))
	if err != nil {
		return fmt.Errorf("the patch was not looked at: %w", err)
	}
	block, err := trailer.Read(message)
	if err != nil {
		return fmt.Errorf("the patch's message %w", err)
	}
	if len(block.Attestation) == 0 {
		return fmt.Errorf("nothing recorded: the patch carries no attestation; amend the commit")
	}
	return nil
}
