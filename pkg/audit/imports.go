package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// noteRefs are where other recorders keep notes about commits.
var noteRefs = []struct {
	ref, source string
	read        func(note []byte) ([]told, error)
}{
	{"refs/notes/ai", FromGitAI, gitAINote},
	{"refs/notes/ai-attribution", FromQwen, qwenNote},
}

// tracesFile is where the reference hook of Agent Trace keeps its records.
const tracesFile = ".agent-trace/traces.jsonl"

// imports takes over what other recorders said since the last run, and finds the commits
// that are to be judged anew for it.
func (x *indexer) imports(ctx context.Context, p *place) error {
	for _, n := range noteRefs {
		if err := x.notes(ctx, p, n.ref, n.source, n.read); err != nil {
			return fmt.Errorf("%s: %w", n.ref, err)
		}
	}
	if err := x.traces(ctx, p); err != nil {
		return fmt.Errorf("%s: %w", tracesFile, err)
	}
	return x.records(ctx, p)
}

// notes reads the notes that differ from those of the last run.
func (x *indexer) notes(ctx context.Context, p *place, ref, source string, read func([]byte) ([]told, error)) error {
	state, err := x.seen(ctx, p, ref)
	if err != nil {
		return err
	}
	old, now := change.ID(state), p.others[ref]
	if old == now {
		return nil
	}
	if there, err := p.reader.Present(ctx, slices.DeleteFunc([]change.ID{old}, func(id change.ID) bool { return id == "" })); err != nil {
		return err
	} else if len(there) == 0 {
		old = "" // notes of long ago are read again, and come to the same
	}
	type note struct{ commit, blob change.ID }
	var some []note
	bad := 0
	flush := func() error {
		err := x.do(ctx, func(tx *sql.Tx) error {
			for _, n := range some {
				list, err := x.readNote(ctx, p, n.blob, read)
				if err != nil {
					bad++
				}
				if err := x.tell(ctx, tx, p, n.commit, source, list); err != nil {
					return err
				}
				p.anew = append(p.anew, n.commit)
			}
			return nil
		})
		some = some[:0]
		return err
	}
	err = p.Differ(ctx, old, now, func(path string, blob change.ID) error {
		commit, err := change.ParseID(strings.ReplaceAll(path, "/", "")) // git fans notes out into folders
		if err != nil || len(commit) != p.IDSize {
			return nil
		}
		if some = append(some, note{commit, blob}); len(some) < batchCommits {
			return nil
		}
		return flush()
	})
	if err = errors.Join(err, flush()); err != nil {
		return err
	}
	if bad > 0 {
		x.note("%s: %d notes in %s could not be read", p.name, bad, ref)
	}
	p.read = append(p.read, reading{ref, raw(now)})
	return nil
}

func (x *indexer) readNote(ctx context.Context, p *place, blob change.ID, read func([]byte) ([]told, error)) ([]told, error) {
	if blob == "" {
		return nil, nil
	}
	kind, size, data, err := p.reader.Read(ctx, blob, maxNote)
	switch {
	case err != nil:
		return nil, err
	case kind != "blob" || data == nil && size > 0:
		return nil, fmt.Errorf("a %s of %d bytes is no note", kind, size)
	}
	return read(data)
}

// tell writes down what a source says of a commit, where that is new.
func (x *indexer) tell(ctx context.Context, tx *sql.Tx, p *place, commit change.ID, source string, list []told) error {
	claims, err := json.Marshal(list)
	if err != nil {
		return err
	}
	var last []byte
	err = tx.QueryRowContext(ctx, "SELECT claims FROM told WHERE repo = ? AND oid = ? AND source = ? ORDER BY run DESC LIMIT 1", p.id, raw(commit), source).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		last, err = []byte("null"), nil
	}
	if err != nil || string(last) == string(claims) {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO told (repo, oid, source, run, claims) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		p.id, raw(commit), source, x.run, claims)
	return err
}

