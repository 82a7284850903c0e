package attestation

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
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
	b = wire.AppendString(b, namespace)
	b = wire.AppendString(b, "")
	b = wire.AppendString(b, sshsigHash)
	return wire.AppendString(b, sum[:])
}

// SSHBlob joins a key and its signature over SSHData (format and bytes as an SSH
// agent gives them, for RSA "rsa-sha2-512") to the blob that stands in a trailer.
func SSHBlob(key PublicKey, format string, signature []byte) ([]byte, error) {
	inner := wire.AppendString(wire.AppendString(nil, format), signature)
	b := append(make([]byte, 0, 512), sshsigMagic...)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = wire.AppendString(b, key.blob)
	b = wire.AppendString(b, Namespace)
	b = wire.AppendString(b, "")
	b = wire.AppendString(b, sshsigHash)
	b = wire.AppendString(b, inner)
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
// that the file carries, which made the signature; whose it is, nobody has said. parse
// reads keys of the kinds that count.
func VerifyFile(file []byte, namespace string, message []byte, parse func(sshBlob []byte) (PublicKey, error)) (PublicKey, error) {
	blob, err := unarmor(file)
	if err != nil {
		return PublicKey{}, err
	}
	sig, err := parseSSHSIGFor(namespace, blob)
	if err != nil {
		return PublicKey{}, err
	}
	key, err := parse(sig.key)
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

// KeyBlob is the SSH form of the public key that an SSHSIG signature carries, which
// is not looked into. For DSSE the error is ErrNoKey.
func (a Attestation) KeyBlob() ([]byte, error) {
	if a.Scheme != SSHSIG {
		return nil, ErrNoKey
	}
	sig, err := parseSSHSIG(a.Sig)
	return sig.key, err
}

// sshsig is a signature blob taken apart. Everything else in it is fixed.
type sshsig struct {
	key       []byte // public key blob, not looked into
	format    string
	signature []byte
}

func parseSSHSIG(blob []byte) (sshsig, error) { return parseSSHSIGFor(Namespace, blob) }

func parseSSHSIGFor(want string, blob []byte) (sshsig, error) {
	w := wire.Reader{Rest: blob}
	bad := func(reason string) (sshsig, error) {
		return sshsig{}, &MalformedError{string(blob), w.Offset, "SSH signature: " + reason}
	}
	if string(w.Take(len(sshsigMagic))) != sshsigMagic {
		return bad("it does not begin with " + sshsigMagic)
	}
	if version := w.Uint32(); !w.Bad && version != 1 {
		return bad(fmt.Sprintf("version %d, not 1", version))
	}
	key := w.Bytes()
	if namespace := w.Bytes(); !w.Bad && string(namespace) != want {
		return bad(fmt.Sprintf("made for namespace %q, not %q", shorten(string(namespace)), want))
	}
	if reserved := w.Bytes(); len(reserved) != 0 {
		return bad("the reserved field is not empty")
	}
	if hash := w.Bytes(); !w.Bad && string(hash) != sshsigHash {
		return bad(fmt.Sprintf("hash %q, not %s", shorten(string(hash)), sshsigHash))
	}
	inner := wire.Reader{Rest: w.Bytes()}
	if w.Bad {
		return bad("bytes are missing")
	}
	if !w.Done() {
		return bad("bytes are left over")
	}
	sig := sshsig{key: key, format: string(inner.Bytes()), signature: inner.Bytes()}
	if !inner.Done() {
		return bad("the innermost signature is damaged")
	}
	return sig, nil
}

// verify checks sig over data, which is not hashed yet.
func (sig sshsig) verify(key PublicKey, data []byte) error {
	if string(sig.key) != key.blob {
		return fmt.Errorf("the signature carries another key than %s", key.fingerprint)
	}
	if want := key.verifier.Format(); sig.format != want {
		return fmt.Errorf("%w: it is of type %q, not %s", ErrSignature, shorten(sig.format), want)
	}
	return key.verifier.Verify(SSHSIG, data, sig.signature)
}
