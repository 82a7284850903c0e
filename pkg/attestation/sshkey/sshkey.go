// Package sshkey finds the SSH key that a person signs with, wherever it lives:
// in a file, in an ssh-agent, or behind a passphrase.
//
// It signs as SSHSIG only, and never asks a person for anything unless that
// person named the key. Keys on security keys (FIDO) are refused with words that
// say so: they need a touch for every commit. Keys in PEM files and key
// management services that sign as DSSE are the business of package kms.
package sshkey

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// Env is the surroundings in which a key is looked for.
type Env struct {
	Environ []string // as os.Environ: HOME, SSH_AUTH_SOCK, and what ssh-keygen needs; nil is the process's own
	Dir     string   // where relative paths start; "" is the current directory
}

// Open finds the key that spec names:
//
//   - a path to a private key file; "~/" is the home directory. A key behind a
//     passphrase is used through the ssh-agent when that holds it, else ssh-keygen
//     asks for the passphrase at the terminal, at each signature;
//   - a path to a public key file, whose private half is in the ssh-agent or
//     in the file beside it without ".pub";
//   - "key::ssh-ed25519 AAAA…", or the same without "key::", as git's
//     user.signingKey has it: a key in the ssh-agent;
//   - attestation.AgentSpec: the first key in the agent that gatekeeper takes.
func Open(ctx context.Context, spec string, env Env) (attestation.Signer, error) {
	if env.Environ == nil {
		env.Environ = os.Environ()
	}
	literal, named := strings.CutPrefix(spec, "key::")
	switch {
	case spec == "":
		return nil, errors.New("no signing key is named")
	case spec == attestation.AgentSpec:
		return openFirst(ctx, env)
	case named || isLiteral(spec):
		return openLiteral(ctx, literal, env)
	}
	return openFile(ctx, spec, env)
}

// isLiteral tells a public key from a path the way git does, and asks for the
// blob besides: a file may well be called ssh-key.
func isLiteral(spec string) bool {
	typ, blob, _ := strings.Cut(spec, " ")
	for _, prefix := range []string{"ssh-", "ecdsa-", "sk-"} {
		if strings.HasPrefix(typ, prefix) && strings.HasPrefix(blob, "AAAA") {
			return true
		}
	}
	return false
}

func openLiteral(ctx context.Context, line string, env Env) (attestation.Signer, error) {
	key, err := usable(pubkey.ParseAuthorizedKey(line))
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	signer, err := inAgent(ctx, key, env)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w; run ssh-add, or name the private key file", key.Fingerprint(), err)
	}
	return signer, nil
}

// usable passes on a key that can sign for a trailer.
func usable(key attestation.PublicKey, err error) (attestation.PublicKey, error) {
	if err != nil {
		return key, err
	}
	return key, pubkey.FitsSSHSIG(key)
}

func openFile(ctx context.Context, spec string, env Env) (attestation.Signer, error) {
	path, err := env.expand(spec)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("signing key %s: no such file; gatekeeper key new makes one: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return openPrivate(ctx, path, data, env)
	}
	return openPublic(ctx, path, data, env)
}

// expand resolves ~/ and relative paths.
func (env Env) expand(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home := env.get("HOME")
		if home == "" {
			return "", fmt.Errorf("signing key %s: HOME is not set", path)
		}
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(path) || env.Dir == "" {
		return path, nil
	}
	return filepath.Join(env.Dir, path), nil
}

// get is the value that a child would see: of two, the last counts.
func (env Env) get(name string) string {
	value := ""
	for _, entry := range env.Environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// openPublic uses the private half of a public key file.
func openPublic(ctx context.Context, path string, data []byte, env Env) (attestation.Signer, error) {
	key, err := usable(pubkey.ParseAuthorizedKey(string(data)))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	signer, agentErr := inAgent(ctx, key, env)
	if agentErr == nil {
		return signer, nil
	}
	beside, isPub := strings.CutSuffix(path, ".pub")
	private, err := os.ReadFile(beside)
	if !isPub || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("signing key %s: no private key beside it, and %w; run ssh-add", path, agentErr)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	signer, err = openPrivate(ctx, beside, private, env)
	if err != nil {
		return nil, err
	}
	if !signer.PublicKey().Equal(key) {
		return nil, fmt.Errorf("signing key %s: the private key beside it is another one (%s)", path, signer.PublicKey().Fingerprint())
	}
	return signer, nil
}

func openPrivate(ctx context.Context, path string, data []byte, env Env) (attestation.Signer, error) {
	if key, err := attestation.ReadKey(data); err == nil {
		return pubkey.NewSigner(key)
	}
	// The type stands in the clear in front of an OpenSSH key, so that one which
	// is no use is refused before anybody types a passphrase.
	public, known := publicHalf(data)
	if known {
		if _, err := usable(pubkey.Parse(public)); err != nil {
			return nil, fmt.Errorf("signing key %s: %w", path, err)
		}
	}
	raw, err := ssh.ParseRawPrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return openLocked(ctx, path, public, env)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %s", path, strings.TrimPrefix(err.Error(), "ssh: "))
	}
	signer, err := newSigner(raw)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	return signer, nil
}

// publicHalf reads the public key at the head of an OpenSSH private key file
// (PROTOCOL.key of OpenSSH), which is never encrypted.
func publicHalf(data []byte) ([]byte, bool) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, false
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00"))
	var head struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public               []byte
		Rest                 []byte `ssh:"rest"`
	}
	if !ok || ssh.Unmarshal(body, &head) != nil {
		return nil, false
	}
	return head.Public, true
}

// newSigner signs with a key as package ssh reads it from a file.
func newSigner(raw any) (attestation.Signer, error) {
	key, ok := raw.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("keys of type %T are not supported", raw)
	}
	return pubkey.NewSigner(key)
}

// openLocked uses a key behind a passphrase: through the agent when it is
// unlocked there, else through ssh-keygen, which asks.
func openLocked(ctx context.Context, path string, public []byte, env Env) (attestation.Signer, error) {
	var key attestation.PublicKey
	var err error
	if public != nil {
		key, err = pubkey.Parse(public)
	} else {
		key, err = besideKey(path)
	}
	if _, err := usable(key, err); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	if signer, err := inAgent(ctx, key, env); err == nil {
		return signer, nil
	}
	return asking{key: key, path: path, env: env}, nil
}

// besideKey reads the public key file of a private key in one of the old PEM
// formats, which hide the public half.
func besideKey(path string) (attestation.PublicKey, error) {
	data, err := os.ReadFile(path + ".pub")
	if err != nil {
		return attestation.PublicKey{}, fmt.Errorf("it is encrypted and its public half is not beside it; run ssh-keygen -y -f %s > %s.pub: %w", path, path, err)
	}
	return pubkey.ParseAuthorizedKey(string(data))
}