// traces reads the records of Agent Trace in the tree of the default branch.
func (x *indexer) traces(ctx context.Context, p *place) error {
	tip := p.tips[0].commit
	if p.same || tip == "" {
		return nil
	}
	objects, err := p.Batch(ctx)
	if err != nil {
		return err
	}
	defer objects.Close()
	data, blob, err := repo.FileAt(objects, tip, tracesFile, maxTrace)
	if err != nil {
		return err
	}
	state, err := x.seen(ctx, p, tracesFile)
	if err != nil || change.ID(state) == blob {
		return err
	}
	about, bad := agentTraces(data)
	if bad > 0 {
		x.note("%s: %d lines of %s are no records", p.name, bad, tracesFile)
	}
	return x.do(ctx, func(tx *sql.Tx) error {
		for id, list := range about {
			if err := x.tell(ctx, tx, p, id, FromAgentTrace, bounded(list)); err != nil {
				return err
			}
		}
		children, err := childrenOf(ctx, tx, p.id, about)
		if err != nil {
			return err
		}
		p.anew = append(p.anew, children...)
		p.read = append(p.read, reading{tracesFile, raw(blob)})
		return nil
	})
}

// childrenOf lists the commits with one parent, that being one of some.
func childrenOf(ctx context.Context, tx *sql.Tx, repo int64, parents map[change.ID][]told) (ids []change.ID, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT oid, parents FROM commits WHERE repo = ? AND length(parents) = length(oid)", repo)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var oid, parent []byte
		if err := rows.Scan(&oid, &parent); err != nil {
			return nil, err
		}
		if _, ok := parents[change.ID(parent)]; ok {
			ids = append(ids, change.ID(oid))
		}
	}
	return ids, rows.Err()
}

