package install

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/install/agents"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

const (
	codex  = "codex"
	gemini = "gemini-cli"
)

// chooseAgents reads --agents and the options that belong to one agent.
func chooseAgents(o Options) (agents.World, agents.Choice, error) {
	w := agents.World{Environ: o.Environ}
	c, err := w.Choose(o.Agents)
	if err != nil {
		return w, c, &UsageError{Msg: "--agents: " + err.Error(), Hint: "or auto, or none", Err: err}
	}
	if o.TrustCodex && !slices.Contains(c.Names, codex) {
		return w, c, &UsageError{Msg: "--trust-codex: Codex is not among the agents to set up", Hint: "use --agents codex"}
	}
	if len(c.Names) == 0 {
		return w, c, nil
	}
	w.Binary, err = agentBinary(o.Binaries)
	return w, c, err
}

// placeAgents brings our entries into the agents' configurations, and says which have
// them. A file that cannot be changed as it stands keeps its own agent out, and nothing
// else. The caller holds the lock of this user's agents.
func (s *site) placeAgents(w agents.World, c agents.Choice) (placed []string, err error) {
	if err := s.step("agents"); err != nil {
		return nil, err
	}
	for _, name := range c.Names {
		err := s.placeAgent(w, name)
		var bad *agents.BadFile
		switch {
		case errors.As(err, &bad):
			s.result.did(Refused, Agent, name, bad.Error())
		case err != nil:
			return nil, err
		default:
			placed = append(placed, name)
		}
	}
	if len(placed) < len(c.Names) {
		s.result.note("what is refused was not touched: mend the file and run gatekeeper install\n" +
			"  again, or leave the agent out with --agents")
	}
	for _, name := range c.Seen {
		s.result.did(Skipped, Agent, name, "no hooks to write to; seen by its process and trailer")
	}
	return placed, nil
}

func (s *site) placeAgent(w agents.World, name string) error {
	change, err := w.Prepare([]string{name})
	if err != nil {
		return err
	}
	if err := change.Apply(); err != nil {
		return err
	}
	s.undo = append(s.undo, change.Undo)
	for _, r := range change.Reports {
		s.report(r)
	}
	return nil
}

func (s *site) report(r agents.Report) {
	done := map[string]string{
		agents.Wrote: Wrote, agents.Kept: Kept, agents.Removed: Removed, agents.Left: Left, agents.Skipped: Skipped,
	}[r.Done]
	detail := r.Where
	if done == Kept {
		detail = ""
	}
	if r.Detail != "" {
		detail = strings.TrimPrefix(detail+"; "+r.Detail, "; ")
	}
	s.result.did(done, Agent, r.Name, detail)
}

// keepClone notes that this clone wants the entries, so that they outlive the removal of
// another. Where no agent has any, a home that cannot be written to is no failure.
func (s *site) keepClone(w agents.World, c agents.Choice) error {
	added, err := w.KeepClone(s.common)
	if err != nil && len(c.Names) == 0 {
		return nil
	}
	if added {
		s.undo = append(s.undo, func() error { _, err := w.DropClone(s.common); return err })
	}
	return err
}

// agentNotes say what a user has to know or do about an agent.
func (s *site) agentNotes(ctx context.Context, w agents.World, placed []string, o Options) {
	for _, name := range placed {
		if agents.Unproven(name) {
			s.result.note("%s was set up from its documentation alone; tell us if it is not heard", agents.Title(name))
		}
	}
	if slices.Contains(placed, codex) {
		s.codexNotes(ctx, w, o)
	}
	if slices.Contains(placed, gemini) {
		s.geminiNote(ctx)
	}
}

func (s *site) codexNotes(ctx context.Context, w agents.World, o Options) {
	if w.TwoCodexForms() {
		s.result.note("Codex has hooks in config.toml, too, and will say so; ours are in hooks.json")
	}
	switch {
	case o.TrustCodex:
		ctx, cancel := context.WithTimeout(ctx, o.CodexTimeout)
		defer cancel()
		before := w.NotedTrust()
		t, err := w.TrustCodex(ctx)
		if err == nil && t.All() {
			if before != w.NotedTrust() {
				s.result.did(Set, Agent, codex, "its trust in our hooks, in config.toml")
			}
			s.result.note("Codex trusts our %d hooks as they stand", t.Hooks)
			return
		}
		if err == nil {
			err = fmt.Errorf("it trusts %d of %d", t.Trusted, t.Hooks)
		}
		s.result.note("Codex was not made to trust our hooks: %v", err)
	case w.NotedTrust().All() && !s.wroteAgent(codex):
		return
	}
	s.result.note("Codex runs no hook that its user has not seen: start codex, type /hooks and\n" +
		"  trust those of gatekeeper-agent (or gatekeeper install --trust-codex)")
}

func (s *site) wroteAgent(name string) bool {
	return slices.ContainsFunc(s.result.Actions, func(a Action) bool {
		return a.What == Agent && a.Name == name && a.Done == Wrote
	})
}

