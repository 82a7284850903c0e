// Package report spells a verdict for the programs of others: SARIF 2.1.0 for those
// that collect findings, and the workflow commands by which a job on GitHub annotates
// itself.
//
// The words of a finding are partly those of the commits judged, so whoever writes
// commits writes into these files. Neither form lets such words become more than words:
// no command of a runner, no link, no second line.
//
// The same verdict gives the same bytes. The package judges nothing, and knows neither
// repository nor command line.
package report

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

// A finding is one of a verdict's, with what it is about.
type finding struct {
	gate.Finding
	kind    string // "commit" or "ref"
	name    string // the whole id of the commit, or name of the ref
	object  string // the id of the commit, or what the ref would become
	about   string // for people
	warning bool
}

func (f finding) text() string {
	text := f.about + ": " + plain(f.Detail)
	if f.Hint != "" {
		text += "\nhint: " + plain(f.Hint)
	}
	return text
}

// plain makes a text of any length safe to show, word by word.
func plain(text string) string {
	words := strings.Fields(text)
	for i := range words {
		words[i] = gate.Plain(words[i])
	}
	return strings.Join(words, " ")
}

// level is a word that SARIF and GitHub share.
func (f finding) level() string {
	if f.warning {
		return "warning"
	}
	return "error"
}

// all lists what was found about refs, then about commits, in the verdict's order.
func all(v gate.Verdict) []finding {
	var found []finding
	for _, r := range v.Refs {
		for _, f := range r.Findings {
			found = append(found, finding{f, "ref", r.Ref, r.New, gate.Plain(r.Ref), r.Verdict == gate.Warned})
		}
	}
	for _, c := range v.Commits {
		about := fmt.Sprintf("commit %.7s (%s)", c.ID, gate.Plain(c.Subject))
		for _, f := range c.Findings {
			found = append(found, finding{f, "commit", c.ID, c.ID, about, c.Verdict == gate.Warned})
		}
	}
	return found
}
