package record

import (
	"context"
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
	missing, err := onlyOurs(ctx, r, ours, theirs)
	if err != nil {
		return fmt.Errorf("join records: %w", err)
	}
	// What is made must be reachable until the ref is moved, and the ref must not
	// be moved before it is made.
	joined := theirs
	if len(missing) > 0 {
		if joined, err = grown(ctx, r, theirs, missing, now); err != nil {
			return fmt.Errorf("join records: %w", err)
		}
	}
	return r.UpdateRef(ctx, ref, joined, ours, "gatekeeper: joined")
}

// onlyOurs are the files of ours that theirs has not.
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
		if _, _, missing[path], err = reader.Read(ctx, id, attestation.MaxDetached); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// grown makes a commit on top of another that adds files, by way of a ref of its own.
func grown(ctx context.Context, r *repo.Repo, onto change.ID, files map[string][]byte, now time.Time) (change.ID, error) {
	scratch := fmt.Sprintf("refs/gatekeeper/joining/%d-%d", now.UnixNano(), len(files))
	if err := r.UpdateRef(ctx, scratch, onto, "", "gatekeeper"); err != nil {
		return "", err
	}
	err := r.Grow(ctx, scratch, onto, files, "Add records\n", now)
	made, refErr := r.Ref(ctx, scratch)
	if err = errors.Join(err, refErr); err != nil {
		return "", err
	}
	return made, r.UpdateRef(ctx, scratch, "", made, "gatekeeper")
}
