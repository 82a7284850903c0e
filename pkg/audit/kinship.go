package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A kinship is some commits with all that their changes went on to.
type kinship struct {
	view    *View
	seeker  *seeker
	joined  *bonds
	members []*member // by number of commit; nil for those that no bond and no quest is about
	found   []int64   // those that carry it, or revert, as far as they were found
	digests map[int64]string
	shapes  map[int64]map[string][]int64 // of a star of one shape: commits by digest
	settled map[star]bool                // that were gone through
	graph   *graph
	graphOf map[int64]bool // repositories
	ends    map[int64][]ending
	chains  []chain // of branches that are not merged
	opened  map[int64]*opened
	open    map[string]bool
}

// A member carries what is looked for, or reverts, or is bound to one that does. There
// can be a million of them.
type member struct {
	commit, repo  int64
	committed, at int64
	added         int // lines; -1 when not known
	uses          []EntryUse
	evidence      Evidence
	class         string
	merge, own    bool
	match         match
	how           string // "" for one that does not carry it
	id            string // in hexadecimal, once it is named
	*ties
}

// Ties are how a member came to carry it, and what it takes back. Few have any.
type ties struct {
	of       []int64        // where it has it from
	reverts  map[int64]bool // members that it says it takes back
	undoneBy map[int64]bool // members that take it back: whether all of it
}

var noTies = &ties{}

func (m *member) tied() *ties {
	if m.ties == noTies {
		m.ties = &ties{}
	}
	return m.ties
}

// entry is the member as the ledger has it.
func (m *member) entry() *Entry {
	return &Entry{Commit: m.commit, Repo: m.repo, Committed: m.committed, At: m.at, Evidence: m.evidence, Class: m.class, Merge: m.merge, Own: m.own, Added: m.added, Uses: m.uses}
}

// maxOf bounds how many commits are told from which one has its change.
const maxOf = 16

// complete goes from the commits of record to their kin until nothing is added.
func (k *kinship) complete(ctx context.Context) error {
	fresh := k.seeker.record
	for _, id := range fresh {
		k.members[id].how = OfRecord
	}
	for len(fresh) > 0 {
		k.found = append(k.found, fresh...)
		var next []int64
		for _, step := range []func(context.Context, []int64) ([]int64, error){k.same, k.cited, k.squashed} {
			found, err := step(ctx, fresh)
			if err != nil {
				return err
			}
			next = append(next, found...)
		}
		slices.Sort(next)
		fresh = slices.Compact(next)
	}
	slices.Sort(k.found)
	k.found = slices.Compact(k.found)
	return nil
}

// carry notes that a commit has it from others, and tells whether that is news.
func (k *kinship) carry(id int64, how string, from ...int64) bool {
	m := k.members[id]
	if m == nil || m.how == OfRecord {
		return false
	}
	t := m.tied()
	if len(t.of) < maxOf {
		t.of = append(t.of, from...)
	}
	if m.how != "" {
		if how == SameChange { // says more than a message does
			m.how = how
		}
		return false
	}
	m.how = how
	return true
}

// same finds commits with the same change. Where a digest is missing, equal shapes make
// candidates.
func (k *kinship) same(ctx context.Context, ids []int64) (fresh []int64, err error) {
	var loose []int64 // stars
	for _, id := range ids {
		if !k.joined.bound(id) || k.members[id].how == "" {
			continue
		}
		if center := k.joined.same.center(id); center > 0 && k.settle(star{sameChange, center, ""}) {
			fresh = append(fresh, k.share(k.joined.same.of(center))...)
		}
		if center := k.joined.like.center(id); center > 0 && k.joined.like.loose(center) && k.settle(star{sameShape, center, ""}) {
			loose = append(loose, center)
		}
	}
	if err := k.compare(ctx, loose); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if !k.joined.bound(id) || k.members[id].how == "" {
			continue
		}
		digest, ok := k.digests[id]
		if center := k.joined.like.center(id); center > 0 && ok && k.shapes[center] != nil && k.settle(star{sameShape, center, digest}) {
			fresh = append(fresh, k.share(k.shapes[center][digest])...)
		}
	}
	return fresh, nil
}

