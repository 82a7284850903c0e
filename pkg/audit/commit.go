package audit

import (
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Evidence is how well it is known what took part in a commit.
type Evidence string

// The tiers, the best first.
const (
	Attested     Evidence = "attested"
	NoneObserved Evidence = "none-observed"
	Declared     Evidence = "declared"
	Import       Evidence = "import"
	Inferred     Evidence = "inferred"
	Unknown      Evidence = "unknown"
)

// Tiers are all of them. The ledger numbers them so.
var tiers = []Evidence{Attested, NoneObserved, Declared, Import, Inferred, Unknown}

// Tiers lists the tiers, the best first.
func Tiers() []Evidence { return append([]Evidence(nil), tiers...) }

// Claimed reports whether something says of a commit with this evidence that a tool
// took part in it.
func (e Evidence) Claimed() bool { return e != NoneObserved && e != Unknown }

// Sources of claims.
const (
	FromRecord     = "record" // AI-Provenance lines
	FromGitAI      = "git-ai"
	FromAgentTrace = "agent-trace"
	FromEntire     = "entire"
	FromQwen       = "qwen-code"
	FromMark       = "mark"
)

// A Use is a tool with a model, and how that was told. What is not known is "".
type Use struct {
	Source string
	Tool   provenance.Tool
	Model  provenance.Model
	Via    provenance.Via
}

// A Claim says that a tool took part in a commit.
type Claim struct {
	Use
	Session string // "" when it is not known
	AI      *int   // added lines that came of it; nil when not known
	Total   *int   // of so many, as the claim says
	MCP     []string
}

// A Signer is one whose signature over a commit is valid.
type Signer struct {
	Key, Principal, Class string
	Signed                time.Time
}

// A Judgement is what is known of a commit's provenance.
type Judgement struct {
	Evidence Evidence
	Class    string // of the best signer; "" without one
	Binding  string // exact or change; "" when nothing binds
	None     string // the grade at which nothing was observed; "" else
	Beside   bool   // it stands in a record beside the commit
	Trace    string // digest of the trace of its lines; "" for none
	Problem  string // the rule that kept something from counting; "" for none
	Signers  []Signer
	Claims   []Claim
}

// A Cite is what a message says of another commit. It is a claim.
type Cite struct {
	Kind string // Reverts or Picks
	ID   change.ID
}

// Kinds of Cite.
const (
	Reverts = "revert" // This reverts commit
	Picks   = "pick"   // (cherry picked from commit
)

// A Commit is what the index keeps of a commit.
type Commit struct {
	ID                change.ID
	Parents           []change.ID
	Author, Committer Person
	Authored          time.Time
	Committed         time.Time
	Received          time.Time // by the server; zero when no receipt says so

	Own            bool // false: a merge in which every file is as in one of its parents
	Touches        []repo.Touch
	Files          int // as touched; Touches holds at most maxTouches
	Added, Deleted int // lines; -1 when not known, as of a merge
	Shape          int64
	Change         provenance.Digest // that it is signed for; zero for none

	Judgement
	Cites []Cite
}

// Counts reports whether the commit counts in shares: what brings nothing of its own does
// so only when something is claimed of it.
func (c *Commit) Counts() bool { return c.Own || c.Evidence != Unknown }

// At is the time by which the commit is judged.
func (c *Commit) At() time.Time {
	if !c.Received.IsZero() {
		return c.Received
	}
	return c.Committed
}

// A Person is an author or committer as a commit names them.
type Person struct{ Name, Email string }
