package audit

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
)

// A graph is who is whose parent among the commits of some repositories, by number:
// parents come before children. A million commits take some 8 MiB.
type graph struct {
	start   []int32 // by number: where the parents begin in the list, up to where those of the next do
	parents []int32
	seen    []int32 // by number: the last search that came by
	search  int32
}

// lineage reads the graph of repositories, of commits up to a last one.
func (v *View) lineage(ctx context.Context, repos map[int64]bool, last int64) (*graph, error) {
	g := &graph{start: make([]int32, 0, last+2), parents: make([]int32, 0, last+last/8)}
	err := v.spans(ctx, "parents", func(s *span) error {
		if !repos[s.repo] {
			return nil
		}
		g.fill(s.first)
		return s.appendTo(g)
	})
	g.fill(int64(len(g.start)) + 1)
	return g, err
}

// fill passes over commits up to a number.
func (g *graph) fill(to int64) {
	for int64(len(g.start)) < to {
		g.start = append(g.start, int32(len(g.parents)))
	}
}

func (g *graph) of(id int64) []int32 {
	if id < 0 || id+1 >= int64(len(g.start)) {
		return nil
	}
	return g.parents[g.start[id]:g.start[id+1]]
}

// from tells of each commit, by number, from which of up to 64 others in its repository
// one gets to it, as bits.
func (g *graph) from(starts func(mark func(id int64, bit int))) []uint64 {
	bits := make([]uint64, len(g.start))
	starts(func(id int64, bit int) {
		if id < int64(len(bits)) {
			bits[id] |= 1 << bit
		}
	})
	for id := len(bits) - 1; id >= 0; id-- {
		if here := bits[id]; here != 0 {
			for _, p := range g.of(int64(id)) {
				bits[p] |= here
			}
		}
	}
	return bits
}

// descends reports whether one gets from a commit to another that is above it.
func (g *graph) descends(from, to int64) bool {
	if g.seen == nil {
		g.seen = make([]int32, len(g.start))
	}
	g.search++
	open := []int32{int32(from)}
	for len(open) > 0 {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		for _, p := range g.of(int64(next)) {
			if int64(p) == to {
				return true
			}
			if int64(p) > to && g.seen[p] != g.search {
				g.seen[p] = g.search
				open = append(open, p)
			}
		}
	}
	return false
}

// lineage is the graph of the repositories of all that was found.
func (k *kinship) lineage(ctx context.Context, ids []int64) (*graph, error) {
	repos, new := k.graphOf, false
	if repos == nil {
		repos = map[int64]bool{}
	}
	for _, id := range ids {
		if repo := k.members[id].repo; !repos[repo] {
			repos[repo], new = true, true
		}
	}
	if new {
		g, err := k.view.lineage(ctx, repos, int64(len(k.members)))
		if err != nil {
			return nil, err
		}
		k.graph, k.graphOf = g, repos
	}
	return k.graph, nil
}

// An ending is a ref of a repository, at the commit where it ends.
type ending struct {
	name string
	id   int64
}

// endings are the refs of all repositories that end at commits of the index, in the order
// of their names.
func (k *kinship) endings(ctx context.Context) (map[int64][]ending, error) {
	if k.ends != nil {
		return k.ends, nil
	}
	k.ends = map[int64][]ending{}
	return k.ends, eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		var repo int64
		var e ending
		err := rows.Scan(&repo, &e.name, &e.id)
		k.ends[repo] = append(k.ends[repo], e)
		return err
	}, `SELECT t.repo, t.ref, c.id FROM tip t JOIN commits c ON c.oid = t.commit_oid AND c.repo = t.repo WHERE t.ref <> 'HEAD' AND t.run =
		(SELECT max(run) FROM tip WHERE repo = t.repo AND ref = t.ref AND run <= ?) ORDER BY t.repo, t.ref`, k.view.Run)
}

