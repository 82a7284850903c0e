package sshkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// dial connects to the agent of env. The caller calls done, after which an error
// of the agent that comes from ctx is ctx's own.
func dial(ctx context.Context, env Env) (client agent.ExtendedAgent, done func(error) error, err error) {
	socket := env.get("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, nil, errors.New("no ssh-agent is running (SSH_AUTH_SOCK is not set)")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("the ssh-agent does not answer: %w", err)
	}
	// An agent may wait for a person's consent for ever; closing wakes the reader.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	done = func(err error) error {
		stop()
		conn.Close()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return agent.NewClient(conn), done, nil
}

// list returns the keys that the agent holds.
func list(ctx context.Context, env Env) ([]*agent.Key, error) {
	client, done, err := dial(ctx, env)
	if err != nil {
		return nil, err
	}
	keys, err := client.List()
	if err = done(err); err != nil {
		return nil, fmt.Errorf("list the keys of the ssh-agent: %w", err)
	}
	return keys, nil
}

// inAgent returns a signer for key if the agent holds it.
func inAgent(ctx context.Context, key attestation.PublicKey, env Env) (attestation.Signer, error) {
	held, err := list(ctx, env)
	if err != nil {
		return nil, err
	}
	for _, k := range held {
		if bytes.Equal(k.Blob, key.Blob()) {
			return agentSigner{key, env}, nil
		}
	}
	return nil, fmt.Errorf("the ssh-agent does not hold it (it holds %d keys)", len(held))
}

// openFirst returns a signer for the first key of the agent that gatekeeper takes.
func openFirst(ctx context.Context, env Env) (attestation.Signer, error) {
	held, err := list(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if len(held) == 0 {
		return nil, errors.New("signing key: the ssh-agent holds no keys; run ssh-add")
	}
	var why []string
	for _, k := range held {
		key, err := usable(pubkey.Parse(k.Blob))
		if err == nil {
			return agentSigner{key, env}, nil
		}
		why = append(why, err.Error())
	}
	return nil, fmt.Errorf("signing key: the ssh-agent holds no key that can sign: %s", strings.Join(why, "; "))
}

// agentSigner connects for each signature anew: a commit makes one.
type agentSigner struct {
	key attestation.PublicKey
	env Env
}

func (s agentSigner) PublicKey() attestation.PublicKey { return s.key }

func (s agentSigner) Sign(ctx context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	public, err := ssh.ParsePublicKey(s.key.Blob())
	if err != nil {
		return "", nil, err
	}
	client, done, err := dial(ctx, s.env)
	if err != nil {
		return "", nil, err
	}
	// Without the flag an agent signs with SHA-1. Keys other than RSA have only one
	// way to sign, and some agents refuse flags that mean nothing to them.
	var flags agent.SignatureFlags
	if s.key.Type() == ssh.KeyAlgoRSA {
		flags = agent.SignatureFlagRsaSha512
	}
	sig, err := client.SignWithFlags(public, attestation.SSHData(statement), flags)
	if err = done(err); err != nil {
		return "", nil, fmt.Errorf("the ssh-agent did not sign: %w", err)
	}
	blob, err := attestation.SSHBlob(s.key, sig.Format, sig.Blob)
	return attestation.SSHSIG, blob, err
}
