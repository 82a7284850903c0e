package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// The ledger says what counts of each commit; the spans beside it say how commits hang
// together: who they are, whose children, and which of them repeat or name which others.
// A question that follows changes through a million commits reads them whole, in the time
// in which SQLite would fetch some ten thousand rows.

// A span is commits of one repository that were indexed at once. Their numbers are in a
// row.
type span struct {
	repo, first int64
	count       int
	idSize      int
	ids         []byte // of the commits, one after the other
	parents     []byte // of each: how many, and for each how far back its number is; 0 for one that is not indexed
	bonds       []byte // to others, see bond
}

// A bond joins two commits of the index.
type bond struct {
	kind     bondKind
	from, to int64
	loose    bool // sameShape: one of them is signed for no change digest

	signed int64  // of a loose bond, the one that is signed for a digest; 0 for none
	digest string // that one
}

type bondKind byte

// What joins commits. For sameChange and sameShape, from is the first of all that have
// the same, and to another: a star, so that there are never more bonds than commits.
const (
	sameChange bondKind = iota // signed for
	sameShape
	pickOf   // to says that it picks from
	revertOf // to says that it reverts from, which stands in the same repository
)

const (
	bondLoose = 4 // flag beside the kind
	bondAhead = 8 // the commit of the span is from, since to was indexed earlier

	bondFromSigned = 16 // a digest follows, of from
	bondToSigned   = 32 // or of to
)

func (s *span) add(b bond) {
	head, mine, other := byte(b.kind), b.to, b.from
	if b.loose {
		head |= bondLoose
	}
	if !s.has(mine) || s.has(other) && other > mine {
		head, mine, other = head|bondAhead, other, mine
	}
	switch b.signed {
	case 0:
	case b.from:
		head |= bondFromSigned
	case b.to:
		head |= bondToSigned
	}
	s.bonds = append(s.bonds, head)
	s.bonds = binary.AppendUvarint(s.bonds, uint64(mine-s.first))
	s.bonds = binary.AppendUvarint(s.bonds, uint64(mine-other))
	if b.signed != 0 {
		s.bonds = append(s.bonds, b.digest...)
	}
}

func (s *span) has(id int64) bool { return id >= s.first && id < s.first+int64(s.count) }

// eachBond visits the bonds.
func (s *span) eachBond(visit func(bond)) error {
	d := decoder{b: s.bonds}
	for len(d.b) > 0 && d.err == nil {
		head := d.byte()
		mine := s.first + int64(d.uvarint())
		other := mine - int64(d.uvarint())
		if d.err != nil || !s.has(mine) || other < 1 {
			return errStrip
		}
		b := bond{kind: bondKind(head & 3), from: other, to: mine, loose: head&bondLoose != 0}
		if head&bondAhead != 0 {
			b.from, b.to = mine, other
		}
		if head&(bondFromSigned|bondToSigned) != 0 {
			if len(d.b) < len(provenance.Digest{}) {
				return errStrip
			}
			if b.signed = b.to; head&bondFromSigned != 0 {
				b.signed = b.from
			}
			b.digest, d.b = string(d.b[:len(provenance.Digest{})]), d.b[len(provenance.Digest{}):]
		}
		visit(b)
	}
	return d.err
}

// appendTo adds the commits to a graph of those before them. Most have one parent, which
// is the commit before: they are a million, and the way is short for them.
func (s *span) appendTo(g *graph) error {
	d := decoder{b: s.parents}
	for i := range int64(s.count) {
		id := s.first + i
		g.start = append(g.start, int32(len(g.parents)))
		if len(d.b) > 1 && d.b[0] == 1 && d.b[1] == 1 {
			d.b = d.b[2:]
			g.parents = append(g.parents, int32(id-1))
			continue
		}
		for range d.uvarint() {
			back := int64(d.uvarint())
			if d.err != nil || back < 0 || back >= id {
				return errStrip
			}
			if back > 0 {
				g.parents = append(g.parents, int32(id-back))
			}
		}
		if d.err != nil {
			return d.err
		}
	}
	return nil
}

