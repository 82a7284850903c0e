package agentevent

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// Of what nobody has looked at for that long, nothing is kept but what is not committed.
const keep = 60 * 24 * time.Hour

// record notes the event in one work tree.
func (h *hook) record(ctx context.Context, p place, d Decision) error {
	e := h.event
	watch := session.OpenWatch(p.repo)
	c := h.call(p)
	var err error
	switch {
	case d.Denied != "": // and so it does not happen
	case e.Kind == agent.Edit && e.Phase == agent.Before:
		err = watch.BeforeEdit(ctx, c, pathsOf(p.files))
	case e.Kind == agent.Edit:
		err = watch.AfterEdit(ctx, c, editsOf(p.files, watch))
	case (e.Kind == agent.Shell || e.Kind == agent.MCP) && e.Phase == agent.Before:
		err = watch.BeforeShell(ctx, c)
	case (e.Kind == agent.Shell || e.Kind == agent.MCP) && !e.Background:
		err = watch.AfterShell(ctx, c)
	case e.Kind == agent.Prompt || e.Kind == agent.TurnEnd:
		err = watch.Ended(ctx, e.Session, false)
	case e.Kind == agent.SessionEnd:
		err = watch.Ended(ctx, e.Session, true)
	case e.Kind == agent.SessionStart:
		since := h.Now().Add(-keep)
		err = errors.Join(watch.Ended(ctx, e.Session, true), watch.Prune(ctx, since), session.OpenNotes(p.repo.CommonDir).Prune(since))
	}
	if d.Server != "" && d.Denied == "" {
		err = errors.Join(err, session.OpenNotes(p.repo.CommonDir).UsedMCP(e.Session, d.Server))
	}
	return errors.Join(err, h.write(ctx, p, c.Actor, d))
}

// write adds the event to the ledger.
func (h *hook) write(ctx context.Context, p place, a session.Actor, d Decision) error {
	e := h.event
	if e.Kind == agent.Other {
		return nil
	}
	cut, err := session.OpenLedger(p.repo.CommonDir).Add(ctx, session.Event{
		Time: h.Now(), Actor: a, Kind: string(e.Kind), Phase: string(e.Phase), Call: callID(e),
		Worktree: p.repo.WorkTree, Paths: pathsOf(p.files), Server: d.Server, Denied: d.Denied,
	})
	if cut > 0 {
		h.say("the last %d bytes of the ledger were not finished and are cut away", cut)
	}
	return err
}

// call is the agent's call, with what is known of the agent by now.
func (h *hook) call(p place) session.Call {
	e := h.event
	a := session.Actor{Tool: e.Tool, Model: e.Model, Session: e.Session}
	settled := a.Model != (provenance.Model{})
	if e.Source != "" && e.Phase == agent.After && (!settled || a.Tool.Version == "") {
		found, _ := agent.ResolveModel(e.Source)
		if a.Tool.Version == "" {
			a.Tool.Version = found.Version
		}
		if !settled {
			a.Model, settled = found.Model, found.Final
		}
	}
	if !settled {
		a.Source = e.Source // some files are written late; the commit looks again
	}
	c := session.Call{Actor: a, ID: callID(e), Background: e.Background}
	if c.ID == "" && len(p.files) > 0 {
		c.ID = "edit of " + p.files[0].Path
	}
	if process, _, ok := agent.Nearest(h.Environ, h.above); ok {
		c.Process = process.Identity()
	}
	return c
}

// callID names a call among those of all sessions, in a form that says nothing else. Where
// an agent has no ids, two that do the same at once are told apart by their sessions.
func callID(e agent.Event) string {
	if e.Call == "" {
		return ""
	}
	return agent.SessionID(e.Tool.Name + "\x00" + e.Session + "\x00" + e.Agent + "\x00" + e.Call)
}

func pathsOf(files []agent.FileEdit) (paths []string) {
	for _, f := range files {
		paths = append(paths, f.Path)
		if f.MovedTo != "" {
			paths = append(paths, f.MovedTo)
		}
	}
	return paths
}

// editsOf says of each file what the agent told. What it named without saying
// where is not taken for the whole.
func editsOf(files []agent.FileEdit, watch *session.Watch) (edits []session.Edited) {
	for _, f := range files {
		e := session.Edited{Path: f.Path}
		if f.MovedTo != "" {
			e.Path, e.From = f.MovedTo, f.Path
			edits = append(edits, session.Edited{Path: f.Path}) // which is gone
		}
		if f.HasBefore {
			e.Before = orEmpty(f.Before)
		}
		if f.HasAfter && !f.UserModified {
			e.After = orEmpty(f.After)
		}
		if !f.HasBefore && !f.HasAfter && !f.UserModified {
			e.Before = undone(watch, e.Path, f.Changes)
		}
		edits = append(edits, e)
	}
	return edits
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// undone takes the pieces that an edit put in out of what the file holds now; nil where
// it is not certain which they are.
func undone(watch *session.Watch, path string, changes []agent.Change) []byte {
	content, err := watch.Content(path)
	if err != nil || content == nil || len(changes) == 0 {
		return nil
	}
	for i := len(changes) - 1; i >= 0; i-- {
		c := changes[i]
		if c.All || len(c.Old) == 0 || len(c.New) == 0 || bytes.Count(content, c.New) != 1 {
			return nil
		}
		content = bytes.Replace(content, c.New, c.Old, 1)
	}
	return content
}
