package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Refs are the patterns of refs whose commits are indexed, beside HEAD.
var refPatterns = []string{"refs/heads", "refs/tags", "refs/remotes"}

// Options say how to index.
type Options struct {
	Program  string          // version of gatekeeper
	Now      time.Time       // when the run began
	Policy   *inforce.Policy // for all repositories; nil: what is in force in each
	Workers  int             // that read batches; 0 is one a processor, up to 4
	Batch    int             // commits read at once, and written in one transaction; 0 is 2,048
	Progress func(Progress)  // called some times a second at most, never twice at once; may be nil
}

// Progress is how far a run is.
type Progress struct {
	Repository  string
	N, Of       int // repositories
	Done, Total int // commits of this one that are new
}

// A Summary says what a run brought.
type Summary struct {
	Run          int64
	Repositories int
	Commits      int      // new ones
	Judged       int      // known ones that are now judged otherwise
	Left         int      // that no ref reaches any more
	Notes        []string // what could not be read, each a line for people
}

// Index reads what came to the repositories since the last run. A run that was killed
// is ended, and what it left out is read.
func Index(ctx context.Context, s *store.Store, repos []*repo.Repo, o Options) (Summary, error) {
	x := &indexer{store: s, options: o, slots: make(chan struct{}, workersOf(o))}
	if err := x.begin(ctx); err != nil {
		return Summary{}, fmt.Errorf("index: %w", err)
	}
	if err := x.all(ctx, repos); err != nil {
		return x.summary, err
	}
	if err := x.end(ctx); err != nil {
		return x.summary, fmt.Errorf("index: %w", err)
	}
	return x.summary, nil
}

// An indexer is one run. Several repositories are read at once, and written to the index
// one transaction at a time.
type indexer struct {
	store   *store.Store
	options Options
	run     int64
	slots   chan struct{} // as many as batches may be judged at once

	mu       sync.Mutex // held by whoever writes; guards what follows
	words    words
	summary  Summary
	reported time.Time

	lastCommit, lastJudgement, lastStrip int64
}

// all indexes the repositories, two at a time: a small one waits mostly for processes to
// start.
func (x *indexer) all(outer context.Context, repos []*repo.Repo) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	next := make(chan int)
	var pool sync.WaitGroup
	for range min(cap(x.slots), len(repos)) {
		pool.Go(func() {
			for i := range next {
				if err := x.repository(ctx, repos[i], Progress{N: i + 1, Of: len(repos)}); err != nil {
					cancel(fmt.Errorf("index %s: %w", repos[i].CommonDir, err))
				}
			}
		})
	}
	for i := range repos {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	pool.Wait()
	return context.Cause(ctx)
}

// do runs one transaction of the run.
func (x *indexer) do(ctx context.Context, f func(*sql.Tx) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.store.Do(ctx, f)
}

// begin ends runs that were killed and begins another. Time does not go backwards in an
// index, whatever the clock does.
func (x *indexer) begin(ctx context.Context) error {
	return x.store.Do(ctx, func(tx *sql.Tx) error {
		now := x.options.Now.Unix()
		var last sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT max(at) FROM (SELECT max(began) at FROM run UNION SELECT max(ended) FROM run_end)").Scan(&last); err != nil {
			return err
		}
		now = max(now, last.Int64)
		if _, err := tx.ExecContext(ctx, "INSERT INTO run_end (run, ended, killed) SELECT id, ?, 1 FROM run WHERE id NOT IN (SELECT run FROM run_end)", now); err != nil {
			return err
		}
		for _, c := range []struct {
			table string
			to    *int64
		}{{"run", &x.run}, {"commits", &x.lastCommit}, {"judgement", &x.lastJudgement}, {"strip", &x.lastStrip}} {
			if err := lastID(ctx, tx, c.table, c.to); err != nil {
				return err
			}
		}
		x.run++
		x.summary.Run = x.run
		_, err := tx.ExecContext(ctx, "INSERT INTO run (id, began, program) VALUES (?, ?, ?)", x.run, now, x.options.Program)
		return err
	})
}

func lastID(ctx context.Context, tx *sql.Tx, table string, to *int64) error {
	var id sql.NullInt64
	err := tx.QueryRowContext(ctx, "SELECT max(id) FROM "+table).Scan(&id)
	*to = id.Int64
	return err
}

