package sshkey

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// asking signs with a key behind a passphrase. ssh-keygen asks for it at the
// terminal, or through SSH_ASKPASS, so that it never passes through here.
type asking struct {
	key  attestation.PublicKey
	path string
	env  Env
}

func (s asking) PublicKey() attestation.PublicKey { return s.key }

func (s asking) Sign(ctx context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	// SHA-512 is ssh-keygen's choice, too, and asking for it needs OpenSSH 8.9.
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-n", attestation.Namespace, "-f", s.path)
	cmd.Env = s.env.Environ
	cmd.Stdin = bytes.NewReader(statement)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", nil, ctx.Err()
	}
	if err != nil {
		return "", nil, fmt.Errorf("the key %s has a passphrase, and ssh-keygen did not sign with it (%s); run ssh-add %s first",
			s.path, reason(stderr.String(), err), s.path)
	}
	blob, err := attestation.ParseArmored(out)
	if err != nil {
		return "", nil, fmt.Errorf("what ssh-keygen signed: %w", err)
	}
	return attestation.SSHSIG, blob, nil
}

// reason is the last line of what a program said, or how it ended.
func reason(stderr string, err error) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return err.Error()
}

// Generate makes an Ed25519 key without a passphrase: the private half at path
// (mode 0600), the public half beside it with ".pub" (mode 0644), the directory
// (mode 0700) when it is not there. It never writes over a file.
func Generate(path, comment string) (attestation.PublicKey, error) {
	key, err := generate(path, comment)
	if err != nil {
		return attestation.PublicKey{}, fmt.Errorf("make signing key %s: %w", path, err)
	}
	return key, nil
}

func generate(path, comment string) (attestation.PublicKey, error) {
	if strings.ContainsAny(comment, "\r\n\x00") {
		return attestation.PublicKey{}, fmt.Errorf("comment %q is not one line", comment)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return attestation.PublicKey{}, err
	}
	key, err := pubkey.New(public)
	if err != nil {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return key, err
	}
	if _, err := os.Lstat(path + ".pub"); !errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("%s.pub is there already", path)
	}
	if err := writeNew(path, attestation.MarshalKey(private, comment), 0o600); err != nil {
		return key, err
	}
	line := strings.TrimSpace(key.AuthorizedKey()+" "+comment) + "\n"
	if err := writeNew(path+".pub", []byte(line), 0o644); err != nil {
		os.Remove(path) // ours: it was not there before
		return key, err
	}
	return key, nil
}

func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}
