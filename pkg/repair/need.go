package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// A need is what the gate has against a commit.
type need struct {
	why, hint string
	mendable  bool // by a signature
	loud      bool // the commit itself says what keeps the gate from looking beside it
	partly    bool // there may be signatures that fit beside those that do not
	verdict   gate.CommitVerdict
}

// needs says of each commit in the range that is not covered why it is not.
func (o Options) needs(ctx context.Context, reader *repo.Reader) (map[change.ID]need, error) {
	records, err := record.All(ctx, reader)
	if err != nil {
		return nil, err
	}
	g := gate.Gate{Policy: o.Policy, Source: reader, Records: records, Now: o.Now, FormOnly: true, Marks: true}
	v, err := g.Check(ctx, gate.Range{Ref: o.Ref, Include: o.Include, Exclude: o.Exclude}, gate.KeepAll)
	if err != nil {
		return nil, err
	}
	if over := v.Refs[0].Findings; len(over) > 0 { // not all of them were looked at
		return nil, fmt.Errorf("%s; name a smaller range", over[0].Detail)
	}
	needs := map[change.ID]need{}
	for _, c := range v.Commits {
		id, err := change.ParseID(c.ID)
		if err != nil {
			return nil, err
		}
		if n, needy := o.need(c); needy && !slices.Contains(o.Signed, id) {
			n.verdict = c
			needs[id] = n
		}
	}
	return needs, nil
}

// Rules that a new signature satisfies, and of these the ones that the gate insists
// on where another signature stands.
var (
	mendable = []string{gate.AttestationMissing, gate.AttestationInvalid, gate.AttestationStale, gate.TrailerAmbiguous, gate.TrailerMalformed, gate.TimeSkew}
	dead     = []string{gate.AttestationInvalid, gate.AttestationStale}
)

// need says what a commit needs, false where that is nothing.
func (o Options) need(c gate.CommitVerdict) (need, bool) {
	attested := c.Evidence == gate.Attested || c.Evidence == gate.NoneObserved
	broken := func(rules ...string) (gate.Finding, bool) {
		i := slices.IndexFunc(c.Findings, func(f gate.Finding) bool { return slices.Contains(rules, f.Rule) })
		if i < 0 {
			return gate.Finding{}, false
		}
		return c.Findings[i], true
	}
	_, loud := broken(gate.TrailerAmbiguous, gate.TrailerMalformed, gate.AttestationInvalid)
	_, stranger := broken(gate.SignerUnknown)
	undeclared, marked := broken(gate.UndeclaredAI)
	switch f, faulty := broken(mendable...); {
	case attested && marked:
		return need{why: undeclared.Detail, mendable: true, loud: !c.Beside}, true
	case o.Named != nil && attested && slices.ContainsFunc(c.Records, o.names):
		return need{why: "its model is unknown", mendable: true, loud: loud || !c.Beside}, true
	case attested:
		f, faulty = broken(dead...)
		return need{why: f.Detail, mendable: true, loud: true, partly: true}, faulty
	case faulty:
		return need{why: f.Detail, mendable: true, loud: loud, partly: stranger}, true
	case marked:
		return need{why: undeclared.Detail, mendable: true, loud: loud}, true
	case len(c.Findings) > 0:
		return need{why: c.Findings[0].Detail, hint: c.Findings[0].Hint}, true
	case c.Verdict == gate.Exempt:
		return need{}, false
	case c.Evidence == gate.Unknown, c.Evidence == gate.Inferred:
		return need{why: "it does not say whether AI took part", mendable: true}, true
	}
	return need{why: "its provenance is not signed", mendable: true}, true
}

// fitting are the attestations of a message that stand, or that nobody here can
// check, since DSSE does not bring the key along.
func (o Options) fitting(c gate.CommitVerdict, message []byte) (keep []string) {
	block, err := trailer.Read(message)
	if err != nil {
		return nil
	}
	for _, value := range block.Attestation {
		a, err := attestation.Parse(value)
		stands := slices.ContainsFunc(c.Signers, func(s gate.SignerView) bool { return s.Key == a.Key })
		strange := a.Scheme == attestation.DSSE && len(o.Policy.Signers().Find(a.Key)) == 0
		if err == nil && (stands || strange) {
			keep = append(keep, value)
		}
	}
	return keep
}

// names reports whether what a person says fills a record that lacks the model.
func (o Options) names(r gate.RecordView) bool {
	return o.fills(recordOf(r))
}

