package audit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/artifact"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// ArtifactSchema names the version of ArtifactUse as JSON.
const ArtifactSchema = "gatekeeper/audit-artifact/v1"

// An Artifact is a binary or an image, and what links it to commits.
type Artifact struct {
	SHA256 string         `json:"sha256"`
	Name   string         `json:"name"`
	Size   *int64         `json:"size"`  // bytes; null when only its digest was told
	Added  string         `json:"added"` // date
	Links  []ArtifactLink `json:"links"` // the best founded first
}

// An ArtifactLink is a commit that it was built from.
type ArtifactLink struct {
	Commit     string            `json:"commit"`
	Repository string            `json:"repository"` // that has the commit, of several the one that was indexed first; "" for none
	URI        string            `json:"uri"`        // as it was told
	Strength   artifact.Strength `json:"strength"`
	Source     string            `json:"source"`
	By         string            `json:"by"`

	id, repo int64
	oid      change.ID
}

// KeepArtifact adds an artifact with what is claimed of it, and more claims to one that is
// there. size is -1 when only its digest is known.
func KeepArtifact(ctx context.Context, s *store.Store, at time.Time, name, sha256 string, size int64, claims []artifact.Claim) error {
	err := s.Do(ctx, func(tx *sql.Tx) error {
		known := any(size)
		if size < 0 {
			known = nil
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO artifact (at, sha256, name, size) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", at.Unix(), sha256, text(name), known); err != nil {
			return err
		}
		for _, c := range claims {
			for _, commit := range c.Commits {
				if _, err := tx.ExecContext(ctx, `INSERT INTO artifact_link (artifact, at, oid, strength, source, teller, uri)
					SELECT id, ?, ?, ?, ?, ?, ? FROM artifact WHERE sha256 = ? ON CONFLICT DO NOTHING`,
					at.Unix(), raw(commit.ID), string(c.Strength), text(c.Source), text(c.By), text(commit.URI), sha256); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep artifact %s: %w", name, err)
	}
	return nil
}

// Artifacts lists all that are known, by name.
func (v *View) Artifacts(ctx context.Context) ([]Artifact, error) {
	until := int64(1<<63 - 1)
	if v.AsOf != nil {
		until = v.AsOf.Unix()
	}
	list, at := []Artifact{}, map[int64]int{}
	rows, err := v.Store.QueryContext(ctx, "SELECT id, at, sha256, name, size FROM artifact WHERE at <= ? ORDER BY name, sha256", until)
	if err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, added int64
		var size sql.NullInt64
		a := Artifact{Links: []ArtifactLink{}}
		if err := rows.Scan(&id, &added, &a.SHA256, &a.Name, &size); err != nil {
			return nil, fmt.Errorf("read artifacts: %w", err)
		}
		if size.Valid {
			a.Size = &size.Int64
		}
		a.Added, at[id] = dateOf(added), len(list)
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	if err := v.links(ctx, until, list, at); err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	return list, nil
}

// links adds to artifacts what links them, and finds the commits in the index.
func (v *View) links(ctx context.Context, until int64, list []Artifact, at map[int64]int) error {
	rows, err := v.Store.QueryContext(ctx, `SELECT l.artifact, l.oid, l.strength, l.source, l.teller, l.uri, coalesce(c.id, 0), coalesce(c.repo, 0)
		FROM artifact_link l LEFT JOIN commits c ON c.id = (SELECT min(id) FROM commits WHERE oid = l.oid AND run <= ?) WHERE l.at <= ?`, v.Run, until)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var oid []byte
		var l ArtifactLink
		if err := rows.Scan(&id, &oid, &l.Strength, &l.Source, &l.By, &l.URI, &l.id, &l.repo); err != nil {
			return err
		}
		l.oid = change.ID(oid)
		l.Commit, l.Repository = l.oid.String(), v.Repositories[l.repo].Name
		if n, ok := at[id]; ok {
			list[n].Links = append(list[n].Links, l)
		}
	}
	rank := func(l ArtifactLink) int { return slices.Index(artifact.Strengths(), l.Strength) }
	for _, a := range list {
		slices.SortFunc(a.Links, func(a, b ArtifactLink) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Commit, b.Commit), cmp.Compare(a.Source, b.Source), cmp.Compare(a.By, b.By))
		})
	}
	return rows.Err()
}

