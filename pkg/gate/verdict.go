package gate

import (
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Schema names the version of the verdict as JSON.
const Schema = "gatekeeper/verdict/v1"

// Outcome is the verdict on a commit, a ref or a push.
type Outcome string

// Exempt is for commits alone: a merge that brings nothing of its own.
const (
	Accepted Outcome = "accepted"
	Warned   Outcome = "warned"
	Refused  Outcome = "refused"
	Exempt   Outcome = "exempt"
)

// Evidence is how well a commit's provenance is proved.
type Evidence string

const (
	Attested     Evidence = "attested"      // valid signature over records
	NoneObserved Evidence = "none-observed" // valid signature over `none`
	Declared     Evidence = "declared"      // trailers without a valid signature
	Inferred     Evidence = "inferred"      // only another tool's marks
	Unknown      Evidence = "unknown"       // nothing; never read as "human"
)

// rank orders evidence, the best highest. A signature over none is as good as one over
// records.
func (e Evidence) rank() int {
	switch e {
	case Attested, NoneObserved:
		return 3
	case Declared:
		return 2
	case Inferred:
		return 1
	}
	return 0
}

// Binding is what ties a signature to the commit that carries it.
type Binding string

const (
	Exact  Binding = "exact"  // the same content on the same content
	Change Binding = "change" // the same change on other content
	Replay Binding = "replay" // made of signed commits, and making it again gives the same
)

// Verdict is the gate's answer to a push.
type Verdict struct {
	Schema  string          `json:"schema"`
	Policy  string          `json:"policy"` // digest of the policy, "sha256:…"; empty when there is none
	Verdict Outcome         `json:"verdict"`
	Refs    []RefVerdict    `json:"refs"`
	Commits []CommitVerdict `json:"commits"`
}

// RefVerdict is the answer for one updated ref. Old and New are object ids in
// hexadecimal; all zeros is "no object", as in git.
type RefVerdict struct {
	Ref      string    `json:"ref"`
	Old      string    `json:"old"`
	New      string    `json:"new"`
	Mode     string    `json:"mode"`
	Verdict  Outcome   `json:"verdict"`
	Judged   int       `json:"judged"`             // commits judged
	Faulty   int       `json:"faulty"`             // of those, commits with findings
	Findings []Finding `json:"findings,omitempty"` // about the ref itself
	Target   string    `json:"target,omitempty"`   // the ref that this one points at, when it is a symbolic one

	Rule policy.Rule `json:"-"` // by which it was judged; the zero Rule when none was asked
}

// CommitVerdict is the answer for one commit on its way to one ref.
type CommitVerdict struct {
	ID       string       `json:"id"`
	Ref      string       `json:"ref"`
	Subject  string       `json:"subject"`
	Verdict  Outcome      `json:"verdict"`
	Evidence Evidence     `json:"evidence"`
	Binding  *Binding     `json:"binding"` // null when nothing binds
	Signers  []SignerView `json:"signers"`
	Records  []RecordView `json:"records"`
	Trace    string       `json:"trace,omitempty"`  // digest of the trace that a standing attestation names
	None     string       `json:"none,omitempty"`   // the grade at which nothing was observed
	Beside   bool         `json:"beside,omitempty"` // all of this stands in a record beside the commit
	Made     bool         `json:"made,omitempty"`   // the platform made the commit of others; all of this is theirs
	Findings []Finding    `json:"findings"`

	Change     provenance.Digest   `json:"-"` // that the first of them names; zero for none
	Statements []provenance.Digest `json:"-"` // about the commit, of signers whom the policy knows, under valid signatures
}

// SignerView is a signer whose signature over the commit is valid.
type SignerView struct {
	Principal string `json:"principal"`
	Class     string `json:"class"`
	Key       string `json:"key"`
	Time      string `json:"time,omitempty"` // of signing, as the signer says
}

// RecordView is one record of a commit. What is not known is null or "unknown".
type RecordView struct {
	Tool    string     `json:"tool"`
	Version string     `json:"version"`
	Model   string     `json:"model"`
	Lines   *LinesView `json:"lines"` // null: how many of the part's lines are here is not known
	Via     string     `json:"via"`
	Session string     `json:"session"`
	MCP     []string   `json:"mcp"`
}

// same reports whether two views, lines aside, are of one use of one tool.
func (r RecordView) same(other RecordView) bool {
	return r.Tool == other.Tool && r.Version == other.Version && r.Model == other.Model &&
		r.Via == other.Via && r.Session == other.Session && slices.Equal(r.MCP, other.MCP)
}

// LinesView counts added lines.
type LinesView struct {
	AI    *int `json:"ai"`
	Added int  `json:"added"`
}

// Finding says which rule spoke, why, and what to do next.
type Finding struct {
	Rule   string `json:"rule"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// The names of rules are stable: people search for them.
const (
	AttestationMissing = "attestation-missing"
	AttestationInvalid = "attestation-invalid"
	AttestationStale   = "attestation-stale"
	SignerUnknown      = "signer-unknown"
	SignerNotAllowed   = "signer-not-allowed"
	SignerRevoked      = "signer-revoked"
	AuthorMismatch     = "author-mismatch"
	TimeSkew           = "time-skew"
	ObservationTooWeak = "observation-too-weak"
	ModelNotApproved   = "model-not-approved"
	ModelDenied        = "model-denied"
	ModelUnknown       = "model-unknown"
	ToolNotApproved    = "tool-not-approved"
	MCPNotApproved     = "mcp-not-approved"
	PathRestricted     = "path-restricted"
	UndeclaredAI       = "undeclared-ai"
	TrailerAmbiguous   = "trailer-ambiguous"
	TrailerMalformed   = "trailer-malformed"
	CommitMalformed    = "commit-malformed"
	MessageTooLarge    = "message-too-large"
	PushTooLarge       = "push-too-large"
	RefForbidden       = "ref-forbidden"
	RecordsRewrite     = "records-rewrite"
	PolicyInvalid      = "policy-invalid"
	PolicyProtected    = "policy-protected"
	RecordChanged      = "record-changed" // a warning, by the server's receipts alone
	CertificateInvalid = "certificate-invalid"
	OverrideNotAllowed = "override-not-allowed"
)

// Rule is the name of a rule and, in a line, what it says where it speaks.
type Rule struct{ Name, Says string }

// Rules are all of them, in the order that people are shown.
var Rules = []Rule{
	{AttestationMissing, "nothing is said about AI use, or it is not signed"},
	{AttestationInvalid, "the signature is wrong"},
	{AttestationStale, "it was signed for other content, or for another change"},
	{SignerUnknown, "no signer in the policy has the key"},
	{SignerNotAllowed, "the signer may not speak for this tool or model, or for none, or not now"},
	{SignerRevoked, "the key is compromised"},
	{AuthorMismatch, "the author is not who signed, or not who pushes"},
	{TimeSkew, "signed in the server's future"},
	{ObservationTooWeak, "the ref asks for a better observation"},
	{ModelNotApproved, "the policy does not approve the model"},
	{ModelDenied, "the policy denies the model"},
	{ModelUnknown, "the model is not known"},
	{ToolNotApproved, "the policy does not approve the tool"},
	{MCPNotApproved, "the policy does not approve an MCP server that the commit names"},
	{PathRestricted, "the commit changes a path that its model is kept from"},
	{UndeclaredAI, "a tool left its mark, and no record tells of it"},
	{TrailerAmbiguous, "two readers of git could see two things"},
	{TrailerMalformed, "the trailers are not in the exact form"},
	{CommitMalformed, "the commit is not in the exact form"},
	{MessageTooLarge, "the message is over the limit"},
	{PushTooLarge, "the push is over the limit"},
	{RefForbidden, "the ref is not open to pushes, or ends in no commit"},
	{RecordsRewrite, "records only grow"},
	{PolicyInvalid, "there is no valid policy, or would be none"},
	{PolicyProtected, "the push would change the policy that judges it"},
	{RecordChanged, "a change that was refused comes again and names another tool or model"},
	{CertificateInvalid, "the push certificate is not for this push, was used before, or has a wrong signature"},
	{OverrideNotAllowed, "an override by somebody whom the policy does not name, or without a reason"},
}

// ServerOnly lists the rules that need a server: who pushes, what was received
// before, which refs exist. Whoever judges a range elsewhere says that these
// were not judged; see NotJudged for what comes on top by the rule for a ref.
var ServerOnly = []string{CertificateInvalid, OverrideNotAllowed, PolicyInvalid, PolicyProtected, PushTooLarge, RecordsRewrite, RefForbidden}
