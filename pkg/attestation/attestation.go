package attestation

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

const (
	Namespace     = "gatekeeper"
	PredicateType = "https://github.com/gatekeeper-git/gatekeeper/ai-provenance/v1"
)

type Scheme string

const (
	SSHSIG Scheme = "sshsig"
	DSSE   Scheme = "dsse"
)

type Attestation struct {
	Key    string
	Time   time.Time
	Bind   provenance.Digest
	Change provenance.Digest
	Extra  []string
	Scheme Scheme
	Sig    []byte
}

type MalformedError struct {
	Value  string
	Offset int
	Reason string
}

func (e *MalformedError) Error() string { return e.Reason }

var (
	ErrSignature = errors.New("the signature does not match")
	ErrNotPlain  = errors.New("not an unencrypted OpenSSH Ed25519 private key")
	errTodo      = errors.New("not implemented")
)

type PublicKey struct{ blob string }

type Signer interface {
	PublicKey() PublicKey
	Sign(ctx context.Context, statement []byte) (Scheme, []byte, error)
}

func Parse(value string) (Attestation, error)                              { return Attestation{}, errTodo }
func (a Attestation) String() string                                       { return "" }
func Statement(provenanceValues []string, a Attestation) []byte            { return nil }
func ParsePublicKey(sshBlob []byte) (PublicKey, error)                     { return PublicKey{}, errTodo }
func NewPublicKey(key crypto.PublicKey) (PublicKey, error)                 { return PublicKey{}, errTodo }
func (k PublicKey) Fingerprint() string                                    { return "" }
func (k PublicKey) Blob() []byte                                           { return nil }
func (k PublicKey) AuthorizedKey() string                                  { return "" }
func (k PublicKey) Crypto() crypto.PublicKey                               { return nil }
func (k PublicKey) Equal(o PublicKey) bool                                 { return k.blob == o.blob }
func NewSigner(key crypto.Signer) (Signer, error)                          { return nil, errTodo }
func ReadKey(pem []byte) (crypto.Signer, error)                            { return nil, errTodo }
func MarshalKey(key ed25519.PrivateKey, comment string) []byte             { return nil }
func Verify(provenanceValues []string, a Attestation, key PublicKey) error { return errTodo }
func (a Attestation) EmbeddedKey() (PublicKey, error)                      { return PublicKey{}, errTodo }
func (a Attestation) Armored() ([]byte, error)                             { return nil, errTodo }
func Sign(ctx context.Context, s Signer, provenanceValues []string, a Attestation) (Attestation, error) {
	return Attestation{}, errTodo
}
