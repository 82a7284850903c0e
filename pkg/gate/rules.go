package gate

import (
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// findings holds what a commit says and proves against the rule for its ref and
// the policy's models and tools.
func (j *judge) findings(job *job, s said, claims []claim, e Evidence) []Finding {
	if j.gate.FormOnly {
		return append(problems(claims), j.undeclared(job.said.signs, s)...)
	}
	found := j.evidence(s, claims, e)
	found = append(found, j.undeclared(job.said.signs, s)...)
	found = append(found, j.observation(s)...)
	found = append(found, j.none(s, claims)...)
	found = append(found, j.bySigner(s.author, claims)...)
	found = append(found, j.byPusher(s.author)...)
	for _, r := range s.provenance.Records {
		found = append(found, j.record(job, r, claims)...)
	}
	return unique(found)
}

// evidence reports why a commit brings less than the rule asks for. A signature
// that is wrong is reported whatever the rule asks: nothing honest makes one.
func (j *judge) evidence(s said, claims []claim, e Evidence) []Finding {
	var found []Finding
	for _, c := range claims {
		if c.forged {
			found = append(found, *c.problem)
		}
	}
	switch j.rule.Evidence {
	case policy.AnyEvidence:
		return found
	case policy.Declared:
		if e.rank() < Declared.rank() {
			return append(found, silence())
		}
		return found
	}
	if e == Attested || e == NoneObserved {
		return append(found, leftovers(claims)...)
	}
	if s.silent() {
		return append(found, silence())
	}
	if len(claims) == 0 {
		return append(found, Finding{AttestationMissing, "its provenance is not signed", restamp})
	}
	return append(found, problems(claims)...)
}

// leftovers reports signatures for other content beside one that stands. The hooks
// take them out; a reader of the message would count them.
func leftovers(claims []claim) []Finding {
	var found []Finding
	for _, c := range claims {
		if !c.stands() && c.problem.Rule == AttestationStale {
			found = append(found, *c.problem)
		}
	}
	return found
}

// none reports a signer who may speak for some tools or models only, and says that
// nothing at all was used.
func (j *judge) none(s said, claims []claim) []Finding {
	if s.provenance.None == "" || j.rule.Evidence != policy.Attested {
		return nil
	}
	var found []Finding
	for _, c := range claims {
		if !c.stands() {
			continue
		}
		for _, signer := range c.signers {
			if slices.Contains(signer.Tools, "*") && slices.Contains(signer.Models, "*") {
				return nil
			}
			found = append(found, Finding{SignerNotAllowed,
				Plain(signer.Principal) + " speaks for some tools or models only, and may not say that none was used",
				"somebody whose tools and models are not restricted attests"})
		}
	}
	return found
}

// claimed reports what the policy has against the records of a merge that needs no
// evidence: what it says is still read by people.
func (j *judge) claimed(s said) []Finding {
	if j.gate.FormOnly {
		return nil
	}
	var found []Finding
	for _, r := range s.provenance.Records {
		found = append(found, j.record(nil, r, nil)...)
	}
	return unique(found)
}

// problems says what is wrong with each attestation that does not stand.
func problems(claims []claim) []Finding {
	var found []Finding
	for _, c := range claims {
		if !c.stands() {
			found = append(found, *c.problem)
		}
	}
	return found
}

func silence() Finding {
	return Finding{AttestationMissing, "it does not say whether AI took part",
		"in the clone: gatekeeper install, then gatekeeper repair"}
}

// observation reports records that were observed at a lower grade than asked.
func (j *judge) observation(s said) []Finding {
	var found []Finding
	weak := func(via provenance.Via, what string) {
		if !j.rule.Observed(via) {
			found = append(found, Finding{ObservationTooWeak,
				fmt.Sprintf("%s was observed via %s; this ref asks for %s", what, via, j.rule.Via),
				"commit with the agent's hooks in place: gatekeeper install"})
		}
	}
	if s.provenance.None != "" {
		weak(s.provenance.None, "no tool")
	}
	for _, r := range s.provenance.Records {
		weak(r.Via, Plain(known(r.Tool.Name)))
	}
	return found
}

// record reports what the policy has against one record of a job; no job, of a commit
// that changes nothing of its own.
func (j *judge) record(job *job, r provenance.Record, claims []claim) []Finding {
	found := j.keptFrom(job, r.Model)
	q := policy.Query{Tool: r.Tool, Model: r.Model, Via: r.Via, At: j.gate.Now}
	if job != nil {
		q.Paths = job.touched.paths
	}
	tool, model := known(r.Tool.Name), j.gate.Policy.Canonical(r.Model)
	speaker, signed, spoken := speaker(tool, model, claims)
	if spoken {
		q.Class, q.Signed = speaker.Class, signed.attestation.Time
	} else if signed != nil && j.rule.Evidence == policy.Attested {
		found = append(found, Finding{SignerNotAllowed,
			fmt.Sprintf("%s may not speak for %s with %s", Plain(speaker.Principal), Plain(tool), Plain(model)),
			"an admin lists the tool and model with the signer, or another signer attests"})
	}
	for _, q.Ref = range j.names {
		if d := j.gate.Policy.Tool(q); !d.Allowed {
			found = append(found, Finding{d.Rule, Plain(d.Reason), Plain(d.Hint)})
		}
		if d := j.gate.Policy.Model(q); !d.Allowed {
			found = append(found, Finding{d.Rule, Plain(d.Reason), Plain(d.Hint)})
		}
	}
	for _, server := range r.MCP {
		if d := j.gate.Policy.MCP(policy.MCPQuery{Server: server, NameOnly: true}); !d.Allowed {
			found = append(found, Finding{d.Rule, Plain(d.Reason), Plain(d.Hint)})
		}
	}
	return found
}

// speaker picks, of those whose signatures stand, the signer of the highest class
// that may speak for the tool and model. When none may, spoken is false and signed, unless nil,
// is a claim whose signer may not.
func speaker(tool, model string, claims []claim) (best trust.Signer, signed *claim, spoken bool) {
	for i, c := range claims {
		if !c.stands() {
			continue
		}
		for _, s := range c.signers {
			speaks := s.Speaks(tool, model)
			if signed == nil || speaks && (!spoken || s.Class > best.Class) {
				best, signed, spoken = s, &claims[i], speaks
			}
		}
	}
	return best, signed, spoken
}

// unique drops findings that say the same twice, as two records of one model do.
func unique(findings []Finding) []Finding {
	var kept []Finding
	seen := map[Finding]bool{}
	for _, f := range findings {
		if !seen[f] {
			seen[f] = true
			kept = append(kept, f)
		}
	}
	return kept
}
