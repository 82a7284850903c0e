package receipt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// SummaryType is the predicate type of a verification summary, and SummaryVersion the
// version of the SLSA specification whose source track it follows:
// https://slsa.dev/spec/v1.2/source-requirements
const (
	SummaryType    = "https://slsa.dev/verification_summary/v1"
	SummaryVersion = "1.2"
)

// Verifier is the identity of the verifier in a summary. Whose it is, the key says.
const Verifier = "https://github.com/gatekeeper-git/gatekeeper"

// A Summary is what the receipts say of the value that a ref has, in a form that other
// tools of the SLSA family read.
type Summary struct {
	Resource string    // URI of the repository: git+https://git.example.com/project
	Ref      string    // whole name
	Commit   change.ID // that the ref comes to
	Standing Standing
	Decided  *Decided // the decision on the value
}

// Summarize looks up the decision behind a covered value. The error is a *BrokenError
// when the receipts do not bear it out.
func (l *Log) Summarize(ctx context.Context, resource, ref string, commit change.ID, s Standing) (Summary, error) {
	for d, err := range l.Decisions(ctx) {
		if err != nil {
			return Summary{}, err
		}
		if d.Seq == s.Decision {
			return Summary{resource, ref, commit, s, d}, nil
		}
	}
	return Summary{}, &BrokenError{acceptedFile, fmt.Sprintf("there is no decision %d", s.Decision)}
}

// Levels are the properties that hold for every commit that the value reaches and the
// baseline does not. gatekeeper is no source control system and says nothing of the
// level of the one that it works for.
func (s Summary) Levels() []string {
	levels := []string{"SLSA_SOURCE_LEVEL_UNEVALUATED"}
	switch s.Standing.Evidence {
	case policy.Attested:
		levels = append(levels, "ORG_SOURCE_AI_MODELS_APPROVED", "ORG_SOURCE_AI_PROVENANCE_ATTESTED",
			"ORG_SOURCE_AI_PROVENANCE_BOUND_TO_"+strings.ToUpper(string(s.Standing.Binding)))
	case policy.Declared:
		levels = append(levels, "ORG_SOURCE_AI_MODELS_APPROVED", "ORG_SOURCE_AI_PROVENANCE_DECLARED")
	}
	switch s.Standing.Via {
	case provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared:
		levels = append(levels, "ORG_SOURCE_AI_PROVENANCE_VIA_"+strings.ToUpper(string(s.Standing.Via)))
	}
	return levels
}

type (
	statementView struct {
		Type          string        `json:"_type"`
		Subject       []subjectView `json:"subject"`
		PredicateType string        `json:"predicateType"`
		Predicate     summaryView   `json:"predicate"`
	}
	subjectView struct {
		Digest      map[string]string   `json:"digest"`
		Annotations map[string][]string `json:"annotations"`
	}
	summaryView struct {
		Verifier struct {
			ID string `json:"id"`
		} `json:"verifier"`
		TimeVerified string `json:"timeVerified"`
		ResourceURI  string `json:"resourceUri"`
		Policy       struct {
			URI    string            `json:"uri"`
			Digest map[string]string `json:"digest"`
		} `json:"policy"`
		VerificationResult string   `json:"verificationResult"`
		VerifiedLevels     []string `json:"verifiedLevels"`
		SLSAVersion        string   `json:"slsaVersion"`
		Receipt            struct {
			Seq   int64  `json:"seq"`
			Hash  string `json:"sha256"`
			Since int64  `json:"since"`
		} `json:"https://github.com/gatekeeper-git/gatekeeper/receipt/v1"`
	}
)

// Statement renders the summary as an in-toto statement, the bytes that are signed.
// Its extension field names the decision: the seq and hash of its line, and the seq of
// the first decision of the unbroken run that it ends.
func (s Summary) Statement() ([]byte, error) {
	v := statementView{Type: attestation.StatementType, PredicateType: SummaryType}
	// The name of the annotation changed on the way to version 1.2 of the
	// specification; tools of both times are about.
	refs := []string{escapeName(s.Ref)}
	v.Subject = []subjectView{{map[string]string{"gitCommit": s.Commit.String()}, map[string][]string{"sourceRefs": refs, "source_refs": refs}}}
	p := &v.Predicate
	p.Verifier.ID = Verifier
	p.TimeVerified, p.ResourceURI = s.Decided.Time.Format(timeLayout), s.Resource
	p.Policy.URI = s.Resource + "@refs/gatekeeper/policy"
	p.Policy.Digest = map[string]string{"sha256": strings.TrimPrefix(s.Decided.Policy, "sha256:")}
	p.VerificationResult, p.VerifiedLevels, p.SLSAVersion = "PASSED", s.Levels(), SummaryVersion
	p.Receipt.Seq, p.Receipt.Hash, p.Receipt.Since = s.Decided.Seq, s.Decided.Hash.String(), s.Standing.Since
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
