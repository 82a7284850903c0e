package attestation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
)

// Names of SSH key and signature algorithms.
const (
	typeEd25519 = "ssh-ed25519"
	typeP256    = "ecdsa-sha2-nistp256"
	typeP384    = "ecdsa-sha2-nistp384"
	typeRSA     = "ssh-rsa"
	sigRSA      = "rsa-sha2-512"
)

// Lengths in bits of the RSA keys that count. A signature of the longest that
// signs as SSHSIG still fits into a trailer, where the key stands beside it.
const (
	minRSA    = 3072
	maxRSA    = 8192
	maxSSHRSA = 4096
)

// A KeyError reports a key that gatekeeper does not take.
type KeyError struct {
	Type    string // as SSH names it
	Reason  string
	Damaged bool // not a key at all; else one of a kind, or of a length, that does not count
}

func (e *KeyError) Error() string { return fmt.Sprintf("%s key: %s", shorten(e.Type), e.Reason) }

// A PublicKey verifies attestations. Its methods may be called at once from
// several goroutines.
type PublicKey struct {
	typ         string
	blob        string
	fingerprint string
	key         crypto.PublicKey
}

// ParsePublicKey reads the blob of an SSH public key (RFC 4253 section 6.6, RFC
// 5656, RFC 8709): what base64 decoding gives of the second word of an
// authorized_keys line. The error is a *KeyError for keys of other types, for
// weak ones, and for blobs in another than the shortest form.
func ParsePublicKey(sshBlob []byte) (PublicKey, error) {
	w := wire{rest: sshBlob}
	typ := string(w.string())
	if w.bad {
		return PublicKey{}, damaged("ssh", "damaged: the type is missing")
	}
	key, err := parseKey(typ, &w)
	if err != nil {
		return PublicKey{}, err
	}
	sum := sha256.Sum256(sshBlob)
	return PublicKey{
		typ:         typ,
		blob:        string(sshBlob),
		fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]),
		key:         key,
	}, nil
}

// ParseAuthorizedKey reads a key in one line: its type, its blob in base64, and a
// comment that is passed over. Options in front of it, as authorized_keys
// may have them, are not read.
func ParseAuthorizedKey(line string) (PublicKey, error) {
	fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
	if len(fields) < 2 {
		return PublicKey{}, damaged("ssh", "not of the form TYPE BASE64 [COMMENT]")
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(fields[1])
	if err != nil {
		return PublicKey{}, damaged(fields[0], "damaged: not base64")
	}
	key, err := ParsePublicKey(blob)
	if err != nil {
		return PublicKey{}, err
	}
	if key.typ != fields[0] {
		return PublicKey{}, damaged(fields[0], "damaged: inside it is called "+key.typ)
	}
	return key, nil
}

// NewPublicKey gives the SSH form of a key of package crypto.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	var blob []byte
	switch key := key.(type) {
	case ed25519.PublicKey:
		blob = appendString(appendString(nil, typeEd25519), key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return PublicKey{}, damaged("ecdsa", err.Error())
		}
		name := strings.ToLower(strings.ReplaceAll(key.Params().Name, "P-", "nistp"))
		blob = appendString(appendString(nil, "ecdsa-sha2-"+name), name)
		blob = appendString(blob, point)
	case *rsa.PublicKey:
		if key.N == nil || key.N.Sign() <= 0 {
			return PublicKey{}, damaged(typeRSA, "damaged: no modulus")
		}
		blob = appendMpint(appendString(nil, typeRSA), big.NewInt(int64(key.E)).Bytes())
		blob = appendMpint(blob, key.N.Bytes())
	default:
		return PublicKey{}, &KeyError{Type: fmt.Sprintf("%T", key), Reason: supported}
	}
	return ParsePublicKey(blob)
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

// Crypto is an ed25519.PublicKey, *ecdsa.PublicKey or *rsa.PublicKey.
func (k PublicKey) Crypto() crypto.PublicKey { return k.key }

// Equal reports whether k and o are the same key.
func (k PublicKey) Equal(o PublicKey) bool { return k.blob == o.blob }

// IsZero reports whether k is no key at all.
func (k PublicKey) IsZero() bool { return k.blob == "" }

const supported = "not supported; Ed25519, ECDSA P-256 and P-384, and RSA from 3072 bits are"

func parseKey(typ string, w *wire) (crypto.PublicKey, error) {
	switch {
	case typ == typeEd25519:
		return parseEd25519(w)
	case typ == typeP256:
		return parseECDSA(typ, "nistp256", elliptic.P256(), w)
	case typ == typeP384:
		return parseECDSA(typ, "nistp384", elliptic.P384(), w)
	case typ == typeRSA:
		return parseRSA(w)
	}
	return nil, &KeyError{Type: typ, Reason: whyNot(typ)}
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

func parseEd25519(w *wire) (crypto.PublicKey, error) {
	key := w.string()
	if !w.done() || len(key) != ed25519.PublicKeySize {
		return nil, damaged(typeEd25519, notShortest)
	}
	if reason := badPoint(key); reason != "" {
		return nil, damaged(typeEd25519, reason)
	}
	return ed25519.PublicKey(bytes.Clone(key)), nil
}

func parseECDSA(typ, name string, curve elliptic.Curve, w *wire) (crypto.PublicKey, error) {
	if string(w.string()) != name {
		return nil, damaged(typ, "damaged: the curve does not fit the type")
	}
	point := w.string()
	if !w.done() {
		return nil, damaged(typ, notShortest)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, damaged(typ, "not an uncompressed point of the curve")
	}
	return key, nil
}

func parseRSA(w *wire) (crypto.PublicKey, error) {
	e, n := w.positive(), w.positive()
	if !w.done() {
		return nil, damaged(typeRSA, notShortest)
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minRSA:
		return nil, &KeyError{Type: typeRSA, Reason: fmt.Sprintf("%d bits are too few, %d is the least", bits, minRSA)}
	case bits > maxRSA:
		return nil, &KeyError{Type: typeRSA, Reason: fmt.Sprintf("%d bits are too many, %d is the most", bits, maxRSA)}
	case modulus.Bit(0) == 0:
		return nil, damaged(typeRSA, "the modulus is even")
	case exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(3)) < 0:
		return nil, damaged(typeRSA, "the exponent is not an odd number from 3 to 2147483647")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

const notShortest = "damaged: bytes are missing, left over, or not in the shortest form"

func damaged(typ, reason string) error {
	return &KeyError{Type: typ, Reason: reason, Damaged: true}
}
