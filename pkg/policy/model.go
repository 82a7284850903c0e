package policy

import (
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// Names of the rules that this package decides.
const (
	RuleModelNotApproved = "model-not-approved"
	RuleModelDenied      = "model-denied"
	RuleModelUnknown     = "model-unknown"
	RuleToolNotApproved  = "tool-not-approved"
	RuleSignerNotAllowed = "signer-not-allowed"
)

// A Query asks about one record of one commit.
type Query struct {
	Tool   provenance.Tool
	Model  provenance.Model
	Via    provenance.Via
	Ref    string // whole name
	Path   string
	At     time.Time   // the server's time of receipt
	Signed time.Time   // signing time; zero when nothing is signed
	Class  trust.Class // of the signer
}

// A Decision is the answer to a Query.
type Decision struct {
	Allowed   bool
	Rule      string // the rule that refuses; "" when allowed
	Entry     string // file:line of the deciding entry; "" when none matched
	Reason    string
	Hint      string
	Canonical string // the model's id after aliases
}

// Model decides about the model of q.
func (p *Policy) Model(q Query) Decision { return Decision{} }

// Tool decides about the tool of q.
func (p *Policy) Tool(q Query) Decision { return Decision{} }

// Explanation says how a Query is decided, and why.
type Explanation struct{}

// Explain answers q in full.
func (p *Policy) Explain(q Query) Explanation { return Explanation{} }
