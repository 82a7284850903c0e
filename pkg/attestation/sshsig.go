package attestation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
)

// Namespace keeps signatures of gatekeeper apart from those that the same key
// makes for git, files or e-mail.
const Namespace = "gatekeeper"

const (
	sshsigMagic = "SSHSIG"
	sshsigHash  = "sha512"
	armorType   = "SSH SIGNATURE"
)

// ErrNoKey reports that the signature does not carry its public key: DSSE.
var ErrNoKey = errors.New("the signature does not carry its public key")

// SSHData is what an SSH key signs for a statement: the signed data of
// OpenSSH's PROTOCOL.sshsig with our namespace and SHA-512.
func SSHData(statement []byte) []byte { return sshData(Namespace, statement) }

func sshData(namespace string, message []byte) []byte {
	sum := sha512.Sum512(message)
	b := append(make([]byte, 0, 128), sshsigMagic...)
	b = appendString(b, namespace)
	b = appendString(b, "")
	b = appendString(b, sshsigHash)
	return appendString(b, sum[:])
}

// SSHBlob joins a key and its signature over SSHData (format and bytes as an SSH
// agent gives them, for RSA "rsa-sha2-512") to the blob that stands in a trailer.
func SSHBlob(key PublicKey, format string, signature []byte) ([]byte, error) {
	inner := appendString(appendString(nil, format), signature)
	b := append(make([]byte, 0, 512), sshsigMagic...)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, key.blob)
	b = appendString(b, Namespace)
	b = appendString(b, "")
	b = appendString(b, sshsigHash)
	b = appendString(b, inner)
	if _, err := parseSSHSIG(b); err != nil {
		return nil, err
	}
	return b, nil
}

// ParseArmored reads the file that ssh-keygen -Y sign writes and returns the
// blob in it, which must be a signature for our namespace with SHA-512.
func ParseArmored(file []byte) ([]byte, error) {
	blob, err := unarmor(file)
	if err != nil {
		return nil, err
	}
	if _, err := parseSSHSIG(blob); err != nil {
		return nil, err
	}
	return blob, nil
}

func unarmor(file []byte) ([]byte, error) {
	block, rest := pem.Decode(file)
	if block == nil || block.Type != armorType || len(block.Headers) != 0 || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("not an SSH signature file")
	}
	return block.Bytes, nil
}

// VerifyFile checks a signature file, as ssh-keygen -Y sign writes it with SHA-512,
// over a message that was signed for another namespace than ours. It returns the key
// that the file carries, which made the signature; whose it is, nobody has said.
func VerifyFile(file []byte, namespace string, message []byte) (PublicKey, error) {
	blob, err := unarmor(file)
	if err != nil {
		return PublicKey{}, err
	}
	sig, err := parseSSHSIGFor(namespace, blob)
	if err != nil {
		return PublicKey{}, err
	}
	key, err := ParsePublicKey(sig.key)
	if err != nil {
		return PublicKey{}, err
	}
	return key, sig.verify(key, sshData(namespace, message))
}

// Armored is the signature as ssh-keygen -Y verify reads it. Only SSHSIG has one.
func (a Attestation) Armored() ([]byte, error) {
	if a.Scheme != SSHSIG {
		return nil, fmt.Errorf("a signature of scheme %s has no SSH form", shorten(string(a.Scheme)))
	}
	if _, err := parseSSHSIG(a.Sig); err != nil {
		return nil, err
	}
	const width = 70 // as ssh-keygen breaks it
	text := base64.StdEncoding.EncodeToString(a.Sig)
	b := []byte("-----BEGIN " + armorType + "-----\n")
	for len(text) > width {
		b = append(append(b, text[:width]...), '\n')
		text = text[width:]
	}
	b = append(append(b, text...), '\n')
	return append(b, "-----END "+armorType+"-----\n"...), nil
}

// EmbeddedKey is the public key that an SSHSIG signature carries; it is the one
// that the field key names. For DSSE the error is ErrNoKey. The key is not yet
// known to be trusted, nor to have made the signature.
func (a Attestation) EmbeddedKey() (PublicKey, error) {
	if a.Scheme != SSHSIG {
		return PublicKey{}, ErrNoKey
	}
	sig, err := parseSSHSIG(a.Sig)
	if err != nil {
		return PublicKey{}, err
	}
	key, err := ParsePublicKey(sig.key)
	if err != nil {
		return PublicKey{}, err
	}
	if key.Fingerprint() != a.Key {
		return PublicKey{}, fmt.Errorf("the signature carries key %s, the attestation names %s", key.Fingerprint(), a.Key)
	}
	return key, nil
}

// sshsig is a signature blob taken apart. Everything else in it is fixed.
type sshsig struct {
	key       []byte // public key blob, not looked into
	format    string
	signature []byte
}

func parseSSHSIG(blob []byte) (sshsig, error) { return parseSSHSIGFor(Namespace, blob) }

