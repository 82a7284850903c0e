package gate

import (
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// A sign is a mark of a tool's own in a commit, and where it is.
type sign struct {
	tool  mark.Mark
	where string
}

// signs are the marks of tools in a commit: among its trailers, and as its author or
// committer.
func signs(c change.Commit, trailers []trailer.Line) (found []sign) {
	if len(trailers) > 0 {
		for _, m := range mark.Find(trailers) {
			found = append(found, sign{m, "its " + Plain(trailers[m.At].Key) + " line"})
		}
	}
	if m, ok := mark.OfAddress(c.Author.Name, c.Author.Email); ok {
		found = append(found, sign{m, "its author's address"})
	}
	if m, ok := mark.OfAddress(c.Committer.Name, c.Committer.Email); ok {
		found = append(found, sign{m, "its committer's address"})
	}
	return found
}

// undeclared reports tools whose marks a commit carries and of which no record tells. A
// record of an unknown tool may be any. Where nothing need be said, a commit that
// says nothing may carry what marks it likes.
func (j *judge) undeclared(signs []sign, s said) []Finding {
	formOnly := j.gate.FormOnly
	if formOnly && !j.gate.Marks || s.silent() && (formOnly || j.rule.Evidence == policy.AnyEvidence) {
		return nil
	}
	var found []Finding
	var told []string // tools, once each
	for _, sign := range signs {
		tells := func(r provenance.Record) bool { return r.Tool.Name == "" || sign.tool.Of(r.Tool.Name) }
		if slices.ContainsFunc(s.provenance.Records, tells) || slices.ContainsFunc(told, sign.tool.Of) {
			continue
		}
		told = append(told, sign.tool.Tool)
		found = append(found, Finding{UndeclaredAI,
			fmt.Sprintf("%s is a mark of %s, of which no record tells", sign.where, sign.tool.Tool),
			"have it recorded: gatekeeper repair; or take it out, if it is not so"})
	}
	return found
}
