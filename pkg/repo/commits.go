package repo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Commits yields each commit that is reachable from include and not from exclude,
// parents before children. Both may hold tags of commits; all of them must exist.
//
// A commit larger than limit bytes is marked TooLarge and its content passed over.
// The Data of the others is the caller's only until the next one. Memory does not
// grow with the number of commits. An error is the last thing yielded, and says
// that there may be more commits than were seen; it wraps change.ErrMissing when
// the history has a hole.
func (r *Repo) Commits(ctx context.Context, include, exclude []change.ID, limit int64) iter.Seq2[change.RawCommit, error] {
	return func(yield func(change.RawCommit, error) bool) {
		if len(include) == 0 {
			return
		}
		w, err := r.walk(ctx, include, exclude)
		if err != nil {
			yield(change.RawCommit{}, fmt.Errorf("list commits: %w", err))
			return
		}
		defer w.stop()
		for {
			c, err := w.next(limit)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(change.RawCommit{}, fmt.Errorf("list commits: %w", err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// A walk is `git rev-list | git cat-file --batch`: the ids go from one child to
// the other without passing through us.
type walk struct {
	list, cat *process
	out       *bufio.Reader
	buf       []byte
}

func (r *Repo) walk(ctx context.Context, include, exclude []change.ID) (*walk, error) {
	ids, toCat, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ids.Close() // the children have them once they are started
	defer toCat.Close()
	list := r.Command(ctx, "rev-list", "--topo-order", "--reverse", "--stdin")
	list.Stdin, list.Stdout = revisions(include, exclude), toCat
	w := &walk{list: &process{ctx: ctx, cmd: list, out: io.NopCloser(nil), errs: &notes{}}}
	list.Stderr = w.list.errs
	if err := list.Start(); err != nil {
		return nil, w.list.explain(err)
	}
	cat := r.Command(ctx, "cat-file", "--batch", "--buffer")
	cat.Stdin = ids
	if w.cat, err = start(ctx, cat, nil); err != nil {
		w.list.stop()
		return nil, err
	}
	w.out = bufio.NewReaderSize(w.cat.out, 128<<10)
	return w, nil
}

// revisions is the input of rev-list --stdin in the form that every git reads the
// same: options such as --not on stdin are refused before 2.42 and changed after.
func revisions(include, exclude []change.ID) io.Reader {
	var b bytes.Buffer
	for _, id := range include {
		b.WriteString(id.String() + "\n")
	}
	for _, id := range exclude {
		b.WriteString("^" + id.String() + "\n")
	}
	return &b
}

func (w *walk) next(limit int64) (change.RawCommit, error) {
	h, err := readHeader(w.out)
	if errors.Is(err, io.EOF) {
		// The end only when both say so: a list cut short looks the same here.
		return change.RawCommit{}, firstError(w.list.wait(), w.cat.wait(), io.EOF)
	}
	if err != nil {
		return change.RawCommit{}, w.why(err)
	}
	if h.missing {
		return change.RawCommit{}, fmt.Errorf("commit %s: %w", h.id, change.ErrMissing)
	}
	if h.objectType != "commit" {
		return change.RawCommit{}, fmt.Errorf("object %s is a %s, not a commit", h.id, h.objectType)
	}
	c := change.RawCommit{ID: h.id, Size: h.size}
	body := io.LimitedReader{R: w.out, N: h.size + 1} // and a line feed
	if h.size > limit {
		c.TooLarge = true
		return c, w.why(discard(&body))
	}
	if int64(cap(w.buf)) < h.size+1 {
		w.buf = make([]byte, h.size+1, 2*h.size+1)
	}
	w.buf = w.buf[:h.size+1]
	if _, err := io.ReadFull(w.out, w.buf); err != nil {
		return change.RawCommit{}, w.why(err)
	}
	c.Data = w.buf[:h.size:h.size]
	return c, nil
}

// why explains an error of the stream by how the children ended.
func (w *walk) why(err error) error {
	if err == nil {
		return nil
	}
	return firstError(w.cat.reason(), err, nil)
}

// firstError is cmp.Or for errors.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) stop() {
	w.list.stop()
	w.cat.stop()
}

// Count counts the commits that Commits would yield, and stops at most.
func (r *Repo) Count(ctx context.Context, include, exclude []change.ID, most int) (int, error) {
	if len(include) == 0 {
		return 0, nil
	}
	out, err := r.output(ctx, revisions(include, exclude), "rev-list", "--count", "--max-count="+strconv.Itoa(most), "--stdin")
	if err != nil {
		return 0, fmt.Errorf("count commits: %w", err)
	}
	return strconv.Atoi(out)
}
