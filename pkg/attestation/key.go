package attestation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// TypeEd25519 is SSH's name of Ed25519 keys, and of their signatures.
const TypeEd25519 = "ssh-ed25519"

// A KeyError reports a key that gatekeeper does not take.
type KeyError struct {
	Type    string // as SSH names it
	Reason  string
	Damaged bool // not a key at all; else one of a kind, or of a length, that does not count
}

func (e *KeyError) Error() string { return fmt.Sprintf("%s key: %s", shorten(e.Type), e.Reason) }

// A PublicKey verifies attestations. Package pubkey reads and makes them. Its
// methods may be called at once from several goroutines.
type PublicKey struct {
	typ         string
	blob        string
	fingerprint string
	verifier    Verifier
}

// A Verifier is what kinds of keys do in ways of their own.
type Verifier interface {
	// Format is the name of the algorithm in an SSH signature: the type of the
	// key, but for RSA.
	Format() string
	// Verify checks a signature as it stands in an SSH signature, over SSHData, or
	// in a DSSE envelope, over PAE. The error is ErrSignature, or wraps it.
	Verify(scheme Scheme, data, signature []byte) error
}

// NewPublicKey is the key that SSH spells as blob, which is of type typ and
// verifies as v does. All three are believed.
func NewPublicKey(typ string, blob []byte, v Verifier) PublicKey {
	sum := sha256.Sum256(blob)
	return PublicKey{typ: typ, blob: string(blob), verifier: v,
		fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])}
}

// Fingerprint is the key's name in an attestation, as ssh-keygen -l prints it.
func (k PublicKey) Fingerprint() string { return k.fingerprint }

// Type is the name that SSH gives to keys of this kind, as "ssh-ed25519".
func (k PublicKey) Type() string { return k.typ }

// Blob is the SSH form of the key.
func (k PublicKey) Blob() []byte { return []byte(k.blob) }

// AuthorizedKey is the key in one line without a comment, as in authorized_keys.
func (k PublicKey) AuthorizedKey() string {
	return k.typ + " " + base64.StdEncoding.EncodeToString([]byte(k.blob))
}

// Verifier is what verifies; nil when k is no key at all.
func (k PublicKey) Verifier() Verifier { return k.verifier }

// Equal reports whether k and o are the same key.
func (k PublicKey) Equal(o PublicKey) bool { return k.blob == o.blob }

// IsZero reports whether k is no key at all.
func (k PublicKey) IsZero() bool { return k.blob == "" }

// Ed25519Key verifies as a point does. Whether the point is that of an honest key is
// for package pubkey.
type Ed25519Key ed25519.PublicKey

// Format is TypeEd25519.
func (Ed25519Key) Format() string { return TypeEd25519 }

// Verify is the same for both schemes.
func (k Ed25519Key) Verify(_ Scheme, data, signature []byte) error {
	if !ed25519.Verify(ed25519.PublicKey(k), data, signature) {
		return ErrSignature
	}
	return nil
}