// ErrNoArtifact reports a name or digest under which nothing was added.
var ErrNoArtifact = errors.New("no artifact of that name or digest is known")

// FindArtifact finds the one that a digest, the beginning of one with eight digits or more, or
// a name means. A name that several bear is an error.
func (v *View) FindArtifact(ctx context.Context, asked string) (Artifact, error) {
	all, err := v.Artifacts(ctx)
	if err != nil {
		return Artifact{}, err
	}
	digest := strings.TrimPrefix(strings.ToLower(asked), "sha256:")
	var found []Artifact
	for _, a := range all {
		if a.Name == asked || len(digest) >= 8 && strings.HasPrefix(a.SHA256, digest) {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return Artifact{}, ErrNoArtifact
	case 1:
		return found[0], nil
	}
	return Artifact{}, fmt.Errorf("%d artifacts are called %s; name one by its SHA-256", len(found), asked)
}

// ArtifactUse is what had a part in an artifact.
type ArtifactUse struct {
	Schema   string     `json:"schema"`
	AsOf     *time.Time `json:"as_of"`
	Artifact Artifact   `json:"artifact"`
	Strength string     `json:"strength"` // of the weakest link that the figures rest on; "" when there is none
	Absent   []string   `json:"absent"`   // commits that it was built from and no repository of the index has
	Gone     int64      `json:"gone"`     // commits in it that no ref reaches any more, and that are not counted
	Usage    *Usage     `json:"usage"`    // of the commits that are in it, by tool and model; lines that live at the commits it was built from where these were asked for

	within *Set
}

// ArtifactUse finds out what is in an artifact: all commits that one gets to from those
// that it was built from. Where several sources name commits of one repository, the best
// founded counts. open is nil when no living lines are asked for.
func (v *View) ArtifactUse(ctx context.Context, a Artifact, open func(ctx context.Context, place string) (*repo.Repo, error)) (*ArtifactUse, error) {
	u := &ArtifactUse{Schema: ArtifactSchema, AsOf: v.AsOf, Artifact: a, Absent: []string{}, within: &Set{}}
	ends := v.builtFrom(a)
	for _, l := range a.Links {
		if l.id == 0 && !slices.Contains(u.Absent, l.Commit) {
			u.Absent = append(u.Absent, l.Commit)
		}
	}
	tips := map[int64]change.ID{}
	for repo, links := range ends {
		g, err := v.lineage(ctx, map[int64]bool{repo: true}, links[len(links)-1].id)
		if err != nil {
			return nil, fmt.Errorf("find out what is in %s: %w", a.Name, err)
		}
		for part := range slices.Chunk(links, 64) {
			for id, bits := range g.from(endsOf(part)) {
				if bits != 0 {
					u.within.add(int64(id))
				}
			}
		}
		tips[repo] = links[len(links)-1].oid
	}
	u.Strength = weakest(ends)
	q := Question{By: []string{ByTool, ByModel}, Within: u.within}
	if open != nil {
		q.Living = &Living{At: tips, Open: open}
	}
	var err error
	if u.Usage, err = v.Usage(ctx, q); err != nil {
		return nil, err
	}
	u.Gone = u.within.len() - u.Usage.Total.Commits - u.Usage.Total.Merges
	return u, nil
}

// builtFrom are the links that count, by repository: of each the best founded ones.
func (v *View) builtFrom(a Artifact) map[int64][]ArtifactLink {
	ends := map[int64][]ArtifactLink{}
	for _, l := range a.Links { // the best founded first
		if of := ends[l.repo]; l.id != 0 && (len(of) == 0 || of[0].Strength == l.Strength) {
			ends[l.repo] = append(of, l)
		}
	}
	return ends
}

func weakest(ends map[int64][]ArtifactLink) string {
	worst := -1
	for _, links := range ends {
		worst = max(worst, slices.Index(artifact.Strengths(), links[0].Strength))
	}
	if worst < 0 {
		return ""
	}
	return string(artifact.Strengths()[worst])
}

// artifacts tells in which artifacts carriers are: those that were built from a commit from
// which one gets to them. A revert that is in it, too, takes nothing out of that.
func (k *kinship) artifacts(ctx context.Context, carriers []Carrier) error {
	all, err := k.view.Artifacts(ctx)
	if err != nil {
		return err
	}
	var ids []int64
	for i := range carriers {
		ids = append(ids, carriers[i].member.commit)
		carriers[i].Artifacts = []string{}
	}
	g, err := k.lineage(ctx, ids)
	if err != nil {
		return err
	}
	for _, a := range all {
		var links []ArtifactLink
		for _, of := range k.view.builtFrom(a) {
			links = append(links, of...)
		}
		for part := range slices.Chunk(links, 64) {
			bits := g.from(endsOf(part))
			for i := range carriers {
				c := &carriers[i]
				if id := c.member.commit; id < int64(len(bits)) && bits[id] != 0 && !slices.Contains(c.Artifacts, a.Name) {
					c.Artifacts = append(c.Artifacts, a.Name)
				}
			}
		}
	}
	return nil
}

// endsOf marks the commits of links, a bit for each.
func endsOf(links []ArtifactLink) func(mark func(id int64, bit int)) {
	return func(mark func(id int64, bit int)) {
		for i, l := range links {
			mark(l.id, i)
		}
	}
}

// A Set is commits, by number.
type Set struct{ bits []uint64 }

// Has reports whether a commit is in it.
func (s *Set) Has(id int64) bool {
	word := id / 64
	return word < int64(len(s.bits)) && s.bits[word]>>(id%64)&1 == 1
}

func (s *Set) len() (n int64) {
	for _, word := range s.bits {
		n += int64(bits.OnesCount64(word))
	}
	return n
}

func (s *Set) add(id int64) {
	for int64(len(s.bits)) <= id/64 {
		s.bits = append(s.bits, make([]uint64, 1+len(s.bits))...)
	}
	s.bits[id/64] |= 1 << (id % 64)
}

// PartExamples are commits of an artifact in which a tool used a model, with their
// evidence, at most so many of each: for people who want to look.
func (v *View) PartExamples(ctx context.Context, u *ArtifactUse, most int) (map[[2]string][]artifact.Example, error) {
	type found struct {
		commit, repo int64
		evidence     Evidence
	}
	readers := make([]map[[2]string][]found, Readers())
	for i := range readers {
		readers[i] = map[[2]string][]found{}
	}
	err := v.Entries(ctx, false, func(n int, e *Entry) {
		if !u.within.Has(e.Commit) {
			return
		}
		for _, use := range e.Uses {
			of := v.Uses[use.Use]
			key := [2]string{spelt(of.Tool.Name), of.Model.ID()}
			readers[n][key] = append(readers[n][key], found{e.Commit, e.Repo, of.tier(e.Evidence)})
		}
	})
	if err != nil {
		return nil, err
	}
	for _, r := range readers[1:] {
		for key, list := range r {
			readers[0][key] = append(readers[0][key], list...)
		}
	}
	all := map[[2]string][]artifact.Example{}
	for key, list := range readers[0] {
		slices.SortFunc(list, func(a, b found) int { return cmp.Compare(b.commit, a.commit) }) // the latest first
		for _, f := range list[:min(most, len(list))] {
			var oid []byte
			if err := v.Store.QueryRowContext(ctx, "SELECT oid FROM commits WHERE id = ?", f.commit).Scan(&oid); err != nil {
				return nil, fmt.Errorf("read index: %w", err)
			}
			all[key] = append(all[key], artifact.Example{Repository: v.Repositories[f.repo].Name, Commit: change.ID(oid).String(), Evidence: string(f.evidence)})
		}
	}
	return all, nil
}
