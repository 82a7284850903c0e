package attestation

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

// A program that starts at every commit deals with plain Ed25519 keys alone, and so
// does this package. The other kinds would weigh on such a program even where nothing
// uses them: what their packages in the standard library set up at the start of a
// program no linker drops.

// ErrOtherKey reports an attestation that another kind of key made.
var ErrOtherKey = errors.New("not made by an Ed25519 key")

// Ed25519 signs as SSHSIG. The key is believed to be what ReadKey gave.
func Ed25519(key ed25519.PrivateKey) Signer {
	return ed25519Signer{publicEd25519(key.Public().(ed25519.PublicKey)), key}
}

type ed25519Signer struct {
	pub PublicKey
	key ed25519.PrivateKey
}

func (s ed25519Signer) PublicKey() PublicKey { return s.pub }

func (s ed25519Signer) Sign(_ context.Context, statement []byte) (Scheme, []byte, error) {
	blob, err := SSHBlob(s.pub, TypeEd25519, ed25519.Sign(s.key, SSHData(statement)))
	return SSHSIG, blob, err
}

func publicEd25519(point ed25519.PublicKey) PublicKey {
	blob := wire.AppendString(wire.AppendString(nil, TypeEd25519), point)
	return NewPublicKey(TypeEd25519, blob, Ed25519Key(point))
}

// An Ed25519Signature is what is left to check of an attestation: that Signature is one by
// Key over Data.
type Ed25519Signature struct {
	Key             ed25519.PublicKey
	Data, Signature []byte
	Statement       []byte // of which Data is made
}

// OpenEd25519 does what Verify does up to the check of an Ed25519 signature itself. It
// reports false for what Verify would refuse before, and for keys of other kinds: then
// Verify is to be asked.
func OpenEd25519(provenanceValues []string, a Attestation, key PublicKey) (s Ed25519Signature, ok bool) {
	point, ok := key.verifier.(Ed25519Key)
	if !ok || key.fingerprint != a.Key || checkValues(provenanceValues) != nil {
		return s, false
	}
	statement := Statement(provenanceValues, a)
	s.Key, s.Statement = ed25519.PublicKey(point), statement
	switch a.Scheme {
	case SSHSIG:
		sig, err := parseSSHSIG(a.Sig)
		if err != nil || string(sig.key) != key.blob || sig.format != TypeEd25519 {
			return s, false
		}
		s.Data, s.Signature = SSHData(statement), sig.signature
		return s, true
	case DSSE:
		s.Data, s.Signature = PAE(statement), a.Sig
		return s, true
	}
	return s, false
}

// VerifyEd25519 is Verify with the Ed25519 key that a itself carries. The error is
// ErrOtherKey where it carries another or none. It does not look at whether the key is
// an honest one; whoever trusts a key has done that.
func VerifyEd25519(provenanceValues []string, a Attestation) error {
	blob, err := a.KeyBlob()
	if errors.Is(err, ErrNoKey) {
		return ErrOtherKey
	}
	if err != nil {
		return err
	}
	w := wire.Reader{Rest: blob}
	if string(w.Bytes()) != TypeEd25519 {
		return ErrOtherKey
	}
	point := w.Bytes()
	if !w.Done() || len(point) != ed25519.PublicKeySize {
		return &KeyError{Type: TypeEd25519, Reason: "damaged: bytes are missing, left over, or not in the shortest form", Damaged: true}
	}
	key := publicEd25519(point)
	if key.fingerprint != a.Key {
		return fmt.Errorf("the signature carries key %s, the attestation names %s", key.fingerprint, a.Key)
	}
	return Verify(provenanceValues, a, key)
}
