package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gatekeeper-git/gatekeeper/install/agents"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

// agentView is how it stands with one of the user's coding agents.
type agentView struct {
	Name  string     `json:"name"`
	State string     `json:"state"` // in-place | unheard | untrusted | off | broken | missing | no-hooks
	Where string     `json:"where,omitempty"`
	Heard *time.Time `json:"heard"` // the latest event; null: none since the entry was put in
	Hint  string     `json:"hint,omitempty"`

	title, words string
}

// agentViews are those of the agents that are found here or have an entry of ours.
func (p process) agentViews() ([]agentView, error) {
	views := []agentView{}
	states, err := agents.World{Environ: p.Environ}.Look()
	for _, s := range states {
		v := viewOfAgent(s)
		v.Name, v.title, v.Where = s.Name, s.Title, s.Where
		if !s.Heard.IsZero() {
			heard := s.Heard.UTC().Truncate(time.Second)
			v.Heard = &heard
		}
		views = append(views, v)
	}
	return views, err
}

// viewOfAgent names the first thing that keeps the agent from being heard.
func viewOfAgent(s agents.State) agentView {
	const again = "gatekeeper install puts it there"
	switch {
	case !s.Hooks:
		return agentView{State: "no-hooks", words: "has no hooks; seen by its process and trailer"}
	case !s.Placed:
		return agentView{State: "missing", words: "our entry is missing", Hint: again}
	case !s.InPlace:
		return agentView{State: "missing", words: "our entry is missing from " + s.Where, Hint: again}
	case !s.Program:
		return agentView{State: "broken", words: "what our entry calls is gone", Hint: "gatekeeper install mends it"}
	case s.Off != "":
		return agentView{State: "off", words: "in place, but " + s.Off + " in " + s.Where + " keeps every hook from running"}
	case s.Trust != nil && !s.Trust.All():
		return agentView{State: "untrusted", words: fmt.Sprintf("in place, not yet trusted (%d of %d hooks)", s.Trust.Trusted, s.Trust.Hooks),
			Hint: "start codex, type /hooks and trust those of gatekeeper-agent"}
	case s.Heard.IsZero():
		return agentView{State: "unheard", words: "in place, not yet heard from"}
	}
	return agentView{State: "in-place", words: "in place, heard " + s.Heard.UTC().Format(time.RFC3339)}
}

func writeAgents(w io.Writer, views []agentView) {
	if len(views) > 0 {
		fmt.Fprintln(w, "agents:")
	}
	for _, v := range views {
		fmt.Fprintf(w, "  %s: %s", v.title, gate.Plain(v.words))
		if v.Hint != "" {
			fmt.Fprintf(w, "; %s", v.Hint)
		}
		fmt.Fprintln(w)
	}
}