func parseSSHSIGFor(want string, blob []byte) (sshsig, error) {
	w := wire{rest: blob}
	bad := func(reason string) (sshsig, error) {
		return sshsig{}, &MalformedError{string(blob), w.read, "SSH signature: " + reason}
	}
	if string(w.take(len(sshsigMagic))) != sshsigMagic {
		return bad("it does not begin with " + sshsigMagic)
	}
	if version := w.uint32(); !w.bad && version != 1 {
		return bad(fmt.Sprintf("version %d, not 1", version))
	}
	key := w.string()
	if namespace := w.string(); !w.bad && string(namespace) != want {
		return bad(fmt.Sprintf("made for namespace %q, not %q", shorten(string(namespace)), want))
	}
	if reserved := w.string(); len(reserved) != 0 {
		return bad("the reserved field is not empty")
	}
	if hash := w.string(); !w.bad && string(hash) != sshsigHash {
		return bad(fmt.Sprintf("hash %q, not %s", shorten(string(hash)), sshsigHash))
	}
	inner := wire{rest: w.string()}
	if w.bad {
		return bad("bytes are missing")
	}
	if !w.done() {
		return bad("bytes are left over")
	}
	sig := sshsig{key: key, format: string(inner.string()), signature: inner.string()}
	if !inner.done() {
		return bad("the innermost signature is damaged")
	}
	return sig, nil
}

// verify checks sig over data, which is not hashed yet.
func (sig sshsig) verify(key PublicKey, data []byte) error {
	if string(sig.key) != key.blob {
		return fmt.Errorf("the signature carries another key than %s", key.fingerprint)
	}
	want := key.typ
	if key.typ == typeRSA {
		want = sigRSA
	}
	if sig.format != want {
		return fmt.Errorf("%w: it is of type %q, not %s", ErrSignature, shorten(sig.format), want)
	}
	ok := false
	switch pub := key.key.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, data, sig.signature)
	case *ecdsa.PublicKey:
		der, err := derFromSSH(sig.signature)
		if err != nil {
			return err
		}
		ok = ecdsa.VerifyASN1(pub, digest(key.typ, data), der)
	case *rsa.PublicKey:
		sum := sha512.Sum512(data)
		ok = rsa.VerifyPKCS1v15(pub, crypto.SHA512, sum[:], sig.signature) == nil
	}
	if !ok {
		return ErrSignature
	}
	return nil
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
	w := wire{rest: signature}
	r, s := w.positive(), w.positive()
	if !w.done() || len(r)+len(s) > 0x7f-4 {
		return nil, fmt.Errorf("%w: r and s are not in their shortest form", ErrSignature)
	}
	der := []byte{0x30, byte(4 + len(r) + len(s))}
	der = append(append(der, 0x02, byte(len(r))), r...)
	return append(append(der, 0x02, byte(len(s))), s...), nil
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
	return appendString(appendString(nil, r), s), nil
}

// NewSigner signs as SSHSIG with an Ed25519, ECDSA P-256 or P-384 key, or an RSA
// key of 3072 to 4096 bits. The error is a *KeyError for any other.
func NewSigner(key crypto.Signer) (Signer, error) {
	pub, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if err := FitsSSHSIG(pub); err != nil {
		return nil, err
	}
	return sshSigner{pub, key}, nil
}

// FitsSSHSIG reports, as a *KeyError, that an SSH signature by key would be too
// long for a trailer.
func FitsSSHSIG(key PublicKey) error {
	if rsaKey, ok := key.key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() > maxSSHRSA {
		return &KeyError{Type: typeRSA, Reason: fmt.Sprintf("signatures of %d bits do not fit into a trailer, %d is the most",
			rsaKey.N.BitLen(), maxSSHRSA)}
	}
	return nil
}

type sshSigner struct {
	pub PublicKey
	key crypto.Signer
}

func (s sshSigner) PublicKey() PublicKey { return s.pub }

func (s sshSigner) Sign(_ context.Context, statement []byte) (Scheme, []byte, error) {
	format, signature, err := s.sign(SSHData(statement))
	if err != nil {
		return "", nil, err
	}
	blob, err := SSHBlob(s.pub, format, signature)
	return SSHSIG, blob, err
}

func (s sshSigner) sign(data []byte) (format string, signature []byte, err error) {
	switch s.pub.typ {
	case typeEd25519:
		signature, err = s.key.Sign(rand.Reader, data, crypto.Hash(0))
		return typeEd25519, signature, err
	case typeRSA:
		sum := sha512.Sum512(data)
		signature, err = s.key.Sign(rand.Reader, sum[:], crypto.SHA512)
		return sigRSA, signature, err
	}
	hash := crypto.SHA256
	if s.pub.typ == typeP384 {
		hash = crypto.SHA384
	}
	der, err := s.key.Sign(rand.Reader, digest(s.pub.typ, data), hash)
	if err != nil {
		return "", nil, err
	}
	signature, err = sshFromDER(der)
	return s.pub.typ, signature, err
}
