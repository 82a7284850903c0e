package repo

import (
	"context"
	"errors"
	"iter"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var errNotYet = errors.New("not yet")

var ErrNoMergeTree = errors.New("this git has no merge-tree --write-tree")

type Objects struct{}

func (r *Repo) Objects(ctx context.Context) *Objects        { return nil }
func (o *Objects) Open(id change.ID) (change.Object, error) { return change.Object{}, errNotYet }
func (o *Objects) Add(trees Trees)                          {}
func (o *Objects) Close() error                             { return nil }

type Batch struct{}

func (r *Repo) Batch(ctx context.Context) (*Batch, error) { return nil, errNotYet }
func (b *Batch) Open(id change.ID) (change.Object, error) { return change.Object{}, errNotYet }
func (b *Batch) Close() error                             { return nil }

func TreeOf(objs change.Objects, commit change.ID) (change.ID, error) { return "", errNotYet }
func Peel(objs change.Objects, id change.ID) (commit change.ID, objectType string, err error) {
	return "", "", errNotYet
}

// Reader: safe for several goroutines; satisfies gate.Source but for Objects.
type Reader struct{ *Repo }

func (r *Repo) Reader(ctx context.Context) *Reader { return nil }
func (r *Reader) Peel(ctx context.Context, id change.ID) (commit change.ID, objectType string, err error) {
	return "", "", errNotYet
}
func (r *Reader) TreeOf(ctx context.Context, commit change.ID) (change.ID, error) {
	return "", errNotYet
}
func (r *Reader) Missing(ctx context.Context, ids []change.ID) ([]change.ID, error) {
	return nil, errNotYet
}
func (r *Reader) Close() error { return nil }

func (r *Repo) Commits(ctx context.Context, include, exclude []change.ID, limit int64) iter.Seq2[change.RawCommit, error] {
	return func(yield func(change.RawCommit, error) bool) { yield(change.RawCommit{}, errNotYet) }
}
func (r *Repo) Count(ctx context.Context, include, exclude []change.ID, limit int) (int, error) {
	return 0, errNotYet
}
func (r *Repo) MergeTree(ctx context.Context, a, b change.ID) (tree change.ID, clean bool, err error) {
	return "", false, errNotYet
}
