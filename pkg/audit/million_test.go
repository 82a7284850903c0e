package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
)

// million writes an index of a million commits in fifty repositories, without any
// repository: one in a thousand with the model rare, twenty with mid, two hundred with
// common. One in fifty changes the same as one some way before it, every other of these
// without being signed for it, and one in two hundred reverts one. GATEKEEPER_MILLION names
// a file in which the index is kept for the next time.
func million(b *testing.B) *store.Store {
	b.Helper()
	ctx := context.Background()
	file := os.Getenv("GATEKEEPER_MILLION")
	if file == "" {
		file = filepath.Join(b.TempDir(), "audit.db")
	}
	if s, err := store.Open(ctx, file); err == nil {
		b.Cleanup(func() { s.Close() })
		return s
	}
	s, err := store.Create(ctx, file)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	const repos, each = 50, 20000
	oid := func(id int64) []byte {
		return append(binary.BigEndian.AppendUint64(nil, uint64(id)*0x9e3779b97f4a7c15), make([]byte, 12)...)
	}
	err = s.Do(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{"INSERT INTO run VALUES (1, 0, 'test')", "INSERT INTO run_end VALUES (1, 1, 0)", "INSERT INTO person VALUES (1, 'A', 'a@example.com')",
			"INSERT INTO use VALUES (1, 'record', 'tool', '1', 'p', 'rare', 'hook'), (2, 'record', 'tool', '1', 'p', 'mid', 'hook'), (3, 'record', 'tool', '1', 'p', 'common', 'hook')"} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		commits := store.Into(ctx, tx, "commits", "id", "repo", "run", "oid", "parents", "author", "committer", "authored", "committed", "own", "files", "added", "deleted", "shape", "change")
		judgements := store.Into(ctx, tx, "judgement", "id", "commit_id", "run", "evidence", "class", "binding", "none", "beside", "trace", "problem")
		claims := store.Into(ctx, tx, "claim", "judgement", "n", "use", "session", "ai", "total")
		cites := store.Into(ctx, tx, "cite", "commit_id", "run", "kind", "oid")
		strips := store.Into(ctx, tx, "strip", "repo", "run", "entries", "backs", "facts", "places")
		touches := store.Into(ctx, tx, "touch", "commit_id", "path", "added", "deleted")
		digests := store.Into(ctx, tx, "digest", "commit_id", "run", "change")
		inverses := store.Into(ctx, tx, "inverse", "commit_id", "run", "change")
		paths := store.Into(ctx, tx, "path", "id", "repo", "name")
		spans := store.Into(ctx, tx, "span", "first", "repo", "run", "count", "ids", "parents", "bonds")
		tips := store.Into(ctx, tx, "tip", "repo", "ref", "run", "oid", "commit_oid", "target")
		id := int64(0)
		for repo := range int64(repos) {
			if _, err := tx.ExecContext(ctx, "INSERT INTO repository VALUES (?, 1, ?, ?, 20)", repo+1, fmt.Sprint("r", repo), fmt.Sprint("/r", repo)); err != nil {
				return err
			}
			ledger, together := strip{}, span{first: id + 1, repo: repo + 1, count: 5000}
			for n := range each {
				id++
				e := Entry{Commit: id, Repo: repo + 1, Author: 1, Committed: id, At: id, Evidence: Unknown, Own: true, Added: 10}
				use := int64(0)
				switch {
				case n%1000 == 0:
					use = 1
				case n%50 == 1:
					use = 2
				case n%5 == 2:
					use = 3
				}
				var change any
				shape := id
				if n%50 == 49 && n > 200 {
					shape = id - 150 + int64(n%3)
				}
				whole := binary.BigEndian.AppendUint64(make([]byte, 24), uint64(shape))
				if use > 0 || n%100 == 99 {
					change = whole
				}
				if leader := shape - id + int64(n); shape != id && n%3 != 0 {
					joined := bond{kind: sameShape, from: shape, to: id}
					signed := leader%1000 == 0 || leader%50 == 1
					if joined.loose = change == nil || !signed; joined.loose && change == nil && signed {
						joined.signed, joined.digest = shape, string(whole)
					} else if joined.loose && change != nil {
						joined.signed, joined.digest = id, string(whole)
					}
					together.add(joined)
					if change == nil {
						digests.Row(id, 1, whole)
					} else if leader%1000 == 0 || leader%50 == 1 {
						together.add(bond{kind: sameChange, from: shape, to: id})
					}
				}
				if use > 0 {
					e.Evidence, e.Class, e.Uses = Attested, "developer", []EntryUse{{use, 5}}
					claims.Row(id, 0, use, "", 5, 10)
				}
				if n%200 == 199 {
					reverted := id - 100 - int64(n%7)
					cites.Row(id, 1, Reverts, oid(reverted))
					inverses.Row(id, 1, binary.BigEndian.AppendUint64(make([]byte, 24), uint64(reverted)))
					together.add(bond{kind: revertOf, from: reverted, to: id})
				}
				touches.Row(id, repo*1000+int64(n%397), 5, 0)
				touches.Row(id, repo*1000+500+int64(n%211), 5, 0)
				together.ids = append(together.ids, oid(id)...)
				together.parents = append(together.parents, byte(min(n, 1)))
				if n > 0 {
					together.parents = append(together.parents, 1)
				}
				parents := []byte{}
				if n > 0 {
					parents = oid(id - 1)
				}
				commits.Row(id, repo+1, 1, oid(id), parents, 1, 1, id, id, 1, 1, 10, 0, shape, change)
				judgements.Row(id, id, 1, e.Evidence, e.Class, "", "", 0, "", "")
				ledger.add(e)
				if ledger.entries == 5000 {
					strips.Row(repo+1, 1, ledger.entries, 0, ledger.facts, ledger.places)
					spans.Row(together.first, repo+1, 1, together.count, together.ids, together.parents, together.bonds)
					ledger, together = strip{}, span{first: id + 1, repo: repo + 1, count: 5000}
				}
			}
			for n := range int64(1000) {
				paths.Row(repo*1000+n, repo+1, fmt.Sprintf("src/part%d/file%d.go", n%20, n))
			}
			tips.Row(repo+1, "refs/heads/main", 1, oid(id), oid(id), "")
			tips.Row(repo+1, "refs/heads/rel", 1, oid(id-3), oid(id-3), "")
		}
		for _, i := range []*store.Insert{commits, judgements, claims, cites, strips, tips, touches, digests, inverses, spans, paths} {
			if err := i.Flush(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkTimetravel asks the whole question, from opening the view on.
func BenchmarkTimetravel(b *testing.B) {
	s := million(b)
	for _, model := range []string{"rare", "mid", "common"} {
		for _, refs := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/refs=%v", model, refs), func(b *testing.B) {
				best := time.Hour // on a machine that does other things, too
				for b.Loop() {
					began := time.Now()
					v, err := See(context.Background(), s, nil)
					if err != nil {
						b.Fatal(err)
					}
					t, err := v.Timetravel(context.Background(), Quest{Model: model, Refs: refs})
					if err != nil || t.Bounds.Least < 900 {
						b.Fatal(err, t.Bounds)
					}
					best = min(best, time.Since(began))
					b.ReportMetric(float64(t.Bounds.Least), "commits")
				}
				b.ReportMetric(float64(best.Milliseconds()), "best-ms")
			})
		}
	}
}
