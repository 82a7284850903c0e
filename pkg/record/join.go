package record

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Join makes a ref of records go on from where another repository's copy of it
// stands, with all that only ours has on top. Two machines that write with one key
// come together so, and neither loses anything.
func Join(ctx context.Context, r *repo.Repo, ref string, theirs change.ID, now time.Time) error {
	ours, err := r.Ref(ctx, ref)
	if errors.Is(err, repo.ErrNoRef) {
		return r.UpdateRef(ctx, ref, theirs, "", "gatekeeper: fetched")
	}
	if err != nil || ours == theirs {
		return err
	}
	if ahead, err := r.Count(ctx, []change.ID{theirs}, []change.ID{ours}, 1); err != nil || ahead == 0 {
		return err // they have nothing that we have not
	}
	missing, err := onlyOurs(ctx, r, ours, theirs)
	if err != nil {
		return fmt.Errorf("join records: %w", err)
	}
	joined := theirs
	if len(missing) > 0 {
		if joined, err = r.Grown(ctx, theirs, missing, "Add records", now); err != nil {
			return fmt.Errorf("join records: %w", err)
		}
	}
	return r.UpdateRef(ctx, ref, joined, ours, "gatekeeper: joined")
}

// onlyOurs are the records of ours that theirs has not. What else may stand in ours,
// taken from a server without a gate, is not handed on.
func onlyOurs(ctx context.Context, r *repo.Repo, ours, theirs change.ID) (map[string][]byte, error) {
	have, err := r.Files(ctx, theirs)
	if err != nil {
		return nil, err
	}
	files, err := r.Files(ctx, ours)
	if err != nil {
		return nil, err
	}
	reader := r.Reader()
	defer reader.Close()
	missing := map[string][]byte{}
	for path, id := range files {
		if _, ok := have[path]; ok {
			continue
		}
		_, _, data, err := reader.Read(ctx, id, attestation.MaxDetached)
		if err != nil {
			return nil, err
		}
		if data != nil && named(path, data) {
			missing[path] = data
		}
	}
	return missing, nil
}

// named reports whether a file has the name that follows from what it says.
func named(path string, data []byte) bool {
	if path == TracePath(sha256.Sum256(data)) {
		return true
	}
	d, err := attestation.ParseDetached(data)
	return err == nil && d.Path() == path
}