// A star is one of the stars of its kind or, of those of one shape, its commits with one
// digest.
type star struct {
	kind   bondKind
	center int64
	digest string
}

// settle reports whether a star is gone through for the first time.
func (k *kinship) settle(s star) bool {
	if k.settled[s] {
		return false
	}
	k.settled[s] = true
	return true
}

// share gives what some of the commits with one change carry to the others.
func (k *kinship) share(all []int64) (fresh []int64) {
	var from []int64
	for _, id := range all {
		if m := k.members[id]; m != nil && m.how != "" && len(from) < maxOf {
			from = append(from, id)
		}
	}
	for _, id := range all {
		if m := k.members[id]; m != nil && k.carry(id, SameChange, from...) {
			fresh = append(fresh, id)
		}
	}
	return fresh
}

// compare sorts the commits of stars by their digests.
func (k *kinship) compare(ctx context.Context, centers []int64) error {
	var ids []int64
	for _, center := range centers {
		ids = append(ids, k.joined.like.of(center)...)
	}
	if err := k.know(ctx, ids); err != nil {
		return err
	}
	for _, center := range centers {
		by := map[string][]int64{}
		for _, id := range k.joined.like.of(center) {
			if digest, ok := k.digests[id]; ok {
				by[digest] = append(by[digest], id)
			}
		}
		k.shapes[center] = by
	}
	return nil
}

// cited finds commits that say that they are picks or reverts.
func (k *kinship) cited(ctx context.Context, ids []int64) (fresh []int64, err error) {
	var reverts []bond
	for _, id := range ids {
		if !k.joined.bound(id) {
			continue
		}
		if k.members[id].how != "" {
			for _, b := range from(k.joined.picks, id) {
				if k.carry(b.to, Picked, id) {
					fresh = append(fresh, b.to)
				}
			}
		}
		for _, b := range from(k.joined.reverts, id) {
			if k.members[b.to] != nil {
				reverts = append(reverts, b)
			}
		}
	}
	whole, err := k.inverse(ctx, reverts)
	if err != nil {
		return nil, err
	}
	for i, b := range reverts {
		fresh = append(fresh, k.revert(b, whole[i])...)
	}
	return fresh, nil
}

// revert notes that one commit reverts another. What reverts a revert carries again what
// that one took back.
func (k *kinship) revert(b bond, whole bool) (fresh []int64) {
	of, by := k.members[b.from], k.members[b.to]
	if hasKey(of.undoneBy, b.to) {
		return nil
	}
	of.tied().undoneBy, by.tied().reverts = with(of.undoneBy, b.to, whole), with(by.reverts, b.from, true)
	if len(by.reverts) == 1 && by.how == "" {
		fresh = append(fresh, b.to) // its own picks and reverts count, too
	}
	for id := range of.reverts {
		if k.carry(b.to, Reapplied, id) {
			fresh = append(fresh, b.to)
		}
	}
	return fresh
}

// standing tells whether a commit was not reverted, or its reverts were. Each answer is
// remembered: a message can name many, and they again.
func (k *kinship) standing() func(id int64) bool {
	known := map[int64]bool{}
	var stands func(id int64) bool
	stands = func(id int64) bool {
		m := k.members[id]
		if len(m.undoneBy) == 0 {
			return true
		}
		if found, ok := known[id]; ok {
			return found
		}
		known[id] = true
		for by := range m.undoneBy {
			if stands(by) {
				known[id] = false
				break
			}
		}
		return known[id]
	}
	return stands
}

func hasKey(m map[int64]bool, key int64) bool { _, ok := m[key]; return ok }

func with(m map[int64]bool, key int64, value bool) map[int64]bool {
	if m == nil {
		m = map[int64]bool{}
	}
	m[key] = value
	return m
}

