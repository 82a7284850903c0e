package agent

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// An Event is one thing that an agent told through its own hook. It holds no
// prompt, no command and no output of a tool. What the agent did not tell is empty.
type Event struct {
	Tool provenance.Tool // Name is "" when nothing says whose event it is
	// Model is canonical (CanonicalModel); zero when the event does not name it.
	Model provenance.Model
	// Source is where the agent's own files say what the event does not: the model,
	// or the version of the tool. ResolveModel reads it, now or later. "" when
	// there is nothing to find. One line of text without the session's id.
	Source  string
	Session string // SessionID of the agent's session, "" when it has none
	// Agent and Parent are SessionID of the sub-agent at work and of the one above
	// it, where the agent tells them apart.
	Agent, Parent string

	Name  string // the agent's own word for the event: PreToolUse
	Kind  Kind
	Phase Phase // of Edit, Shell and MCP
	// Failed says that the call did not do what it was to do. What it did until
	// then stays done.
	Failed bool
	// Call is the same before and after a call: the agent's own id of it, else a
	// digest of what is called with what, which comes again when the agent repeats
	// itself. "" when nothing pairs the two.
	Call       string
	Background bool // a command that goes on after the agent is told that it ended

	Dir   string // directory the call works in
	Files []FileEdit
	MCP   *MCPCall
}

// Kind is what an event is about.
type Kind string

const (
	Edit         Kind = "edit"          // files are written by a tool of the agent
	Shell        Kind = "shell"         // a command runs, and may do anything
	MCP          Kind = "mcp"           // a tool of an MCP server is called
	Prompt       Kind = "prompt"        // a person has spoken
	SessionStart Kind = "session-start" // also when one is taken up again
	SessionEnd   Kind = "session-end"
	TurnEnd      Kind = "turn-end" // the agent waits for a person
	Other        Kind = "other"    // nothing of the above, reading included
)

// Phase tells the two events of a call apart.
type Phase string

const (
	Before Phase = "before"
	After  Phase = "after"
)

// A FileEdit is what an event says of one file. Contents are the file's as the
// agent saw it, some agents with LF for CRLF, and are there only when the event
// gives them whole. A file that did not exist has HasBefore and no Before.
type FileEdit struct {
	Path    string // joined to Dir when the agent told a relative one
	MovedTo string // the path afterwards, "" when it stays
	Deleted bool

	Before, After       []byte
	HasBefore, HasAfter bool
	// UserModified says that a person changed what the agent had proposed, before
	// it was written.
	UserModified bool
	// Changes are the pieces of text that the agent named, where it named them.
	Changes []Change
}

// A Change is a piece of text for another. Without Old the place is not told.
type Change struct {
	Old, New []byte
	All      bool // every place where Old stands, not one
}

// An MCPCall is a call to a tool of an MCP server. The name of a server is chosen
// by the person who configures it; what it runs or reaches is Command or URL.
type MCPCall struct {
	Name   string // of the tool as the agent calls it: mcp__github__get_issue; "" when it was lost
	Server string // "" when only Name tells it: see SplitMCP
	Tool   string // "" as Server
	// Command or URL are of the server, where the event tells them. Arguments may
	// hold secrets: they are for a decision, not for a ledger.
	Command []string
	URL     string
}

const (
	maxFiles = 10_000 // in one event
	maxPath  = 4096   // bytes, as Linux has it

	// maxMCPName bounds the names in a call, in bytes. Models take tools of 64.
	maxMCPName = 500
)

// Decode reads one payload. The hint is the agent that the hook was set up for;
// it decides only what payload, environment and ancestors leave open (identify).
// Diagnostics are never fatal: the event holds what could be read, of a payload
// that breaks off what came before. At most payload.MaxSize bytes are read.
//
// It opens no file.
func Decode(hint string, text []byte, environ []string, ancestors []Process) (Event, []error) {
	top, broken := payload.Parse(text)
	d := decoding{top: top, env: environment(environ)}
	if broken != nil {
		d.note(broken)
	}
	name, err := identify(hint, top, d.env, ancestors)
	if err != nil {
		d.note(err)
	}
	d.event.Kind = Other
	d.event.Tool.Name = name
	for _, a := range agents() {
		if a.name == name {
			d.event.Tool = a.observe(d.env).Tool
		}
	}
	d.read(name)
	if broken != nil {
		d.lost()
	}
	d.finish()
	return d.event, d.notes
}

