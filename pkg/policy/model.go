package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// Names of the rules that this package decides.
const (
	RuleModelNotApproved   = "model-not-approved"
	RuleModelDenied        = "model-denied"
	RuleModelUnknown       = "model-unknown"
	RuleToolNotApproved    = "tool-not-approved"
	RuleSignerNotAllowed   = "signer-not-allowed" // of too low a class for the model
	RulePathRestricted     = "path-restricted"
	RuleObservationTooWeak = "observation-too-weak" // decided by the gate; known to Test
)

// A Query asks about one record of one commit.
type Query struct {
	Tool   provenance.Tool
	Model  provenance.Model
	Via    provenance.Via
	Ref    string      // whole name
	Paths  []string    // that the commit changes; a PathWatch picks those that matter
	At     time.Time   // the server's time of receipt; a zero time lies in no period
	Signed time.Time   // signing time, for grace; zero when nothing is signed
	Class  trust.Class // of the signer

	// What a person left open when asking. The gate leaves nothing open, and no
	// other package can.
	anyTool, anyRef, anyClass bool
}

// A Decision is the answer to a Query. Reason and Hint quote what strangers
// wrote, made safe to show.
type Decision struct {
	Allowed   bool
	Rule      string // the rule that refuses; "" when allowed
	Entry     string // file:line of the deciding entry; "" when none matched
	Reason    string
	Hint      string // what to do; may be empty
	Canonical string // the model's id after aliases, or the tool's name
}

// Canonical is the id under which the policy knows a model: provider/name, or
// what the first matching [[alias]] makes of it. Aliases are not applied twice.
//
// An alias without a `/` matches the bare name, of a model whose provider is
// unknown or is the alias's own: no alias turns one provider's model into another's
// by accident.
func (p *Policy) Canonical(m provenance.Model) string {
	id, _ := p.canonical(m)
	return id
}

func (p *Policy) canonical(m provenance.Model) (id, entry string) {
	// A provider with a slash must not pass for another with the rest in its name.
	m.Provider = strings.ReplaceAll(m.Provider, "/", "%2F")
	id = m.ID()
	provider, name, _ := strings.Cut(id, "/")
	for i := range p.aliases {
		a := &p.aliases[i]
		own, _, _ := strings.Cut(a.id, "/")
		switch {
		case a.whole() && a.match.match(id),
			!a.whole() && (provider == provenance.Unknown || provider == own) && a.match.match(name):
			return a.id, a.entry
		}
	}
	return id, ""
}

// whole reports whether the alias speaks of provider/name.
func (a *aliasEntry) whole() bool { return strings.Contains(a.match.text, "/") }

// hasUnknown reports whether a part of a model's id is not known.
func hasUnknown(id string) bool {
	provider, name, _ := strings.Cut(id, "/")
	return provider == provenance.Unknown || name == provenance.Unknown
}

// matchKnown matches an id, or a tool's name. What nobody knows must be approved
// by the very word: a star in an approval stands for known names only. In a
// denial it stands for everything, and case does not count: tools write the names
// of makers in any.
func matchKnown(g glob, denied bool, id string) bool {
	if denied && g.matchFolded(id) {
		return true
	}
	if !g.match(id) {
		return false
	}
	if denied || id == g.text {
		return true
	}
	provider, name, ok := strings.Cut(id, "/")
	ownProvider, ownName, _ := strings.Cut(g.text, "/")
	return (provider != provenance.Unknown || ownProvider == provenance.Unknown) &&
		(!ok || name != provenance.Unknown || ownName == provenance.Unknown)
}

// miss says why an entry that names the model does not apply to a query.
type miss int

const (
	applies miss = iota
	otherTool
	otherRef
	early
	late
	lowClass
)

