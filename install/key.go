package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/sshkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// patience is how long a key may take to sign before it counts as one that waits
// for a person.
const patience = 5 * time.Second

// A keyring finds the key that commits of a clone are signed with.
type keyring struct {
	open    func(ctx context.Context, spec string) (attestation.Signer, error)
	environ []string
	dir     string // relative paths start here
}

// quiet opens a key that must do without a person: who would be asked for a
// passphrase is a program that says no.
func (k keyring) quiet(ctx context.Context, spec string) (attestation.Signer, error) {
	env := append(slices.Clone(k.environ), "SSH_ASKPASS_REQUIRE=force", "SSH_ASKPASS=false")
	return sshkey.Open(ctx, spec, sshkey.Env{Environ: env, Dir: k.dir})
}

// key chooses, in this order: the key that gatekeeper.signingKey names, which may
// ask for a passphrase or a touch since somebody named it; the key that signs the
// user's commits already, if it does so without asking; one of our own, made where
// none is there yet, which is the only one that gets written into the config.
//
// ssh-agent is used only when named: its keys cannot be told from those that ask
// (ssh-add -c), and which comes first differs from day to day.
func (s *site) key(ctx context.Context, k keyring) (attestation.PublicKey, error) {
	own, err := ownKeyPath(k.environ)
	if err != nil {
		return attestation.PublicKey{}, err
	}
	named, err := s.pathValue(ctx, "gatekeeper.signingKey")
	if err != nil {
		return attestation.PublicKey{}, err
	}
	if named != "" && (named != own || fileExists(own)) {
		signer, err := k.open(ctx, named)
		if err != nil {
			return attestation.PublicKey{}, &UsageError{
				Msg: fmt.Sprintf("gatekeeper.signingKey=%s cannot be used: %v", named, err), Err: err,
				Hint: "mend it, or unset it and a key will be made",
			}
		}
		s.result.did(Kept, Key, named, "named by gatekeeper.signingKey")
		return signer.PublicKey(), nil
	}
	if named == "" {
		if key, ok, err := s.usersKey(ctx, k); ok || err != nil {
			return key, err
		}
	}
	return s.ownKey(ctx, k, own)
}

// usersKey is the key that git signs the user's commits with, if it needs nobody.
func (s *site) usersKey(ctx context.Context, k keyring) (key attestation.PublicKey, ok bool, err error) {
	format, err := s.git.value(ctx, "gpg.format")
	if err != nil || format != "ssh" {
		return key, false, err
	}
	spec, err := s.pathValue(ctx, "user.signingKey")
	if err != nil || spec == "" {
		return key, false, err
	}
	signer, err := k.quiet(ctx, spec)
	if err == nil {
		err = signs(ctx, signer)
	}
	if err != nil {
		s.result.did(Skipped, Key, spec, fmt.Sprintf("user.signingKey: %v; to use it all the same: git config gatekeeper.signingKey", err))
		return key, false, nil
	}
	s.result.did(Kept, Key, spec, "user.signingKey, which signs your commits")
	return signer.PublicKey(), true, nil
}

// signs tries a signature, over words that no verifier takes for a statement.
func signs(ctx context.Context, signer attestation.Signer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, err := signer.Sign(ctx, []byte("gatekeeper install: can this key sign without asking?\n"))
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("it waits for a person")
	}
}

// ownKey is the key in gatekeeper's own place, made if it is not there.
func (s *site) ownKey(ctx context.Context, k keyring, path string) (attestation.PublicKey, error) {
	if fileExists(path) {
		signer, err := k.quiet(ctx, path)
		if err != nil {
			return attestation.PublicKey{}, fmt.Errorf("use the key %s: %w", path, err)
		}
		s.result.did(Kept, Key, path, "made by an earlier install")
		return signer.PublicKey(), s.pin(ctx, path)
	}
	if err := s.step("key"); err != nil {
		return attestation.PublicKey{}, err
	}
	if err := s.mkdirAll(filepath.Dir(path)); err != nil {
		return attestation.PublicKey{}, err
	}
	s.undo = append(s.undo, func() error { return errors.Join(removeFile(path), removeFile(path+".pub")) })
	key, err := sshkey.Generate(path, s.result.Principal)
	if err != nil {
		return attestation.PublicKey{}, fmt.Errorf("make the key %s: %w", path, err)
	}
	s.result.did(MadeKey, Key, path, key.Fingerprint())
	return key, s.pin(ctx, path)
}

// pin names the key in the config, so that every later commit uses this one.
func (s *site) pin(ctx context.Context, path string) error {
	now, err := s.pathValue(ctx, "gatekeeper.signingKey")
	if err != nil || now == path {
		return err
	}
	return s.setConfig(ctx, "gatekeeper.signingKey", path)
}

// mkdirAll makes directories outside the repository, for the user alone.
func (s *site) mkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := s.mkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return removeFile(dir) })
	return os.Mkdir(dir, 0o700)
}

func (s *site) pathValue(ctx context.Context, key string) (string, error) {
	all, err := s.git.values(ctx, "--type=path", "--get", key)
	if len(all) == 0 {
		return "", err
	}
	return all[0], nil
}

// ownKeyPath is where install keeps the key that it makes, by the XDG base
// directory specification.
func ownKeyPath(environ []string) (string, error) {
	if dir := getenv(environ, "XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "gatekeeper", "id_ed25519"), nil
	}
	home := getenv(environ, "HOME")
	if home == "" {
		home = getenv(environ, "USERPROFILE")
	}
	if home == "" {
		return "", &UsageError{Msg: "HOME is not set, so there is no place for a signing key"}
	}
	return filepath.Join(home, ".config", "gatekeeper", "id_ed25519"), nil
}

// principal is the address that signs: user.email, as git would use it.
func (s *site) principal(ctx context.Context) (string, error) {
	email, err := s.git.value(ctx, "user.email")
	if err != nil {
		return "", err
	}
	if email == "" {
		return "", &UsageError{
			Msg:  "user.email is not set, and signatures are made in its name",
			Hint: "git config --global user.email YOU@EXAMPLE.COM",
		}
	}
	// The principals of an allowed_signers line are patterns (ssh-keygen(1)):
	// these would let the line speak for others, or end it.
	if strings.ContainsAny(email, "*?!,\"# \t\r\n") {
		return "", &UsageError{
			Msg:  fmt.Sprintf("user.email=%q cannot stand in an allowed_signers line", email),
			Hint: "set it to a plain address",
		}
	}
	return email, nil
}

func allowedSigners(principal string, key attestation.PublicKey) string {
	return strings.TrimSuffix(policy.AllowedSignersLine(principal, key.AuthorizedKey()), "\n")
}

func getenv(environ []string, name string) string {
	value := ""
	for _, kv := range environ {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			value = v
		}
	}
	return value
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
