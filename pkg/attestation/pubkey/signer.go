package pubkey

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

// NewSigner signs as SSHSIG with an Ed25519, ECDSA P-256 or P-384 key, or an RSA
// key of 3072 to 4096 bits. The error is an *attestation.KeyError for any other.
func NewSigner(key crypto.Signer) (attestation.Signer, error) {
	pub, err := New(key.Public())
	if err != nil {
		return nil, err
	}
	if err := FitsSSHSIG(pub); err != nil {
		return nil, err
	}
	return signer{pub, key}, nil
}

// FitsSSHSIG reports, as an *attestation.KeyError, that an SSH signature by key would
// be too long for a trailer.
func FitsSSHSIG(key attestation.PublicKey) error {
	if v, ok := key.Verifier().(rsaKey); ok && v.key.N.BitLen() > maxSSHRSA {
		return &attestation.KeyError{Type: typeRSA, Reason: fmt.Sprintf("signatures of %d bits do not fit into a trailer, %d is the most",
			v.key.N.BitLen(), maxSSHRSA)}
	}
	return nil
}

type signer struct {
	pub attestation.PublicKey
	key crypto.Signer
}

func (s signer) PublicKey() attestation.PublicKey { return s.pub }

func (s signer) Sign(_ context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	format, signature, err := s.sign(attestation.SSHData(statement))
	if err != nil {
		return "", nil, err
	}
	blob, err := attestation.SSHBlob(s.pub, format, signature)
	return attestation.SSHSIG, blob, err
}

func (s signer) sign(data []byte) (format string, signature []byte, err error) {
	switch s.pub.Type() {
	case attestation.TypeEd25519:
		signature, err = s.key.Sign(rand.Reader, data, crypto.Hash(0))
		return attestation.TypeEd25519, signature, err
	case typeRSA:
		sum := sha512.Sum512(data)
		signature, err = s.key.Sign(rand.Reader, sum[:], crypto.SHA512)
		return sigRSA, signature, err
	}
	hash := crypto.SHA256
	if s.pub.Type() == typeP384 {
		hash = crypto.SHA384
	}
	der, err := s.key.Sign(rand.Reader, digest(s.pub.Type(), data), hash)
	if err != nil {
		return "", nil, err
	}
	signature, err = sshFromDER(der)
	return s.pub.Type(), signature, err
}

func sshFromDER(der []byte) ([]byte, error) {
	number := func(b []byte) (n, rest []byte) {
		if len(b) < 2 || b[0] != 0x02 || int(b[1]) > len(b)-2 {
			return nil, nil
		}
		return b[2 : 2+int(b[1])], b[2+int(b[1]):]
	}
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, errors.New("the key gave an ECDSA signature that is not ASN.1")
	}
	r, rest := number(der[2:])
	s, rest := number(rest)
	if len(r) == 0 || len(s) == 0 || len(rest) != 0 {
		return nil, errors.New("the key gave an ECDSA signature that is not ASN.1")
	}
	return wire.AppendString(wire.AppendString(nil, r), s), nil
}