// refs tells which branches and tags contain the carriers, and in which of them they are
// undone: where the revert is contained, too.
func (k *kinship) refs(ctx context.Context, carriers []Carrier) error {
	g, err := k.lineage(ctx, k.found)
	if err != nil {
		return err
	}
	ends, err := k.endings(ctx)
	if err != nil {
		return err
	}
	undoers, err := k.undoers(ctx, g)
	if err != nil {
		return err
	}
	most := 0
	for _, list := range ends {
		most = max(most, len(list))
	}
	for i := range carriers {
		carriers[i].Refs, carriers[i].UndoneIn = []string{}, []string{}
	}
	for at := 0; at < most; at += 64 { // of each repository as many at once
		bits := g.from(func(mark func(int64, int)) {
			for _, list := range ends {
				for i, e := range cut64(list, at) {
					mark(e.id, i)
				}
			}
		})
		undone := undoneIn(bits, undoers)
		named := map[int64]map[uint64][]string{} // most stand in the same refs, and share the words
		for i := range carriers {
			c := &carriers[i]
			repo := c.member.repo
			if named[repo] == nil {
				named[repo] = map[uint64][]string{}
			}
			c.Refs = joined(c.Refs, names(named[repo], cut64(ends[repo], at), bits[c.member.commit]))
			c.UndoneIn = joined(c.UndoneIn, names(named[repo], cut64(ends[repo], at), undone(c.member.commit)))
		}
	}
	return nil
}

func cut64(list []ending, at int) []ending {
	if at >= len(list) {
		return nil
	}
	return list[at:min(at+64, len(list))]
}

// joined is both lists, and the memory of the second where the first is empty.
func joined(a, b []string) []string {
	if len(a) == 0 && len(b) > 0 {
		return slices.Clip(b)
	}
	return append(a, b...)
}

// names spells the refs whose bits are set.
func names(known map[uint64][]string, list []ending, bits uint64) []string {
	if found, ok := known[bits]; ok {
		return found
	}
	var words []string
	for i, e := range list {
		if bits>>i&1 == 1 {
			words = append(words, e.name)
		}
	}
	known[bits] = words
	return words
}

// undoneIn tells, of a commit, the refs in which it is undone. Answers are remembered: a
// message can name many, and they again.
func undoneIn(bits []uint64, undoers map[int64][]int64) func(id int64) uint64 {
	known := map[int64]uint64{}
	var undone func(id int64) uint64
	undone = func(id int64) (in uint64) {
		all := undoers[id]
		if len(all) == 0 {
			return 0
		}
		if found, ok := known[id]; ok {
			return found
		}
		for _, by := range all {
			in |= bits[id] & bits[by] &^ undone(by)
		}
		known[id] = in
		return in
	}
	return undone
}

// undoers are, by commit, those that take it back: what names it, and what names another
// with the same change and comes behind this one, as a revert that was picked with the
// commit does.
func (k *kinship) undoers(ctx context.Context, g *graph) (map[int64][]int64, error) {
	var undone, alike []int64
	for _, id := range k.found {
		if len(k.members[id].undoneBy) > 0 {
			undone = append(undone, id)
			if center := k.joined.like.center(id); center > 0 && k.joined.like.loose(center) && k.digests[id] != "" {
				alike = append(alike, k.joined.like.of(center)...)
			}
		}
	}
	if err := k.know(ctx, alike); err != nil {
		return nil, err
	}
	all := map[int64][]int64{}
	for _, id := range undone {
		m := k.members[id]
		like := k.alike(id)
		for _, by := range slices.Sorted(maps.Keys(m.undoneBy)) {
			all[id] = append(all[id], by)
			for _, other := range like {
				o := k.members[other]
				if o != nil && o.repo == m.repo && other != id && other != by && !hasKey(o.undoneBy, by) && !slices.Contains(all[other], by) && g.descends(by, other) {
					all[other] = append(all[other], by)
				}
			}
		}
	}
	return all, nil
}

