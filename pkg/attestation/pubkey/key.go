// Package pubkey knows the kinds of keys that count: how SSH spells them, and how
// each of them signs and verifies.
//
// They are Ed25519, ECDSA P-256 and P-384, and RSA of 3072 to 8192 bits. Of each key
// one spelling is accepted, so that one key has one fingerprint; a key with which
// anybody could sign is refused when it is read.
//
// Whose key it is it does not ask; see package trust. What a program that knows
// Ed25519 alone needs is in package attestation.
package pubkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

// Names of SSH key and signature algorithms, beside attestation.TypeEd25519.
const (
	typeP256 = "ecdsa-sha2-nistp256"
	typeP384 = "ecdsa-sha2-nistp384"
	typeRSA  = "ssh-rsa"
	sigRSA   = "rsa-sha2-512"
)

// Lengths in bits of the RSA keys that count. A signature of the longest that
// signs as SSHSIG still fits into a trailer, where the key stands beside it.
const (
	minRSA    = 3072
	maxRSA    = 8192
	maxSSHRSA = 4096
)

// Parse reads the blob of an SSH public key (RFC 4253 section 6.6, RFC 5656, RFC
// 8709): what base64 decoding gives of the second word of an authorized_keys line.
// The error is an *attestation.KeyError for keys of other types, for weak ones, and
// for blobs in another than the shortest form.
func Parse(sshBlob []byte) (attestation.PublicKey, error) {
	w := wire.Reader{Rest: sshBlob}
	typ := string(w.Bytes())
	if w.Bad {
		return attestation.PublicKey{}, damaged("ssh", "damaged: the type is missing")
	}
	v, err := parse(typ, &w)
	if err != nil {
		return attestation.PublicKey{}, err
	}
	return attestation.NewPublicKey(typ, sshBlob, v), nil
}

