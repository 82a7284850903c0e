package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	by := map[int64]map[int64]bool{}
	for _, id := range ids {
		if m := k.members[id]; m != nil && m.how != "" {
			by[m.Repo] = with(by[m.Repo], id, true)
		}
	}
	for _, repo := range slices.Sorted(maps.Keys(by)) {
		found, err := k.squashedIn(ctx, repo, by[repo])
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, found...)
	}
	return fresh, nil
}

func (k *kinship) squashedIn(ctx context.Context, repo int64, carriers map[int64]bool) (fresh []int64, err error) {
	tips, err := k.view.Tips(ctx, repo)
	if err != nil {
		return nil, err
	}
	main, ok := tips[k.view.Repositories[repo].Default]
	if !ok {
		return nil, nil
	}
	chains, err := k.chains(ctx, repo, main, tips)
	if err != nil {
		return nil, err
	}
	for _, c := range chains {
		oldest := -1
		for i, l := range c {
			if carriers[l.id] {
				oldest = i
			}
		}
		if oldest < 0 {
			continue
		}
		found, err := k.squashesOf(ctx, repo, main, c, oldest, carriers)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, found...)
	}
	return fresh, nil
}

// A link is a commit of a chain: commits with one parent each, the tip first.
type link struct {
	id          int64
	oid, parent change.ID
}

func (k *kinship) chains(ctx context.Context, repo int64, main change.ID, tips map[string]change.ID) (chains [][]link, err error) {
	ends := []string{}
	for _, tip := range tips {
		if tip != main {
			ends = append(ends, tip.String())
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	if len(ends) == 0 {
		return nil, nil
	}
	rows, err := k.view.Store.QueryContext(ctx, `WITH RECURSIVE walk(tip, n, id, oid, parents) AS (
		SELECT c.id, 0, c.id, c.oid, c.parents FROM json_each(?1) s JOIN commits c ON c.oid = unhex(s.value) AND c.repo = ?2
		UNION ALL SELECT w.tip, w.n + 1, c.id, c.oid, c.parents FROM walk w JOIN commits c ON c.oid = w.parents AND c.repo = ?2 WHERE w.n < ?3)
		SELECT tip, id, oid, parents FROM walk WHERE length(parents) = length(oid) ORDER BY tip, n`, asJSON(ends), repo, maxChain)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := int64(0)
	for rows.Next() {
		var tip int64
		var l link
		var oid, parent []byte
		if err := rows.Scan(&tip, &l.id, &oid, &parent); err != nil {
			return nil, err
		}
		l.oid, l.parent = change.ID(oid), change.ID(parent)
		if tip != last {
			chains = append(chains, nil)
		}
		last = tip
		chains[len(chains)-1] = append(chains[len(chains)-1], l)
	}
	return chains, rows.Err()
}

// squashesOf finds the squashes of a chain up to each of its commits that stand on the
// oldest carrier, or are it.
func (k *kinship) squashesOf(ctx context.Context, repo int64, main change.ID, chain []link, oldest int, carriers map[int64]bool) (fresh []int64, err error) {
	o, err := k.at(ctx, repo)
	if o == nil {
		return nil, err
	}
	name := k.view.Repositories[repo].Name
	out, err := o.Command(ctx, "merge-base", main.String(), chain[0].oid.String()).Output()
	if err != nil {
		k.leave("%s: squashes of the branch that ends at %.10s are not looked for: it has no base with the default branch", name, chain[0].oid.String())
		return nil, ctx.Err()
	}
	fork, err := change.ParseID(strings.TrimSpace(string(out)))
	if err != nil {
		return nil, fmt.Errorf("git merge-base: %w", err)
	}
	if chain[0].oid == fork { // merged
		return nil, nil
	}
	if i := slices.IndexFunc(chain, func(l link) bool { return l.parent == fork }); i >= 0 {
		chain = chain[:i+1]
	} else {
		k.leave("%s: squashes of the branch that ends at %.10s are not looked for: it has merges, or more than %d commits", name, chain[0].oid.String(), maxChain)
		return nil, nil
	}
	for end := min(oldest, len(chain)-2); end >= 0; end-- { // of one commit alone it is the same change
		parts := map[int64]bool{}
		for _, l := range chain[end:] {
			if carriers[l.id] {
				parts[l.id] = true
			}
		}
		found, err := k.squashOf(ctx, o, fork, chain[end:], parts)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, found...)
	}
	return fresh, nil
}

// squashOf finds commits that change what a chain does, on top of where it forked. One
// that carries what a part does touches a file of it.
func (k *kinship) squashOf(ctx context.Context, o *opened, fork change.ID, chain []link, parts map[int64]bool) (fresh []int64, err error) {
	digest, files, err := composed(o, fork, chain[0].oid)
	if err != nil {
		k.leave("squashes of the branch up to %.10s are not looked for: %v", chain[0].oid.String(), err)
		return nil, ctx.Err()
	}
	for part := range parts {
		later, err := k.ties(ctx, map[string][]int64{strconv.FormatInt(part, 10): {part}}, fmt.Sprintf(`SELECT DISTINCT s.value, c.id, '' FROM json_each(?) s JOIN touch a ON a.commit_id = CAST(s.value AS INTEGER)
			JOIN touch b ON b.path = a.path AND b.commit_id > a.commit_id JOIN commits c ON c.id = b.commit_id
			WHERE c.files = %d AND length(c.parents) = length(c.oid) LIMIT %d`, files, maxSquashes))
		if err != nil {
			return nil, err
		}
		if len(later) == maxSquashes {
			k.leave("squashes of %.10s: only %d later commits on its files were looked at", k.members[part].oid.String(), maxSquashes)
		}
		if err := k.load(ctx, ends(later)); err != nil {
			return nil, err
		}
		if err := k.digests(ctx, later); err != nil {
			return nil, err
		}
		for _, t := range later {
			if m := k.members[t.to]; m != nil && string(m.digest) == digest && k.carry(t.to, Squashed, part) {
				fresh = append(fresh, t.to)
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