// applies to q, or why not. Grace is how long an approval goes on for commits
// that were signed before its end.
func (m *modelEntry) miss(q *Query, grace time.Duration) miss {
	switch {
	case len(m.tools) > 0 && !q.anyTool && !matchAny(m.tools, toolName(q.Tool)):
		return otherTool
	case len(m.refs) > 0 && !q.anyRef && !matchAny(m.refs, q.Ref):
		return otherRef
	case !m.from.IsZero() && q.At.Before(m.from):
		return early
	case !m.until.IsZero() && (q.At.IsZero() || !q.At.Before(m.until)):
		if m.denied || q.At.IsZero() || q.Signed.IsZero() || !q.Signed.Before(m.until) || !q.At.Before(m.until.Add(grace)) {
			return late
		}
	}
	return applies
}

func (m *modelEntry) names(id string) bool { return matchKnown(m.id, m.denied, id) }

// asksMore reports whether the entry wants a higher class of signer.
func (m *modelEntry) asksMore(q *Query) bool { return !q.anyClass && q.Class < m.minClass }

func toolName(t provenance.Tool) string {
	if t.Name == "" {
		return provenance.Unknown
	}
	return t.Name
}

// Model decides about the model of q: by the first [[model]] whose id matches the
// canonical id and whose tools, refs and period cover the query. An entry for
// another tool, ref or time is passed over, so that a later one may speak. When
// none speaks, the model is not approved.
//
// The period is judged at q.At. For grace after `until` an approval goes on for a
// commit that was signed before `until`. An entry that asks for a higher class
// of signer than q.Class decides: it refuses, with signer-not-allowed. So does one that
// denies a path of q.Paths, with path-restricted.
func (p *Policy) Model(q Query) Decision {
	id, _ := p.canonical(q.Model)
	for i := range p.models {
		m := &p.models[i]
		if !m.names(id) || m.miss(&q, p.defaults.Grace) != applies {
			continue
		}
		d := Decision{Allowed: true, Entry: m.entry, Reason: approved, Canonical: id}
		switch {
		case m.denied:
			d.refuse(RuleModelDenied, because(fmt.Sprintf("model %s is denied", quote(id)), m.reason), p.approvedHere(q))
		case m.asksMore(&q):
			d.refuse(RuleSignerNotAllowed, fmt.Sprintf("model %s asks for a signer of class %s, this one is %s", quote(id), m.minClass, q.Class),
				"push it by way of a "+m.minClass.String()+" that signs")
		default:
			p.keepOut(&d, m, q)
		}
		return d
	}
	d := Decision{Canonical: id}
	switch {
	case hasUnknown(id):
		d.refuse(RuleModelUnknown, "model "+quote(id)+" is not known", nameIt(q.Tool))
	default:
		d.refuse(RuleModelNotApproved, p.notApproved(q, id), p.approvedHere(q))
	}
	return d
}

func (d *Decision) refuse(rule, reason, hint string) {
	d.Allowed, d.Rule, d.Reason, d.Hint = false, rule, reason, hint
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + printable(reason)
}

// nameIt tells how to say which model a tool used.
func nameIt(t provenance.Tool) string {
	name := toolName(t)
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(name) > 24 || name == provenance.Unknown {
		name = "TOOL"
	}
	return "gatekeeper repair --tool " + name + " --model PROVIDER/MODEL"
}

// notApproved says what is missing, by the nearest entry that names the model.
func (p *Policy) notApproved(q Query, id string) string {
	s := "model " + quote(id) + " is not approved"
	for i := range p.models {
		m := &p.models[i]
		if m.denied || !m.names(id) {
			continue
		}
		return s + m.only(q, m.miss(&q, p.defaults.Grace)) + " (" + m.entry + ")"
	}
	return s
}

// only says how an approval missed the query.
func (m *modelEntry) only(q Query, why miss) string {
	switch why {
	case otherTool:
		return fmt.Sprintf(" with %s, only with %s", quote(toolName(q.Tool)), either(texts(m.tools)))
	case otherRef:
		return fmt.Sprintf(" on %s, only on %s", quote(q.Ref), either(texts(m.refs)))
	case early:
		return " before " + day(m.from)
	case late:
		return " since " + day(m.until)
	}
	return ""
}