// alike are the commits with the same change as one, and it.
func (k *kinship) alike(id int64) (ids []int64) {
	if center := k.joined.same.center(id); center > 0 {
		ids = k.joined.same.of(center)
	}
	if center := k.joined.like.center(id); center > 0 && k.digests[id] != "" {
		for _, other := range k.joined.like.of(center) {
			if k.digests[other] == k.digests[id] {
				ids = append(ids, other)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
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
	of := make(map[int64]*Carrier, len(carriers))
	for i := range carriers {
		carriers[i].Files = []Touched{}
		of[carriers[i].member.commit] = &carriers[i]
	}
	times, err := k.times(ctx)
	if err != nil {
		return err
	}
	names, by := map[int64]string{}, map[int64][]fileOf{} // by path
	for part := range slices.Chunk(slices.Sorted(maps.Keys(of)), askedAtOnce) {
		list, err := k.touched(ctx, part, names)
		if err != nil {
			return err
		}
		for len(list) > 0 {
			c := of[list[0].commit]
			n := 0
			for ; n < len(list) && list[n].commit == c.member.commit; n++ {
				c.Files = append(c.Files, list[n].Touched)
			}
			c.Files = slices.Clip(c.Files) // from here on it stays where it is
			for i := range n {
				by[list[i].path] = append(by[list[i].path], fileOf{c.member.committed, 0, &c.Files[i]})
			}
			list = list[n:]
		}
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(by)), askedAtOnce) {
		if err := k.later(ctx, part, times, by); err != nil {
			return err
		}
	}
	return k.nameLast(ctx, by)
}

// A touch is a row of the table.
type touch struct {
	commit, path int64
	Touched
}

// touched reads what some commits touch, by commit and the names of the paths, which are
// added to those known: many commits touch one path.
func (k *kinship) touched(ctx context.Context, commits []int64, names map[int64]string) (list []touch, err error) {
	fresh := map[int64]bool{}
	if err := eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		var t touch
		err := rows.Scan(&t.commit, &t.path, &t.Added, &t.Deleted)
		if _, ok := names[t.path]; !ok {
			fresh[t.path] = true
		}
		list = append(list, t)
		return err
	}, "SELECT t.commit_id, t.path, coalesce(t.added, -1), coalesce(t.deleted, -1) FROM json_each(?) s JOIN touch t ON t.commit_id = s.value", asJSON(commits)); err != nil {
		return nil, err
	}
	err = eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		var id int64
		var name string
		err := rows.Scan(&id, &name)
		names[id] = name
		return err
	}, "SELECT p.id, p.name FROM json_each(?) s JOIN path p ON p.id = s.value", asJSON(slices.Sorted(maps.Keys(fresh))))
	for i := range list {
		list[i].Path = names[list[i].path]
	}
	slices.SortFunc(list, func(a, b touch) int { return cmp.Or(cmp.Compare(a.commit, b.commit), cmp.Compare(a.Path, b.Path)) })
	return list, err
}

// A fileOf is a file as a carrier of some time touched it, and the number of the last
// commit that did so later.
type fileOf struct {
	committed, last int64
	*Touched
}

// times are the times of all commits that a ref reaches, by number; others are before all.
func (k *kinship) times(ctx context.Context) ([]int64, error) {
	times := make([]int64, len(k.members))
	for i := range times {
		times[i] = -1 << 62
	}
	err := k.view.Entries(ctx, false, func(_ int, e *Entry) {
		if e.Commit < int64(len(times)) {
			times[e.Commit] = e.Committed
		}
	})
	return times, err
}

// later counts, for some paths, the commits behind each of their carriers.
func (k *kinship) later(ctx context.Context, paths []int64, times []int64, by map[int64][]fileOf) error {
	type touching struct{ committed, commit int64 }
	var at int64
	var all []touching
	count := func() {
		slices.SortFunc(all, func(a, b touching) int {
			return cmp.Or(cmp.Compare(a.committed, b.committed), cmp.Compare(a.commit, b.commit))
		})
		for i, f := range by[at] {
			from, _ := slices.BinarySearchFunc(all, f.committed+1, func(t touching, at int64) int { return cmp.Compare(t.committed, at) })
			if f.Later = len(all) - from; f.Later > 0 {
				by[at][i].last = all[len(all)-1].commit
			}
		}
		all = all[:0]
	}
	err := eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
		var path, commit int64
		err := rows.Scan(&path, &commit)
		if path != at {
			count()
		}
		at = path
		if commit < int64(len(times)) && times[commit] > -1<<62 {
			all = append(all, touching{times[commit], commit})
		}
		return err
	}, "SELECT t.path, t.commit_id FROM json_each(?) s CROSS JOIN touch t ON t.path = s.value", asJSON(paths))
	count()
	return err
}

// nameLast finds the ids of the last commits.
func (k *kinship) nameLast(ctx context.Context, by map[int64][]fileOf) error {
	of := map[int64][]*Touched{}
	for _, list := range by {
		for _, f := range list {
			if f.last > 0 {
				of[f.last] = append(of[f.last], f.Touched)
			}
		}
	}
	rest := slices.Sorted(maps.Keys(of))
	return k.view.spans(ctx, "ids", func(s *span) error {
		n, _ := slices.BinarySearch(rest, s.first+int64(s.count))
		for i, id := range s.hexOf(rest[:n]) {
			for _, t := range of[rest[i]] {
				t.Last = id
			}
		}
		rest = rest[n:]
		return nil
	})
}
