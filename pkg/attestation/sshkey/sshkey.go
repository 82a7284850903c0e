package sshkey

import (
	"context"
	"errors"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// Env is where a key is looked for.
type Env struct {
	Environ []string // as os.Environ; nil is the process's own
	Dir     string   // relative paths start here; "" is the current directory
}

func Open(ctx context.Context, spec string, env Env) (attestation.Signer, error) {
	return nil, errors.New("not implemented")
}

func Generate(path, comment string) (attestation.PublicKey, error) {
	return attestation.PublicKey{}, errors.New("not implemented")
}
