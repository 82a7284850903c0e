package audit

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Alive are lines of a commit that live in a file at a ref. How many of them came of what
// is looked for is known as far as its claims count: of a commit that adds ten lines, four
// of them counted, seven living ones hold at least one and at most four. A trace tells line
// by line.
type Alive struct {
	Ref   string `json:"ref"`
	Path  string `json:"path"`
	Lines int    `json:"lines"`
	Least int    `json:"least"`
	Most  int    `json:"most"`
}

// byRepository is the places of carriers, by repository in the order of numbers.
func byRepository(carriers []Carrier) (repos []int64, in map[int64][]int) {
	in = map[int64][]int{}
	for i, c := range carriers {
		in[c.member.repo] = append(in[c.member.repo], i)
	}
	return slices.Sorted(maps.Keys(in)), in
}

// living looks for lines of the carriers at the refs asked for, in all files: lines move.
func (k *kinship) living(ctx context.Context, carriers []Carrier) error {
	repos, in := byRepository(carriers)
	for _, id := range repos {
		of := map[change.ID]*Carrier{}
		for _, i := range in[id] {
			carriers[i].Living = []Alive{}
			id, err := change.ParseID(carriers[i].Commit)
			if err != nil {
				return err
			}
			of[id] = &carriers[i]
		}
		tips, err := k.view.Tips(ctx, id)
		if err != nil {
			return err
		}
		for _, ref := range k.seeker.Living {
			tip, ok := tips[ref]
			if !ok {
				continue
			}
			o, err := k.at(ctx, id)
			if err != nil {
				return err
			}
			if o == nil {
				break
			}
			if err := k.livingAt(ctx, o, id, ref, tip, of); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				k.leave("%s: lines that live at %s were not all found: %v", k.view.Repositories[id].Name, ref, err)
			}
		}
		for _, c := range of {
			slices.SortFunc(c.Living, func(a, b Alive) int { return cmp.Or(cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Path, b.Path)) })
		}
	}
	return nil
}

// livingAt looks at one ref of one repository.
func (k *kinship) livingAt(ctx context.Context, o *opened, id int64, ref string, tip change.ID, of map[change.ID]*Carrier) error {
	traces, err := k.tracer(ctx, o, of)
	if err != nil {
		return err
	}
	if traces != nil {
		defer traces.close()
	}
	return k.view.blameAll(ctx, o.Repo, id, tip, func(path string, from map[change.ID]int) error {
		var lines map[change.ID]*traceCount
		if traces != nil {
			if lines, err = traces.file(ctx, tip, path, from); err != nil {
				return err
			}
		}
		for commit, n := range from {
			c := of[commit]
			if c == nil {
				continue
			}
			a := k.alive(c, ref, path, n)
			if t := lines[commit]; t != nil {
				a.narrow(t)
			}
			c.Living = append(c.Living, a)
		}
		return nil
	})
}

// alive counts lines. What became of a commit of record is claimed by that one, and not
// counted for the kin.
func (k *kinship) alive(c *Carrier, ref, path string, lines int) Alive {
	a := Alive{Ref: ref, Path: path, Lines: lines, Most: lines}
	ai, counted := 0, c.How == OfRecord
	for _, u := range c.member.uses {
		if k.seeker.hit.has(u.Use) {
			ai, counted = ai+max(u.AI, 0), counted && u.AI >= 0
		}
	}
	if c.Added >= 0 && counted {
		a.Least, a.Most = spread(ai, true, max(c.Added, lines), lines)
	}
	return a
}

// owners tells who owns the files of the carriers.
func (k *kinship) owners(ctx context.Context, carriers []Carrier) error {
	paths, err := k.paths(ctx, carriers)
	if err != nil {
		return err
	}
	repos, in := byRepository(carriers)
	for _, id := range repos {
		book, err := k.ownersAt(ctx, id)
		if err != nil {
			return err
		}
		for _, i := range in[id] {
			c := &carriers[i]
			all := map[string]bool{}
			for _, a := range c.Living {
				paths[i] = append(paths[i], a.Path)
			}
			for _, path := range paths[i] {
				for _, o := range book.of(path) {
					all[o] = true
				}
			}
			c.Owners, c.book = append([]string{}, slices.Sorted(maps.Keys(all))...), book
		}
		if book.over() {
			k.leave("%s: its CODEOWNERS takes too long to look up all files in; some have no owners here", k.view.Repositories[id].Name)
		}
	}
	return nil
}

