package pubkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

// ecdsaKey is an attestation.Verifier, as is rsaKey.
type ecdsaKey struct {
	typ string
	key *ecdsa.PublicKey
}

func (k ecdsaKey) Format() string { return k.typ }

func (k ecdsaKey) Verify(scheme attestation.Scheme, data, signature []byte) error {
	if scheme == attestation.SSHSIG {
		der, err := derFromSSH(signature)
		if err != nil {
			return err
		}
		signature = der
	}
	if !ecdsa.VerifyASN1(k.key, digest(k.typ, data), signature) {
		return attestation.ErrSignature
	}
	return nil
}

type rsaKey struct{ key *rsa.PublicKey }

func (rsaKey) Format() string { return sigRSA }

func (k rsaKey) Verify(scheme attestation.Scheme, data, signature []byte) error {
	hash := crypto.SHA256
	if scheme == attestation.SSHSIG {
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(data)
	if rsa.VerifyPKCS1v15(k.key, hash, h.Sum(nil), signature) != nil {
		return attestation.ErrSignature
	}
	return nil
}

// DSSEHash is the hash with which key signs a DSSE envelope; 0 for Ed25519,
// which signs the message itself.
func DSSEHash(key attestation.PublicKey) crypto.Hash {
	switch key.Type() {
	case attestation.TypeEd25519:
		return 0
	case typeP384:
		return crypto.SHA384
	}
	return crypto.SHA256
}

// digest hashes for ECDSA the way RFC 5656 section 6.2.1 couples curve and hash.
func digest(typ string, data []byte) []byte {
	if typ == typeP384 {
		sum := sha512.Sum384(data)
		return sum[:]
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

// An ECDSA signature is r and s, two SSH mpints or two ASN.1 INTEGERs: the
// numbers are spelt alike in both, and for our curves each length is one byte.

func derFromSSH(signature []byte) ([]byte, error) {
	w := wire.Reader{Rest: signature}
	r, s := w.Positive(), w.Positive()
	if !w.Done() || len(r)+len(s) > 0x7f-4 {
		return nil, fmt.Errorf("%w: r and s are not in their shortest form", attestation.ErrSignature)
	}
	der := []byte{0x30, byte(4 + len(r) + len(s))}
	der = append(append(der, 0x02, byte(len(r))), r...)
	return append(append(der, 0x02, byte(len(s))), s...), nil
}
