package repo

import (
	"context"
	"io"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Reader is a Repo whose small questions about objects go to one long-lived
// `git cat-file`, started with the first. Several goroutines may ask at once.
type Reader struct {
	*Repo
	mu    sync.Mutex
	batch *Batch
	kill  context.CancelFunc
}

// Reader returns a Reader that works until Close.
func (r *Repo) Reader() *Reader { return &Reader{Repo: r} }

// ask runs a question alone, and starts the child where there is none. Whoever
// gives up while being answered takes the child down; the next question has a new
// one.
func (r *Reader) ask(ctx context.Context, question func(*Batch) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.batch == nil {
		own, kill := context.WithCancel(context.WithoutCancel(ctx))
		b, err := r.Repo.Batch(own)
		if err != nil {
			kill()
			return err
		}
		r.batch, r.kill = b, kill
	}
	settled := context.AfterFunc(ctx, r.kill)
	err := question(r.batch)
	if !settled() {
		r.end()
		return ctx.Err()
	}
	return err
}

func (r *Reader) end() {
	if r.batch != nil {
		_ = r.batch.Close()
		r.kill()
		r.batch = nil
	}
}

// Contents opens a reader of trees and blobs with a child of its own, for one
// goroutine.
func (r *Reader) Contents(ctx context.Context) (change.ObjectReader, error) {
	c, err := r.Repo.Contents(ctx)
	if err != nil {
		return nil, err // not a nil *Contents in an interface
	}
	return c, nil
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

// Read returns an object's type and size, and its content unless that is larger
// than limit bytes.
func (r *Reader) Read(ctx context.Context, id change.ID, limit int64) (objectType string, size int64, data []byte, err error) {
	err = r.ask(ctx, func(b *Batch) error {
		o, err := b.Open(id)
		if err != nil {
			return err
		}
		defer o.Close()
		if objectType, size = o.Type, o.Size; size > limit {
			return nil
		}
		data = make([]byte, size)
		_, err = io.ReadFull(o, data)
		return err
	})
	return objectType, size, data, err
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

// Present returns those of ids whose objects are there, each once and in order.
func (r *Reader) Present(ctx context.Context, ids []change.ID) ([]change.ID, error) {
	missing, err := r.Missing(ctx, ids)
	if err != nil {
		return nil, err
	}
	seen := map[change.ID]bool{}
	for _, id := range missing {
		seen[id] = true
	}
	var present []change.ID
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			present = append(present, id)
		}
	}
	return present, nil
}

// Close ends the child. A question after it starts another.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
	return nil
}
