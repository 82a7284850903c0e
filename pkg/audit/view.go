package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A View is the index as it was known at a time. Questions are asked of it.
type View struct {
	Store *store.Store
	Run   int64 // rows of later runs are not seen
	AsOf  *time.Time

	Repositories map[int64]Repository
	Uses         map[int64]Use
}

// A Repository of the index.
type Repository struct {
	ID      int64
	Name    string // for people
	Place   string // its common git directory
	Default string // the ref that HEAD points at
	Law     law
}

// See opens the view of all that is known, or of what was known at a time.
func See(ctx context.Context, s *store.Store, asOf *time.Time) (*View, error) {
	v := &View{Store: s, AsOf: asOf, Run: 1<<63 - 1, Repositories: map[int64]Repository{}, Uses: map[int64]Use{}}
	if asOf != nil {
		var run sql.NullInt64
		if err := s.QueryRowContext(ctx, "SELECT max(run) FROM run_end WHERE ended <= ?", asOf.Unix()).Scan(&run); err != nil {
			return nil, fmt.Errorf("read index: %w", err)
		}
		v.Run = run.Int64
	}
	if err := errors.Join(v.repositories(ctx), v.uses(ctx)); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	return v, nil
}

func (v *View) repositories(ctx context.Context) error {
	rows, err := v.Store.QueryContext(ctx, `SELECT id, name, place, coalesce((SELECT target FROM tip t WHERE t.repo = r.id AND ref = 'HEAD' AND run <= ?
		ORDER BY run DESC LIMIT 1), '') FROM repository r WHERE run <= ?`, v.Run, v.Run)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Repository
		if err := rows.Scan(&r.ID, &r.Name, &r.Place, &r.Default); err != nil {
			return err
		}
		if r.Default == "" {
			r.Default = "refs/heads/main"
		}
		v.Repositories[r.ID] = r
	}
	if err := rows.Err(); err != nil {
		return err
	}
	laws, err := readLaws(ctx, v.Store, v.Run)
	for id, r := range v.Repositories {
		r.Law = laws[id]
		v.Repositories[id] = r
	}
	return err
}

func (v *View) uses(ctx context.Context) error {
	rows, err := v.Store.QueryContext(ctx, "SELECT id, source, tool, version, provider, model, via FROM use")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var u Use
		if err := rows.Scan(&id, &u.Source, &u.Tool.Name, &u.Tool.Version, &u.Model.Provider, &u.Model.Name, &u.Via); err != nil {
			return err
		}
		u.Tool = provenance.Tool{Name: known(u.Tool.Name), Version: known(u.Tool.Version)}
		u.Model = provenance.Model{Provider: known(u.Model.Provider), Name: known(u.Model.Name)}
		v.Uses[id] = u
	}
	return rows.Err()
}

// People are all persons, by number.
func (v *View) People(ctx context.Context) (map[int64]Person, error) {
	people := map[int64]Person{}
	rows, err := v.Store.QueryContext(ctx, "SELECT id, name, email FROM person")
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var p Person
		if err := rows.Scan(&id, &p.Name, &p.Email); err != nil {
			return nil, fmt.Errorf("read index: %w", err)
		}
		people[id] = p
	}
	return people, rows.Err()
}

// Folders are the folders that the ledger speaks of, by number.
func (v *View) Folders(ctx context.Context) (map[int64]string, error) {
	folders := map[int64]string{}
	rows, err := v.Store.QueryContext(ctx, "SELECT id, name FROM folder")
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, fmt.Errorf("read index: %w", err)
		}
		folders[id] = name
	}
	return folders, rows.Err()
}

// Readers is how many goroutines Entries calls visit from.
func Readers() int { return min(runtime.GOMAXPROCS(0), 4) }

