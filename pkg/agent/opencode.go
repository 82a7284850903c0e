package agent

import (
	_ "embed"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

//go:embed opencode_plugin.js
var openCodePlugin string

// OpenCodePlugin is the source of the plugin that tells us of OpenCode's events:
// OpenCode starts no programs for them. The plugin starts the program at this
// path, which is gatekeeper-agent's.
func OpenCodePlugin(program string) string {
	return strings.Replace(openCodePlugin, `"@GATEKEEPER_AGENT@"`, payload.Quote(program), 1)
}

// openCode also sets AGENT=1, which other agents set, too. Session and model
// come from our plugin.
func openCode() agent {
	return agent{
		name:     "opencode",
		marks:    []mark{{"OPENCODE", "1"}},
		session:  []string{"GATEKEEPER_OPENCODE_SESSION"},
		model:    []string{"GATEKEEPER_OPENCODE_MODEL"},
		programs: []string{"opencode"},
		scripts:  []string{"opencode", "opencode-ai/bin/opencode"},
	}
}

// openCode reads what our plugin writes (opencode_plugin.js), as seen with version
// 1.18: the arguments of one of OpenCode's hooks, and beside them what the plugin
// keeps of the session. OpenCode formats files after its tools have written
// them, so content of a tool's arguments is not that of the file.
func (d *decoding) openCode() {
	e, t := &d.event, d.top
	e.Name = t.At("hook").String()
	e.Tool.Version = bounded(t.At("version").String())
	e.Model = modelOf(t.At("model", "providerID").String(), t.At("model", "modelID").String())
	e.Dir = t.At("directory").String()
	d.session(first(t.At("root"), t.At("session")))
	if t.At("parent").Exists() {
		d.worker(t.At("session"), t.At("parent"))
	}
	switch e.Name {
	case "tool.execute.before":
		e.Phase = Before
		d.openCodeTool(t.At("output", "args"))
	case "tool.execute.after":
		e.Phase = After
		d.openCodeTool(t.At("input", "args"))
	case "chat.message":
		e.Kind = Prompt
	case "session.created":
		e.Kind = SessionStart
	case "session.idle":
		e.Kind = TurnEnd
	}
	if e.Parent != "" && e.Phase == "" {
		e.Kind = Other // between agents
	}
}

func (d *decoding) openCodeTool(args payload.Value) {
	e, t := &d.event, d.top
	e.Call = t.At("input", "callID").String()
	meta := t.At("output", "metadata")
	switch name := t.At("input", "tool").String(); name {
	case "write":
		f := FileEdit{Path: first(meta.At("filepath"), args.At("filePath"))}
		f.HasBefore = string(meta.At("exists").Text()) == "false"
		d.edit(f)
	case "edit":
		f := FileEdit{Path: first(meta.At("filediff", "file"), args.At("filePath"))}
		c := change(args, "oldString", "newString")
		c.All = args.At("replaceAll").IsTrue()
		f.Changes = []Change{c}
		d.edit(f)
	case "apply_patch", "patch":
		e.Kind = Edit
		d.patch(args.At("patchText").String())
		for i := range e.Files {
			e.Files[i].After, e.Files[i].HasAfter = nil, false
		}
	case "bash":
		e.Kind = Shell
	default:
		if strings.Contains(name, "_") && !openCodeOwn(name) {
			d.mcp(name, "", "")
		}
	}
}

// openCodeOwn reports whether a name with an underscore in it is one of
// OpenCode's own tools. A tool that a plugin of the user's adds is not told
// from one of an MCP server.
func openCodeOwn(name string) bool { return strings.HasPrefix(name, "plan_") }
