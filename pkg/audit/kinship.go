package audit

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A kinship is some commits with all that their changes went on to.
type kinship struct {
	view    *View
	seeker  *seeker
	members map[int64]*member
	opened  map[int64]*opened
	open    map[string]bool
}

// A member carries what is looked for, or reverts, or has the shape of one that does.
type member struct {
	Entry
	oid     change.ID
	parents int // how many
	files   int
	shape   int64  // 0 for none
	digest  []byte // of its change, nil when nobody computed it

	how      string         // "" for one that does not carry it
	of       map[int64]bool // where it has it from
	reverts  map[int64]bool // members that it says it takes back
	undoneBy map[int64]bool // members that take it back: whether all of it
}

// complete goes from the commits of record to their kin until nothing is added.
func (k *kinship) complete(ctx context.Context) error {
	fresh, err := k.begin(ctx)
	if err != nil {
		return err
	}
	for len(fresh) > 0 {
		var next []int64
		for _, step := range []func(context.Context, []int64) ([]int64, error){k.same, k.cited, k.squashed} {
			found, err := step(ctx, fresh)
			if err != nil {
				return err
			}
			next = append(next, found...)
		}
		fresh = next
	}
	return nil
}

// begin makes members of the commits of record. The ledger has told most of them already.
func (k *kinship) begin(ctx context.Context) (ids []int64, err error) {
	all := make([]member, len(k.seeker.record))
	for i, e := range k.seeker.record {
		all[i] = member{Entry: e, how: OfRecord}
		k.members[e.Commit] = &all[i]
		ids = append(ids, e.Commit)
	}
	return ids, inBatches(ids, func(part []int64) error {
		rows, err := k.view.Store.QueryContext(ctx, `SELECT c.id, c.oid, length(c.parents), c.files, coalesce(c.shape, 0), coalesce(c.change, (SELECT change FROM digest WHERE commit_id = c.id))
			FROM json_each(?) s JOIN commits c ON c.id = s.value`, asJSON(part))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var oid sql.RawBytes
			var m member
			if err := rows.Scan(&id, &oid, &m.parents, &m.files, &m.shape, &m.digest); err != nil {
				return err
			}
			to := k.members[id]
			to.oid, to.parents, to.files, to.shape, to.digest = change.ID(oid), m.parents/len(oid), m.files, m.shape, m.digest
		}
		return rows.Err()
	})
}

// carry notes that a commit has it from another, and tells whether that is news.
func (k *kinship) carry(id int64, how string, from int64) bool {
	m := k.members[id]
	if m == nil || m.how == OfRecord {
		return false
	}
	if m.of == nil {
		m.of = map[int64]bool{}
	}
	m.of[from] = true
	if m.how != "" {
		if how == SameChange { // says more than a message does
			m.how = how
		}
		return false
	}
	m.how = how
	return true
}

// A tie leads from one commit to another.
type tie struct {
	from, to int64
	kind     string // of a citation
}

// same finds commits with the same change. Where a digest is missing, equal shapes make
// candidates. A commit that touches nothing is like many others, and kin of none.
func (k *kinship) same(ctx context.Context, ids []int64) (fresh []int64, err error) {
	shapes, changes := map[string][]int64{}, map[string][]int64{}
	for _, id := range ids {
		m := k.members[id]
		if m == nil || m.how == "" || m.files == 0 {
			continue
		}
		if m.shape != 0 {
			key := strconv.FormatInt(m.shape, 10)
			shapes[key] = append(shapes[key], id)
		}
		if m.digest != nil {
			key := hex.EncodeToString(m.digest)
			changes[key] = append(changes[key], id)
		}
	}
	shaped, err := k.ties(ctx, shapes, "SELECT s.value, c.id, '' FROM json_each(?) s JOIN commits c ON c.shape = CAST(s.value AS INTEGER)")
	if err != nil {
		return nil, err
	}
	signed, err := k.ties(ctx, changes, "SELECT s.value, c.id, '' FROM json_each(?) s JOIN commits c ON c.change = unhex(s.value)")
	if err != nil {
		return nil, err
	}
	if err := k.load(ctx, append(ends(shaped), ends(signed)...)); err != nil {
		return nil, err
	}
	if err := k.digests(ctx, shaped); err != nil {
		return nil, err
	}
	for _, t := range append(shaped, signed...) {
		a, b := k.members[t.from], k.members[t.to]
		if b != nil && a.digest != nil && string(a.digest) == string(b.digest) && k.carry(t.to, SameChange, t.from) {
			fresh = append(fresh, t.to)
		}
	}
	return fresh, nil
}

