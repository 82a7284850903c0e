package repo

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	// A lock that is free is had even where there is no time to wait.
	unlock, err := Lock(over, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(over, path); !errors.Is(err, ErrLocked) {
		t.Fatalf("held, and had again: %v", err)
	}
	unlock()
	// Nobody is in there with another.
	var all sync.WaitGroup
	var inside, times atomic.Int32 // the race detector does not see such a lock
	for range 8 {
		all.Go(func() {
			for range 20 {
				unlock, err := Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d at once", n)
				}
				times.Add(1)
				inside.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	if n := times.Load(); n != 8*20 {
		t.Errorf("%d of %d", n, 8*20)
	}
	if _, err := Lock(t.Context(), filepath.Join(path, "below", "a", "file")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("no such folder: %v", err)
	}
}