func (x *indexer) end(ctx context.Context) error {
	return x.store.Do(ctx, func(tx *sql.Tx) error {
		var began int64
		if err := tx.QueryRowContext(ctx, "SELECT began FROM run WHERE id = ?", x.run).Scan(&began); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO run_end (run, ended, killed) VALUES (?, ?, 0)", x.run, max(began, x.options.Now.Unix()))
		return err
	})
}

// A place is one repository as the index knows it.
type place struct {
	*repo.Repo
	id         int64
	name       string
	reader     *repo.Reader
	law        law
	progress   Progress
	words      placeWords
	tips       []tip                // now
	before     []tip                // after the last run that came to its end
	heads      []change.ID          // of all that is indexed, as far as the repository still has them
	again      bool                 // what is indexed may come again
	same       bool                 // refs are as they were when a run last came to its end here
	lost       bool                 // of heads, some are no longer reached by what was indexed since
	others     map[string]change.ID // refs of notes, and of the policy
	recordRefs []tip
	anew       []change.ID // commits to be judged anew, if they are indexed
	read       []reading
}

// shallow reports whether a clone lacks history. What its first commits change is not there
// to see: they would seem to bring all of it.
func shallow(r *repo.Repo) bool {
	info, err := os.Stat(filepath.Join(r.CommonDir, "shallow"))
	return err == nil && info.Size() > 0
}

// A tip is what a ref holds.
type tip struct {
	ref        string
	id, commit change.ID // "" for none
	target     string    // of a symbolic ref
}

