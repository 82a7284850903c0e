package repo

import (
	"context"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Reader is a Repo whose small questions about objects go to one long-lived
// `git cat-file`, started with the first. Several goroutines may ask at once.
type Reader struct {
	*Repo
	ctx   context.Context
	mu    sync.Mutex
	batch *Batch
}

// Reader returns a Reader that works until Close or until ctx is done.
func (r *Repo) Reader(ctx context.Context) *Reader { return &Reader{Repo: r, ctx: ctx} }

// ask runs a question alone, and starts the child for the first one.
func (r *Reader) ask(ctx context.Context, question func(*Batch) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.batch == nil {
		b, err := r.Repo.Batch(r.ctx)
		if err != nil {
			return err
		}
		r.batch = b
	}
	return question(r.batch)
}

// Peel follows annotated tags from id. It returns the commit at their end, or the
// type of what stands there instead.
func (r *Reader) Peel(ctx context.Context, id change.ID) (commit change.ID, objectType string, err error) {
	err = r.ask(ctx, func(b *Batch) (err error) {
		commit, objectType, err = Peel(b, id)
		return err
	})
	return commit, objectType, err
}

// TreeOf returns the tree of a commit.
func (r *Reader) TreeOf(ctx context.Context, commit change.ID) (tree change.ID, err error) {
	err = r.ask(ctx, func(b *Batch) (err error) {
		tree, err = TreeOf(b, commit)
		return err
	})
	return tree, err
}

// Missing returns those of ids whose objects are not there.
func (r *Reader) Missing(ctx context.Context, ids []change.ID) (missing []change.ID, err error) {
	err = r.ask(ctx, func(b *Batch) error {
		for _, id := range ids {
			ok, err := b.exists(id)
			if err != nil {
				return err
			}
			if !ok {
				missing = append(missing, id)
			}
		}
		return nil
	})
	return missing, err
}

// Close ends the child.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.batch == nil {
		return nil
	}
	return r.batch.Close()
}