// cited finds commits that say that they are picks or reverts. What is reverted must
// stand in the same repository: a revert elsewhere takes nothing back here.
func (k *kinship) cited(ctx context.Context, ids []int64) (fresh []int64, err error) {
	oids := map[string][]int64{}
	for _, id := range ids {
		if m := k.members[id]; m != nil {
			oids[m.oid.String()] = append(oids[m.oid.String()], id)
		}
	}
	cites, err := k.ties(ctx, oids, "SELECT s.value, t.commit_id, t.kind FROM json_each(?) s JOIN cite t ON t.oid = unhex(s.value)")
	if err != nil {
		return nil, err
	}
	if err := k.load(ctx, ends(cites)); err != nil {
		return nil, err
	}
	for _, t := range cites {
		from, to := k.members[t.from], k.members[t.to]
		switch {
		case t.kind == Picks:
			if from.how != "" && k.carry(t.to, Picked, t.from) {
				fresh = append(fresh, t.to)
			}
		case to != nil && to.Repo == from.Repo:
			found, err := k.revert(ctx, t)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, found...)
		}
	}
	return fresh, nil
}

// revert notes that one commit reverts another. What reverts a revert carries again what
// that one took back.
func (k *kinship) revert(ctx context.Context, t tie) (fresh []int64, err error) {
	of, by := k.members[t.from], k.members[t.to]
	if by == nil || of.undoneBy != nil && hasKey(of.undoneBy, t.to) {
		return nil, nil
	}
	whole, err := k.inverse(ctx, of, by)
	if err != nil {
		return nil, err
	}
	of.undoneBy, by.reverts = with(of.undoneBy, t.to, whole), with(by.reverts, t.from, true)
	if len(by.reverts) == 1 && by.how == "" {
		fresh = append(fresh, t.to) // its own picks and reverts count, too
	}
	for id := range of.reverts {
		if k.carry(t.to, Reapplied, id) {
			fresh = append(fresh, t.to)
		}
	}
	return fresh, nil
}

// standing reports whether a commit was not reverted, or its reverts were.
func (k *kinship) standing(id int64) bool {
	for by := range k.members[id].undoneBy {
		if k.standing(by) {
			return false
		}
	}
	return true
}

func hasKey(m map[int64]bool, key int64) bool { _, ok := m[key]; return ok }

func with(m map[int64]bool, key int64, value bool) map[int64]bool {
	if m == nil {
		m = map[int64]bool{}
	}
	m[key] = value
	return m
}

func ends(ties []tie) (ids []int64) {
	for _, t := range ties {
		ids = append(ids, t.to)
	}
	return ids
}

// askedAtOnce is how many commits are asked for at once.
const askedAtOnce = 2000

// inBatches calls f with parts of a list, some at once.
func inBatches[T any](list []T, f func([]T) error) error {
	parts := slices.Collect(slices.Chunk(list, askedAtOnce))
	errs := make([]error, len(parts))
	var pool sync.WaitGroup
	slots := make(chan bool, Readers())
	for i, part := range parts {
		slots <- true
		pool.Go(func() {
			errs[i] = f(part)
			<-slots
		})
	}
	pool.Wait()
	return errors.Join(errs...)
}

// ties asks which commits some lead to, in a fixed order. from are the commits behind a key;
// the query takes a list of keys and gives a key, a commit and a kind.
func (k *kinship) ties(ctx context.Context, from map[string][]int64, query string) (all []tie, err error) {
	var mu sync.Mutex
	err = inBatches(slices.Sorted(maps.Keys(from)), func(part []string) error {
		rows, err := k.view.Store.QueryContext(ctx, query, asJSON(part))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key, kind string
			var to int64
			if err := rows.Scan(&key, &to, &kind); err != nil {
				return err
			}
			mu.Lock()
			for _, id := range from[key] {
				if id != to {
					all = append(all, tie{id, to, kind})
				}
			}
			mu.Unlock()
		}
		return rows.Err()
	})
	slices.SortFunc(all, func(a, b tie) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.kind, b.kind))
	})
	return slices.Compact(all), err
}

