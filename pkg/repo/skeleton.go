package repo

import (
	"context"
	"errors"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var errNotYet = errors.New("not yet")

type Objects struct{}

func (r *Repo) Objects(ctx context.Context) *Objects        { return nil }
func (o *Objects) Open(id change.ID) (change.Object, error) { return change.Object{}, errNotYet }
func (o *Objects) Add(trees Trees)                          {}
func (o *Objects) Close() error                             { return nil }
