package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
)

// policies finds what was in force in a repository.
func (x *indexer) policies(ctx context.Context, p *place) ([]inforce.Policy, error) {
	if x.options.Policy != nil {
		return []inforce.Policy{*x.options.Policy}, nil
	}
	var found inforce.Policy
	var err error
	if p.WorkTree == "" {
		found, err = inforce.Server(ctx, p.Repo)
	} else {
		found, err = inforce.Client(ctx, p.Repo, p.Getenv)
	}
	var broken *policy.Error
	switch {
	case errors.Is(err, inforce.ErrNone):
		return nil, nil
	case errors.As(err, &broken):
		x.note("%s: its policy is broken, and nothing is judged by it: %v", p.name, err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []inforce.Policy{found}, nil
}

// keepPolicies keeps those policies that are not the last known one of the repository.
// The first that is known counts from the beginning, a later one from this run on.
func (x *indexer) keepPolicies(ctx context.Context, p *place, found []inforce.Policy) error {
	return x.do(ctx, func(tx *sql.Tx) error {
		for _, f := range found {
			var last string
			err := tx.QueryRowContext(ctx, "SELECT digest FROM policy WHERE repo = ? ORDER BY since DESC, id DESC LIMIT 1", p.id).Scan(&last)
			since := x.options.Now.Unix()
			if errors.Is(err, sql.ErrNoRows) {
				since, err = 0, nil
			}
			if err != nil {
				return err
			}
			if last == f.Digest() {
				continue
			}
			files, err := json.Marshal(f.Files)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO policy (repo, run, since, digest, place, files) VALUES (?, ?, ?, ?, ?, ?)",
				p.id, x.run, since, f.Digest(), text4k(f.Where), files); err != nil {
				return err
			}
		}
		return nil
	})
}

// readLaw is the law of a repository as it was known after a run.
func readLaw(ctx context.Context, s *store.Store, repo, run int64) (law, error) {
	laws, err := readLaws(ctx, s, run)
	return laws[repo], err
}

func parsePolicy(where string, data []byte) (*policy.Policy, error) {
	var files map[string][]byte
	if err := json.Unmarshal(data, &files); err != nil {
		return nil, fmt.Errorf("policy %s in the index: %w", where, err)
	}
	p, err := policy.Parse(where, files[inforce.File], func(name string) ([]byte, error) {
		if content, ok := files[name]; ok {
			return content, nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	})
	if err != nil {
		return nil, fmt.Errorf("policy %s in the index: %w", where, err)
	}
	return p, nil
}