// geminiGitHooks stores or removes the setting, where somebody has asked for either.
func (s *site) geminiGitHooks(ctx context.Context, want *bool) error {
	switch {
	case want == nil:
		return nil
	case !*want:
		return s.restoreConfig(ctx, agent.GeminiGitHooks)
	}
	now, err := s.git.values(ctx, "--local", "--get-all", agent.GeminiGitHooks)
	if err != nil {
		return err
	}
	if s.record.setting(agent.GeminiGitHooks) != nil && slices.Equal(now, []string{"true"}) {
		s.result.did(Kept, Config, agent.GeminiGitHooks, "true")
		return nil
	}
	return s.setConfig(ctx, agent.GeminiGitHooks, "true")
}

func (s *site) geminiNote(ctx context.Context) {
	if on, err := s.git.value(ctx, agent.GeminiGitHooks); err == nil && on == "true" {
		s.result.note("in this clone Gemini CLI's own commands are rewritten so that git's hooks run in\n" +
			"  them; Gemini tells its model so (gatekeeper install --gemini-git-hooks=false undoes it)")
		return
	}
	s.result.note("Gemini CLI switches git's hooks off: what it commits itself is not stamped. Commit\n" +
		"  from your own terminal, or gatekeeper repair, or gatekeeper install --gemini-git-hooks")
}

// takeAgents takes our entries out of the agents' configurations.
func (s *site) takeAgents(ctx context.Context, w agents.World, names []string, o Options) error {
	if slices.Contains(names, codex) {
		ctx, cancel := context.WithTimeout(ctx, o.CodexTimeout)
		defer cancel()
		if err := w.WithdrawTrust(ctx); err != nil {
			s.result.note("Codex keeps its trust in hooks that are gone: %v", err)
		}
	}
	change, err := w.PrepareRemoval(names)
	if err != nil {
		return err
	}
	if err := change.Apply(); err != nil {
		return err
	}
	s.undo = append(s.undo, change.Undo)
	for _, r := range change.Reports {
		if r.Done != agents.Kept {
			s.report(r)
		}
	}
	return nil
}

// leaveAgents is for a clone that gatekeeper is taken out of: the entries go with the
// last of this user's clones, unless they are to stay.
func (s *site) leaveAgents(ctx context.Context, o Options) error {
	w := agents.World{Environ: o.Environ}
	placed, err := w.Placed()
	if err != nil {
		return err
	}
	others, err := w.OtherClones(s.common, clientStands)
	if err != nil {
		return err
	}
	switch {
	case len(placed) == 0:
	case o.Agents == "none":
		s.result.did(Skipped, Agent, strings.Join(placed, " "), "their entries stay: --agents none")
	case len(others) > 0:
		s.result.did(Skipped, Agent, strings.Join(placed, " "), "their entries stay, for "+someOf(others))
		s.result.note("gatekeeper uninstall --agents auto takes the entries out for all of your clones")
	default:
		if err := s.takeAgents(ctx, w, placed, o); err != nil {
			return err
		}
	}
	dropped, err := w.DropClone(s.common)
	if dropped {
		s.undo = append(s.undo, func() error { _, err := w.KeepClone(s.common); return err })
	}
	return err
}

// clientStands reports whether a clone has gatekeeper installed.
func clientStands(common string) bool {
	return fileExists(filepath.Join(common, "gatekeeper", "install"))
}

// someOf names a clone, and how many more there are.
func someOf(clones []string) string {
	first := strings.TrimSuffix(clones[0], string(filepath.Separator)+".git")
	if len(clones) == 1 {
		return first
	}
	return fmt.Sprintf("%s and %d more", first, len(clones)-1)
}

// UninstallAgents takes our entries out of the agents that o.Agents names, or of all
// for auto. It needs no clone, and changes none.
func UninstallAgents(ctx context.Context, o Options) (Result, error) {
	o = o.filled()
	res := Result{Schema: Schema, Command: "uninstall", Role: "agents", Actions: []Action{}, Notes: []string{}}
	w := agents.World{Environ: o.Environ}
	names, err := agentsToRemove(w, o.Agents)
	if err != nil || len(names) == 0 {
		return res, err
	}
	unlock, err := w.Lock()
	if err != nil {
		return res, err
	}
	defer unlock()
	s := &site{result: &res}
	if err := s.finish(s.takeAgents(ctx, w, names, o)); err != nil {
		return Result{}, err
	}
	clones, err := w.OtherClones("", clientStands)
	if err == nil && len(clones) > 0 && res.Changed {
		res.note("gatekeeper stays in %s, where commits are stamped with what\n"+
			"  environment and ancestry tell", someOf(clones))
	}
	return res, err
}

func agentsToRemove(w agents.World, value string) ([]string, error) {
	if value == "auto" {
		return agents.Names(), nil
	}
	c, err := w.Choose(value)
	if err != nil {
		return nil, &UsageError{Msg: "--agents: " + err.Error(), Hint: "or auto, or none", Err: err}
	}
	return c.Names, nil
}

// agentBinary is the path that entries name.
func agentBinary(dir string) (string, error) {
	b, err := companions(dir, agentRole)
	return b.agent, err
}

const defaultCodexTimeout = 20 * time.Second
