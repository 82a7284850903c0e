package attestation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// A program that starts at every commit deals with plain Ed25519 keys alone. What
// follows reaches no other kind of key, so that such a program links none.

// ErrOtherKey reports an attestation that another kind of key made.
var ErrOtherKey = errors.New("not made by an Ed25519 key")

// Ed25519 signs as SSHSIG. The key is believed to be what ReadKey gave.
func Ed25519(key ed25519.PrivateKey) Signer {
	return sshSigner{publicEd25519(key.Public().(ed25519.PublicKey)), key}
}

func publicEd25519(key ed25519.PublicKey) PublicKey {
	blob := appendString(appendString(nil, typeEd25519), key)
	sum := sha256.Sum256(blob)
	return PublicKey{typ: typeEd25519, blob: string(blob), key: key,
		fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])}
}

// An Ed25519Signature is what is left to check of an attestation: that Signature is one by
// Key over Data.
type Ed25519Signature struct {
	Key             ed25519.PublicKey
	Data, Signature []byte
}

// OpenEd25519 does what Verify does up to the check of an Ed25519 signature itself. It
// reports false for what Verify would refuse before, and for keys of other kinds: then
// Verify is to be asked.
func OpenEd25519(provenanceValues []string, a Attestation, key PublicKey) (s Ed25519Signature, ok bool) {
	s.Key, ok = key.key.(ed25519.PublicKey)
	if !ok || key.fingerprint != a.Key || checkValues(provenanceValues) != nil {
		return s, false
	}
	statement := Statement(provenanceValues, a)
	switch a.Scheme {
	case SSHSIG:
		sig, err := parseSSHSIG(a.Sig)
		if err != nil || string(sig.key) != key.blob || sig.format != typeEd25519 {
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
	if a.Scheme != SSHSIG {
		return ErrOtherKey
	}
	sig, err := parseSSHSIG(a.Sig)
	if err != nil {
		return err
	}
	w := wire{rest: sig.key}
	if string(w.string()) != typeEd25519 {
		return ErrOtherKey
	}
	point := w.string()
	if !w.done() || len(point) != ed25519.PublicKeySize {
		return damaged(typeEd25519, notShortest)
	}
	key := publicEd25519(point)
	switch {
	case key.fingerprint != a.Key:
		return fmt.Errorf("the signature carries key %s, the attestation names %s", key.fingerprint, a.Key)
	case sig.format != typeEd25519:
		return fmt.Errorf("%w: it is of type %q, not %s", ErrSignature, shorten(sig.format), typeEd25519)
	}
	if err := checkValues(provenanceValues); err != nil {
		return err
	}
	if !ed25519.Verify(ed25519.PublicKey(point), SSHData(Statement(provenanceValues, a)), sig.signature) {
		return ErrSignature
	}
	return nil
}
