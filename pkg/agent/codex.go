package agent

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// codex wraps a native program in a small node script, which may be what
// stands above a shell on systems without the native one. Its hooks see
// a variable only when npm installed it.
func codex() agent {
	return agent{
		name:      "codex",
		marks:     []mark{{"CODEX_CI", "1"}, {"CODEX_THREAD_ID", ""}},
		hookMarks: []mark{{"CODEX_MANAGED_PACKAGE_ROOT", ""}},
		session:   []string{"CODEX_SESSION_ID", "CODEX_THREAD_ID"},
		version:   func(env environment) string { return env.get("CODEX_VERSION") },
		programs:  []string{"codex"},
		scripts:   []string{"codex", "@openai/codex/bin/codex.js"},
	}
}

// codex reads Codex CLI's payloads, as captured from version 0.169. They are the
// same when the model calls tools from JavaScript (code mode), but for the form
// of ids. The version stands only in the transcript.
func (d *decoding) codex() {
	d.claudeShape()
	e, t := &d.event, d.top
	e.Model = CanonicalModel(t.At("model").String())
	if e.Model.Name == "" || e.Tool.Version == "" {
		e.Source = d.source(t.At("transcript_path").String(), t.At("session_id").String(), t.At("turn_id").String())
	}
	e.Failed = e.Failed || codexFailed(t.At("tool_response"))
	command := t.At("tool_input", "command").String()
	switch t.At("tool_name").String() {
	case "apply_patch":
		e.Kind = Edit
		d.patch(command)
	case "Bash":
		e.Kind = Shell
		// A patch in a here-document is an edit that no tool reports afterwards.
		if word, _, _ := strings.Cut(command, " "); word == "apply_patch" || word == "applypatch" {
			d.patch(command)
		}
	}
}

// codexFailed reads the head of an answer: "Exit code: 1".
func codexFailed(response payload.Value) bool {
	code, ok := strings.CutPrefix(response.String(), "Exit code: ")
	return ok && !strings.HasPrefix(code, "0\n")
}

// patch reads the files of a patch. What it adds is the content of a file only
// once the patch was applied.
func (d *decoding) patch(text string) {
	files, err := parsePatch(text)
	if err != nil {
		d.note(err)
	}
	if d.event.Phase != After || d.event.Failed {
		for i := range files {
			files[i].After, files[i].HasAfter = nil, false
		}
	}
	d.event.Files = files
}

// codex finds the context of the turn, and the version in the first line.
func (s source) codex() (found Found, err error) {
	path, err := s.file()
	if err != nil {
		return found, err
	}
	first, err := head(path)
	if err != nil {
		return found, err
	}
	backwards(first, func(line payload.Value) bool {
		found.Version = line.At("payload", "cli_version").String()
		return line.At("type").String() == "session_meta"
	}, "session_meta")
	data, err := tail(path)
	backwards(data, func(line payload.Value) bool {
		turn := line.At("payload")
		if line.At("type").String() != "turn_context" || turn.At("turn_id").String() != s.key(0) {
			return false
		}
		found.Model, found.Final = CanonicalModel(turn.At("model").String()), true
		return true
	}, "turn_context")
	return found, err
}
