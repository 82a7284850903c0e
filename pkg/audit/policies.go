package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
)

// published takes over the history of policies that a server publishes.
func (x *indexer) published(ctx context.Context, p *place) error {
	tip := p.others[inforce.Ref]
	state, err := x.seen(ctx, p, inforce.Ref)
	if err != nil || tip == "" || change.ID(state) == tip {
		return err
	}
	var versions []inforce.Version
	for v, err := range inforce.History(ctx, p.Repo, tip) {
		if err != nil {
			return err
		}
		if v.Err != nil {
			x.note("%s: the policy of %s cannot be read, and nothing is judged by it: %v", p.name, v.Since.UTC().Format(time.DateOnly), v.Err)
			continue
		}
		versions = append(versions, v)
	}
	return x.do(ctx, func(tx *sql.Tx) error {
		for _, v := range slices.Backward(versions) {
			var one int
			err := tx.QueryRowContext(ctx, "SELECT 1 FROM policy WHERE repo = ? AND since = ? AND digest = ?", p.id, v.Since.Unix(), v.Digest()).Scan(&one)
			if errors.Is(err, sql.ErrNoRows) {
				err = x.enacted(ctx, tx, p, v.Policy, v.Since.Unix())
			}
			if err != nil {
				return err
			}
		}
		return x.saw(ctx, tx, p, inforce.Ref, raw(tip))
	})
}

// policy finds what is in force in a repository, nil when nothing is.
func (x *indexer) policy(ctx context.Context, p *place) (*inforce.Policy, error) {
	if x.options.Policy != nil {
		return x.options.Policy, nil
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
	return &found, nil
}

// keepPolicy keeps a policy that is not the last known one of the repository. The first
// that is known counts from the beginning, a later one from this run on.
func (x *indexer) keepPolicy(ctx context.Context, p *place, f inforce.Policy) error {
	return x.do(ctx, func(tx *sql.Tx) error {
		var last string
		err := tx.QueryRowContext(ctx, "SELECT digest FROM policy WHERE repo = ? ORDER BY since DESC, id DESC LIMIT 1", p.id).Scan(&last)
		since := x.options.Now.Unix()
		if errors.Is(err, sql.ErrNoRows) {
			since, err = 0, nil
		}
		if err != nil || last == f.Digest() {
			return err
		}
		return x.enacted(ctx, tx, p, f, since)
	})
}

func (x *indexer) enacted(ctx context.Context, tx *sql.Tx, p *place, f inforce.Policy, since int64) error {
	files, err := json.Marshal(f.Files)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO policy (repo, run, since, digest, place, files) VALUES (?, ?, ?, ?, ?, ?)",
		p.id, x.run, since, f.Digest(), text4k(f.Where), files)
	return err
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
