package attestation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrSignature reports a signature that the key did not make over this
// statement.
var ErrSignature = errors.New("the signature does not match")

// A Signer signs statements with one key. Sign may ask a person, an agent or a
// service, and stops when ctx is done.
type Signer interface {
	PublicKey() PublicKey
	Sign(ctx context.Context, statement []byte) (Scheme, []byte, error)
}

// Sign returns a with Key, Scheme and Sig filled in and Time in UTC and whole
// seconds. It verifies what the signer gave: a signature that the server would
// refuse must not go into a commit.
func Sign(ctx context.Context, s Signer, provenanceValues []string, a Attestation) (Attestation, error) {
	key := s.PublicKey()
	a.Key = key.Fingerprint()
	a.Time = a.Time.UTC().Truncate(time.Second)
	if err := checkValues(provenanceValues); err != nil {
		return Attestation{}, err
	}
	if err := a.checkClaim(); err != nil {
		return Attestation{}, err
	}
	scheme, sig, err := s.Sign(ctx, Statement(provenanceValues, a))
	if err != nil {
		return Attestation{}, fmt.Errorf("sign with key %s: %w", a.Key, err)
	}
	a.Scheme, a.Sig = scheme, sig
	if _, err := Parse(a.String()); err != nil {
		return Attestation{}, fmt.Errorf("sign with key %s: %w", a.Key, err)
	}
	if err := Verify(provenanceValues, a, key); err != nil {
		return Attestation{}, fmt.Errorf("sign with key %s: the signer gave a bad signature: %w", a.Key, err)
	}
	return a, nil
}

// checkClaim refuses, before anybody is asked to sign it, what would not be read again.
func (a Attestation) checkClaim() error {
	a.Scheme, a.Sig = SSHSIG, []byte{0}
	_, err := Parse(a.String())
	return err
}

// Verify reports whether key made the signature of a over the provenance values
// and the other fields of a. The key must be the one that a names. A signature by
// it over anything else gives ErrSignature; one in another form, or carrying
// another key, gives other errors. All of them mean that a is not valid.
func Verify(provenanceValues []string, a Attestation, key PublicKey) error {
	if key.Fingerprint() != a.Key {
		return fmt.Errorf("the attestation names key %s, not %s", a.Key, key.Fingerprint())
	}
	if err := checkValues(provenanceValues); err != nil {
		return err
	}
	return VerifyStatement(Statement(provenanceValues, a), a.Scheme, a.Sig, key)
}

// VerifyStatement reports whether key made the signature over a statement, of any
// predicate type; Verify is for those of commits. Errors are as there.
func VerifyStatement(statement []byte, scheme Scheme, signature []byte, key PublicKey) error {
	if key.IsZero() {
		return ErrSignature
	}
	switch scheme {
	case SSHSIG:
		sig, err := parseSSHSIG(signature)
		if err != nil {
			return err
		}
		return sig.verify(key, SSHData(statement))
	case DSSE:
		return key.verifier.Verify(DSSE, PAE(statement), signature)
	}
	return fmt.Errorf("signature scheme %q is neither sshsig nor dsse", shorten(string(scheme)))
}