// askedAtOnce is how many commits are asked for at once.
const askedAtOnce = 2000

// load reads commits that are not members yet, as far as the view knows them and a ref
// reaches them.
func (k *kinship) load(ctx context.Context, ids []int64) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return k.members[id] != nil })
	slices.Sort(ids)
	for part := range slices.Chunk(slices.Compact(ids), askedAtOnce) {
		if err := k.read(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (k *kinship) read(ctx context.Context, ids []int64) error {
	run := k.view.Run
	by := map[int64]*member{} // judgement
	judgements := []int64{}
	err := eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		m := &member{ties: noTies}
		var judgement int64
		err := rows.Scan(&m.commit, &m.repo, &m.committed, &m.at, &m.merge, &m.own, &m.added, &judgement, &m.evidence, &m.class)
		k.members[m.commit], by[judgement], judgements = m, m, append(judgements, judgement)
		return err
	}, `SELECT c.id, c.repo, c.committed, coalesce(c.received, c.committed), length(c.parents) > length(c.oid), c.own, coalesce(c.added, -1), j.id, j.evidence, j.class
		FROM json_each(?) s JOIN commits c ON c.id = s.value JOIN judgement j ON j.commit_id = c.id AND `+counts("j")+" WHERE "+present, asJSON(ids), run, run, run)
	if err != nil {
		return err
	}
	err = eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		var judgement int64
		var u EntryUse
		err := rows.Scan(&judgement, &u.Use, &u.AI)
		by[judgement].uses = append(by[judgement].uses, u)
		return err
	}, "SELECT c.judgement, c.use, coalesce(c.ai, -1) FROM json_each(?) s JOIN claim c ON c.judgement = s.value ORDER BY c.judgement, c.n", asJSON(judgements))
	for _, m := range by {
		m.match = k.seeker.match(m.entry())
	}
	return err
}

// present is the condition that a ref reaches commit c; it takes the run of the view.
const present = "coalesce((SELECT present FROM presence p WHERE p.commit_id = c.id AND p.run <= ? ORDER BY p.run DESC LIMIT 1), 1)"

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
	if shallow(opening) {
		k.leave("%s: it is a shallow clone, of which neither changes nor living lines can be told", r.Name)
		return nil, nil
	}
	objects, err := opening.Batch(ctx)
	if err != nil {
		k.leave("%s: %v", r.Name, err)
		return nil, ctx.Err()
	}
	k.opened[id] = &opened{opening, objects}
	return k.opened[id], nil
}

// leave says what could not be looked at.
func (k *kinship) leave(format string, args ...any) { k.open[fmt.Sprintf(format, args...)] = true }