// decoding is one payload being read.
type decoding struct {
	top   payload.Value
	env   environment
	event Event
	notes []error
}

func (d *decoding) note(err error) { d.notes = append(d.notes, err) }

func (d *decoding) read(name string) {
	switch name {
	case "claude-code":
		d.claudeCode()
	case "cline":
		d.cline()
	case "codex":
		d.codex()
	case "copilot-cli":
		d.copilotCLI()
	case "copilot-vscode":
		d.copilotVSCode()
	case "crush":
		d.crush()
	case "cursor":
		d.cursor()
	case "gemini-cli":
		d.geminiCLI()
	case "opencode":
		d.openCode()
	case "qwen-code":
		d.qwenCode()
	case "windsurf":
		d.windsurf()
	default:
		d.unknown()
	}
}

// lost takes a call whose tool stood behind the fault of a broken payload for one to an
// MCP server: large arguments must not hide what is called.
func (d *decoding) lost() {
	named := first(d.top.At("tool_name"), d.top.At("toolName")) != ""
	if d.event.Phase == Before && d.event.Kind == Other && !named {
		d.mcp("", "", "")
	}
}

// unknown reads what an event of nobody known has in common with others: enough
// to judge a call to an MCP server.
func (d *decoding) unknown() {
	d.claudeShape()
	d.event.Files = nil
}

// finish bounds what a hostile payload can put into an event.
func (d *decoding) finish() {
	e := &d.event
	for _, s := range []*string{&e.Name, &e.Call, &e.Dir} {
		if len(*s) > maxPath || strings.ContainsAny(*s, "\x00\n") {
			d.note(fmt.Errorf("%.40q… is dropped: too long, or more than a line", *s))
			*s = ""
		}
	}
	if m := e.MCP; m != nil && max(len(m.Name), len(m.Server), len(m.Tool)) > maxMCPName {
		d.note(fmt.Errorf("%.40q… is dropped: too long for the name of an MCP tool", m.Name))
		e.MCP = &MCPCall{}
	}
	if acts := e.Kind == Edit || e.Kind == Shell || e.Kind == MCP; acts && e.Phase == "" {
		e.Kind = Other // a question about a tool, not its use
	} else if !acts {
		e.Phase = ""
	}
	if e.Kind == Other {
		e.Source, e.Call, e.Files, e.MCP = "", "", nil, nil
	}
	if len(e.Files) > maxFiles {
		d.note(fmt.Errorf("more than %d files in one event", maxFiles))
		e.Files = e.Files[:maxFiles]
	}
	kept := e.Files[:0]
	for _, f := range e.Files {
		f.Path, f.MovedTo = joined(e.Dir, f.Path), joined(e.Dir, f.MovedTo)
		if err := errors.Join(checkPath(f.Path), checkPath(f.MovedTo)); err != nil || f.Path == "" {
			d.note(fmt.Errorf("file without a usable path: %w", err))
			continue
		}
		kept = append(kept, f)
	}
	e.Files = kept
	if len(kept) == 0 {
		e.Files = nil
	}
}

func checkPath(path string) error {
	if len(path) > maxPath || strings.ContainsRune(path, 0) {
		return fmt.Errorf("%.40q…: too long, or with a zero byte", path)
	}
	return nil
}

// joined puts a relative path behind an absolute directory. Paths are compared
// and opened by others; here they keep the form the agent gave them.
func joined(dir, path string) string {
	if path == "" || dir == "" || absolute(path) || !absolute(dir) {
		return path
	}
	return strings.TrimRight(dir, `/\`) + "/" + strings.TrimPrefix(path, "./")
}

// absolute reports whether a path stands by itself, on this or another system.
func absolute(path string) bool {
	drive := len(path) > 2 && path[1] == ':' && (path[2] == '/' || path[2] == '\\')
	return path[0] == '/' || path[0] == '\\' || drive
}
