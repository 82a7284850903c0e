package agent

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// geminiCLI is a node script that starts itself a second time.
func geminiCLI() agent {
	return agent{
		name:       "gemini-cli",
		marks:      []mark{{"GEMINI_CLI", "1"}},
		hookMarks:  []mark{{"GEMINI_SESSION_ID", ""}},
		marksHooks: true,
		session:    []string{"GEMINI_SESSION_ID"},
		scripts:    []string{"gemini", "gemini.js", "@google/gemini-cli/dist/index.js"},
	}
}

// geminiCLI reads Gemini CLI's payloads, as captured from version 0.61. Calls
// have no id. The model is in the transcript: the last answer before the event.
func (d *decoding) geminiCLI() {
	e, t := &d.event, d.top
	d.session(t.At("session_id").String())
	e.Name = t.At("hook_event_name").String()
	e.Dir = t.At("cwd").String()
	switch e.Name {
	case "BeforeTool":
		e.Phase = Before
		d.geminiTool()
	case "AfterTool":
		e.Phase = After
		e.Failed = failure(t.At("tool_response", "error"))
		d.geminiTool()
	case "BeforeAgent":
		e.Kind = Prompt
	case "AfterAgent":
		e.Kind = TurnEnd
	case "SessionStart":
		e.Kind = SessionStart
	case "SessionEnd":
		e.Kind = SessionEnd
	case "BeforeModel", "AfterModel", "BeforeToolSelection":
		e.Model = CanonicalModel(t.At("llm_request", "model").String())
	}
}

func (d *decoding) geminiTool() {
	e, t := &d.event, d.top
	name, input := t.At("tool_name").String(), t.At("tool_input")
	e.Call = digest(name, input)
	e.Source = d.source(t.At("transcript_path").String(), t.At("session_id").String(), t.At("timestamp").String())
	switch name {
	case "write_file", "replace":
		d.edit(geminiFile(e, input, t.At("tool_response", "returnDisplay")))
	case "run_shell_command":
		e.Kind = Shell
		e.Background = input.At("is_background").IsTrue()
	}
	if strings.HasPrefix(name, "mcp_") { // even where the rest is lost, or was too large
		d.mcp(name, "", "")
	}
	if server := t.At("mcp_context"); server.IsObject() {
		d.mcp(name, server.At("server_name").String(), server.At("tool_name").String())
		e.MCP.URL = first(server.At("httpUrl"), server.At("url"))
		if command := server.At("command").String(); command != "" {
			if args, ok := server.At("args").Strings(); ok {
				e.MCP.Command = append([]string{command}, args...)
			}
		}
	}
}

// geminiFile reads an edit of Gemini CLI or Qwen Code, whose answers show the
// content on both sides, and what the person changed in it.
func geminiFile(e *Event, input, display payload.Value) FileEdit {
	f := FileEdit{Path: first(display.At("filePath"), input.At("file_path"))}
	if input.At("old_string").Exists() {
		f.Changes = []Change{change(input, "old_string", "new_string")}
	}
	if e.Phase != After || e.Failed {
		return f
	}
	f.contents(display.At("originalContent"), display.At("newContent"))
	for _, count := range []string{"user_added_lines", "user_removed_lines"} {
		if n, ok := display.At("diffStat", count).Int(); ok && n > 0 {
			f.UserModified = true
		}
	}
	return f
}

// failure reports whether an error is told.
func failure(v payload.Value) bool { return v.Exists() && !v.IsNull() && string(v.Text()) != "false" }

// geminiCLI finds the last answer that was there when the event happened.
func (s source) geminiCLI() (found Found, err error) {
	path, err := s.file()
	if err != nil {
		return found, err
	}
	data, err := tail(path)
	backwards(data, func(line payload.Value) bool {
		if line.At("type").String() != "gemini" || !notAfter(line.At("timestamp").String(), s.key(0)) {
			return false
		}
		found.Model, found.Final = CanonicalModel(line.At("model").String()), true
		return true
	}, "gemini")
	return found, err
}
