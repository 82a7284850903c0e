package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// ParsePublicKey reads a public key as people paste it: one line of SSH's ("ssh-ed25519
// AAAA… comment"), or a PEM block as openssl and cosign write it. A key of a
// kind that does not count gives an *attestation.KeyError.
func ParsePublicKey(text string) (attestation.PublicKey, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "-----BEGIN ") {
		return parsePEM(text)
	}
	if strings.ContainsAny(text, "\r\n") {
		return attestation.PublicKey{}, errors.New("a public key in SSH's form is one line")
	}
	return pubkey.ParseAuthorizedKey(text)
}

func parsePEM(text string) (attestation.PublicKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return attestation.PublicKey{}, errors.New("the PEM block is damaged")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return attestation.PublicKey{}, errors.New("something stands after the PEM block")
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return attestation.PublicKey{}, errors.New("this is a private key, which is nobody's business but its owner's; give the public one")
	}
	if block.Type != "PUBLIC KEY" {
		return attestation.PublicKey{}, fmt.Errorf("PEM type %q is not PUBLIC KEY", block.Type)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return attestation.PublicKey{}, fmt.Errorf("the PEM block is damaged: %w", err)
	}
	return pubkey.New(key)
}
