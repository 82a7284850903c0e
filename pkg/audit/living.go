package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Living says at which ref lines are to be looked for, and how a repository is opened.
type Living struct {
	Ref  string              // "HEAD" is the default branch of each repository
	At   map[int64]change.ID // by repository: commits to look at instead; nil for the ref
	Open func(ctx context.Context, place string) (*repo.Repo, error)
}

// A survivor is lines of a commit that live in a folder.
type survivor struct {
	folder string
	lines  int
}

// living finds the lines that live at a ref, by the commit that they came with. Each file
// is blamed once for a commit; what came of it stays in the index.
func (v *View) living(ctx context.Context, l Living, repos map[int64]bool) (map[int64][]survivor, error) {
	found := map[int64][]survivor{}
	for id, r := range v.Repositories {
		if repos != nil && !repos[id] {
			continue
		}
		tip, err := l.end(ctx, v, id)
		if err != nil {
			return nil, err
		}
		if tip == "" {
			continue
		}
		opened, err := l.Open(ctx, r.Place)
		if err != nil {
			return nil, fmt.Errorf("lines that live in %s: %w", r.Name, err)
		}
		if err := v.livingIn(ctx, opened, id, tip, found); err != nil {
			return nil, fmt.Errorf("lines that live in %s: %w", r.Name, err)
		}
	}
	return found, nil
}

// end is the commit to look at in a repository, "" for none.
func (l Living) end(ctx context.Context, v *View, repo int64) (change.ID, error) {
	if l.At != nil {
		return l.At[repo], nil
	}
	tips, err := v.Tips(ctx, repo)
	return tips[l.Ref], err
}

// livingIn adds the lines of one repository.
func (v *View) livingIn(ctx context.Context, r *repo.Repo, id int64, tip change.ID, found map[int64][]survivor) error {
	return v.blameAll(ctx, r, id, tip, func(path string, from map[change.ID]int) error { return v.survive(ctx, id, path, from, found) })
}

// blameAll blames the files of a commit, some at once. visit is called by one goroutine at
// a time, in no order.
func (v *View) blameAll(outer context.Context, r *repo.Repo, id int64, tip change.ID, visit func(path string, from map[change.ID]int) error) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	var mu sync.Mutex
	files := make(chan string)
	var pool sync.WaitGroup
	for range Readers() {
		pool.Go(func() {
			for path := range files {
				from, err := v.blame(ctx, r, id, tip, path)
				if err == nil {
					mu.Lock()
					err = visit(path, from)
					mu.Unlock()
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	err := r.LineCounts(ctx, tip, func(path string, _ int) error {
		select {
		case files <- path:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(files)
	pool.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// blame looks a file up in the index, or asks git.
func (v *View) blame(ctx context.Context, r *repo.Repo, id int64, tip change.ID, path string) (map[change.ID]int, error) {
	var lines []byte
	err := v.Store.QueryRowContext(ctx, "SELECT lines FROM blamed WHERE repo = ? AND oid = ? AND path = ?", id, raw(tip), text4k(path)).Scan(&lines)
	if err == nil {
		return readBlamed(lines, r.IDSize)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	from, err := r.Blame(ctx, tip, path)
	if err != nil {
		return nil, err
	}
	_, err = v.Store.ExecContext(ctx, "INSERT INTO blamed (repo, oid, path, lines) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", id, raw(tip), text4k(path), blamed(from))
	return from, err
}

// blamed writes lines by commit: id and count, in order of ids.
func blamed(from map[change.ID]int) []byte {
	ids := make([]change.ID, 0, len(from))
	for id := range from {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b := []byte{}
	for _, id := range ids {
		b = binary.AppendUvarint(append(b, id...), uint64(from[id]))
	}
	return b
}

func readBlamed(b []byte, size int) (map[change.ID]int, error) {
	from := map[change.ID]int{}
	for len(b) > 0 {
		if len(b) <= size {
			return nil, errStrip
		}
		n, used := binary.Uvarint(b[size:])
		if used <= 0 {
			return nil, errStrip
		}
		from[change.ID(b[:size])] = int(n)
		b = b[size+used:]
	}
	return from, nil
}

// survive notes the lines of a file with their commits.
func (v *View) survive(ctx context.Context, repo int64, path string, from map[change.ID]int, found map[int64][]survivor) error {
	for id, n := range from {
		var commit int64
		err := v.Store.QueryRowContext(ctx, "SELECT id FROM commits WHERE oid = ? AND repo = ?", raw(id), repo).Scan(&commit)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		folder := folderOf(path, placeDepth)
		list := found[commit]
		if i := slices.IndexFunc(list, func(s survivor) bool { return s.folder == folder }); i >= 0 {
			list[i].lines += n
			continue
		}
		found[commit] = append(list, survivor{folder, n})
	}
	return nil
}