// ParseAuthorizedKey reads a key in one line: its type, its blob in base64, and a
// comment that is passed over. Options in front of it, as authorized_keys
// may have them, are not read.
func ParseAuthorizedKey(line string) (attestation.PublicKey, error) {
	fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
	if len(fields) < 2 {
		return attestation.PublicKey{}, damaged("ssh", "not of the form TYPE BASE64 [COMMENT]")
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(fields[1])
	if err != nil {
		return attestation.PublicKey{}, damaged(fields[0], "damaged: not base64")
	}
	key, err := Parse(blob)
	if err != nil {
		return attestation.PublicKey{}, err
	}
	if key.Type() != fields[0] {
		return attestation.PublicKey{}, damaged(fields[0], "damaged: inside it is called "+key.Type())
	}
	return key, nil
}

// New gives the SSH form of a key of package crypto.
func New(key crypto.PublicKey) (attestation.PublicKey, error) {
	var blob []byte
	switch key := key.(type) {
	case ed25519.PublicKey:
		blob = wire.AppendString(wire.AppendString(nil, attestation.TypeEd25519), key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return attestation.PublicKey{}, damaged("ecdsa", err.Error())
		}
		name := strings.ToLower(strings.ReplaceAll(key.Params().Name, "P-", "nistp"))
		blob = wire.AppendString(wire.AppendString(nil, "ecdsa-sha2-"+name), name)
		blob = wire.AppendString(blob, point)
	case *rsa.PublicKey:
		if key.N == nil || key.N.Sign() <= 0 {
			return attestation.PublicKey{}, damaged(typeRSA, "damaged: no modulus")
		}
		blob = wire.AppendMpint(wire.AppendString(nil, typeRSA), big.NewInt(int64(key.E)).Bytes())
		blob = wire.AppendMpint(blob, key.N.Bytes())
	default:
		return attestation.PublicKey{}, &attestation.KeyError{Type: fmt.Sprintf("%T", key), Reason: supported}
	}
	return Parse(blob)
}

// Embedded is the public key that an SSHSIG signature carries; it is the one that
// the field key names. For DSSE the error is attestation.ErrNoKey. The key is not yet
// known to be trusted, nor to have made the signature.
func Embedded(a attestation.Attestation) (attestation.PublicKey, error) {
	blob, err := a.KeyBlob()
	if err != nil {
		return attestation.PublicKey{}, err
	}
	key, err := Parse(blob)
	if err != nil {
		return attestation.PublicKey{}, err
	}
	if key.Fingerprint() != a.Key {
		return attestation.PublicKey{}, fmt.Errorf("the signature carries key %s, the attestation names %s", key.Fingerprint(), a.Key)
	}
	return key, nil
}

const supported = "not supported; Ed25519, ECDSA P-256 and P-384, and RSA from 3072 bits are"

func parse(typ string, w *wire.Reader) (attestation.Verifier, error) {
	switch {
	case typ == attestation.TypeEd25519:
		return parseEd25519(w)
	case typ == typeP256:
		return parseECDSA(typ, "nistp256", elliptic.P256(), w)
	case typ == typeP384:
		return parseECDSA(typ, "nistp384", elliptic.P384(), w)
	case typ == typeRSA:
		return parseRSA(w)
	}
	return nil, &attestation.KeyError{Type: typ, Reason: whyNot(typ)}
}

// whyNot says what to do instead of using a key of another type.
func whyNot(typ string) string {
	switch {
	case typ == "ssh-dss":
		return "DSA is too weak; use an ssh-ed25519 key"
	case strings.Contains(typ, "-cert-v"):
		return "certificates are not supported; use the plain key"
	case strings.HasPrefix(typ, "sk-"):
		return "security keys (FIDO) are not supported; use an ssh-ed25519 key"
	case typ == "ecdsa-sha2-nistp521":
		return "P-521 is not supported; P-256 and P-384 are"
	}
	return supported
}

func parseEd25519(w *wire.Reader) (attestation.Verifier, error) {
	key := w.Bytes()
	if !w.Done() || len(key) != ed25519.PublicKeySize {
		return nil, damaged(attestation.TypeEd25519, notShortest)
	}
	if reason := badPoint(key); reason != "" {
		return nil, damaged(attestation.TypeEd25519, reason)
	}
	return attestation.Ed25519Key(bytes.Clone(key)), nil
}

func parseECDSA(typ, name string, curve elliptic.Curve, w *wire.Reader) (attestation.Verifier, error) {
	if string(w.Bytes()) != name {
		return nil, damaged(typ, "damaged: the curve does not fit the type")
	}
	point := w.Bytes()
	if !w.Done() {
		return nil, damaged(typ, notShortest)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, damaged(typ, "not an uncompressed point of the curve")
	}
	return ecdsaKey{typ, key}, nil
}

func parseRSA(w *wire.Reader) (attestation.Verifier, error) {
	e, n := w.Positive(), w.Positive()
	if !w.Done() {
		return nil, damaged(typeRSA, notShortest)
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minRSA:
		return nil, &attestation.KeyError{Type: typeRSA, Reason: fmt.Sprintf("%d bits are too few, %d is the least", bits, minRSA)}
	case bits > maxRSA:
		return nil, &attestation.KeyError{Type: typeRSA, Reason: fmt.Sprintf("%d bits are too many, %d is the most", bits, maxRSA)}
	case modulus.Bit(0) == 0:
		return nil, damaged(typeRSA, "the modulus is even")
	case exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(3)) < 0:
		return nil, damaged(typeRSA, "the exponent is not an odd number from 3 to 2147483647")
	}
	return rsaKey{&rsa.PublicKey{N: modulus, E: int(exponent.Int64())}}, nil
}

const notShortest = "damaged: bytes are missing, left over, or not in the shortest form"

func damaged(typ, reason string) error {
	return &attestation.KeyError{Type: typ, Reason: reason, Damaged: true}
}
