package audit

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// inferred are the claims that marks of agents make: trailers of their own and those in which
// people say what they used, addresses of bots as author or committer, and the footers that
// some write below a message.
func inferred(c *Commit, block trailer.Block, message []byte) (claims []Claim) {
	marks := append(mark.Find(block.Other), mark.Disclosed(block.Other)...)
	for _, p := range []Person{c.Author, c.Committer} {
		if m, ok := mark.Author(p.Name, p.Email); ok {
			marks = append(marks, m)
		}
	}
	marks = append(marks, mark.Body(message)...)
	for _, m := range marks {
		claims = append(claims, Claim{Use: Use{Source: FromMark, Tool: provenance.Tool{Name: m.Tool},
			Model: modelOf(m.Model), Via: provenance.ViaDeclared}})
	}
	return claims
}

// modelOf reads the name of a model as an agent spells it.
func modelOf(spelling string) provenance.Model {
	m := agent.CanonicalModel(spelling)
	return provenance.Model{Provider: text(m.Provider), Name: text(m.Name)}
}

// alike reports whether two names may be those of one tool: those called Copilot write
// each other's marks.
func alike(a, b string) bool { return mark.Mark{Tool: a}.Of(b) }

// foreignTrailers are the claims of other recorders' trailers.
func foreignTrailers(block trailer.Block) []Claim {
	var checkpoint bool
	claim := Claim{Use: Use{Source: FromEntire, Via: provenance.ViaImport}}
	for _, l := range block.Other {
		switch {
		case strings.EqualFold(l.Key, "Entire-Checkpoint"):
			checkpoint = true
		case strings.EqualFold(l.Key, "Entire-Agent"):
			claim.Tool.Name = toolNamed(l.Value)
			checkpoint = true
		case strings.EqualFold(l.Key, "Entire-Session"):
			claim.Session = sessionOf(l.Value)
		case strings.EqualFold(l.Key, "Entire-Attribution"):
			claim.AI, claim.Total = entireLines(l.Value)
		}
	}
	if !checkpoint {
		return nil
	}
	return []Claim{claim}
}
