package session

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// workTree is a repository's work tree, as a Tree.
type workTree struct{ repo *repo.Repo }

func (t workTree) Dirty(ctx context.Context) ([]repo.Dirty, error) { return t.repo.Dirty(ctx) }

func (t workTree) Staged(ctx context.Context, path string) ([]byte, error) {
	return t.repo.Staged(ctx, path)
}

func (t workTree) Head(ctx context.Context) (change.ID, error) {
	_, id, err := t.repo.Head(ctx)
	return id, err
}

func (t workTree) FileAt(ctx context.Context, commit change.ID, path string) ([]byte, change.ID, error) {
	objects := t.repo.Objects(ctx)
	defer objects.Close()
	return repo.FileAt(objects, commit, path, maxBytes)
}

func (t workTree) Stashes(ctx context.Context) ([]change.ID, error) { return t.repo.Stashes(ctx) }

func (t workTree) Stashed(ctx context.Context, stash change.ID) ([]string, error) {
	return t.repo.Changed(ctx, stash)
}

func (t workTree) Read(path string) ([]byte, error) {
	name := filepath.Join(t.repo.WorkTree, filepath.FromSlash(path))
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, nil
	case info.Size() > maxBytes:
		return []byte{0}, nil // as good as binary
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
