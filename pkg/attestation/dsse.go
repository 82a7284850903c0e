package attestation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"strconv"
)

// PayloadType is the type of a statement in a DSSE envelope.
const PayloadType = "application/vnd.in-toto+json"

// PAE is what a DSSE signature of statement is over, the pre-authentication
// encoding of https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md.
func PAE(statement []byte) []byte {
	b := make([]byte, 0, len(statement)+64)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(PayloadType)), 10)
	b = append(b, " "+PayloadType+" "...)
	b = strconv.AppendInt(b, int64(len(statement)), 10)
	b = append(b, ' ')
	return append(b, statement...)
}

// DSSEHash is the hash with which key signs a DSSE envelope; 0 for Ed25519,
// which signs the message itself.
func DSSEHash(key PublicKey) crypto.Hash {
	switch key.typ {
	case typeEd25519:
		return 0
	case typeP384:
		return crypto.SHA384
	}
	return crypto.SHA256
}

func verifyDSSE(key PublicKey, statement, signature []byte) error {
	data := PAE(statement)
	ok := false
	switch pub := key.key.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, data, signature)
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(pub, digest(key.typ, data), signature)
	case *rsa.PublicKey:
		sum := sha256.Sum256(data)
		ok = rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], signature) == nil
	}
	if !ok {
		return ErrSignature
	}
	return nil
}
