package attestation

import (
	"encoding/hex"
	"fmt"
)

// StatementType and PredicateType name the two layers of the signed document.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://github.com/gatekeeper-git/gatekeeper/ai-provenance/v1"
)

// Statement renders the bytes that are signed: the AI-Provenance values of a
// commit in their order, and a without its signature. Both must be in the
// characters of the trailers, as provenance.Parse and Parse accept them; Sign and
// Verify refuse others, Statement writes them as they are.
func Statement(provenanceValues []string, a Attestation) []byte {
	b := make([]byte, 0, 768)
	b = append(b, `{"_type":"`+StatementType+`","subject":[{"name":"change","digest":{"sha256":"`...)
	b = hex.AppendEncode(b, a.Change[:])
	b = append(b, `"}}],"predicateType":"`+PredicateType+`","predicate":{"provenance":[`...)
	for i, value := range provenanceValues {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, value...)
		b = append(b, '"')
	}
	b = append(b, `],"attestation":"`...)
	b = a.appendClaim(b)
	return append(b, `"}}`...)
}

// checkValues refuses provenance values whose statement could be read in
// another way than they are written.
func checkValues(values []string) error {
	if len(values) == 0 {
		return fmt.Errorf("no provenance to attest: a commit without records says none")
	}
	for _, value := range values {
		if err := checkText(value); err != nil {
			return fmt.Errorf("provenance value %q: %w", shorten(value), err)
		}
	}
	return nil
}
