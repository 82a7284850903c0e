package attestation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

// ErrNotPlain reports a private key file that is not an unencrypted OpenSSH
// Ed25519 key. Package sshkey may still read it.
var ErrNotPlain = errors.New("not an unencrypted OpenSSH Ed25519 private key")

// The format of OpenSSH's PROTOCOL.key.
const (
	keyMagic    = "openssh-key-v1\x00"
	keyPEMType  = "OPENSSH PRIVATE KEY"
	keyBlockLen = 8 // padding of a key that is not encrypted
)

// ReadKey reads an OpenSSH private key file that holds one unencrypted Ed25519
// key. For every other file the error is ErrNotPlain, for a damaged one it says what
// is damaged.
func ReadKey(file []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != keyPEMType {
		return nil, ErrNotPlain
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte(keyMagic))
	if !ok {
		return nil, ErrNotPlain
	}
	w := wire.Reader{Rest: body}
	cipher, kdf, kdfOptions := w.Bytes(), w.Bytes(), w.Bytes()
	keys, public, private := w.Uint32(), w.Bytes(), w.Bytes()
	if !w.Done() || string(cipher) != "none" || string(kdf) != "none" || len(kdfOptions) != 0 || keys != 1 {
		return nil, ErrNotPlain
	}
	pub := wire.Reader{Rest: public}
	if string(pub.Bytes()) != TypeEd25519 {
		return nil, ErrNotPlain
	}
	point := pub.Bytes()
	if !pub.Done() {
		return nil, ErrNotPlain
	}
	return readEd25519(point, private)
}

func readEd25519(public, private []byte) (ed25519.PrivateKey, error) {
	w := wire.Reader{Rest: private}
	check1, check2 := w.Uint32(), w.Uint32()
	typ, point, both := w.Bytes(), w.Bytes(), w.Bytes()
	w.Bytes() // the comment
	if w.Bad || check1 != check2 || string(typ) != TypeEd25519 || len(both) != ed25519.PrivateKeySize {
		return nil, errors.New("the private key file is damaged")
	}
	for i, pad := range w.Rest {
		if int(pad) != i+1 {
			return nil, errors.New("the private key file is damaged: bad padding")
		}
	}
	// The public half is stored three times, and one that does not belong to the
	// seed gives the seed away with the first signature.
	key := ed25519.NewKeyFromSeed(both[:ed25519.SeedSize])
	if !bytes.Equal(key, both) || !bytes.Equal(key[ed25519.SeedSize:], point) || !bytes.Equal(point, public) {
		return nil, errors.New("the private key file is damaged: public and private half do not belong together")
	}
	return key, nil
}

// MarshalKey writes the file that ReadKey, ssh-keygen and ssh-add read. The key
// in it is not encrypted.
func MarshalKey(key ed25519.PrivateKey, comment string) []byte {
	point := key.Public().(ed25519.PublicKey)
	public := wire.AppendString(wire.AppendString(nil, TypeEd25519), point)

	// Two equal numbers tell a reader of an encrypted key that the passphrase was
	// right. Here any will do, and one from the key keeps the file reproducible.
	sum := sha256.Sum256(key.Seed())
	private := append(append([]byte{}, sum[:4]...), sum[:4]...)
	private = wire.AppendString(private, TypeEd25519)
	private = wire.AppendString(private, []byte(point))
	private = wire.AppendString(private, []byte(key))
	private = wire.AppendString(private, comment)
	for pad := byte(1); len(private)%keyBlockLen != 0; pad++ {
		private = append(private, pad)
	}

	b := []byte(keyMagic)
	b = wire.AppendString(b, "none")
	b = wire.AppendString(b, "none")
	b = wire.AppendString(b, "")
	b = binary.BigEndian.AppendUint32(b, 1)
	b = wire.AppendString(b, public)
	b = wire.AppendString(b, private)
	return pem.EncodeToMemory(&pem.Block{Type: keyPEMType, Bytes: b})
}