// day writes a time as a policy would.
func day(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// approvedHere names the models that q could have used instead.
func (p *Policy) approvedHere(q Query) string {
	const most = 3
	var ids, entries []string
	more := 0
	for i := range p.models {
		m := &p.models[i]
		if m.denied || m.dead || slices.Contains(ids, m.id.text) || m.miss(&q, 0) != applies || m.asksMore(&q) {
			continue
		}
		if len(ids) == most {
			more++
			continue
		}
		ids, entries = append(ids, m.id.text), append(entries, m.entry)
	}
	if len(ids) == 0 {
		return "no model is approved here; ask who keeps the policy"
	}
	s := "approved here: " + strings.Join(ids, ", ")
	if more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s + " (" + joinEntries(entries) + ")"
}

// deniedAlready reports whether one of the entries read so far denies all that m
// speaks of.
func (p *Policy) deniedAlready(m *modelEntry) bool {
	for i := range p.models {
		if p.models[i].denied && p.models[i].covers(m) {
			return true
		}
	}
	return false
}

// joinEntries writes the file's name once: policy.toml:12, :20.
func joinEntries(entries []string) string {
	entries = slices.Compact(entries)
	s := entries[0]
	for _, e := range entries[1:] {
		s += ", " + e[strings.LastIndexByte(e, ':'):]
	}
	return s
}

// Tool decides about the tool of q: by the first [[tool]] whose id matches and
// whose versions hold the tool's. Without any [[tool]] tools are not judged.
// Where the version is not known, or is no dotted number, an approval of some
// versions does not apply and a denial of some does.
func (p *Policy) Tool(q Query) Decision {
	name := toolName(q.Tool)
	d := Decision{Allowed: true, Reason: "tools are not judged", Canonical: name}
	if len(p.tools) == 0 {
		return d
	}
	for i := range p.tools {
		t := &p.tools[i]
		if !matchKnown(t.id, t.denied, name) || !t.applies(q.Tool.Version) {
			continue
		}
		d.Entry, d.Reason = t.entry, approved
		if t.denied {
			d.refuse(RuleToolNotApproved, t.whyDenied(q.Tool), p.toolsHere())
		}
		return d
	}
	d.refuse(RuleToolNotApproved, p.toolMissing(q.Tool), p.toolsHere())
	return d
}

func (t *toolEntry) applies(version string) bool {
	inside, known := t.versions.has(version)
	if !known {
		return t.denied
	}
	return inside
}

func (t *toolEntry) whyDenied(tool provenance.Tool) string {
	s := "tool " + quote(versioned(tool)) + " is denied"
	if _, known := t.versions.has(tool.Version); !known {
		s += " in versions " + t.versions.text + ", and which this is, is not known"
	}
	return s
}

func (p *Policy) toolMissing(t provenance.Tool) string {
	s := "tool " + quote(versioned(t)) + " is not approved"
	for i := range p.tools {
		e := &p.tools[i]
		if !e.denied && matchKnown(e.id, false, toolName(t)) {
			return fmt.Sprintf("%s, only %s (%s)", s, e.versions.text, e.entry)
		}
	}
	return s
}

func (p *Policy) toolsHere() string {
	var ids, entries []string
	for i := range p.tools {
		if t := &p.tools[i]; !t.denied {
			ids, entries = append(ids, strings.TrimSpace(t.id.text+" "+t.versions.text)), append(entries, t.entry)
		}
	}
	if len(ids) == 0 {
		return "no tool is approved; ask who keeps the policy"
	}
	return "approved: " + strings.Join(ids[:min(len(ids), 4)], ", ") + " (" + joinEntries(entries[:min(len(ids), 4)]) + ")"
}

func versioned(t provenance.Tool) string {
	if t.Version == "" {
		return toolName(t)
	}
	return toolName(t) + "/" + t.Version
}
