package audit

import (
	"context"
	"iter"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// pipeline cuts commits into batches of at most so many, has workers fill these in, and gives
// them to write in the order of the commits. There are as many workers as slots, which
// they share with those of other repositories. At most two batches more than that are in
// memory.
func pipeline(outer context.Context, slots chan struct{}, most int, commits iter.Seq2[change.RawCommit, error], j *judge, write func(*batch) error) error {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	work, queue := make(chan *batch), make(chan *batch, cap(slots))
	var pool sync.WaitGroup
	for range cap(slots) {
		pool.Go(func() {
			for b := range work {
				slots <- struct{}{}
				b.done <- j.batch(ctx, b)
				<-slots
			}
		})
	}
	var readErr error
	pool.Go(func() {
		defer close(queue)
		defer close(work)
		readErr = cut(ctx, most, commits, j.trees, work, queue)
	})
	var err error
	for b := range queue {
		if e := <-b.done; err == nil {
			err = e
		}
		if err == nil {
			err = write(b)
		}
		if err != nil {
			cancel()
		}
	}
	pool.Wait()
	switch {
	case outer.Err() != nil:
		return outer.Err()
	case err != nil:
		return err
	}
	return readErr
}

// cut reads commits into batches of so many.
func cut(ctx context.Context, most int, commits iter.Seq2[change.RawCommit, error], seen *trees, work, queue chan<- *batch) error {
	b := &batch{}
	send := func() error {
		b.done = make(chan error, 1)
		select {
		case queue <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case work <- b:
		case <-ctx.Done():
			b.done <- ctx.Err()
			return ctx.Err()
		}
		b = &batch{}
		return nil
	}
	for raw, err := range commits {
		if err != nil {
			return err
		}
		if tree := treeOf(raw); tree != "" {
			seen.put(raw.ID, tree)
		}
		if b.add(raw); len(b.raw) >= most || b.bytes >= batchBytes {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if len(b.raw) > 0 {
		return send()
	}
	return nil
}
