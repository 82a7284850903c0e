package policy

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// ExplainSchema names the version of Explanation as JSON.
const ExplainSchema = "gatekeeper/policy-explain/v1"

// An Explanation says how a Query is decided, and why.
type Explanation struct {
	Schema     string       `json:"schema"`
	Policy     string       `json:"policy"` // file
	Digest     string       `json:"digest"`
	At         string       `json:"at"`      // RFC 3339, UTC
	Verdict    string       `json:"verdict"` // approved | refused, whatever the mode
	Model      ModelAnswer  `json:"model"`
	Tool       *ToolAnswer  `json:"tool"` // null when none was named
	Ref        RefAnswer    `json:"ref"`
	Conditions []string     `json:"conditions"` // of an approval, as far as the question left them open
	Passed     []PassedOver `json:"passed_over"`
	Enough     []string     `json:"enough"` // what a commit must bring to this ref
}

// ModelAnswer is what the policy says of the model.
type ModelAnswer struct {
	Asked string `json:"asked"`
	ID    string `json:"id"`              // canonical
	Alias string `json:"alias,omitempty"` // file:line of the alias that made it so
	Answer
	Owner string `json:"owner,omitempty"`
}

// ToolAnswer is what the policy says of the tool.
type ToolAnswer struct {
	Asked string `json:"asked"`
	Answer
}

// Answer is a Decision as JSON.
type Answer struct {
	Verdict string `json:"verdict"` // approved | refused
	Rule    string `json:"rule,omitempty"`
	Entry   string `json:"entry,omitempty"` // file:line that decided
	Pattern string `json:"pattern,omitempty"`
	Reason  string `json:"reason"`
	Hint    string `json:"hint,omitempty"`
}

// RefAnswer is the rule for the ref.
type RefAnswer struct {
	Asked    string         `json:"asked"` // "" when none was named
	Match    string         `json:"match"`
	Entry    string         `json:"entry,omitempty"`
	Mode     Mode           `json:"mode"`
	Evidence Evidence       `json:"evidence"`
	Via      provenance.Via `json:"via"`
	Binding  Binding        `json:"binding"`
}

// PassedOver is an entry that names the model and did not apply.
type PassedOver struct {
	Entry   string `json:"entry"`
	Pattern string `json:"pattern"`
	Why     string `json:"why"`
}

// Explain answers q in full. What q leaves out (a tool without a name, no ref,
// the lowest class of signer) is not judged; what the answer then hangs on is
// said under Conditions.
func (p *Policy) Explain(q Query) Explanation {
	q.anyTool, q.anyRef, q.anyClass = q.Tool.Name == "", q.Ref == "", q.Class == trust.Developer
	d := p.Model(q)
	id, alias := p.canonical(q.Model)
	e := Explanation{
		Schema: ExplainSchema, Policy: p.name, Digest: p.digest, At: q.At.UTC().Format("2006-01-02T15:04:05Z"), Verdict: verdictWord(d.Allowed),
		Model:      ModelAnswer{Asked: q.Model.ID(), ID: id, Alias: alias, Answer: answer(d)},
		Ref:        p.refAnswer(q),
		Conditions: []string{}, Passed: p.passedOver(&q, id, d.Entry),
	}
	if m := p.modelAt(d.Entry); m != nil {
		e.Model.Pattern, e.Model.Owner = m.id.text, m.owner
		if d.Allowed {
			e.Model.Reason = because(approved, m.reason)
			e.Conditions = append(e.Conditions, m.conditions(&q)...)
		}
	}
	if !q.anyTool {
		t := p.Tool(q)
		e.Tool = &ToolAnswer{Asked: versioned(q.Tool), Answer: answer(t)}
		e.Verdict = verdictWord(d.Allowed && t.Allowed)
	}
	e.Enough = e.Ref.enough()
	return e
}

func verdictWord(allowed bool) string {
	if allowed {
		return approved
	}
	return "refused"
}

func answer(d Decision) Answer {
	return Answer{Verdict: verdictWord(d.Allowed), Rule: d.Rule, Entry: d.Entry, Reason: d.Reason, Hint: d.Hint}
}

func (p *Policy) modelAt(entry string) *modelEntry {
	for i := range p.models {
		if p.models[i].entry == entry {
			return &p.models[i]
		}
	}
	return nil
}

func (p *Policy) refAnswer(q Query) RefAnswer {
	r := p.defaults
	if !q.anyRef {
		r = p.Rule(q.Ref)
	}
	a := RefAnswer{Asked: q.Ref, Match: r.Match, Mode: r.Mode, Evidence: r.Evidence, Via: r.Via, Binding: r.Binding}
	if r.Line > 0 {
		a.Entry = entryAt(p.name, r.Line)
	}
	return a
}

