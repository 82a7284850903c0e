package agent

import "github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"

// qwenCode is a fork of Gemini CLI; it alone tells its children the model.
func qwenCode() agent {
	return agent{
		name:       "qwen-code",
		marks:      []mark{{"QWEN_CODE", "1"}},
		hookMarks:  []mark{{"QWEN_CODE_SESSION_ID", ""}},
		marksHooks: true,
		session:    []string{"QWEN_CODE_SESSION_ID"},
		model:      []string{"QWEN_CODE_MODEL"},
		scripts:    []string{"qwen", "qwen-code/cli.js", "qwen-code/dist/cli.js"},
	}
}

// qwenCode reads Qwen Code's payloads, as captured from version 0.24: Claude
// Code's form with Gemini CLI's tools and answers. The environment names the
// model, if it is this session's; the version stands only in the transcript.
func (d *decoding) qwenCode() {
	d.claudeShape()
	e, t := &d.event, d.top
	d.worker(t.At("agent_id"), payload.Value{})
	session := t.At("session_id").String()
	e.Model = CanonicalModel(t.At("model").String())
	if e.Model.Name == "" && session == d.env.get("QWEN_CODE_SESSION_ID") {
		e.Model = CanonicalModel(d.env.get("QWEN_CODE_MODEL"))
	}
	if e.Phase != "" {
		e.Source = d.source(t.At("transcript_path").String(), session, t.At("timestamp").String())
	}
	input, response := t.At("tool_input"), t.At("tool_response")
	e.Failed = e.Failed || failure(response.At("error"))
	switch t.At("tool_name").String() {
	case "write_file", "edit":
		d.edit(geminiFile(e, input, response.At("returnDisplay")))
	case "run_shell_command":
		e.Kind = Shell
		e.Background = input.At("is_background").IsTrue()
	}
}

// qwenCode finds the last answer that was there when the event happened.
func (s source) qwenCode() (found Found, err error) {
	path, err := s.file()
	if err != nil {
		return found, err
	}
	data, err := tail(path)
	backwards(data, func(line payload.Value) bool {
		if line.At("type").String() != "assistant" || !notAfter(line.At("timestamp").String(), s.key(0)) {
			return false
		}
		found = Found{Model: CanonicalModel(line.At("model").String()), Version: line.At("version").String(), Final: true}
		return true
	}, "assistant")
	return found, err
}