// paths are the files that the carriers touch.
func (k *kinship) paths(ctx context.Context, carriers []Carrier) ([][]string, error) {
	paths, at := make([][]string, len(carriers)), map[int64]int{}
	for i := range carriers {
		if at[carriers[i].member.commit] = i; carriers[i].Files != nil {
			for _, f := range carriers[i].Files {
				paths[i] = append(paths[i], f.Path)
			}
			delete(at, carriers[i].member.commit)
		}
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(at)), askedAtOnce) {
		if err := eachRow(ctx, k.view.Store, func(rows *sql.Rows) error {
			var commit int64
			var path string
			err := rows.Scan(&commit, &path)
			paths[at[commit]] = append(paths[at[commit]], path)
			return err
		}, "SELECT t.commit_id, p.name FROM json_each(?) s JOIN touch t ON t.commit_id = s.value JOIN path p ON p.id = t.path", asJSON(part)); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// ownersAt are the CODEOWNERS of a repository's default branch; the first file that is
// there counts.
func (k *kinship) ownersAt(ctx context.Context, id int64) (*ownerBook, error) {
	r := k.view.Repositories[id]
	tips, err := k.view.Tips(ctx, id)
	if err != nil {
		return nil, err
	}
	tip, ok := tips[r.Default]
	o, err := k.at(ctx, id)
	if err != nil || o == nil || !ok {
		return newOwnerBook(nil), err
	}
	for _, name := range ownersFiles {
		content, blob, err := repo.FileAt(o.objects, tip, name, maxOwners)
		if err != nil {
			k.leave("%s: %s was not read: %v", r.Name, name, err)
			return newOwnerBook(nil), ctx.Err()
		}
		if blob == "" {
			continue
		}
		if content == nil {
			k.leave("%s: %s is larger than %d bytes and was not read", r.Name, name, maxOwners)
		}
		return newOwnerBook(ParseOwners(content)), nil
	}
	return newOwnerBook(nil), nil
}

// inverses tries to take the carriers back, each alone, at the default branch.
func (k *kinship) inverses(ctx context.Context, carriers []Carrier) error {
	for i := range carriers {
		c := &carriers[i]
		var err error
		if c.Inverse, err = k.tryInverse(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// What comes of taking a commit back.
const (
	InverseClean    = "clean"
	InverseConflict = "conflict"
	InverseNothing  = "nothing" // all of it is gone already
)

func (k *kinship) tryInverse(ctx context.Context, c *Carrier) (string, error) {
	id, err := change.ParseID(c.Commit)
	if err != nil {
		return "", err
	}
	var one bool
	if err := k.view.Store.QueryRowContext(ctx, "SELECT length(parents) = length(oid) FROM commits WHERE id = ?", c.member.commit).Scan(&one); err != nil {
		return "", err
	}
	if !one {
		return "not tried: it has no parent, or several", nil
	}
	tips, err := k.view.Tips(ctx, c.member.repo)
	if err != nil {
		return "", err
	}
	tip, ok := tips[k.view.Repositories[c.member.repo].Default]
	o, err := k.at(ctx, c.member.repo)
	switch {
	case err != nil:
		return "", err
	case o == nil:
		return "not tried: the repository could not be read", nil
	case !ok:
		return "not tried: there is no default branch to try it on", nil
	}
	tree, clean, err := o.RevertTree(ctx, tip, id)
	if err != nil {
		k.leave("%s: the inverse of %.10s: %v", c.Repository, c.Commit, err)
		return "not tried: git could not", ctx.Err()
	}
	before, err := repo.TreeOf(o.objects, tip)
	switch {
	case err != nil:
		k.leave("%s: the inverse of %.10s: %v", c.Repository, c.Commit, err)
		return "not tried: git could not", ctx.Err()
	case !clean:
		return InverseConflict, nil
	case tree == before:
		return InverseNothing, nil
	}
	return InverseClean, nil
}

// A WorkItem is a file that somebody has to look at.
type WorkItem struct {
	Repository string   `json:"repository"`
	Path       string   `json:"path"`
	Owners     []string `json:"owners"`
	Commits    []string `json:"commits"` // that are not undone
	Clean      int      `json:"clean"`   // of these, those that can be taken back as they are
	Refs       int      `json:"refs"`    // branches and tags that contain any of them
	Living     int      `json:"living"`  // lines that live, at the ref where most do
	Later      int      `json:"later"`   // commits that touched the file behind the first of them
}

// work lists files in order of reach: lines that live, then branches and tags, then
// commits. What is undone wholly needs no work, unless it lives where the revert did not
// get.
func work(carriers []Carrier) []WorkItem {
	type place struct{ repo, path string }
	items, refs, living := map[place]*WorkItem{}, map[place]map[string]bool{}, map[place]map[string]int{}
	at := func(c *Carrier, path string) (place, *WorkItem) {
		p := place{c.Repository, path}
		w := items[p]
		if w == nil {
			w = &WorkItem{Repository: c.Repository, Path: path, Owners: append([]string{}, c.book.of(path)...)}
			items[p], refs[p], living[p] = w, map[string]bool{}, map[string]int{}
		}
		if !slices.Contains(w.Commits, c.Commit) {
			w.Commits = append(w.Commits, c.Commit)
			if c.Inverse == InverseClean {
				w.Clean++
			}
		}
		return p, w
	}
	for i := range carriers {
		c := &carriers[i]
		alive := slices.ContainsFunc(c.Living, func(a Alive) bool { return a.Lines > 0 })
		if c.Undone == "whole" && !alive && len(c.UndoneIn) == len(c.Refs) {
			continue
		}
		for _, f := range c.Files {
			p, w := at(c, f.Path)
			w.Later = max(w.Later, f.Later)
			for _, r := range c.Refs {
				if !slices.Contains(c.UndoneIn, r) {
					refs[p][r] = true
				}
			}
		}
		for _, a := range c.Living {
			p, _ := at(c, a.Path)
			living[p][a.Ref] += a.Lines
		}
	}
	list := []WorkItem{}
	for p, w := range items {
		w.Refs = len(refs[p])
		for _, n := range living[p] {
			w.Living = max(w.Living, n)
		}
		list = append(list, *w)
	}
	slices.SortFunc(list, func(a, b WorkItem) int {
		return cmp.Or(cmp.Compare(b.Living, a.Living), cmp.Compare(b.Refs, a.Refs), cmp.Compare(len(b.Commits), len(a.Commits)),
			cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Path, b.Path))
	})
	return list
}

// Replay is what another policy says of the carriers' uses.
type Replay struct {
	Policy string         `json:"policy"` // its digest
	Before ApprovalCount  `json:"before"` // by the policies of the time
	After  ApprovalCount  `json:"after"`
	Differ []ReplayDiffer `json:"differ"`
}

// A ReplayDiffer is a commit of which the two say different things.
type ReplayDiffer struct {
	Repository string `json:"repository"`
	Commit     string `json:"commit"`
	Use        string `json:"use"`
	Before     string `json:"before"` // approved, unsanctioned or not judged
	After      string `json:"after"`
	Rule       string `json:"rule"` // that refuses, before or after
}

// replay judges again. Of a commit with several of the uses the worst counts.
func (k *kinship) replay(carriers []Carrier) *Replay {
	r := &Replay{Policy: k.seeker.Replay.Digest(), Differ: []ReplayDiffer{}}
	sides := [2]*Approvals{k.view.Approvals(nil), k.view.Approvals(k.seeker.Replay)}
	counts := [2]map[*Approval]int64{{}, {}}
	for _, c := range carriers {
		var worst [2]*Approval
		use := ""
		for _, u := range c.member.uses {
			for i, a := range sides {
				if said := a.Of(c.member.entry(), u.Use); worst[i] == nil || worst[i].Allowed && !said.Allowed {
					worst[i] = said
					if i == 1 || !said.Allowed {
						use = spelt(k.view.Uses[u.Use].Tool.Name) + " " + k.view.Uses[u.Use].Model.ID()
					}
				}
			}
		}
		if worst[0] == nil { // nothing says what took part
			continue
		}
		counts[0][worst[0]]++
		counts[1][worst[1]]++
		if before, after := worst[0].word(), worst[1].word(); before != after {
			r.Differ = append(r.Differ, ReplayDiffer{c.Repository, c.Commit, use, before, after, cmp.Or(worst[1].Rule, worst[0].Rule)})
		}
	}
	r.Before, r.After = approvalsOf(counts[0]), approvalsOf(counts[1])
	return r
}

func (a *Approval) word() string {
	switch {
	case !a.Judged:
		return notJudged
	case a.Allowed:
		return approved
	}
	return unsanctioned
}
