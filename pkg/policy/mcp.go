package policy

import (
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// RuleMCPNotApproved is the rule that refuses an MCP server.
const RuleMCPNotApproved = "mcp-not-approved"

// An MCPQuery asks about the use of an MCP server. The name is chosen by the person who
// configures the server, so it proves little; what it runs or reaches says more.
type MCPQuery struct {
	Server  string
	Tool    string   // the server's tool that is called; "" is not known
	Command []string // that starts the server, or
	URL     string   // that it is at; both empty are not known
	// NameOnly says that nothing but the name will ever be known, as of a commit's
	// record: then approvals count by name, and denials that are about a name alone.
	NameOnly bool
}

// JudgesMCP reports whether the policy says anything of MCP servers.
func (p *Policy) JudgesMCP() bool { return len(p.mcp) > 0 }

// MCP decides about the use of an MCP server. Without any [[mcp]] it is not judged.
// A denial wins over every approval. An entry with a URL or a command is about the
// server that is really that: it approves nothing whose identity is not known.
func (p *Policy) MCP(q MCPQuery) Decision {
	d := Decision{Allowed: true, Reason: "MCP servers are not judged", Canonical: q.Server}
	if len(p.mcp) == 0 {
		return d
	}
	for _, denied := range []bool{true, false} {
		for i := range p.mcp {
			e := &p.mcp[i]
			if e.denied != denied || !e.covers(q) {
				continue
			}
			d.Entry, d.Reason = e.entry, approved
			if denied {
				d.refuse(RuleMCPNotApproved, "MCP server "+quote(q.Server)+" is denied", p.serversHere())
			}
			return d
		}
	}
	d.refuse(RuleMCPNotApproved, p.mcpMissing(q), p.serversHere())
	return d
}

// covers reports whether the entry is about what is asked.
func (e *mcpEntry) covers(q MCPQuery) bool {
	switch {
	case !e.names(q.Server):
		return false
	case q.NameOnly && e.denied && !e.wholly():
		return false // another tool of the server may have been called
	case len(e.tools) > 0 && q.Tool != "" && !matchAny(e.tools, q.Tool):
		return false
	case len(e.tools) > 0 && q.Tool == "" && !q.NameOnly && !e.denied && !matchAny(e.tools, provenance.Unknown):
		return false
	}
	return q.NameOnly && !e.denied || e.is(q)
}

// wholly reports whether the entry is about all tools of the server.
func (e *mcpEntry) wholly() bool {
	return len(e.tools) == 0 || slices.ContainsFunc(e.tools, func(g glob) bool { return g.text == "*" || g.text == "**" })
}

// names reports whether the entry is about a server of this name. A denial does not
// mind case.
func (e *mcpEntry) names(server string) bool {
	if e.denied {
		return e.server.matchFolded(server)
	}
	return e.server.match(server)
}

// is reports whether a server is what the entry says, as far as it says anything.
func (e *mcpEntry) is(q MCPQuery) bool {
	return (e.url == "" || e.url == strings.TrimSuffix(q.URL, "/") || e.url == q.URL) &&
		(len(e.command) == 0 || slices.Equal(e.command, q.Command))
}

func (p *Policy) mcpMissing(q MCPQuery) string {
	s := "MCP server " + quote(q.Server) + " is not approved"
	for i := range p.mcp {
		e := &p.mcp[i]
		if e.denied || !e.names(q.Server) {
			continue
		}
		switch {
		case q.URL == "" && len(q.Command) == 0 && !e.is(q):
			return s + ": what stands behind the name is not known (" + e.entry + ")"
		case !e.is(q):
			return s + ": it is not the one that is (" + e.entry + ")"
		case q.Tool != "":
			return s + " for its tool " + quote(q.Tool) + " (" + e.entry + ")"
		}
	}
	return s
}

// ApprovedMCP lists the servers that are approved, by name.
func (p *Policy) ApprovedMCP() (names []string) {
	for i := range p.mcp {
		if e := &p.mcp[i]; !e.denied && !slices.Contains(names, e.server.text) {
			names = append(names, e.server.text)
		}
	}
	return names
}

func (p *Policy) serversHere() string {
	var entries []string
	for i := range p.mcp {
		if e := &p.mcp[i]; !e.denied {
			entries = append(entries, e.entry)
		}
	}
	names := p.ApprovedMCP()
	if len(names) == 0 {
		return "no MCP server is approved; ask who keeps the policy"
	}
	return "approved: " + strings.Join(names[:min(len(names), 4)], ", ") + " (" + joinEntries(entries[:min(len(entries), 4)]) + ")"
}
