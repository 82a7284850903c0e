// Package record keeps what stands beside commits: detached attestations, in refs
// that travel with the code.
//
// Each key writes a ref of its own, so nobody contends, and readers take the union:
//
//	refs/gatekeeper/records/KEY      KEY as attestation.KeyID has it
//
// holds a line of commits, each of which only adds files to the tree of the one
// before. What a file is called follows from what it says (attestation.Detached,
// Path), so the same record written twice, or on two machines, is one file.
//
// Reading takes nothing on trust: a file counts only where it stands under its own
// name, and whether anybody believes it is for package gate to say.
package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Prefix is where the refs of records are.
const Prefix = "refs/gatekeeper/records/"

// Ref is the ref that the holder of a key writes, by its fingerprint.
func Ref(fingerprint string) string { return Prefix + attestation.KeyID(fingerprint) }

// IsRef reports whether a ref is one of records: Prefix and 16 hexadecimal digits.
func IsRef(name string) bool {
	id, ok := strings.CutPrefix(name, Prefix)
	return ok && isHex(id, 16)
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// Heads lists what the refs of records hold in a repository.
func Heads(ctx context.Context, r *repo.Repo) (map[string]change.ID, error) {
	heads := map[string]change.ID{}
	for ref, err := range r.Refs(ctx, Prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the records: %w", err)
		}
		if IsRef(ref.Name) {
			heads[ref.Name] = ref.ID
		}
	}
	return heads, nil
}

// All returns everything that the repository of reader holds.
func All(ctx context.Context, reader *repo.Reader) (*Union, error) {
	heads, err := Heads(ctx, reader.Repo)
	if err != nil {
		return nil, err
	}
	return Read(reader, slices.Collect(maps.Values(heads))), nil
}

// attempts bounds the tries to move a ref that others move, too: as many as may commit
// at once in the work trees of one clone.
const attempts = 32

// Add puts detached attestations into the ref of the key with a fingerprint. What
// is there already stays as it is; when all of it is, nothing happens.
func Add(ctx context.Context, r *repo.Repo, fingerprint string, list []attestation.Detached, now time.Time) error {
	files := map[string][]byte{}
	for _, d := range list {
		files[d.Path()] = []byte(d.String())
	}
	return AddFiles(ctx, r, fingerprint, files, now)
}

// AddFiles is Add for files of any kind, by the names under which they stand.
func AddFiles(ctx context.Context, r *repo.Repo, fingerprint string, files map[string][]byte, now time.Time) error {
	if attestation.KeyID(fingerprint) == "" {
		return fmt.Errorf("keep records: %q is no fingerprint of a key", fingerprint)
	}
	var err error
	for range attempts {
		if err = add(ctx, r, Ref(fingerprint), files, now); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

// add fails when somebody else moves the ref meanwhile.
func add(ctx context.Context, r *repo.Repo, ref string, files map[string][]byte, now time.Time) error {
	old, err := r.Ref(ctx, ref)
	if err != nil && !errors.Is(err, repo.ErrNoRef) {
		return fmt.Errorf("keep records: %w", err)
	}
	missing, err := without(ctx, r, old, files)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := r.Grow(ctx, ref, old, missing, "Add records", now); err != nil {
		return fmt.Errorf("keep records: %w", err)
	}
	return nil
}

// without leaves out the files that a commit has.
func without(ctx context.Context, r *repo.Repo, commit change.ID, files map[string][]byte) (map[string][]byte, error) {
	if commit == "" {
		return files, nil
	}
	have, err := r.Files(ctx, commit)
	if err != nil {
		return nil, fmt.Errorf("keep records: %w", err)
	}
	missing := map[string][]byte{}
	for path, data := range files {
		if _, ok := have[path]; !ok {
			missing[path] = data
		}
	}
	return missing, nil
}