func (o Options) fills(r provenance.Record) bool {
	same := func(known, named string) bool { return known == "" || known == named }
	return r.Model.Name == "" && same(r.Model.Provider, o.Named.Model.Provider) && same(r.Tool.Name, o.Named.Tool.Name)
}

// recordOf is a record that the gate has shown.
func recordOf(v gate.RecordView) provenance.Record {
	known := func(s string) string {
		if s == provenance.Unknown {
			return ""
		}
		return s
	}
	provider, model, _ := strings.Cut(v.Model, "/")
	return provenance.Record{Tool: provenance.Tool{Name: known(v.Tool), Version: known(v.Version)},
		Model: provenance.Model{Provider: known(provider), Name: known(model)},
		Via:   provenance.Via(v.Via), Session: known(v.Session), MCP: v.MCP}
}

// said is what a commit says of itself, in the final block or lifted out of the
// body, as far as it can be read.
func said(message []byte) (p provenance.Provenance) {
	rest, lines := trailer.Buffer{Verbatim: true}.Lift(message)
	for _, l := range lines {
		if l.Key != trailer.KeyProvenance || l.Value == "none" || strings.HasPrefix(l.Value, "none ") {
			continue
		}
		p.Records = append(p.Records, lenient(l.Value))
	}
	var illegible *trailer.MalformedError
	if _, err := trailer.Read(rest); errors.As(err, &illegible) {
		p.Records = append(p.Records, provenance.Record{})
	}
	return p
}

// lenient reads a record and, where the whole is none, the tool and model at its
// head: somebody took part, and what is known of them is not to be lost.
func lenient(value string) provenance.Record {
	r, err := provenance.ParseRecord(value)
	if words := strings.Fields(value); err != nil && len(words) > 1 {
		r, _ = provenance.ParseRecord(words[0] + " " + words[1] + " lines=unknown/0 via=unknown session=unknown")
	}
	return r
}

// marked are the records of tools that left a mark of their own in a commit, and of
// which no other record tells.
func marked(c change.Commit, said []provenance.Record) (declared []provenance.Record) {
	var marks []mark.Mark
	if block, err := trailer.Read(c.Message); err == nil {
		marks = mark.Find(block.Other)
	}
	for _, who := range []change.Ident{c.Author, c.Committer} {
		if m, ok := mark.OfAddress(who.Name, who.Email); ok {
			marks = append(marks, m)
		}
	}
	for _, m := range marks {
		tells := func(r provenance.Record) bool { return m.Of(r.Tool.Name) }
		if !slices.ContainsFunc(said, tells) && (m.Model != "" || !slices.ContainsFunc(declared, tells)) {
			declared = append(declared, provenance.Record{Tool: provenance.Tool{Name: m.Tool}, Model: agent.CanonicalModel(m.Model), Via: provenance.ViaDeclared})
		}
	}
	return declared
}

// values are what the commit is to say: what it said, whose grade nobody vouches
// for; what a person names where that leaves the model open; and that nobody knows
// where neither says anything.
func (o Options) values(total int, said []provenance.Record) ([]string, error) {
	if len(said) == 0 {
		said = []provenance.Record{{}}
	}
	var p provenance.Provenance
	var nobody []provenance.Record
	for _, r := range said {
		if r.Via.Stronger(provenance.ViaDeclared) {
			r.Via = provenance.ViaDeclared
		}
		if o.Named != nil && o.fills(r) {
			r = o.filled(r)
		}
		// Union lets one of whom nothing is known give way to a declaration; here that
		// may be about another part of the commit.
		if r.Tool == (provenance.Tool{}) && r.Model == (provenance.Model{}) && r.Session == "" {
			nobody = []provenance.Record{{Via: provenance.ViaUnknown, Lines: provenance.Lines{Total: total}}}
			continue
		}
		p.Records = append(p.Records, r)
	}
	p = provenance.Union(total, p)
	p.Records = append(p.Records, nobody...)
	values := p.Values()
	_, err := provenance.Parse(values)
	return values, err
}

// filled is a record with what a person knows of it. A chain is as strong as its
// weakest link; of somebody unseen there is only the person's word.
func (o Options) filled(r provenance.Record) provenance.Record {
	if r.Tool.Name == "" || r.Via.Stronger(o.Named.Via) {
		r.Via = o.Named.Via
	}
	r.Tool = provenance.Tool{Name: o.Named.Tool.Name, Version: cmp.Or(r.Tool.Version, o.Named.Tool.Version)}
	r.Model = o.Named.Model
	return r
}
