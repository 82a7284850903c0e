// Package mcpcall decides about calls that coding agents make to MCP servers, by the
// policy that is visible on this machine.
//
// The name of a server is whatever its user called it, so what the name stands for is
// looked up where the agent itself does, unless the event tells. A policy that does not
// speak of MCP servers, or none at all, denies nothing; one that is there and cannot be
// read, or a name that may be two servers', denies.
//
// It records nothing, and answers no agent; see package hooks/agentevent.
package mcpcall

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mcp"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A Decision about a call.
type Decision struct {
	Server   string // the name that the call was found to be for
	Denied   string // why it is; "" when it is not
	Approved []string
}

// Decide judges the call of e. An error says that it could not.
func Decide(ctx context.Context, r *repo.Repo, environ []string, e agent.Event) (Decision, error) {
	if e.MCP == nil {
		return Decision{}, errors.New("the event names no MCP tool")
	}
	pol, err := inforce.Client(ctx, r, r.Getenv)
	if err != nil && !errors.Is(err, inforce.ErrNone) {
		return Decision{}, fmt.Errorf("the policy cannot be read: %w", err)
	}
	judges := err == nil && pol.JudgesMCP()
	candidates, err := identify(e, r, environ)
	switch {
	case err != nil && judges:
		return Decision{}, err
	case err != nil:
		return Decision{Server: e.MCP.Name}, nil // whose it is, nobody knows
	}
	d := Decision{Server: candidates[0].Server}
	if !judges {
		return d, nil
	}
	d.Approved = pol.ApprovedMCP()
	for _, q := range candidates {
		if answer := pol.MCP(q); !answer.Allowed {
			d.Server, d.Denied = q.Server, fmt.Sprintf("%s [%s]", answer.Reason, answer.Rule)
			break
		}
	}
	return d, nil
}

// identify finds which server is called, and what it is. A name that may be several
// servers', or is configured in several ways, gives all of them, the likeliest first, and each must be
// approved.
func identify(e agent.Event, r *repo.Repo, environ []string) (list []policy.MCPQuery, err error) {
	call := *e.MCP
	if call.Server != "" && (call.URL != "" || len(call.Command) > 0) {
		return []policy.MCPQuery{{Server: call.Server, Tool: call.Tool, Command: call.Command, URL: call.URL}}, nil
	}
	dir := e.Dir
	if dir == "" {
		dir = r.WorkTree
	}
	servers, notes := mcp.Servers(e.Tool.Name, dir, home(r), environ)
	matches := []agent.MCPMatch{{Server: call.Server, Tool: call.Tool}}
	if call.Server == "" {
		var names []string
		for _, s := range servers {
			names = append(names, s.Name)
		}
		if _, _, err := agent.SplitMCP(call.Name, names); err != nil {
			return nil, errors.Join(append(notes, fmt.Errorf("whose MCP tool %q is: %w", call.Name, err))...)
		}
		matches = agent.MCPMatches(call.Name, names)
	}
	for _, m := range matches {
		found := false
		for _, s := range servers {
			if s.Name == m.Server {
				list, found = append(list, policy.MCPQuery{Server: s.Name, Tool: m.Tool, Command: s.Command, URL: s.URL}), true
			}
		}
		if !found {
			list = append(list, policy.MCPQuery{Server: m.Server, Tool: m.Tool})
		}
	}
	return list, nil
}

func home(r *repo.Repo) string {
	if dir := r.Getenv("HOME"); dir != "" {
		return dir
	}
	return r.Getenv("USERPROFILE")
}
