package receipt

import (
	"context"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// PredicateType is that of what the server signs: an in-toto statement about the line
// of a decision.
const PredicateType = "https://github.com/gatekeeper-git/gatekeeper/receipt/v1"

// statement renders what is signed of a decision: the hash of its line, which holds
// that of the line before it, and so of all.
func statement(c chain) []byte {
	return fmt.Appendf(nil, `{"_type":"`+attestation.StatementType+`","subject":[{"name":"receipt","digest":{"sha256":"%s"}}],`+
		`"predicateType":"`+PredicateType+`","predicate":{"seq":%d}}`, c.hash, c.seq)
}

func sign(ctx context.Context, key attestation.Signer, decision chain) (*Signature, error) {
	s := &Signature{Of: decision.seq, Key: key.PublicKey()}
	var err error
	if s.Scheme, s.Sig, err = key.Sign(ctx, statement(decision)); err != nil {
		return nil, fmt.Errorf("sign with key %s: %w", s.Key.Fingerprint(), err)
	}
	if err := s.verify(decision); err != nil {
		return nil, fmt.Errorf("sign with key %s: the signer gave a bad signature: %w", s.Key.Fingerprint(), err)
	}
	return s, nil
}

// verify reports whether the signature is one over the decision, by the key it names.
func (s *Signature) verify(decision chain) error {
	return attestation.VerifyStatement(statement(decision), s.Scheme, s.Sig, s.Key)
}
