package repo

import (
	"context"
	"errors"
	"time"
)

// ErrLocked reports that another process held a lock for too long.
var ErrLocked = errors.New("another process holds it")

// await tries until something is done or ctx ends, at once and then a few hundred times
// a second.
func await(ctx context.Context, try func() (done bool, err error)) error {
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ErrLocked
		case <-time.After(3 * time.Millisecond):
		}
	}
}
