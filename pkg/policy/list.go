package policy

import (
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// A ModelEntry is one [[model]] as it stands, for people who read a policy as a list.
type ModelEntry struct {
	Entry       string // file:line
	Model       string // the pattern of ids
	Denied      bool
	Tools, Refs []string // patterns; none is all
	Paths       []string // patterns of paths that it must keep out of
	From, Until time.Time
	MinClass    trust.Class
	Owner       string
	Reason      string
}

// Models lists the [[model]] entries in their order.
func (p *Policy) Models() []ModelEntry {
	list := make([]ModelEntry, 0, len(p.models))
	for _, m := range p.models {
		list = append(list, ModelEntry{Entry: m.entry, Model: m.id.text, Denied: m.denied, Tools: texts(m.tools), Refs: texts(m.refs),
			Paths: texts(m.deny), From: m.from, Until: m.until, MinClass: m.minClass, Owner: m.owner, Reason: m.reason})
	}
	return list
}

// Rules lists the rules of refs in the order in which they are asked, and at the end that
// of all other refs.
func (p *Policy) Rules() []Rule {
	list := make([]Rule, 0, len(p.refs)+1)
	for _, r := range p.refs {
		list = append(list, r.rule)
	}
	return append(list, p.defaults)
}