// spans reads those that the view knows, in the order of their commits, with one column:
// ids, parents or bonds. A span is valid during the call only.
func (v *View) spans(ctx context.Context, column string, visit func(*span) error) error {
	rows, err := v.Store.QueryContext(ctx, "SELECT first, repo, count, "+column+" FROM span WHERE run <= ? ORDER BY first", v.Run)
	if err != nil {
		return fmt.Errorf("read spans: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s span
		var blob sql.RawBytes
		if err := rows.Scan(&s.first, &s.repo, &s.count, &blob); err != nil {
			return fmt.Errorf("read spans: %w", err)
		}
		switch column {
		case "ids":
			if s.count < 1 || len(blob)%s.count != 0 {
				return errStrip
			}
			s.ids, s.idSize = blob, len(blob)/s.count
		case "parents":
			s.parents = blob
		case "bonds":
			s.bonds = blob
		}
		if err := visit(&s); err != nil {
			return fmt.Errorf("read spans: %w", err)
		}
	}
	return rows.Err()
}

// writeSpan writes the span of commits that a transaction has just added, which have the
// numbers from first on.
func (w *writing) writeSpan(ctx context.Context, tx *sql.Tx, first int64, commits []*Commit) error {
	if len(commits) == 0 {
		return nil
	}
	s := &span{repo: w.place.id, first: first, count: len(commits)}
	for _, c := range commits {
		s.ids = append(s.ids, c.ID...)
	}
	if err := s.addParents(ctx, tx, commits); err != nil {
		return err
	}
	bonds, err := s.find(ctx, tx, commits)
	if err != nil {
		return err
	}
	for _, b := range bonds {
		s.add(b)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO span (first, repo, run, count, ids, parents, bonds) VALUES (?, ?, ?, ?, ?, ?, ?)",
		s.first, s.repo, w.x.run, s.count, s.ids, append([]byte{}, s.parents...), append([]byte{}, s.bonds...))
	return err
}

func (s *span) addParents(ctx context.Context, tx *sql.Tx, commits []*Commit) error {
	known := map[change.ID]int64{}
	for i, c := range commits {
		known[c.ID] = s.first + int64(i)
	}
	var missing []string
	for _, c := range commits {
		for _, p := range c.Parents {
			if _, ok := known[p]; !ok {
				known[p] = 0
				missing = append(missing, p.String())
			}
		}
	}
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var oid []byte
		err := rows.Scan(&id, &oid)
		known[change.ID(oid)] = id
		return err
	}, "SELECT c.id, c.oid FROM json_each(?) s JOIN commits c ON c.oid = unhex(s.value) AND c.repo = ?", asJSON(missing), s.repo)
	for i, c := range commits {
		s.parents = binary.AppendUvarint(s.parents, uint64(len(c.Parents)))
		for _, p := range c.Parents {
			back := int64(0)
			if id := known[p]; id > 0 && id < s.first+int64(i) {
				back = s.first + int64(i) - id
			}
			s.parents = binary.AppendUvarint(s.parents, uint64(back))
		}
	}
	return err
}

// find asks the index what the commits of a span have in common with others. What touches
// nothing is like many others, and kin of none.
func (s *span) find(ctx context.Context, tx *sql.Tx, commits []*Commit) (bonds []bond, err error) {
	last := s.first + int64(s.count) - 1
	cites := [][]any{}
	for i, c := range commits {
		for n, t := range c.Cites {
			if !slices.Contains(c.Cites[:n], t) {
				cites = append(cites, []any{t.Kind, t.ID.String(), s.first + int64(i)})
			}
		}
	}
	changes := eachRow(ctx, tx, func(rows *sql.Rows) error {
		b := bond{kind: sameChange}
		err := rows.Scan(&b.from, &b.to)
		bonds = append(bonds, b)
		return err
	}, `SELECT b.id, c.id FROM commits c JOIN commits b ON b.id = (SELECT id FROM commits WHERE change = c.change ORDER BY id LIMIT 1)
		WHERE c.id BETWEEN ? AND ? AND c.change IS NOT NULL AND c.files > 0 AND b.id < c.id`, s.first, last)
	shapes := eachRow(ctx, tx, func(rows *sql.Rows) error {
		b := bond{kind: sameShape}
		err := rows.Scan(&b.from, &b.to, &b.loose, &b.signed, &b.digest)
		bonds = append(bonds, b)
		return err
	}, `SELECT b.id, c.id, b.change IS NULL OR c.change IS NULL, iif((b.change IS NULL) = (c.change IS NULL), 0, iif(b.change IS NULL, c.id, b.id)),
		iif((b.change IS NULL) = (c.change IS NULL), x'', coalesce(b.change, c.change)) FROM commits c JOIN commits b ON b.id = (SELECT id FROM commits WHERE shape = c.shape ORDER BY id LIMIT 1)
		WHERE c.id BETWEEN ? AND ? AND c.shape IS NOT NULL AND b.id < c.id`, s.first, last)
	named := func(rows *sql.Rows) error {
		var kind string
		var from, to, repo int64
		err := rows.Scan(&kind, &from, &to, &repo)
		switch {
		case kind == Picks && from != to:
			bonds = append(bonds, bond{kind: pickOf, from: from, to: to})
		case kind == Reverts && from != to && repo == s.repo:
			bonds = append(bonds, bond{kind: revertOf, from: from, to: to})
		}
		return err
	}
	back := eachRow(ctx, tx, named, `SELECT s.value->>0, c.id, s.value->>2, c.repo FROM json_each(?) s JOIN commits c ON c.oid = unhex(s.value->>1) WHERE c.id < ?`, asJSON(cites), s.first)
	ahead := eachRow(ctx, tx, named, `SELECT t.kind, c.id, t.commit_id, d.repo FROM commits c CROSS JOIN cite t ON t.oid = c.oid CROSS JOIN commits d ON d.id = t.commit_id
		WHERE c.id BETWEEN ? AND ?`, s.first, last)
	return bonds, errors.Join(changes, shapes, back, ahead)
}

// eachRow visits the rows of a query.
func eachRow(ctx context.Context, from interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, visit func(*sql.Rows) error, query string, args ...any) error {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// hexOf writes the ids of some commits of a span, in one piece of memory.
func (s *span) hexOf(ids []int64) []string {
	long := make([]byte, 0, 2*s.idSize*len(ids))
	for _, id := range ids {
		at := int(id-s.first) * s.idSize
		long = hex.AppendEncode(long, s.ids[at:at+s.idSize])
	}
	all, list := string(long), make([]string, len(ids))
	for i := range ids {
		list[i] = all[2*s.idSize*i : 2*s.idSize*(i+1)]
	}
	return list
}