// repository indexes one repository. Its refs are looked at first: what comes while it
// is read, the next run finds.
func (x *indexer) repository(ctx context.Context, r *repo.Repo, progress Progress) error {
	if shallow(r) {
		x.note("%s: it is a shallow clone and was passed over; run git fetch --unshallow in it", r.CommonDir)
		return nil
	}
	reader := r.Reader()
	defer reader.Close()
	p := &place{Repo: r, reader: reader, progress: progress}
	steps := []func(context.Context, *place) error{
		x.enter, x.look, x.recall, x.receipts, x.enact, x.imports, x.commits, x.again, x.presence, x.servers, x.settle,
	}
	for _, step := range steps {
		if err := step(ctx, p); err != nil {
			return err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.summary.Repositories++
	return nil
}

// enter finds the repository in the index, or gives it a place there.
func (x *indexer) enter(ctx context.Context, p *place) error {
	return x.do(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT id, name FROM repository WHERE place = ?", p.CommonDir).Scan(&p.id, &p.name)
		p.progress.Repository = p.name
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := lastID(ctx, tx, "repository", &p.id); err != nil {
			return err
		}
		p.id++
		if p.name, err = freeName(ctx, tx, p.CommonDir); err != nil {
			return err
		}
		p.progress.Repository = p.name
		_, err = tx.ExecContext(ctx, "INSERT INTO repository (id, run, name, place, id_size) VALUES (?, ?, ?, ?, ?)",
			p.id, x.run, p.name, p.CommonDir, p.IDSize)
		return err
	})
}

// freeName is the shortest end of a path that no other repository has for a name.
func freeName(ctx context.Context, tx *sql.Tx, dir string) (string, error) {
	parts := strings.Split(strings.TrimSuffix(strings.TrimSuffix(filepath.ToSlash(dir), "/.git"), ".git"), "/")
	for n := 1; ; n++ {
		name := text(strings.Join(parts[max(0, len(parts)-n):], "/"))
		if n > len(parts) {
			name = fmt.Sprintf("%s (%d)", name, n-len(parts)+1)
		}
		var one int
		err := tx.QueryRowContext(ctx, "SELECT 1 FROM repository WHERE name = ?", name).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// look reads the refs.
func (x *indexer) look(ctx context.Context, p *place) error {
	branch, id, err := p.Head(ctx)
	if err != nil {
		return err
	}
	p.tips = []tip{{ref: "HEAD", id: id, commit: id, target: refText(branch)}}
	p.others = map[string]change.ID{}
	for r, err := range p.Refs(ctx, slices.Concat(refPatterns, []string{"refs/notes", inforce.Ref, strings.TrimSuffix(record.Prefix, "/")})...) {
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(r.Name, "refs/notes/"):
			p.others[r.Name] = r.ID
			continue
		case r.Name == inforce.Ref:
			p.others[r.Name] = r.ID
			continue
		case strings.HasPrefix(r.Name, record.Prefix):
			p.recordRefs = append(p.recordRefs, tip{ref: r.Name, id: r.ID})
			continue
		}
		commit, _, err := p.reader.Peel(ctx, r.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		p.tips = append(p.tips, tip{ref: refText(r.Name), id: r.ID, commit: commit, target: refText(r.Symref)})
	}
	return nil
}

// refText is the name of a ref as text, another one for each. Git lets them be any bytes but
// few, a backslash among these (git-check-ref-format(1)).
func refText(name string) string {
	if !utf8.ValidString(name) {
		var b strings.Builder
		for i, r := range name {
			if _, size := utf8.DecodeRuneInString(name[i:]); r == utf8.RuneError && size == 1 {
				fmt.Fprintf(&b, `\x%02x`, name[i])
				continue
			}
			b.WriteRune(r)
		}
		name = b.String()
	}
	if len(name) > 4<<10 {
		name = fmt.Sprintf(`%s\%x`, strings.ToValidUTF8(name[:1<<10], ""), sha256.Sum256([]byte(name)))
	}
	return name
}

// enact finds the policies of the repository: the one that the run was given, or those that
// were published over time, and the one that is in force.
func (x *indexer) enact(ctx context.Context, p *place) error {
	if x.options.Policy == nil {
		if err := x.published(ctx, p); err != nil {
			return err
		}
	}
	found, err := x.policy(ctx, p)
	if err == nil && found != nil {
		err = x.keepPolicy(ctx, p, *found)
	}
	if err != nil {
		return err
	}
	p.law, err = readLaw(ctx, x.store, p.id, x.run)
	return err
}

// recall reads what earlier runs left: the heads of what is indexed, and the refs.
func (x *indexer) recall(ctx context.Context, p *place) error {
	var heads []byte
	var indexed, settled int64
	err := x.store.QueryRowContext(ctx, "SELECT heads, run FROM frontier WHERE repo = ? ORDER BY n DESC LIMIT 1", p.id).Scan(&heads, &indexed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if p.before, err = tipsOf(ctx, x.store, p.id, x.run); err != nil {
		return err
	}
	if err := x.store.QueryRowContext(ctx, "SELECT coalesce(max(run), 0) FROM seen WHERE repo = ? AND source = ?", p.id, settledSource).Scan(&settled); err != nil {
		return err
	}
	if p.same = settled >= indexed && sameTips(p.before, p.tips); p.same {
		return nil
	}
	all := splitIDs(heads, p.IDSize)
	if p.heads, err = p.reader.Present(ctx, all); err != nil {
		return err
	}
	p.again = len(p.heads) < len(all)
	return nil
}

// settledSource is the name in the table seen under which it stands that a run came to its
// end in a repository.
const settledSource = "refs"

func sameTips(a, b []tip) bool {
	there := func(t tip) bool { return t.id == "" && t.target == "" }
	a, b = slices.DeleteFunc(slices.Clone(a), there), slices.DeleteFunc(slices.Clone(b), there)
	byName := func(a, b tip) int { return strings.Compare(a.ref, b.ref) }
	slices.SortFunc(a, byName)
	slices.SortFunc(b, byName)
	return slices.Equal(a, b)
}

func splitIDs(b []byte, size int) (ids []change.ID) {
	for len(b) >= size {
		ids, b = append(ids, change.ID(b[:size])), b[size:]
	}
	return ids
}

func joinIDs(ids []change.ID) []byte {
	b := []byte{}
	for _, id := range ids {
		b = append(b, id...)
	}
	return b
}

// commits reads the commits that are new, batch by batch, some of which are read while one
// is written.
func (x *indexer) commits(ctx context.Context, p *place) (err error) {
	include := commitsOf(p.tips)
	if p.same || len(include) == 0 {
		return nil
	}
	if x.options.Progress != nil {
		if p.progress.Total, err = p.Count(ctx, include, p.heads, 1<<31-1); err != nil {
			return err
		}
	}
	j, err := x.judge(ctx, p)
	if err != nil {
		return err
	}
	w := newWriting(x, p)
	err = pipeline(ctx, x.slots, x.batch(), p.Commits(ctx, include, p.heads, maxCommit), j, func(b *batch) error {
		return w.batch(ctx, b.commits)
	})
	p.lost = p.again || slices.ContainsFunc(p.heads, func(id change.ID) bool {
		_, tip := slices.BinarySearch(include, id)
		return w.heads[id] && !tip
	})
	return err
}

// wrote counts commits that were written.
func (x *indexer) wrote(p *place, commits int) {
	x.summary.Commits += commits
	p.progress.Done += commits
	if now := time.Now(); x.options.Progress != nil && (now.Sub(x.reported) > 100*time.Millisecond || p.progress.Done == p.progress.Total) {
		x.reported = now
		x.options.Progress(p.progress)
	}
}

func (x *indexer) batch() int {
	if x.options.Batch > 0 {
		return x.options.Batch
	}
	return batchCommits
}

func workersOf(o Options) int {
	if o.Workers > 0 {
		return o.Workers
	}
	return min(runtime.GOMAXPROCS(0), 4)
}

// judge prepares to judge commits of a repository.
func (x *indexer) judge(ctx context.Context, p *place) (*judge, error) {
	form, err := p.law.form()
	if err != nil {
		return nil, err
	}
	records, err := record.All(ctx, p.reader)
	if err != nil {
		return nil, err
	}
	times, err := x.receiptTimes(ctx, p)
	if err != nil {
		return nil, err
	}
	foreign, err := x.foreign(ctx, p)
	if err != nil {
		return nil, err
	}
	return &judge{foreign: foreign, reader: p.reader, law: p.law, form: form, records: records, ref: defaultBranch(p.tips), now: x.options.Now,
		trees: &trees{}, receipt: times}, nil
}

// defaultBranch is the ref for which approvals are asked: where HEAD points.
func defaultBranch(tips []tip) string {
	if len(tips) > 0 && tips[0].target != "" {
		return tips[0].target
	}
	return "refs/heads/main"
}

func commitsOf(tips []tip) (ids []change.ID) {
	for _, t := range tips {
		if t.commit != "" {
			ids = append(ids, t.commit)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// settle writes down the refs, once all that they reach is indexed.
func (x *indexer) settle(ctx context.Context, p *place) error {
	was := map[string]tip{}
	for _, t := range p.before {
		was[t.ref] = t
	}
	if p.same {
		return nil
	}
	return x.do(ctx, func(tx *sql.Tx) error {
		rows := store.Into(ctx, tx, "tip", "repo", "ref", "run", "oid", "commit_oid", "target")
		for _, t := range p.tips {
			if was[t.ref] != t {
				rows.Row(p.id, t.ref, x.run, raw(t.id), raw(t.commit), t.target)
			}
			delete(was, t.ref)
		}
		for _, t := range p.before {
			if _, gone := was[t.ref]; gone && t.id != "" {
				rows.Row(p.id, t.ref, x.run, []byte{}, []byte{}, "")
			}
		}
		return errors.Join(rows.Flush(), x.saw(ctx, tx, p, settledSource, []byte{}))
	})
}

// raw is an id as it is stored; none is empty, not NULL.
func raw(id change.ID) []byte { return append([]byte{}, id...) }

// tipsOf are the refs of a repository as they were after a run.
func tipsOf(ctx context.Context, s *store.Store, repo, run int64) (tips []tip, err error) {
	rows, err := s.QueryContext(ctx, `SELECT ref, oid, commit_oid, target FROM tip t WHERE repo = ? AND run =
		(SELECT max(run) FROM tip WHERE repo = t.repo AND ref = t.ref AND run <= ?) ORDER BY ref`, repo, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t tip
		var id, commit []byte
		if err := rows.Scan(&t.ref, &id, &commit, &t.target); err != nil {
			return nil, err
		}
		t.id, t.commit = change.ID(id), change.ID(commit)
		tips = append(tips, t)
	}
	return tips, rows.Err()
}

// note adds a line about something that could not be read.
func (x *indexer) note(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.summary.Notes = append(x.summary.Notes, fmt.Sprintf(format, args...))
}

// receiptsOf opens the receipts of a repository.
func receiptsOf(p *place) *receipt.Log { return receipt.Open(receipt.In(p.CommonDir)) }

var treeHeader = []byte("tree ")

// treeOf is the tree that a commit object names, "" when it does not begin with one.
func treeOf(raw change.RawCommit) change.ID {
	rest, ok := bytes.CutPrefix(raw.Data, treeHeader)
	if n := 2 * len(raw.ID); ok && len(rest) > n {
		if id, err := change.ParseID(string(rest[:n])); err == nil {
			return id
		}
	}
	return ""
}
