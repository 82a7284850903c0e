package audit

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// presence finds the commits that refs let go of, by a forced update or a deletion, and
// those that came back. They stay in the index, and stop counting.
func (x *indexer) presence(ctx context.Context, p *place) error {
	if p.same {
		return nil
	}
	now := commitsOf(p.tips)
	if !p.lost {
		return x.returned(ctx, p, now)
	}
	reach := p.Reached(ctx, p.heads, now)
	if p.again { // what git no longer has, only the index can tell of
		reach = x.unreached(ctx, p, now)
	}
	if err := x.mark(ctx, p, reach, false); err != nil {
		return err
	}
	return x.returned(ctx, p, now)
}

// returned finds commits that had gone, and that refs reach again.
func (x *indexer) returned(ctx context.Context, p *place, now []change.ID) error {
	var gone bool
	if err := x.store.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM presence p CROSS JOIN commits c ON c.id = p.commit_id WHERE c.repo = ? AND present = 0)`, p.id).Scan(&gone); err != nil || !gone {
		return err
	}
	there, err := p.reader.Present(ctx, commitsOf(p.before))
	if err != nil {
		return err
	}
	return x.mark(ctx, p, p.Reached(ctx, now, there), true)
}

// unreached yields the commits of the index that no ref reaches now.
func (x *indexer) unreached(ctx context.Context, p *place, now []change.ID) iter.Seq2[change.ID, error] {
	return func(yield func(change.ID, error) bool) {
		reached := map[change.ID]bool{}
		for id, err := range p.Reached(ctx, now, nil) {
			if err != nil {
				yield("", err)
				return
			}
			reached[id] = true
		}
		rows, err := x.store.QueryContext(ctx, "SELECT oid FROM commits WHERE repo = ?", p.id)
		if err != nil {
			yield("", err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var oid []byte
			if err := rows.Scan(&oid); err != nil {
				yield("", err)
				return
			}
			if !reached[change.ID(oid)] && !yield(change.ID(oid), nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield("", err)
		}
	}
}

// mark writes down that commits are there, or not, where that is new.
func (x *indexer) mark(ctx context.Context, p *place, commits iter.Seq2[change.ID, error], present bool) error {
	var some []change.ID
	for id, err := range commits {
		if err != nil {
			return err
		}
		if some = append(some, id); len(some) == batchCommits {
			if err := x.markSome(ctx, p, some, present); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	return x.markSome(ctx, p, some, present)
}

func (x *indexer) markSome(ctx context.Context, p *place, commits []change.ID, present bool) error {
	if len(commits) == 0 {
		return nil
	}
	return x.do(ctx, func(tx *sql.Tx) error {
		if err := x.words.begin(ctx, tx, p); err != nil {
			return err
		}
		rows := store.Into(ctx, tx, "presence", "commit_id", "run", "present")
		s := &strip{}
		for _, oid := range commits {
			id, was, err := presentNow(ctx, tx, p.id, oid)
			if err != nil {
				return err
			}
			if id == 0 || was == present {
				continue
			}
			e, err := x.entry(ctx, tx, p, id)
			if err != nil {
				return err
			}
			e.Back = !present
			s.add(e)
			rows.Row(id, x.run, present)
			if !present {
				x.summary.Left++
			}
		}
		return errors.Join(rows.Flush(), x.writeStrip(ctx, tx, p.id, s))
	})
}

// presentNow finds a commit, 0 when the index does not have it, and whether it is there.
func presentNow(ctx context.Context, tx *sql.Tx, repo int64, oid change.ID) (id int64, present bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id, coalesce((SELECT present FROM presence WHERE commit_id = c.id ORDER BY run DESC LIMIT 1), 1)
		FROM commits c WHERE oid = ? AND repo = ?`, raw(oid), repo).Scan(&id, &present)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, present, err
}

// entry makes the entry in the ledger anew of what the index knows of a commit.
func (x *indexer) entry(ctx context.Context, tx *sql.Tx, p *place, id int64) (e Entry, err error) {
	e.Commit = id
	var parents []byte
	var size int
	var received, added sql.NullInt64
	var judgement int64
	err = tx.QueryRowContext(ctx, `SELECT c.repo, length(c.oid), c.parents, c.author, c.committed, c.received, c.own, c.added, j.id, j.evidence, j.class
		FROM commits c JOIN judgement j ON j.commit_id = c.id WHERE c.id = ? AND j.id NOT IN (SELECT judgement FROM superseded)`, id).
		Scan(&e.Repo, &size, &parents, &e.Author, &e.Committed, &received, &e.Own, &added, &judgement, &e.Evidence, &e.Class)
	if err != nil {
		return e, err
	}
	e.Merge, e.At, e.Added = len(parents) > size, e.Committed, -1
	if received.Valid {
		e.At = received.Int64
	}
	if added.Valid {
		e.Added = int(added.Int64)
	}
	if e.Uses, err = usesOf(ctx, tx, judgement); err != nil {
		return e, err
	}
	e.Places, err = x.placesOf(ctx, tx, p, id)
	return e, err
}

func usesOf(ctx context.Context, tx *sql.Tx, judgement int64) (uses []EntryUse, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT use, coalesce(ai, -1) FROM claim WHERE judgement = ? ORDER BY n", judgement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var u EntryUse
		if err := rows.Scan(&u.Use, &u.AI); err != nil {
			return nil, err
		}
		uses = append(uses, u)
	}
	return uses, rows.Err()
}

func (x *indexer) placesOf(ctx context.Context, tx *sql.Tx, p *place, commit int64) ([]EntryPlace, error) {
	rows, err := tx.QueryContext(ctx, "SELECT p.name, coalesce(t.added, 0) FROM touch t JOIN path p ON p.id = t.path WHERE t.commit_id = ? ORDER BY p.name", commit)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	var names []string
	for rows.Next() {
		var path string
		var added int
		if err := rows.Scan(&path, &added); err != nil {
			rows.Close()
			return nil, err
		}
		folder := folderOf(path, placeDepth)
		if _, ok := at[folder]; !ok {
			names = append(names, folder)
		}
		at[folder] += added
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	var places []EntryPlace
	for _, name := range names {
		id, err := x.words.folder(ctx, tx, p, name)
		if err != nil {
			return nil, err
		}
		places = append(places, EntryPlace{Place: id, Added: at[name]})
	}
	return places, nil
}
