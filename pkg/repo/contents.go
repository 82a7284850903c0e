package repo

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Contents reads trees and blobs through one `git cat-file --batch`. It lets git
// work ahead on what Prefetch names, and keeps what it read lately, so that a file
// which one commit leaves behind and another one changes is read once. It is for
// one goroutine.
//
// Whatever is asked for, it holds at most maxMemory, and reads at most maxKept of
// an object that nobody opened.
type Contents struct {
	begin func() (*Batch, error)
	batch *Batch
	asked []change.ID // not answered yet, in order
	kept  memory
}

const (
	// maxRequests bounds the requests in bytes that git has not answered yet, so
	// that writing them never blocks: git may be blocked itself, until its answers
	// are read. No pipe holds less (pipe(7)).
	maxRequests = 4096

	maxMemory = 6 << 20 // bytes of objects kept
	maxKept   = 1 << 20 // bytes of one of them; a larger one is read each time
)

// Contents starts the child, which lives until Close or until ctx is done.
func (r *Repo) Contents(ctx context.Context) (*Contents, error) {
	c := &Contents{begin: func() (*Batch, error) { return r.Batch(ctx) }, kept: memory{objects: map[change.ID]*list.Element{}}}
	if err := c.restart(); err != nil {
		return nil, err
	}
	return c, nil
}

// restart begins anew with a child that nothing was asked of.
func (c *Contents) restart() error {
	if c.batch != nil {
		_ = c.batch.Close()
	}
	c.asked = c.asked[:0]
	batch, err := c.begin()
	if err != nil {
		return err
	}
	c.batch = batch
	return nil
}

// Close ends the child.
func (c *Contents) Close() error { return c.batch.Close() }

// Prefetch has git begin on objects that will be opened soon. What does not fit
// into its queue is left out.
func (c *Contents) Prefetch(ids []change.ID) {
	first := len(c.asked)
	for _, id := range ids {
		if c.kept.get(id) != nil || slices.Contains(c.asked, id) {
			continue
		}
		if c.full(id) {
			break
		}
		c.asked = append(c.asked, id)
	}
	if first < len(c.asked) {
		_ = c.batch.ask(c.asked[first:]...) // the next Open says what is wrong
	}
}

// full reports whether one request more could block.
func (c *Contents) full(id change.ID) bool {
	return (len(c.asked)+1)*(2*len(id)+1) > maxRequests
}

// Open reads one object. The error wraps change.ErrMissing when it is not there.
func (c *Contents) Open(id change.ID) (change.Object, error) {
	if h := c.kept.get(id); h != nil {
		return h.open(), nil
	}
	if c.batch.unread() > maxKept {
		if err := c.restart(); err != nil {
			return change.Object{}, err
		}
	}
	for {
		place := slices.Index(c.asked, id)
		if place == 0 {
			return c.take()
		}
		err := error(nil)
		if place < 0 && !c.full(id) {
			c.asked = append(c.asked, id)
			err = c.batch.ask(id)
		} else {
			err = c.pass()
		}
		if err != nil {
			return change.Object{}, err
		}
	}
}

// take opens the object that was asked for first.
func (c *Contents) take() (change.Object, error) {
	id := c.asked[0]
	c.asked = slices.Delete(c.asked, 0, 1)
	o, err := c.batch.answer(id)
	if err != nil || o.Size > maxKept {
		return o, err
	}
	raw, err := c.batch.whole(o)
	if err != nil {
		return change.Object{}, err
	}
	h := &held{id: id, objectType: o.Type, raw: raw}
	c.kept.put(h)
	return h.open(), nil
}

// pass takes the oldest answer out of the way of another one. If it is too large to
// be kept, to begin anew costs less than to read it: git may have gigabytes to say.
func (c *Contents) pass() error {
	o, err := c.take()
	switch {
	case errors.Is(err, change.ErrMissing):
		return nil
	case err == nil && o.Size > maxKept:
		return c.restart()
	}
	return err
}

// Release lets go of objects first when memory is short.
func (c *Contents) Release(ids []change.ID) {
	for _, id := range ids {
		c.kept.release(id)
	}
}

// A memory holds objects until later ones need the room.
type memory struct {
	objects map[change.ID]*list.Element // of *held
	order   list.List                   // the first one goes first
	size    int
}

// A held is an object in memory, and the reader of it: one is open at a time.
// Nobody changes its bytes.
type held struct {
	id         change.ID
	objectType string
	raw        []byte
	bytes.Reader
}

// cost is what it counts for, with what is around its bytes.
func (h *held) cost() int { return len(h.raw) + 256 }

func (h *held) open() change.Object {
	h.Reset(h.raw)
	return change.Object{Type: h.objectType, Size: int64(len(h.raw)), ReadCloser: h}
}

// Whole is for package change, which need not copy it.
func (h *held) Whole() []byte { return h.raw }

func (h *held) Close() error { return nil }

func (m *memory) get(id change.ID) *held {
	if e, ok := m.objects[id]; ok {
		return e.Value.(*held)
	}
	return nil
}

func (m *memory) put(h *held) {
	m.objects[h.id] = m.order.PushBack(h)
	m.size += h.cost()
	for m.size > maxMemory {
		oldest := m.order.Remove(m.order.Front()).(*held)
		delete(m.objects, oldest.id)
		m.size -= oldest.cost()
	}
}

func (m *memory) release(id change.ID) {
	if e, ok := m.objects[id]; ok {
		m.order.MoveToFront(e)
	}
}