// enough says in words what a commit must bring.
func (r RefAnswer) enough() []string {
	if r.Mode == Off {
		return []string{"nothing: this ref is not judged"}
	}
	var list []string
	switch r.Evidence {
	case Attested:
		list = append(list, "a signature by a listed signer over its provenance")
		switch r.Binding {
		case Exact:
			list = append(list, "signed for this very content on this very parent")
		default:
			list = append(list, "signed for this change, wherever it was rebased to")
		}
	case Declared:
		list = append(list, "provenance trailers, signed or not")
	default:
		list = append(list, "no proof; what it does say is judged")
	}
	if r.Via != ViaAny {
		list = append(list, "records observed via "+strings.Join(viaAtLeast(r.Via), " or "))
	}
	if r.Mode == Warn {
		list = append(list, "less is accepted with a warning")
	}
	return list
}

func viaAtLeast(least provenance.Via) []string {
	var words []string
	for _, v := range vias[:laxity(vias, least)+1] {
		words = append(words, string(v))
	}
	return words
}

// conditions says what an approval hangs on that the question left open, and
// when it ends.
func (m *modelEntry) conditions(q *Query) []string {
	var list []string
	if q.anyTool && len(m.tools) > 0 {
		list = append(list, "only with "+either(texts(m.tools)))
	}
	if q.anyRef && len(m.refs) > 0 {
		list = append(list, "only on "+either(texts(m.refs)))
	}
	if q.anyClass && m.minClass > trust.Developer {
		list = append(list, "only signed by a "+m.minClass.String()+" or higher")
	}
	if len(m.deny) > 0 && len(q.Paths) == 0 {
		list = append(list, "not for "+either(texts(m.deny)))
	}
	if !m.until.IsZero() {
		if !q.At.Before(m.until) {
			return append(list, "only signed before "+day(m.until)+", when the approval ended (grace)")
		}
		list = append(list, "until "+day(m.until))
	}
	return list
}

// passedOver lists the entries before the deciding one that name the model.
func (p *Policy) passedOver(q *Query, id, decided string) []PassedOver {
	list := []PassedOver{}
	for i := range p.models {
		m := &p.models[i]
		if m.entry == decided {
			break
		}
		why := m.why(q, id, p.defaults.Grace)
		if why != "" {
			list = append(list, PassedOver{Entry: m.entry, Pattern: m.id.text, Why: why})
		}
	}
	return list
}

// why is the reason for passing over an entry that names id by its pattern; ""
// when it does not name it.
func (m *modelEntry) why(q *Query, id string, grace time.Duration) string {
	if !m.id.match(id) && !(m.denied && m.id.matchFolded(id)) {
		return ""
	}
	if !m.names(id) {
		return "a star does not stand for what is unknown"
	}
	status := approved
	if m.denied {
		status = denied
	}
	switch m.miss(q, grace) {
	case otherTool:
		return status + " with " + either(texts(m.tools)) + ", not with " + quote(toolName(q.Tool))
	case otherRef:
		return status + " on " + either(texts(m.refs)) + ", not on " + quote(q.Ref)
	case early:
		return status + " from " + day(m.from) + " on"
	case late:
		return status + " until " + day(m.until)
	}
	return ""
}

// WriteText writes the explanation for people.
func (e Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	row := func(title, format string, args ...any) {
		fmt.Fprintf(&b, "%-7s "+format+"\n", append([]any{title}, args...)...)
	}
	asked := quote(e.Model.ID)
	if e.Model.Alias != "" {
		asked += " (reported as " + quote(e.Model.Asked) + ", alias " + e.Model.Alias + ")"
	}
	row("model", "%s", asked)
	e.Model.write(row)
	if e.Model.Owner != "" {
		row("", "owner: %s", printable(e.Model.Owner))
	}
	for _, p := range e.Passed {
		row("", "passed over %s, %s: %s", p.Entry, quote(p.Pattern), p.Why)
	}
	for _, c := range e.Conditions {
		row("", "%s", c)
	}
	if e.Tool != nil {
		row("tool", "%s", quote(e.Tool.Asked))
		e.Tool.write(row)
	}
	e.Ref.write(row)
	for i, line := range e.Enough {
		row([]string{"enough", ""}[min(i, 1)], "%s", line)
	}
	row("at", "%s, policy %s", e.At, path.Base(e.Policy))
	_, err := io.WriteString(w, b.String())
	return err
}

func (a Answer) write(row func(title, format string, args ...any)) {
	decided := ""
	if a.Entry != "" {
		decided = " by " + a.Entry
	}
	if a.Pattern != "" {
		decided += ", " + quote(a.Pattern)
	}
	switch {
	case a.Verdict == approved && a.Entry == "":
		row("", "%s", a.Reason)
	case a.Verdict == approved:
		row("", "approved%s%s", decided, strings.TrimPrefix(a.Reason, approved))
	default:
		row("", "refused%s: %s [%s]", decided, a.Reason, a.Rule)
	}
	if a.Hint != "" {
		row("", "hint: %s", a.Hint)
	}
}

func (r RefAnswer) write(row func(title, format string, args ...any)) {
	name := "any, none was named"
	if r.Asked != "" {
		name = quote(r.Asked)
	}
	row("ref", "%s", name)
	by := r.Match
	if r.Entry != "" {
		by += " (" + r.Entry + ")"
	}
	row("", "mode %s, evidence %s, via %s, binding %s by %s", r.Mode, r.Evidence, r.Via, r.Binding, by)
}
