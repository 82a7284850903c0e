package agent

// qwenCode is a fork of Gemini CLI; it alone tells its children the model.
func qwenCode() agent {
	return agent{
		name:    "qwen-code",
		marks:   []mark{{"QWEN_CODE", "1"}},
		session: []string{"QWEN_CODE_SESSION_ID"},
		model:   []string{"QWEN_CODE_MODEL"},
		scripts: []string{"qwen", "qwen-code/cli.js", "qwen-code/dist/cli.js"},
	}
}
