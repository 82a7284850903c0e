package audit

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A graph is who is whose parent among the commits from a first one on, in the order of
// their numbers: parents before children.
type graph struct {
	seed    maphash.Seed
	ids     []int64
	at      map[uint64]int32 // place of a commit, by repository and id
	parents [][]int32
}

// graph reads the commits of repositories from a number on. A million of them take some
// 100 MiB; so they are found by a hash with a seed that nobody knows, and not by their ids.
func (v *View) graph(ctx context.Context, repos map[int64]bool, from int64) (*graph, error) {
	g := &graph{seed: maphash.MakeSeed(), at: map[uint64]int32{}}
	rows, err := v.Store.QueryContext(ctx, "SELECT id, repo, oid, parents FROM commits WHERE id >= ? AND run <= ? ORDER BY id", from, v.Run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var oid, parents []byte
	for rows.Next() {
		var id, repo int64
		if err := rows.Scan(&id, &repo, &oid, &parents); err != nil {
			return nil, err
		}
		if !repos[repo] {
			continue
		}
		var above []int32
		for p := range slices.Chunk(parents, len(oid)) {
			if place, ok := g.at[g.key(repo, p)]; ok {
				above = append(above, place)
			}
		}
		g.at[g.key(repo, oid)] = int32(len(g.ids))
		g.ids, g.parents = append(g.ids, id), append(g.parents, above)
	}
	return g, rows.Err()
}

func (g *graph) key(repo int64, oid []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(g.seed)
	maphash.WriteComparable(&h, repo)
	h.Write(oid)
	return h.Sum64()
}

// place is where a commit stands, by its number.
func (g *graph) place(id int64) (int, bool) { return slices.BinarySearch(g.ids, id) }

// from tells of each commit from which of up to 64 others one gets to it, as bits.
func (g *graph) from(starts []int32) []uint64 {
	bits := make([]uint64, len(g.ids))
	for i, at := range starts {
		bits[at] |= 1 << i
	}
	for i := len(g.ids) - 1; i >= 0; i-- {
		if bits[i] != 0 {
			for _, p := range g.parents[i] {
				bits[p] |= bits[i]
			}
		}
	}
	return bits
}

// descends reports whether one gets from a commit to another that is above it.
func (g *graph) descends(from, to int64) bool {
	a, ok := g.place(from)
	b, there := g.place(to)
	if !ok || !there || a <= b {
		return false
	}
	seen, open := map[int32]bool{}, []int32{int32(a)}
	for len(open) > 0 {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		if next == int32(b) {
			return true
		}
		if next > int32(b) && !seen[next] {
			seen[next] = true
			open = append(open, g.parents[next]...)
		}
	}
	return false
}

// An ending is a ref of a repository, at the commit where it ends.
type ending struct {
	repo int64
	name string
	at   int32
}

// refs tells which branches and tags contain the carriers, and in which of them they are
// undone: where the revert is contained, too.
func (k *kinship) refs(ctx context.Context, carriers []Carrier) error {
	repos, first := map[int64]bool{}, int64(1<<63-1)
	for _, c := range carriers {
		repos[c.member.Repo], first = true, min(first, c.member.Commit)
	}
	for i := range carriers {
		carriers[i].Refs, carriers[i].UndoneIn = []string{}, []string{}
	}
	g, err := k.view.graph(ctx, repos, first)
	if err != nil {
		return err
	}
	endings, err := k.endings(ctx, g, repos)
	if err != nil {
		return err
	}
	undoers := k.undoers(g)
	for part := range slices.Chunk(endings, 64) {
		starts := make([]int32, len(part))
		for i, e := range part {
			starts[i] = e.at
		}
		bits := g.from(starts)
		of := func(id int64) uint64 {
			if at, ok := g.place(id); ok {
				return bits[at]
			}
			return 0
		}
		var undone func(id int64) uint64
		undone = func(id int64) (in uint64) {
			for _, by := range undoers[id] {
				in |= of(id) & of(by) &^ undone(by)
			}
			return in
		}
		for i := range carriers {
			c := &carriers[i]
			in, out := of(c.member.Commit), undone(c.member.Commit)
			for n, e := range part {
				if in>>n&1 == 1 {
					c.Refs = append(c.Refs, e.name)
				}
				if out>>n&1 == 1 {
					c.UndoneIn = append(c.UndoneIn, e.name)
				}
			}
		}
	}
	return nil
}

// endings are the refs of repositories that end at a commit of the graph, in a fixed order.
func (k *kinship) endings(ctx context.Context, g *graph, repos map[int64]bool) (list []ending, err error) {
	for _, repo := range slices.Sorted(maps.Keys(repos)) {
		tips, err := k.view.Tips(ctx, repo)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(tips)) {
			if at, ok := g.at[g.key(repo, []byte(tips[name]))]; ok && name != "HEAD" {
				list = append(list, ending{repo, name, at})
			}
		}
	}
	return list, nil
}

