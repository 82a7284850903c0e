package audit

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// words remembers the numbers of what many rows share. What it forgets, the index knows.
type words struct {
	people map[Person]int64
	uses   map[Use]int64

	lastPerson, lastUse, lastPath, lastFolder int64
}

// placeWords are those of one repository.
type placeWords struct{ paths, folders map[string]int64 }

// maxWords bounds each of the maps: some 20 MiB.
const maxWords = 100_000

func (w *words) begin(ctx context.Context, tx *sql.Tx, p *place) error {
	if p.words.paths == nil {
		p.words = placeWords{map[string]int64{}, map[string]int64{}}
	}
	if w.people != nil {
		return nil
	}
	w.people, w.uses = map[Person]int64{}, map[Use]int64{}
	return errors.Join(lastID(ctx, tx, "person", &w.lastPerson), lastID(ctx, tx, "use", &w.lastUse),
		lastID(ctx, tx, "path", &w.lastPath), lastID(ctx, tx, "folder", &w.lastFolder))
}

// wordNumber is the number of a word, which it gets when it has none.
func wordNumber[K comparable](ctx context.Context, tx *sql.Tx, known map[K]int64, last *int64, key K, find, add string, values ...any) (int64, error) {
	if id, ok := known[key]; ok {
		return id, nil
	}
	if len(known) >= maxWords {
		clear(known)
	}
	var id int64
	err := tx.QueryRowContext(ctx, find, values...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		id = *last + 1
		if _, err = tx.ExecContext(ctx, add, append([]any{id}, values...)...); err == nil {
			*last = id
		}
	}
	if err == nil {
		known[key] = id
	}
	return id, err
}

func (w *words) person(ctx context.Context, tx *sql.Tx, p Person) (int64, error) {
	return wordNumber(ctx, tx, w.people, &w.lastPerson, p, "SELECT id FROM person WHERE email = ? AND name = ?",
		"INSERT INTO person (id, email, name) VALUES (?, ?, ?)", p.Email, p.Name)
}

func (w *words) path(ctx context.Context, tx *sql.Tx, p *place, name string) (int64, error) {
	return wordNumber(ctx, tx, p.words.paths, &w.lastPath, name, "SELECT id FROM path WHERE repo = ? AND name = ?",
		"INSERT INTO path (id, repo, name) VALUES (?, ?, ?)", p.id, name)
}

func (w *words) folder(ctx context.Context, tx *sql.Tx, p *place, name string) (int64, error) {
	return wordNumber(ctx, tx, p.words.folders, &w.lastFolder, name, "SELECT id FROM folder WHERE repo = ? AND name = ?",
		"INSERT INTO folder (id, repo, name) VALUES (?, ?, ?)", p.id, name)
}

func (w *words) use(ctx context.Context, tx *sql.Tx, u Use) (int64, error) {
	return wordNumber(ctx, tx, w.uses, &w.lastUse, u,
		"SELECT id FROM use WHERE tool = ? AND model = ? AND provider = ? AND version = ? AND via = ? AND source = ?",
		"INSERT INTO use (id, tool, model, provider, version, via, source) VALUES (?, ?, ?, ?, ?, ?, ?)",
		spelt(u.Tool.Name), spelt(u.Model.Name), spelt(u.Model.Provider), spelt(u.Tool.Version), spelt(string(u.Via)), u.Source)
}

func spelt(s string) string {
	if s == "" {
		return provenance.Unknown
	}
	return text(s)
}

// A writing adds commits of one repository to the index.
type writing struct {
	x     *indexer
	place *place
	heads map[change.ID]bool
	n     int64 // of the last row of frontier
}

func newWriting(x *indexer, p *place) *writing {
	w := &writing{x: x, place: p, heads: map[change.ID]bool{}}
	for _, id := range p.heads {
		w.heads[id] = true
	}
	return w
}

