package audit

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Bounds of the search for squashes: commits of a branch, counted from its tip, and later
// commits with as many files among which one is looked for.
const (
	maxChain    = 64
	maxSquashes = 5000
)

// squashed finds commits that change at once what a branch changes in a row: from where it
// left the default branch up to any commit of it. It asks of branches that still stand,
// since what no ref reaches any more carries nothing.
func (k *kinship) squashed(ctx context.Context, ids []int64) (fresh []int64, err error) {
	if err := k.unmerged(ctx, ids); err != nil {
		return nil, err
	}
	carriers := map[int64]bool{}
	for _, c := range k.chains {
		for _, id := range c.links {
			if _, ok := slices.BinarySearch(ids, id); ok && k.members[id].how != "" {
				carriers[id] = true
			}
		}
	}
	for _, c := range k.chains {
		oldest := -1
		for i, id := range c.links {
			if carriers[id] {
				oldest = i
			}
		}
		if oldest < 0 {
			continue
		}
		found, err := k.squashesOf(ctx, c, oldest, carriers)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, found...)
	}
	return fresh, nil
}

// A chain is the commits of a branch that its default branch does not have, the tip first.
type chain struct {
	repo  int64
	links []int64
	fork  int64  // the commit of the default branch on which it stands; 0 for none
	why   string // there is none
}

// unmerged finds the chains of the repositories of some commits.
func (k *kinship) unmerged(ctx context.Context, ids []int64) error {
	before := k.graph
	g, err := k.lineage(ctx, ids)
	if err != nil || g == before {
		return err
	}
	ends, err := k.endings(ctx)
	if err != nil {
		return err
	}
	merged := g.from(func(mark func(int64, int)) {
		for repo, list := range ends {
			for _, e := range list {
				if e.name == k.view.Repositories[repo].Default {
					mark(e.id, 0)
				}
			}
		}
	})
	k.chains = nil
	for _, repo := range slices.Sorted(maps.Keys(k.graphOf)) {
		tips := map[int64]bool{}
		for _, e := range ends[repo] {
			tips[e.id] = true
		}
		if !slices.ContainsFunc(ends[repo], func(e ending) bool { return e.name == k.view.Repositories[repo].Default }) {
			continue
		}
		for _, tip := range slices.Sorted(maps.Keys(tips)) {
			if c := g.chain(tip, merged); len(c.links) > 0 {
				c.repo = repo
				k.chains = append(k.chains, c)
			}
		}
	}
	return nil
}

// chain goes from a tip up to what is merged.
func (g *graph) chain(tip int64, merged []uint64) (c chain) {
	is := func(id int64) bool { return id < int64(len(merged)) && merged[id] != 0 }
	for id := tip; !is(id); {
		if len(c.links) == maxChain {
			c.why = fmt.Sprintf("it has more than %d commits", maxChain)
			return c
		}
		above := g.of(id)
		if len(above) > 1 {
			c.why = "it has merges"
			return c
		}
		c.links = append(c.links, id)
		if len(above) == 0 {
			c.why = "it has no base with the default branch"
			return c
		}
		id = int64(above[0])
		c.fork = id
	}
	return c
}

// squashesOf finds the squashes of a chain up to each of its commits that stand on the
// oldest carrier, or are it.
func (k *kinship) squashesOf(ctx context.Context, c chain, oldest int, carriers map[int64]bool) (fresh []int64, err error) {
	o, err := k.at(ctx, c.repo)
	if o == nil {
		return nil, err
	}
	oids, err := k.oids(ctx, append(slices.Clone(c.links), c.fork))
	if err != nil {
		return nil, err
	}
	if c.why != "" {
		k.leave("%s: squashes of the branch that ends at %.10s are not looked for: %s", k.view.Repositories[c.repo].Name, oids[c.links[0]].String(), c.why)
		return nil, nil
	}
	for end := min(oldest, len(c.links)-2); end >= 0; end-- { // of one commit alone it is the same change
		var parts []int64
		for _, id := range c.links[end:] {
			if carriers[id] {
				parts = append(parts, id)
			}
		}
		found, err := k.squashOf(ctx, o, oids[c.fork], oids[c.links[end]], parts)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, found...)
	}
	return fresh, nil
}

// squashOf finds commits that change what a chain does, on top of where it forked. One
// that carries what a part does touches a file of it.
func (k *kinship) squashOf(ctx context.Context, o *opened, fork, tip change.ID, parts []int64) (fresh []int64, err error) {
	digest, files, err := composed(o, fork, tip)
	if err != nil {
		k.leave("squashes of the branch up to %.10s are not looked for: %v", tip.String(), err)
		return nil, ctx.Err()
	}
	for _, part := range parts {
		var later []int64
		err := eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			later = append(later, id)
			return err
		}, `SELECT DISTINCT c.id FROM touch a JOIN touch b ON b.path = a.path AND b.commit_id > a.commit_id JOIN commits c ON c.id = b.commit_id
			WHERE a.commit_id = ? AND c.files = ? AND length(c.parents) = length(c.oid) LIMIT ?`, part, files, maxSquashes)
		if err != nil {
			return nil, err
		}
		if len(later) == maxSquashes {
			k.leave("squashes of the branch up to %.10s: only %d later commits on its files were looked at", tip.String(), maxSquashes)
		}
		if err := k.load(ctx, later); err != nil {
			return nil, err
		}
		if err := k.know(ctx, later); err != nil {
			return nil, err
		}
		for _, id := range later {
			if k.digests[id] == digest && k.carry(id, Squashed, part) {
				fresh = append(fresh, id)
			}
		}
	}
	return fresh, nil
}

// composed is the digest of all that leads from one commit to another, and how many files
// differ.
func composed(o *opened, from, to change.ID) (digest string, files int, err error) {
	_, old, err := treesOf(o.objects, from)
	if err != nil {
		return "", 0, err
	}
	_, tree, err := treesOf(o.objects, to)
	if err != nil {
		return "", 0, err
	}
	d, stats, err := change.Compute(o.objects, old, tree)
	return string(d[:]), stats.Files, err
}