// load reads commits that are not members yet, as far as the view knows them and a ref
// reaches them.
func (k *kinship) load(ctx context.Context, ids []int64) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return k.members[id] != nil })
	slices.Sort(ids)
	var mu sync.Mutex
	return inBatches(slices.Compact(ids), func(part []int64) error {
		found, err := k.read(ctx, part)
		mu.Lock()
		defer mu.Unlock()
		for _, m := range found {
			k.members[m.Commit] = m
		}
		return err
	})
}

func (k *kinship) read(ctx context.Context, ids []int64) (found []*member, err error) {
	run := k.view.Run
	rows, err := k.view.Store.QueryContext(ctx, `SELECT c.id, c.repo, c.oid, length(c.parents), c.author, c.committed, coalesce(c.received, c.committed), c.own, c.files, coalesce(c.added, -1),
		coalesce(c.shape, 0), coalesce(c.change, d.change), j.id, j.evidence, j.class FROM json_each(?) s JOIN commits c ON c.id = s.value
		JOIN judgement j ON j.commit_id = c.id AND `+counts("j")+` LEFT JOIN digest d ON d.commit_id = c.id
		WHERE coalesce((SELECT present FROM presence p WHERE p.commit_id = c.id AND p.run <= ? ORDER BY p.run DESC LIMIT 1), 1)`, asJSON(ids), run, run, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	by := map[int64]*member{} // judgement
	judgements := []int64{}
	for rows.Next() {
		m := &member{}
		var judgement int64
		var oid []byte
		if err := rows.Scan(&m.Commit, &m.Repo, &oid, &m.parents, &m.Author, &m.Committed, &m.At, &m.Own, &m.files, &m.Added, &m.shape, &m.digest,
			&judgement, &m.Evidence, &m.Class); err != nil {
			return nil, err
		}
		m.oid, m.parents = change.ID(oid), m.parents/len(oid)
		m.Merge = m.parents > 1
		found, by[judgement], judgements = append(found, m), m, append(judgements, judgement)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return found, k.claims(ctx, judgements, by)
}

func (k *kinship) claims(ctx context.Context, judgements []int64, by map[int64]*member) error {
	rows, err := k.view.Store.QueryContext(ctx, "SELECT c.judgement, c.use, coalesce(c.ai, -1) FROM json_each(?) s JOIN claim c ON c.judgement = s.value ORDER BY c.judgement, c.n", asJSON(judgements))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var judgement int64
		var u EntryUse
		if err := rows.Scan(&judgement, &u.Use, &u.AI); err != nil {
			return err
		}
		by[judgement].Uses = append(by[judgement].Uses, u)
	}
	return rows.Err()
}

func asJSON[T any](list []T) string {
	if list == nil {
		return "[]"
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(fmt.Sprintf("numbers and words as JSON: %v", err)) // cannot be
	}
	return string(b)
}

// An opened repository, for as long as a kinship is sought.
type opened struct {
	*repo.Repo
	objects *repo.Batch
}

func (k *kinship) close() {
	for _, o := range k.opened {
		if o != nil {
			o.objects.Close()
		}
	}
}

// at opens the repository of a number, nil when it cannot be.
func (k *kinship) at(ctx context.Context, id int64) (*opened, error) {
	if o, ok := k.opened[id]; ok {
		return o, nil
	}
	k.opened[id] = nil
	r := k.view.Repositories[id]
	if k.seeker.Open == nil {
		k.leave("%s: it was not opened, so unsigned commits are not compared", r.Name)
		return nil, nil
	}
	opening, err := k.seeker.Open(ctx, r.Place)
	if err != nil {
		k.leave("%s: %v", r.Name, err)
		return nil, ctx.Err()
	}
	objects, err := opening.Batch(ctx)
	if err != nil {
		return nil, err
	}
	k.opened[id] = &opened{opening, objects}
	return k.opened[id], nil
}

// leave says what could not be looked at.
func (k *kinship) leave(format string, args ...any) { k.open[fmt.Sprintf(format, args...)] = true }

// digests computes those that are missing of candidates, and keeps them in the index.
func (k *kinship) digests(ctx context.Context, candidates []tie) error {
	missing := []*member{}
	seen := map[int64]bool{}
	for _, t := range candidates {
		a, b := k.members[t.from], k.members[t.to]
		if b == nil {
			continue
		}
		for _, m := range []*member{a, b} {
			if m.digest == nil && !seen[m.Commit] {
				seen[m.Commit], missing = true, append(missing, m)
			}
		}
	}
	for part := range slices.Chunk(missing, askedAtOnce) {
		for _, m := range part {
			if err := k.compute(ctx, m); err != nil {
				return err
			}
		}
		if err := k.keep(ctx, "digest", part, func(m *member) []byte { return m.digest }); err != nil {
			return err
		}
	}
	return nil
}

// keep adds digests to a table of the index. They are true at any time.
func (k *kinship) keep(ctx context.Context, table string, list []*member, of func(*member) []byte) error {
	return k.view.Store.Do(ctx, func(tx *sql.Tx) error {
		for _, m := range list {
			if of(m) == nil {
				continue
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (commit_id, run, change) SELECT ?, coalesce(max(id), 0), ? FROM run WHERE true ON CONFLICT DO NOTHING",
				m.Commit, of(m)); err != nil {
				return err
			}
		}
		return nil
	})
}

// compute makes the digest of a commit's change, if its objects are there.
func (k *kinship) compute(ctx context.Context, m *member) error {
	o, err := k.at(ctx, m.Repo)
	if o == nil {
		return err
	}
	parents, tree, err := treesOf(o.objects, m.oid)
	var d provenance.Digest
	if err == nil {
		d, _, err = change.OfCommit(o.objects, parents, tree)
	}
	if err != nil {
		k.leave("%s: commit %.10s cannot be compared: %v", k.view.Repositories[m.Repo].Name, m.oid.String(), err)
		return ctx.Err()
	}
	m.digest = d[:]
	return nil
}

// treesOf are the trees of a commit's parents, and its own.
func treesOf(objects change.Objects, id change.ID) (parents []change.ID, tree change.ID, err error) {
	c, err := repo.ReadCommit(objects, id)
	if err != nil {
		return nil, "", err
	}
	for _, p := range c.Parents {
		t, err := repo.TreeOf(objects, p)
		if err != nil {
			return nil, "", err
		}
		parents = append(parents, t)
	}
	return parents, c.Tree, nil
}

// inverse reports whether a commit takes back all that another changes, and nothing else:
// whether the way from it to its parent is the same change.
func (k *kinship) inverse(ctx context.Context, of, by *member) (bool, error) {
	if of.parents > 1 || by.parents != 1 {
		return false, nil // of merges it is not known which side they take back
	}
	if of.digest == nil {
		if err := k.compute(ctx, of); err != nil || of.digest == nil {
			return false, err
		}
		if err := k.keep(ctx, "digest", []*member{of}, func(m *member) []byte { return m.digest }); err != nil {
			return false, err
		}
	}
	var back []byte
	err := k.view.Store.QueryRowContext(ctx, "SELECT change FROM inverse WHERE commit_id = ?", by.Commit).Scan(&back)
	if errors.Is(err, sql.ErrNoRows) {
		back, err = k.reversed(ctx, by)
	}
	return back != nil && string(back) == string(of.digest), err
}

// reversed is the digest of what leads from a commit to its parent; nil when its objects
// are not there.
func (k *kinship) reversed(ctx context.Context, m *member) ([]byte, error) {
	o, err := k.at(ctx, m.Repo)
	if o == nil {
		return nil, err
	}
	parents, tree, err := treesOf(o.objects, m.oid)
	var d provenance.Digest
	if err == nil {
		d, _, err = change.Compute(o.objects, tree, parents[0])
	}
	if err != nil {
		k.leave("%s: revert %.10s cannot be compared: %v", k.view.Repositories[m.Repo].Name, m.oid.String(), err)
		return nil, ctx.Err()
	}
	return d[:], k.keep(ctx, "inverse", []*member{m}, func(*member) []byte { return d[:] })
}