// batch writes commits, all or none, with the heads of all that is indexed then.
func (w *writing) batch(ctx context.Context, commits []Commit) error {
	return w.x.do(ctx, func(tx *sql.Tx) error {
		if err := w.x.words.begin(ctx, tx, w.place); err != nil {
			return err
		}
		rows := newRows(ctx, tx)
		s := &strip{}
		first, fresh := w.x.lastCommit+1, []*Commit{}
		for i := range commits {
			c := &commits[i]
			for _, parent := range c.Parents {
				delete(w.heads, parent)
			}
			w.heads[c.ID] = true
			if known, err := w.known(ctx, tx, c.ID); err != nil {
				return err
			} else if known {
				continue
			}
			if err := w.commit(ctx, tx, rows, s, c); err != nil {
				return err
			}
			fresh = append(fresh, c)
		}
		if err := rows.flush(); err != nil {
			return err
		}
		if err := w.writeSpan(ctx, tx, first, fresh); err != nil {
			return err
		}
		if err := w.x.writeStrip(ctx, tx, w.place.id, s); err != nil {
			return err
		}
		if err := w.frontier(ctx, tx); err != nil {
			return err
		}
		w.x.wrote(w.place, len(commits))
		return nil
	})
}

// known reports whether a commit is indexed already. That can be only where the
// repository lost commits that stood above it.
func (w *writing) known(ctx context.Context, tx *sql.Tx, id change.ID) (bool, error) {
	if !w.place.again {
		return false, nil
	}
	var one int
	err := tx.QueryRowContext(ctx, "SELECT 1 FROM commits WHERE oid = ? AND repo = ?", raw(id), w.place.id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (w *writing) frontier(ctx context.Context, tx *sql.Tx) error {
	if w.n == 0 {
		var n sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT max(n) FROM frontier WHERE repo = ?", w.place.id).Scan(&n); err != nil {
			return err
		}
		w.n = n.Int64
	}
	w.n++
	heads := make([]change.ID, 0, len(w.heads))
	for id := range w.heads {
		heads = append(heads, id)
	}
	slices.Sort(heads)
	_, err := tx.ExecContext(ctx, "INSERT INTO frontier (repo, n, run, heads) VALUES (?, ?, ?, ?)", w.place.id, w.n, w.x.run, joinIDs(heads))
	return err
}

// rows are the rows of a batch on their way in.
type rows struct{ commits, touches, cites, judgements, signers, claims, servers *store.Insert }

func newRows(ctx context.Context, tx *sql.Tx) *rows {
	return &rows{
		commits: store.Into(ctx, tx, "commits", "id", "repo", "run", "oid", "parents", "author", "committer", "authored", "committed",
			"received", "own", "files", "added", "deleted", "shape", "change"),
		touches:    store.Into(ctx, tx, "touch", "commit_id", "path", "added", "deleted"),
		cites:      store.Into(ctx, tx, "cite", "commit_id", "run", "kind", "oid"),
		judgements: store.Into(ctx, tx, "judgement", "id", "commit_id", "run", "evidence", "class", "binding", "none", "beside", "trace", "problem"),
		signers:    store.Into(ctx, tx, "signer", "judgement", "n", "key", "principal", "class", "signed"),
		claims:     store.Into(ctx, tx, "claim", "judgement", "n", "use", "session", "ai", "total"),
		servers:    store.Into(ctx, tx, "server", "judgement", "n", "name"),
	}
}

func (r *rows) flush() error {
	return errors.Join(r.commits.Flush(), r.touches.Flush(), r.cites.Flush(), r.judgements.Flush(), r.signers.Flush(), r.claims.Flush(), r.servers.Flush())
}

// commit adds the rows of one commit, and its entry in the ledger.
func (w *writing) commit(ctx context.Context, tx *sql.Tx, r *rows, s *strip, c *Commit) error {
	x := w.x
	x.lastCommit++
	id := x.lastCommit
	author, err := x.words.person(ctx, tx, c.Author)
	if err != nil {
		return err
	}
	committer, err := x.words.person(ctx, tx, c.Committer)
	if err != nil {
		return err
	}
	r.commits.Row(id, w.place.id, x.run, raw(c.ID), joinIDs(c.Parents), author, committer, c.Authored.Unix(), c.Committed.Unix(),
		when(c.Received), c.Own, c.Files, count(c.Added), count(c.Deleted), shape(c), digest(c.Change))
	seen := map[string]bool{}
	for _, t := range c.Touches {
		path, err := x.words.path(ctx, tx, w.place, t.Path)
		if err != nil {
			return err
		}
		if !seen[t.Path] { // two that are not UTF-8 may read the same
			seen[t.Path] = true
			r.touches.Row(id, path, count(t.Added), count(t.Deleted))
		}
		if err := w.configures(ctx, tx, t.Path); err != nil {
			return err
		}
	}
	for i, cite := range c.Cites {
		if !slices.Contains(c.Cites[:i], cite) {
			r.cites.Row(id, x.run, cite.Kind, raw(cite.ID))
		}
	}
	uses, err := x.judgement(ctx, tx, r, id, &c.Judgement)
	if err != nil {
		return err
	}
	places, err := x.places(ctx, tx, w.place, c.Touches)
	if err != nil {
		return err
	}
	s.add(Entry{Commit: id, Author: author, Committed: c.Committed.Unix(), At: c.At().Unix(), Evidence: c.Evidence, Class: c.Class,
		Merge: len(c.Parents) > 1, Own: c.Own, Added: c.Added, Uses: uses, Places: places})
	return nil
}

// judgement adds the rows of what is known of a commit's provenance.
func (x *indexer) judgement(ctx context.Context, tx *sql.Tx, r *rows, commit int64, jd *Judgement) (uses []EntryUse, err error) {
	x.lastJudgement++
	id := x.lastJudgement
	r.judgements.Row(id, commit, x.run, string(jd.Evidence), jd.Class, jd.Binding, jd.None, jd.Beside, jd.Trace, jd.Problem)
	for n, s := range jd.Signers {
		r.signers.Row(id, n, s.Key, s.Principal, s.Class, when(s.Signed))
	}
	for n, c := range jd.Claims {
		use, err := x.words.use(ctx, tx, c.Use)
		if err != nil {
			return nil, err
		}
		r.claims.Row(id, n, use, text(c.Session), pointed(c.AI), pointed(c.Total))
		for i, name := range c.MCP {
			if !slices.Contains(c.MCP[:i], name) {
				r.servers.Row(id, n, text(name))
			}
		}
		e := EntryUse{Use: use, AI: -1}
		if c.AI != nil {
			e.AI = *c.AI
		}
		uses = append(uses, e)
	}
	return uses, nil
}

// placeDepth is how many folders deep the ledger tells where lines were added.
const placeDepth = 3

// places are the folders that a commit touches, and the lines it adds in each.
func (x *indexer) places(ctx context.Context, tx *sql.Tx, p *place, touches []repo.Touch) (places []EntryPlace, err error) {
	at := map[string]int{}
	for _, t := range touches {
		folder := folderOf(t.Path, placeDepth)
		i, ok := at[folder]
		if !ok {
			id, err := x.words.folder(ctx, tx, p, folder)
			if err != nil {
				return nil, err
			}
			i = len(places)
			at[folder] = i
			places = append(places, EntryPlace{Place: id})
		}
		places[i].Added += max(t.Added, 0)
	}
	return places, nil
}

// folderOf is the folder of a file, cut after so many, with a slash at its end; "" is the
// top.
func folderOf(path string, depth int) string {
	end := 0
	for range depth {
		i := strings.IndexByte(path[end:], '/')
		if i < 0 {
			break
		}
		end += i + 1
	}
	return path[:end]
}

func (x *indexer) writeStrip(ctx context.Context, tx *sql.Tx, repo int64, s *strip) error {
	if s.entries == 0 {
		return nil
	}
	x.lastStrip++
	_, err := tx.ExecContext(ctx, "INSERT INTO strip (id, repo, run, entries, backs, facts, places) VALUES (?, ?, ?, ?, ?, ?, ?)",
		x.lastStrip, repo, x.run, s.entries, s.backs, s.facts, s.places)
	return err
}

func when(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

func count(n int) any {
	if n < 0 {
		return nil
	}
	return n
}

func pointed(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}

func shape(c *Commit) any {
	if c.Shape == 0 {
		return nil
	}
	return c.Shape
}

func digest(d provenance.Digest) any {
	if d.IsZero() {
		return nil
	}
	return d[:]
}
