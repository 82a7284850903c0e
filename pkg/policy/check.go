package policy

import (
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// CheckSchema names the version of CheckReport as JSON.
const CheckSchema = "gatekeeper/policy-check/v1"

// A CheckReport says what a policy that loads holds.
type CheckReport struct {
	Schema string `json:"schema"`
	Policy string `json:"policy"` // file
	Digest string `json:"digest"`
	Mode   Mode   `json:"mode"` // of [defaults]
	Counts Counts `json:"counts"`
	Hints  []Note `json:"hints"` // worth a look; nothing is wrong
}

// Counts are the entries of a policy.
type Counts struct {
	Refs     int `json:"refs"`
	Models   int `json:"models"`
	Aliases  int `json:"aliases"`
	Tools    int `json:"tools"`
	MCP      int `json:"mcp"`
	Signers  int `json:"signers"` // of allowed_signers, too
	Baseline int `json:"baseline"`
}

// Check reports what the policy holds, and what in it looks unintended.
func (p *Policy) Check() CheckReport {
	return CheckReport{
		Schema: CheckSchema, Policy: p.name, Digest: p.digest, Mode: p.defaults.Mode,
		Counts: Counts{Refs: len(p.refs), Models: len(p.models), Aliases: len(p.aliases), Tools: len(p.tools),
			MCP: len(p.mcp), Signers: len(p.keys), Baseline: len(p.baseline)},
		Hints: append(append([]Note{}, p.hints...), p.shadowed()...),
	}
}

// WriteText writes the report for people.
func (r CheckReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: valid, mode %s\n", r.Policy, r.Mode)
	fmt.Fprintf(&b, "  %s\n", strings.Join([]string{
		plural(r.Counts.Models, "model"), plural(r.Counts.Aliases, "alias"), plural(r.Counts.Tools, "tool"), plural(r.Counts.MCP, "MCP server"),
		plural(r.Counts.Signers, "signer"), plural(r.Counts.Refs, "ref rule")}, ", "))
	fmt.Fprintf(&b, "  digest %s\n", r.Digest)
	writeNotes(&b, "hints:", r.Hints)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeNotes(b *strings.Builder, title string, notes []Note) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, n := range notes {
		n.File = path.Base(n.File)
		fmt.Fprintf(b, "  %s\n", n)
	}
}

func plural(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// shadowed notes entries that can never speak because an earlier one always
// does, and what else loads but says little.
func (p *Policy) shadowed() []Note {
	var notes []Note
	never := func(kind, later, earlier string) {
		file, line := splitEntry(later)
		notes = append(notes, Note{File: file, Line: line, Key: kind, Text: "never applies: " + earlier + " comes first and covers it"})
	}
	for i := range p.refs {
		for j := range i {
			if p.refs[j].match.covers(p.refs[i].match) {
				never("ref", p.refs[i].entry, p.refs[j].entry)
				break
			}
		}
	}
	for i := range p.models {
		for j := range i {
			if p.models[j].covers(&p.models[i]) {
				never("model", p.models[i].entry, p.models[j].entry)
				break
			}
		}
	}
	for i := range p.aliases {
		for j := range i {
			if p.aliases[j].covers(&p.aliases[i]) {
				never("alias", p.aliases[i].entry, p.aliases[j].entry)
				break
			}
		}
	}
	for i := range p.tools {
		for j := range i {
			if p.tools[j].covers(&p.tools[i]) {
				never("tool", p.tools[i].entry, p.tools[j].entry)
				break
			}
		}
	}
	return append(notes, p.idle()...)
}

// idle notes what the policy as a whole leaves out.
func (p *Policy) idle() []Note {
	var notes []Note
	if len(p.models) == 0 {
		notes = append(notes, Note{File: p.name, Key: "model", Text: "there is no [[model]]: no model is approved"})
	}
	if len(p.keys) == 0 && p.defaults.Evidence == Attested {
		notes = append(notes, Note{File: p.name, Key: "signer", Text: "nobody may sign, and evidence = \"attested\" asks for a signature"})
	}
	return notes
}

func splitEntry(entry string) (file string, line int) {
	i := strings.LastIndexByte(entry, ':')
	line, _ = strconv.Atoi(entry[i+1:])
	return entry[:i], line
}

// covers reports whether m speaks wherever n could, so that n never does when it
// comes later. It may miss a case, but what it affirms is so.
func (m *modelEntry) covers(n *modelEntry) bool {
	return knownCovers(m.id, m.denied, n.id, n.denied) && coversAll(m.tools, n.tools) && coversAll(m.refs, n.refs) &&
		(m.from.IsZero() || !n.from.IsZero() && !n.from.Before(m.from)) &&
		(m.until.IsZero() || m.denied == n.denied && !n.until.IsZero() && !m.until.Before(n.until))
}

// knownCovers is covers for ids, where stars of approvals pass over what is unknown.
func knownCovers(m glob, mDenied bool, n glob, nDenied bool) bool {
	if !m.covers(n) {
		return false
	}
	if mDenied || m.text == n.text && !nDenied {
		return true
	}
	// m passes over unknown parts; it covers n only if n cannot meet them.
	if !n.stars {
		return matchKnown(m, false, n.text)
	}
	return !nDenied && !strings.Contains(n.text, provenance.Unknown)
}

func (a *aliasEntry) covers(b *aliasEntry) bool {
	if a.whole() != b.whole() || !a.match.covers(b.match) {
		return false
	}
	own, _, _ := strings.Cut(a.id, "/")
	other, _, _ := strings.Cut(b.id, "/")
	return a.whole() || own == other
}

func (t *toolEntry) covers(u *toolEntry) bool {
	same := t.versions.text == u.versions.text && t.denied == u.denied
	return knownCovers(t.id, t.denied, u.id, u.denied) && (same || len(t.versions.bounds) == 0)
}
