package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
)

// receipts takes over the receipts that came since the last run. The chain is followed
// from its beginning each time; where it is broken, what stands before counts.
func (x *indexer) receipts(ctx context.Context, p *place) error {
	log := receiptsOf(p)
	head, err := log.Last(ctx)
	broken := new(receipt.BrokenError)
	if err != nil && !errors.As(err, &broken) {
		return err
	}
	state, err := x.seen(ctx, p, "receipts")
	if err != nil {
		return err
	}
	var from int64
	if len(state) == 8 {
		from = int64(binary.BigEndian.Uint64(state))
	}
	if head.Seq == from && broken.Reason == "" {
		return nil
	}
	note := ""
	err = x.do(ctx, func(tx *sql.Tx) error {
		t := &taking{ctx: ctx, tx: tx, x: x, place: p}
		last := from
		for line, err := range log.Lines(ctx) {
			if errors.As(err, &broken) {
				note = fmt.Sprintf("%s: its receipts are broken at %s; what stands before that counts", p.name, broken)
				break
			}
			if err != nil {
				return err
			}
			if line.Seq <= from {
				continue
			}
			if err := t.line(line); err != nil {
				return err
			}
			if _, ok := line.Body.(*receipt.Commits); !ok && len(t.commits) == 0 {
				last = line.Seq
			}
		}
		if last == from {
			return nil
		}
		return x.saw(ctx, tx, p, "receipts", binary.BigEndian.AppendUint64(nil, uint64(last)))
	})
	if note != "" {
		x.note("%s", note)
	}
	return err
}

// A taking is receipts on their way into the index, unit by unit.
type taking struct {
	ctx     context.Context
	tx      *sql.Tx
	x       *indexer
	place   *place
	commits []*receipt.Commits
	refs    []receipt.Ref
}

func (t *taking) line(l receipt.Line) error {
	switch body := l.Body.(type) {
	case *receipt.Commits:
		t.commits = append(t.commits, body)
	case *receipt.Refs:
		t.refs = append(t.refs, body.Refs...)
	case *receipt.Decision:
		err := t.decision(l, body)
		t.commits, t.refs = nil, nil
		return err
	case *receipt.Outcome:
		err := t.outcome(body)
		t.refs = nil
		return err
	}
	return nil
}

func (t *taking) decision(l receipt.Line, d *receipt.Decision) error {
	var id int64
	if err := lastID(t.ctx, t.tx, "decision", &id); err != nil {
		return err
	}
	id++
	pusher := ""
	if d.Pusher != nil {
		pusher = d.Pusher.Name
	}
	if _, err := t.tx.ExecContext(t.ctx, `INSERT INTO decision (id, repo, run, seq, hash, time, verdict, policy, pusher, override, commits)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, t.place.id, t.x.run, l.Seq, l.Hash.String(), d.Time.Unix(), d.Verdict, d.Policy,
		text(pusher), text(d.Override), d.Commits); err != nil {
		return err
	}
	refs := store.Into(t.ctx, t.tx, "decided_ref", "decision", "n", "ref", "old", "new", "mode", "verdict")
	for n, r := range append(t.refs, d.Refs...) {
		refs.Row(id, n, text4k(r.Name), raw(r.Old), raw(r.New), r.Mode, r.Verdict)
	}
	rulings := store.Into(t.ctx, t.tx, "ruling", "oid", "decision", "ref", "verdict", "evidence", "binding", "rules")
	type key struct {
		id  change.ID
		ref string
	}
	seen := map[key]bool{}
	for _, c := range t.commits {
		for _, commit := range c.IDs {
			if k := (key{commit, c.Ref}); !seen[k] {
				seen[k] = true
				rulings.Row(raw(commit), id, text4k(c.Ref), c.Verdict, c.Evidence, c.Binding, strings.Join(c.Rules, ","))
			}
		}
	}
	return errors.Join(refs.Flush(), rulings.Flush())
}

// outcome tells which updates of a decision happened.
func (t *taking) outcome(o *receipt.Outcome) error {
	var id int64
	err := t.tx.QueryRowContext(t.ctx, "SELECT id FROM decision WHERE repo = ? AND seq = ?", t.place.id, o.Decision).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) { // of a push that nobody decided about
		return nil
	}
	if err != nil {
		return err
	}
	if o.All {
		_, err := t.tx.ExecContext(t.ctx, "INSERT INTO outcome (decision, n, run, time, ref) SELECT decision, n, ?, ?, ref FROM decided_ref WHERE decision = ?",
			t.x.run, o.Time.Unix(), id)
		return err
	}
	rows := store.Into(t.ctx, t.tx, "outcome", "decision", "n", "run", "time", "ref")
	for n, r := range append(t.refs, o.Refs...) {
		rows.Row(id, n, t.x.run, o.Time.Unix(), text4k(r.Name))
	}
	return rows.Flush()
}

// seen is how far a source was read, nil when it never was.
func (x *indexer) seen(ctx context.Context, p *place, source string) (state []byte, err error) {
	err = x.store.QueryRowContext(ctx, "SELECT state FROM seen WHERE repo = ? AND source = ? ORDER BY run DESC LIMIT 1", p.id, source).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return state, err
}

func (x *indexer) saw(ctx context.Context, tx *sql.Tx, p *place, source string, state []byte) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO seen (repo, source, run, state) VALUES (?, ?, ?, ?)", p.id, source, x.run, state)
	return err
}

// receiptTimes finds when the server first received commits that it let in; nil when it
// keeps no receipts.
func (x *indexer) receiptTimes(ctx context.Context, p *place) (func(ids []change.ID) (map[change.ID]time.Time, error), error) {
	var one int
	err := x.store.QueryRowContext(ctx, "SELECT 1 FROM decision WHERE repo = ? LIMIT 1", p.id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ids []change.ID) (map[change.ID]time.Time, error) {
		find, err := x.store.PrepareContext(ctx, `SELECT min(d.time) FROM ruling r JOIN decision d ON d.id = r.decision
			WHERE r.oid = ? AND d.repo = ? AND EXISTS (SELECT 1 FROM outcome o WHERE o.decision = d.id)`)
		if err != nil {
			return nil, err
		}
		defer find.Close()
		times := map[change.ID]time.Time{}
		for _, id := range ids {
			var at sql.NullInt64
			if err := find.QueryRowContext(ctx, raw(id), p.id).Scan(&at); err != nil {
				return nil, err
			}
			if at.Valid {
				times[id] = time.Unix(at.Int64, 0).UTC()
			}
		}
		return times, nil
	}, nil
}
