package commitmsg

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

var errNoKey = errors.New("there is no signing key; run gatekeeper install")

// sign fills in the attestation of p. Its error is for the person: without a
// signature the lines are still worth more than none.
func (h *hook) sign(ctx context.Context, p *session.Prepared) error {
	if p.Attestation != "" {
		return nil
	}
	a := attestation.Attestation{Time: h.Now(), Bind: p.Bind, Change: p.Change}
	if !p.Trace.IsZero() {
		a = a.WithTrace(p.Trace)
	}
	signer, plain, err := h.signer(ctx)
	switch {
	case err != nil:
	case plain:
		a, err = signPlain(ctx, signer, p.Values, a)
	default:
		a, err = h.Sign(ctx, signer, p.Values, a)
	}
	if err != nil {
		return fmt.Errorf("recorded, but not signed: %w", err)
	}
	p.Attestation = a.String()
	return nil
}

// signPlain is attestation.Sign without its look at the signature, which is there
// for keys that others hold and would take longer here than all the rest.
func signPlain(ctx context.Context, s attestation.Signer, values []string, a attestation.Attestation) (attestation.Attestation, error) {
	a.Key = s.PublicKey().Fingerprint()
	a.Time = a.Time.UTC().Truncate(time.Second)
	var err error
	a.Scheme, a.Sig, err = s.Sign(ctx, attestation.Statement(values, a))
	return a, err
}

// warmUp has crypto/ed25519 build its table of the base point, which it does once
// in every process and which takes longer than all that a small commit needs. It is
// called on a thread of its own, while the index is read.
func warmUp() { ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// keySpec names the signing key, "" when there is none.
func (h *hook) keySpec(ctx context.Context) string {
	first := attestation.KeyNames(h.settings(ctx).Value)[0]
	if first.Source == attestation.AgentSpec && h.repo.Getenv("SSH_AUTH_SOCK") == "" {
		return ""
	}
	return first.Spec
}

func (h *hook) signer(ctx context.Context) (s attestation.Signer, plain bool, err error) {
	spec := h.keySpec(ctx)
	if spec == "" {
		return nil, false, errNoKey
	}
	if s, err = h.plainKey(spec); err == nil || h.OpenSigner == nil {
		return s, true, err
	}
	s, err = h.OpenSigner(ctx, spec)
	return s, false, err
}

// plainKey reads the one kind of key that needs no more than the standard
// library. A public key's file stands for the private one beside it.
func (h *hook) plainKey(spec string) (attestation.Signer, error) {
	if h.key != nil {
		return h.key, nil
	}
	data, err := os.ReadFile(strings.TrimSuffix(h.keyPath(spec), ".pub"))
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	key, err := attestation.ReadKey(data)
	if err != nil {
		return nil, fmt.Errorf("read the signing key %s: %w", spec, err)
	}
	h.key = attestation.Ed25519(key)
	return h.key, nil
}

// keyPath is the file that a key's name stands for, as git expands it.
func (h *hook) keyPath(spec string) string {
	if rest, ok := strings.CutPrefix(spec, "~/"); ok {
		return filepath.Join(h.repo.Getenv("HOME"), rest)
	}
	return h.path(spec)
}

// becomeBig hands the whole hook to the program that knows every kind of key, when
// there is to be signed with one that is not of the plain kind, or one has signed what
// may be kept. It does not return then. It is called before anything is changed, so
// the other program begins at the beginning.
func (h *hook) becomeBig(ctx context.Context, p session.Prepared) error {
	if h.OpenSigner != nil || !h.otherKeys && !h.needsBig(ctx, p) {
		return nil
	}
	program, err := big()
	if err != nil {
		h.say("a key that is not plain Ed25519 needs the program gatekeeper: %v", err)
		return nil
	}
	return become(program, append([]string{program, "hook"}, h.Args...), h.Environ)
}

// needsBig reports whether what is to be signed is to be signed by a key that is not
// of the plain kind.
func (h *hook) needsBig(ctx context.Context, p session.Prepared) bool {
	spec := h.keySpec(ctx)
	if p.Attestation != "" || p.Unsigned || spec == "" {
		return false
	}
	_, err := h.plainKey(spec)
	// Where the file is missing, sign says so.
	return err != nil && !(errors.Is(err, fs.ErrNotExist) && filepath.Ext(spec) != ".pub" && isPath(spec))
}

func isPath(spec string) bool {
	return strings.ContainsAny(spec, `/\`) && !strings.Contains(spec, "://") && !strings.Contains(spec, "::")
}

// big finds gatekeeper beside this program, else where programs are.
func big() (string, error) {
	name := "gatekeeper"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	return exec.LookPath(name)
}