// know finds the digests of commits: those that are signed, those in the index, and the
// others by reading what they change, which the index keeps.
func (k *kinship) know(ctx context.Context, ids []int64) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return k.members[id] == nil || k.digests[id] != "" })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	missing := ids
	for _, query := range []string{
		"SELECT commit_id, change FROM json_each(?) s JOIN digest ON commit_id = s.value", // first what is quick
		"SELECT c.id, c.change FROM json_each(?) s JOIN commits c ON c.id = s.value",
	} {
		if err := k.digestsOf(ctx, missing, query, k.digests); err != nil {
			return err
		}
		missing = slices.DeleteFunc(missing, func(id int64) bool { return k.digests[id] != "" })
	}
	for part := range slices.Chunk(missing, askedAtOnce) { // and keep what is computed so far
		if err := k.compute(ctx, part, "digest", k.digests, func(o *opened, id change.ID) (provenance.Digest, error) {
			parents, tree, err := treesOf(o.objects, id)
			if err != nil {
				return provenance.Digest{}, err
			}
			d, _, err := change.OfCommit(o.objects, parents, tree)
			return d, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// digestsOf reads digests, in parts, some at once.
func (k *kinship) digestsOf(ctx context.Context, ids []int64, query string, into map[int64]string) error {
	var mu sync.Mutex
	parts := slices.Collect(slices.Chunk(ids, askedAtOnce))
	errs := make([]error, len(parts))
	slots := make(chan bool, Readers())
	var pool sync.WaitGroup
	for i, part := range parts {
		slots <- true
		pool.Go(func() {
			errs[i] = eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
				var id int64
				var digest sql.RawBytes
				err := rows.Scan(&id, &digest)
				if len(digest) > 0 {
					mu.Lock()
					into[id] = string(digest)
					mu.Unlock()
				}
				return err
			}, query, asJSON(part))
			<-slots
		})
	}
	pool.Wait()
	return errors.Join(errs...)
}

// compute makes digests of commits, of those whose objects are there, and keeps them in a
// table of the index. They are true at any time.
func (k *kinship) compute(ctx context.Context, ids []int64, table string, into map[int64]string, of func(*opened, change.ID) (provenance.Digest, error)) error {
	if len(ids) == 0 {
		return nil
	}
	oids, err := k.oids(ctx, ids)
	if err != nil {
		return err
	}
	var done []int64
	for _, id := range ids {
		o, err := k.at(ctx, k.members[id].repo)
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		d, err := of(o, oids[id])
		if err != nil {
			k.leave("%s: commit %.10s cannot be compared: %v", k.view.Repositories[k.members[id].repo].Name, oids[id].String(), err)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		into[id], done = string(d[:]), append(done, id)
	}
	if len(done) == 0 {
		return nil
	}
	return k.view.Store.Do(ctx, func(tx *sql.Tx) error {
		for _, id := range done {
			if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (commit_id, run, change) SELECT ?, coalesce(max(id), 0), ? FROM run WHERE true ON CONFLICT DO NOTHING",
				id, []byte(into[id])); err != nil {
				return err
			}
		}
		return nil
	})
}

// oids are the ids of commits.
func (k *kinship) oids(ctx context.Context, ids []int64) (map[int64]change.ID, error) {
	oids := map[int64]change.ID{}
	err := eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		var id int64
		var oid sql.RawBytes
		err := rows.Scan(&id, &oid)
		oids[id] = change.ID(oid)
		return err
	}, "SELECT c.id, c.oid FROM json_each(?) s JOIN commits c ON c.id = s.value", asJSON(ids))
	return oids, err
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

// inverse reports of reverts whether they take back all that another changes, and nothing
// else: whether the way from one to its parent is the same change. Of merges it is not
// known which side they take back.
func (k *kinship) inverse(ctx context.Context, reverts []bond) ([]bool, error) {
	whole := make([]bool, len(reverts))
	var of, by []int64
	for _, b := range reverts {
		if !k.members[b.from].merge && !k.members[b.to].merge {
			of, by = append(of, b.from), append(by, b.to)
		}
	}
	if err := k.know(ctx, of); err != nil {
		return nil, err
	}
	slices.Sort(by)
	back := map[int64]string{}
	by = slices.Compact(by)
	if err := k.digestsOf(ctx, by, "SELECT commit_id, change FROM json_each(?) s JOIN inverse ON commit_id = s.value", back); err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(by, func(id int64) bool { return back[id] != "" })
	if err := k.compute(ctx, missing, "inverse", back, reversed); err != nil {
		return nil, err
	}
	for i, b := range reverts {
		whole[i] = back[b.to] != "" && back[b.to] == k.digests[b.from] && !k.members[b.from].merge
	}
	return whole, nil
}

// reversed is the digest of what leads from a commit to its parent.
func reversed(o *opened, id change.ID) (provenance.Digest, error) {
	parents, tree, err := treesOf(o.objects, id)
	switch {
	case err != nil:
		return provenance.Digest{}, err
	case len(parents) != 1:
		return provenance.Digest{}, fmt.Errorf("it reverts, and has %d parents", len(parents))
	}
	d, _, err := change.Compute(o.objects, tree, parents[0])
	return d, err
}