// Entries goes through the ledger, as several readers at once: visit is called with a
// reader's number below Readers(), by one goroutine for each. Each commit comes once, as
// it was known; one that no ref reached does not come. An entry is valid during the call
// only. Places are told only when asked for. The order is of no meaning.
func (v *View) Entries(ctx context.Context, places bool, visit func(reader int, e *Entry)) error {
	back, err := v.takenBack(ctx)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	columns := "id, repo, facts, x''"
	if places {
		columns = "id, repo, facts, places"
	}
	rows, err := v.Store.QueryContext(ctx, "SELECT "+columns+" FROM strip WHERE run <= ? ORDER BY id", v.Run)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	defer rows.Close()
	work := make(chan stripe, Readers())
	errs := make([]error, Readers())
	var pool sync.WaitGroup
	for n := range Readers() {
		pool.Go(func() {
			for s := range work {
				if err := s.live(places, back, func(e *Entry) { visit(n, e) }); err != nil {
					errs[n] = err
				}
			}
		})
	}
	var scanErr error
	for rows.Next() && scanErr == nil {
		var s stripe
		if scanErr = rows.Scan(&s.id, &s.repo, &s.facts, &s.places); scanErr == nil {
			work <- s
		}
	}
	close(work)
	pool.Wait()
	if err := errors.Join(append(errs, scanErr, rows.Err())...); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	return nil
}

// A stripe is a strip as it is stored.
type stripe struct {
	id, repo      int64
	facts, places []byte
}

// A spot is a place in the ledger.
type spot struct {
	strip int64
	n     int
}

// live visits the entries that nothing behind them takes back.
func (s stripe) live(places bool, back map[int64]spot, visit func(*Entry)) error {
	if !places {
		s.places = nil
	}
	n := 0
	return readStrip(s.repo, s.facts, s.places, func(e *Entry) {
		n++
		if e.Back {
			return
		}
		if b, ok := back[e.Commit]; ok && (s.id < b.strip || s.id == b.strip && n < b.n) {
			return
		}
		visit(e)
	})
}

// takenBack finds, for each commit of which entries are taken back, the last spot that
// does so.
func (v *View) takenBack(ctx context.Context) (map[int64]spot, error) {
	rows, err := v.Store.QueryContext(ctx, "SELECT id, repo, facts FROM strip WHERE run <= ? AND backs > 0 ORDER BY id", v.Run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	back := map[int64]spot{}
	for rows.Next() {
		var s stripe
		if err := rows.Scan(&s.id, &s.repo, &s.facts); err != nil {
			return nil, err
		}
		n := 0
		if err := readStrip(s.repo, s.facts, nil, func(e *Entry) {
			if n++; e.Back {
				back[e.Commit] = spot{s.id, n}
			}
		}); err != nil {
			return nil, err
		}
	}
	return back, rows.Err()
}

// readLaws are the laws of all repositories.
func readLaws(ctx context.Context, s *store.Store, run int64) (map[int64]law, error) {
	rows, err := s.QueryContext(ctx, "SELECT repo, since, digest, place, files FROM policy WHERE run <= ? ORDER BY since, id", run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	laws, parsed := map[int64]law{}, map[string]*policy.Policy{} // mostly one policy serves many repositories
	for rows.Next() {
		var repo, since int64
		var digest, where string
		var data []byte
		if err := rows.Scan(&repo, &since, &digest, &where, &data); err != nil {
			return nil, err
		}
		p := parsed[digest+where]
		if p == nil {
			if p, err = parsePolicy(where, data); err != nil {
				return nil, err
			}
			parsed[digest+where] = p
		}
		laws[repo] = append(laws[repo], enacted{time.Unix(since, 0).UTC(), p})
	}
	return laws, rows.Err()
}

// Tips are the refs of a repository: name to commit.
func (v *View) Tips(ctx context.Context, repo int64) (map[string]change.ID, error) {
	list, err := tipsOf(ctx, v.Store, repo, v.Run)
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	tips := map[string]change.ID{}
	for _, t := range list {
		if t.commit != "" {
			tips[t.ref] = t.commit
		}
	}
	return tips, nil
}