// records has all commits judged anew that nobody attested, when records came that stand
// beside commits: which of them these are about, only the change of each can tell.
func (x *indexer) records(ctx context.Context, p *place) error {
	sum := sha256.New()
	any := false
	for _, t := range p.recordRefs {
		fmt.Fprintf(sum, "%s %s\n", t.ref, t.id)
		any = true
	}
	state, err := x.seen(ctx, p, record.Prefix)
	if err != nil || string(state) == string(sum.Sum(nil)) || state == nil && !any {
		return err
	}
	rows, err := x.store.QueryContext(ctx, `SELECT c.oid FROM commits c JOIN judgement j ON j.commit_id = c.id
		WHERE c.repo = ? AND length(c.parents) <= ? AND j.evidence NOT IN ('attested', 'none-observed') AND j.id NOT IN (SELECT judgement FROM superseded)`, p.id, p.IDSize)
	if err != nil {
		return err
	}
	for rows.Next() {
		var oid []byte
		if err := rows.Scan(&oid); err != nil {
			rows.Close()
			return err
		}
		p.anew = append(p.anew, change.ID(oid))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	p.read = append(p.read, reading{record.Prefix, sum.Sum(nil)})
	return nil
}

// foreign looks up what other recorders said of commits; nil where none ever said anything.
func (x *indexer) foreign(ctx context.Context, p *place) (func(*Commit) ([]Claim, error), error) {
	var one int
	err := x.store.QueryRowContext(ctx, "SELECT 1 FROM told WHERE repo = ? LIMIT 1", p.id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(c *Commit) (claims []Claim, err error) {
		for _, source := range []string{FromGitAI, FromQwen} {
			list, err := x.toldOf(ctx, p, c.ID, source)
			if err != nil {
				return nil, err
			}
			for _, t := range list {
				claims = append(claims, t.claim(source))
			}
		}
		if len(c.Parents) != 1 {
			return claims, nil
		}
		list, err := x.toldOf(ctx, p, c.Parents[0], FromAgentTrace)
		for _, t := range list {
			if slices.ContainsFunc(c.Touches, func(touch repo.Touch) bool { return slices.Contains(t.Files, touch.Path) }) {
				claims = append(claims, t.claim(FromAgentTrace))
			}
		}
		return claims, err
	}, nil
}

func (x *indexer) toldOf(ctx context.Context, p *place, id change.ID, source string) (list []told, err error) {
	var claims []byte
	err = x.store.QueryRowContext(ctx, "SELECT claims FROM told WHERE repo = ? AND oid = ? AND source = ? ORDER BY run DESC LIMIT 1", p.id, raw(id), source).Scan(&claims)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(claims, &list)
	}
	return list, err
}

// A reading is how far a source was read. It is written down only when all that follows
// from it is in the index, so that a killed run leaves nothing out.
type reading struct {
	source string
	state  []byte
}

// again judges commits anew that were indexed before, and keeps what came out otherwise.
func (x *indexer) again(ctx context.Context, p *place) error {
	if err := x.anew(ctx, p); err != nil || len(p.read) == 0 {
		return err
	}
	return x.do(ctx, func(tx *sql.Tx) error {
		for _, r := range p.read {
			if err := x.saw(ctx, tx, p, r.source, r.state); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *indexer) anew(ctx context.Context, p *place) error {
	if len(p.anew) == 0 {
		return nil
	}
	slices.Sort(p.anew)
	ids, err := p.reader.Present(ctx, slices.Compact(p.anew))
	if err != nil {
		return err
	}
	if ids, err = x.before(ctx, p, ids); err != nil || len(ids) == 0 {
		return err
	}
	j, err := x.judge(ctx, p)
	if err != nil {
		return err
	}
	return pipeline(ctx, x.slots, x.batch(), p.Listed(ctx, ids, maxCommit), j, func(b *batch) error {
		return x.do(ctx, func(tx *sql.Tx) error { return x.rejudge(ctx, tx, p, b.commits) })
	})
}

// before are those of commits that an earlier run indexed: those of this one know already.
func (x *indexer) before(ctx context.Context, p *place, ids []change.ID) (known []change.ID, err error) {
	find, err := x.store.PrepareContext(ctx, "SELECT 1 FROM commits WHERE oid = ? AND repo = ? AND run < ?")
	if err != nil {
		return nil, err
	}
	defer find.Close()
	for _, id := range ids {
		var one int
		err := find.QueryRowContext(ctx, raw(id), p.id, x.run).Scan(&one)
		if err == nil {
			known = append(known, id)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	return known, nil
}

func (x *indexer) rejudge(ctx context.Context, tx *sql.Tx, p *place, commits []Commit) error {
	if err := x.words.begin(ctx, tx, p); err != nil {
		return err
	}
	r, s := newRows(ctx, tx), &strip{}
	superseded := store.Into(ctx, tx, "superseded", "judgement", "run")
	for i := range commits {
		c := &commits[i]
		id, present, err := presentNow(ctx, tx, p.id, c.ID)
		if err != nil {
			return err
		}
		judgement, same, err := x.unchanged(ctx, tx, id, &c.Judgement)
		if err != nil {
			return err
		}
		if same {
			continue
		}
		e, err := x.entry(ctx, tx, p, id)
		if err != nil {
			return err
		}
		superseded.Row(judgement, x.run)
		uses, err := x.judgement(ctx, tx, r, id, &c.Judgement)
		if err != nil {
			return err
		}
		x.summary.Judged++
		if !present {
			continue
		}
		back := e
		back.Back = true
		s.add(back)
		e.Evidence, e.Class, e.Uses = c.Evidence, c.Class, uses
		s.add(e)
	}
	return errors.Join(superseded.Flush(), r.flush(), x.writeStrip(ctx, tx, p.id, s))
}

// unchanged finds the judgement of a commit that counts, and whether it says the same.
func (x *indexer) unchanged(ctx context.Context, tx *sql.Tx, commit int64, now *Judgement) (id int64, same bool, err error) {
	var was Judgement
	if err := tx.QueryRowContext(ctx, `SELECT id, evidence, class, binding, none, beside, trace, problem FROM judgement
		WHERE commit_id = ? AND id NOT IN (SELECT judgement FROM superseded)`, commit).
		Scan(&id, &was.Evidence, &was.Class, &was.Binding, &was.None, &was.Beside, &was.Trace, &was.Problem); err != nil {
		return 0, false, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT use, session, coalesce(ai, -1), coalesce(total, -1) FROM claim WHERE judgement = ? ORDER BY n", id)
	if err != nil {
		return id, false, err
	}
	defer rows.Close()
	type claim struct {
		use       int64
		session   string
		ai, total int
	}
	var before, after []claim
	for rows.Next() {
		var c claim
		if err := rows.Scan(&c.use, &c.session, &c.ai, &c.total); err != nil {
			return id, false, err
		}
		before = append(before, c)
	}
	if err := rows.Err(); err != nil {
		return id, false, err
	}
	for _, c := range now.Claims {
		use, err := x.words.use(ctx, tx, c.Use)
		if err != nil {
			return id, false, err
		}
		after = append(after, claim{use, text(c.Session), orUnknown(c.AI), orUnknown(c.Total)})
	}
	same = slices.Equal(before, after) && was.Evidence == now.Evidence && was.Class == now.Class && was.Binding == now.Binding &&
		was.None == now.None && was.Beside == now.Beside && was.Trace == now.Trace && was.Problem == now.Problem
	return id, same, nil
}

func orUnknown(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}
