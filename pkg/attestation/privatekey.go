package attestation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
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
	w := wire{rest: body}
	cipher, kdf, kdfOptions := w.string(), w.string(), w.string()
	keys, public, private := w.uint32(), w.string(), w.string()
	if !w.done() || string(cipher) != "none" || string(kdf) != "none" || len(kdfOptions) != 0 || keys != 1 {
		return nil, ErrNotPlain
	}
	pub := wire{rest: public}
	if string(pub.string()) != typeEd25519 {
		return nil, ErrNotPlain
	}
	point := pub.string()
	if !pub.done() {
		return nil, ErrNotPlain
	}
	return readEd25519(point, private)
}

func readEd25519(public, private []byte) (ed25519.PrivateKey, error) {
	w := wire{rest: private}
	check1, check2 := w.uint32(), w.uint32()
	typ, point, both := w.string(), w.string(), w.string()
	w.string() // the comment
	if w.bad || check1 != check2 || string(typ) != typeEd25519 || len(both) != ed25519.PrivateKeySize {
		return nil, errors.New("the private key file is damaged")
	}
	for i, pad := range w.rest {
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
	public := appendString(appendString(nil, typeEd25519), point)

	// Two equal numbers tell a reader of an encrypted key that the passphrase was
	// right. Here any will do, and one from the key keeps the file reproducible.
	sum := sha256.Sum256(key.Seed())
	private := append(append([]byte{}, sum[:4]...), sum[:4]...)
	private = appendString(private, typeEd25519)
	private = appendString(private, []byte(point))
	private = appendString(private, []byte(key))
	private = appendString(private, comment)
	for pad := byte(1); len(private)%keyBlockLen != 0; pad++ {
		private = append(private, pad)
	}

	b := []byte(keyMagic)
	b = appendString(b, "none")
	b = appendString(b, "none")
	b = appendString(b, "")
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, public)
	b = appendString(b, private)
	return pem.EncodeToMemory(&pem.Block{Type: keyPEMType, Bytes: b})
}
