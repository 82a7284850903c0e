package repo

import (
	"context"
	"errors"
	"iter"
	"os/exec"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var errNotYet = errors.New("not yet")

type Repo struct {
	GitDir, CommonDir, WorkTree string
	IDSize                      int
}

func FromHook(env []string, cwd string) (*Repo, error)                  { return nil, errNotYet }
func Open(ctx context.Context, dir string, env []string) (*Repo, error) { return nil, errNotYet }
func (r *Repo) Server() *Repo                                           { return r }
func (r *Repo) Command(ctx context.Context, args ...string) *exec.Cmd   { return nil }
func (r *Repo) Porcelain(ctx context.Context, args ...string) *exec.Cmd { return nil }
func (r *Repo) Settings(ctx context.Context) (*Settings, error)         { return nil, errNotYet }

type Settings struct{}

func (s *Settings) Get(key string) (string, bool)     { return "", false }
func (s *Settings) All(key string) []string           { return nil }
func (s *Settings) Bool(key string) (value, set bool) { return false, false }

func (r *Repo) Head(ctx context.Context) (ref string, id change.ID, err error) {
	return "", "", errNotYet
}
func (r *Repo) Ref(ctx context.Context, name string) (change.ID, error) { return "", errNotYet }
func (r *Repo) Symref(ctx context.Context, name string) (string, error) { return "", errNotYet }
func (r *Repo) MergeHeads() ([]change.ID, error)                        { return nil, errNotYet }

var (
	ErrUnmerged      = errors.New("the index has unmerged entries")
	ErrUnsupported   = errors.New("not readable without git")
	ErrNoMergeTree   = errors.New("this git has no merge-tree --write-tree")
	ErrNotRepository = errors.New("not a git repository")
	ErrNoRef         = errors.New("no such ref")
)

type Index struct{}
type Trees map[change.ID][]byte
type Stamp struct {
	Size     int64
	MTime    time.Time
	Checksum string
}

func (r *Repo) IndexPath() string                 { return "" }
func (r *Repo) Index(path string) (*Index, error) { return nil, errNotYet }
func (x *Index) Tree() (change.ID, Trees, error)  { return "", nil, errNotYet }
func (x *Index) Stamp() Stamp                     { return Stamp{} }
func (x *Index) Close() error                     { return nil }
func (r *Repo) WriteTree(ctx context.Context, indexPath string) (change.ID, error) {
	return "", errNotYet
}

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

func (r *Repo) Reader() *Reader { return nil }
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

type Ref struct {
	Name   string
	ID     change.ID
	Symref string
}

func (r *Repo) Refs(ctx context.Context, patterns ...string) iter.Seq2[Ref, error] { return nil }
func (r *Repo) Resolve(ctx context.Context, rev string) (change.ID, error)         { return "", errNotYet }
func (r *Repo) Range(ctx context.Context, specs ...string) (include, exclude []change.ID, err error) {
	return nil, nil, errNotYet
}

func (r *Repo) WriteObject(ctx context.Context, objectType string, data []byte) (change.ID, error) {
	return "", errNotYet
}
func (r *Repo) UpdateRef(ctx context.Context, name string, id, old change.ID, why string) error {
	return errNotYet
}
func WriteFileAtomic(path string, data []byte) error { return errNotYet }