// undoers are, by commit, those that take it back: what names it, and what names another
// with the same change and comes behind this one, as a revert that was picked with the
// commit does.
func (k *kinship) undoers(g *graph) map[int64][]int64 {
	type same struct {
		repo   int64
		digest string
	}
	of := map[same]map[int64]bool{}
	for _, m := range k.members {
		if m.digest == nil {
			continue
		}
		key := same{m.Repo, string(m.digest)}
		for by := range m.undoneBy {
			of[key] = with(of[key], by, true)
		}
	}
	all := map[int64][]int64{}
	for id, m := range k.members {
		for by := range m.undoneBy {
			all[id] = append(all[id], by)
		}
		if m.digest == nil {
			continue
		}
		for by := range of[same{m.Repo, string(m.digest)}] {
			if !hasKey(m.undoneBy, by) && by != id && g.descends(by, id) {
				all[id] = append(all[id], by)
			}
		}
	}
	return all
}

// Touched is a file that a carrier touches.
type Touched struct {
	Path    string `json:"path"`
	Added   int    `json:"added"` // lines; -1 where they are not counted
	Deleted int    `json:"deleted"`
	Later   int    `json:"later"` // commits behind it, by time, that touched the file
	Last    string `json:"last"`  // the last one of them; "" for none
}

// files tells what the carriers touch, and how often that was touched later.
func (k *kinship) files(ctx context.Context, carriers []Carrier) error {
	histories := map[int64][]touching{}
	for i := range carriers {
		c := &carriers[i]
		c.Files = []Touched{}
		rows, err := k.view.Store.QueryContext(ctx, `SELECT p.id, p.name, coalesce(t.added, -1), coalesce(t.deleted, -1) FROM touch t JOIN path p ON p.id = t.path
			WHERE t.commit_id = ? ORDER BY p.name`, c.member.Commit)
		if err != nil {
			return err
		}
		paths := []int64{}
		for rows.Next() {
			var path int64
			var t Touched
			if err := rows.Scan(&path, &t.Path, &t.Added, &t.Deleted); err != nil {
				rows.Close()
				return err
			}
			c.Files, paths = append(c.Files, t), append(paths, path)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		for n, path := range paths {
			if _, ok := histories[path]; !ok {
				if histories[path], err = k.touching(ctx, path); err != nil {
					return err
				}
			}
			all := histories[path]
			from, _ := slices.BinarySearchFunc(all, c.member.Committed+1, func(t touching, at int64) int { return int(min(max(t.committed-at, -1), 1)) })
			c.Files[n].Later = len(all) - from
			if from < len(all) {
				c.Files[n].Last = all[len(all)-1].oid.String()
			}
		}
	}
	return nil
}

// A touching is a commit that touched a file.
type touching struct {
	committed int64
	oid       change.ID
}

// touching lists them by time.
func (k *kinship) touching(ctx context.Context, path int64) (all []touching, err error) {
	rows, err := k.view.Store.QueryContext(ctx, `SELECT c.committed, c.oid FROM touch t JOIN commits c ON c.id = t.commit_id WHERE t.path = ? AND c.run <= ?
		AND coalesce((SELECT present FROM presence p WHERE p.commit_id = c.id AND p.run <= ? ORDER BY p.run DESC LIMIT 1), 1) ORDER BY c.committed, c.id`, path, k.view.Run, k.view.Run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t touching
		var oid []byte
		if err := rows.Scan(&t.committed, &oid); err != nil {
			return nil, err
		}
		t.oid = change.ID(oid)
		all = append(all, t)
	}
	return all, rows.Err()
}
