package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// session sets whose session it is.
func (d *decoding) session(raw string) {
	if raw != "" {
		d.event.Session = SessionID(raw)
	}
}

// worker sets which of several agents in a session acts.
func (d *decoding) worker(id, parent payload.Value) {
	if s := id.String(); s != "" {
		d.event.Agent = SessionID(s)
	}
	if s := parent.String(); s != "" {
		d.event.Parent = SessionID(s)
	}
}

// digest stands for the id of a call where the agent has none: what is called
// with what. It forgets the values themselves.
func digest(tool string, input payload.Value) string {
	h := sha256.New()
	h.Write([]byte(tool))
	h.Write([]byte{0})
	h.Write(withoutHooksBack(input.Compact()))
	return "input:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// edit makes the event an edit of one file.
func (d *decoding) edit(f FileEdit) {
	d.event.Kind = Edit
	d.event.Files = append(d.event.Files, f)
}

// mcp makes the event a call to an MCP server. server and tool are "" when only
// the name tells.
func (d *decoding) mcp(name, server, tool string) {
	d.event.Kind = MCP
	d.event.MCP = &MCPCall{Name: name, Server: server, Tool: tool}
}

// contents sets what a file held before and holds now, each where it is a string.
func (f *FileEdit) contents(before, after payload.Value) {
	f.Before, f.HasBefore = before.Bytes()
	f.After, f.HasAfter = after.Bytes()
}

// derive works out the content after the changes, where each of them can have
// only one result.
func (f *FileEdit) derive() {
	if !f.HasBefore || f.HasAfter || f.UserModified || len(f.Changes) == 0 {
		return
	}
	after := f.Before
	for work, c := range f.Changes {
		n := bytes.Count(after, c.Old)
		if len(c.Old) == 0 || n == 0 || n > 1 && !c.All {
			return
		}
		if work*len(after) > maxDerived || len(after)+n*(len(c.New)-len(c.Old)) > maxDerived {
			return
		}
		after = bytes.ReplaceAll(after, c.Old, c.New)
	}
	f.After, f.HasAfter = after, true
}

// change reads one replacement from the members that an agent uses for it.
func change(v payload.Value, oldName, newName string) Change {
	c := Change{All: v.At("replace_all").IsTrue()}
	c.Old, _ = v.At(oldName).Bytes()
	c.New, _ = v.At(newName).Bytes()
	return c
}

// changes reads a list of replacements.
func changes(list payload.Value, oldName, newName string) (all []Change) {
	for v := range list.Items() {
		if len(all) == maxChanges {
			break
		}
		all = append(all, change(v, oldName, newName))
	}
	return all
}

// maxDerived bounds the content that is worked out, and the work it takes: a few
// bytes of a hostile payload could ask for gigabytes.
const maxDerived = payload.MaxSize

// maxChanges bounds the pieces of one file that are kept. Content that is given
// whole does not need them.
const maxChanges = 1000

// first is the first of some values that is a string with something in it.
func first(values ...payload.Value) string {
	for _, v := range values {
		if s := v.String(); s != "" {
			return s
		}
	}
	return ""
}

// modelOf is a model whose provider the agent names apart. Words for a protocol
// name no provider.
func modelOf(provider, name string) provenance.Model {
	m := CanonicalModel(name)
	switch {
	case m.Name == "", provider == "", provider == "openai-compatible":
		return m
	}
	return CanonicalModel(provider + "/" + name)
}
