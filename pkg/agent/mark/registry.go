package mark

import "strings"

// authors are the addresses in the co-author lines that agents write, in lower case;
// those of GitHub's bots without the number of the account. The names of tools are
// those of package agent where that knows the tool, else those that their makers use.
//
// Sources, where no other is named: the lines as they stand in public commits.
//
//	claude-code   attribution.commit of its settings; claude[bot] is its GitHub App
//	copilot-*     git.addAICoAuthor of VS Code; include_coauthor of the CLI, whose number
//	              is 223556219; 198982749 is the agent in the cloud, 175728472 the app
//	codex         commit_attribution of its config.toml, off by default
//	cursor        attribution.attributeCommitsToAgent of cli-config.json
//	aider         aider/repo.py; noreply@ in its older documentation
//	crush         internal/agent/templates/bash.md.tpl
//	continue      the prompt of @continuedev/cli
//	qwen-code     general.gitCoAuthor of its settings
//	amp           git.commit.coauthor of its settings
var authors = []struct{ address, tool string }{
	{"noreply@anthropic.com", "claude-code"},
	{"claude[bot]@users.noreply.github.com", "claude-code"},
	{"copilot@github.com", "copilot-vscode"},
	{"223556219+copilot@users.noreply.github.com", "copilot-cli"},
	{"175728472+copilot@users.noreply.github.com", "copilot-cli"},
	{"198982749+copilot@users.noreply.github.com", "copilot-swe-agent"},
	{"copilot-swe-agent[bot]@users.noreply.github.com", "copilot-swe-agent"},
	{"noreply@openai.com", "codex"},
	{"chatgpt-codex-connector[bot]@users.noreply.github.com", "codex"},
	{"cursoragent@cursor.com", "cursor"},
	{"agent@cursor.com", "cursor"},
	{"cursor@agent", "cursor"},
	{"aider@aider.chat", "aider"},
	{"noreply@aider.chat", "aider"},
	{"amp@ampcode.com", "amp"},
	{"crush@charm.land", "crush"},
	{"noreply@continue.dev", "continue"},
	{"qwen-coder@alibabacloud.com", "qwen-code"},
	{"noreply@opencode.ai", "opencode"},
	{"gemini-cli[bot]@users.noreply.github.com", "gemini-cli"},
	{"gemini-code-assist[bot]@users.noreply.github.com", "gemini-code-assist"},
	{"devin-ai-integration[bot]@users.noreply.github.com", "devin"},
	{"google-labs-jules[bot]@users.noreply.github.com", "jules"},
	{"factory-droid[bot]@users.noreply.github.com", "droid"},
	{"oz-agent@warp.dev", "warp"},
	{"244629292+kiro-agent@users.noreply.github.com", "kiro"},
	{"roomote@roocode.com", "roo-code"},
	{"openhands@all-hands.dev", "openhands"},
	{"noreply@codebuff.com", "codebuff"},
	{"gpt-engineer-app[bot]@users.noreply.github.com", "lovable"},
	{"v0[bot]@users.noreply.github.com", "v0"},
}

// signs are trailers of a tool's own: key, how the value starts, and what stands
// further on in it, or whole, where nothing does.
var signs = []struct{ tool, key, start, within string }{
	{"claude-code", "Claude-Session", "https://claude.ai/code/session_", ""},
	{"amp", "Amp-Thread-ID", "https://ampcode.com/threads/T-", ""},
	{"copilot-swe-agent", "Agent-Logs-Url", "https://github.com/", "/sessions/"},
	{"cursor", "Made-with", "Cursor", whole}, // of version 2.6
}

const whole = "\n" // is in no trailer

// modelIn is the model in the name of a co-author, "" where that names none. Only
// Claude Code and Aider put it there.
func modelIn(name, tool string) string {
	switch tool {
	case "claude-code":
		return claudeModel(name)
	case "aider":
		return aiderModel(name)
	}
	return ""
}

// claudeModel reads the name in Claude Code's line. It is the name of the model that is
// at work, whoever made that; "Claude" where this is not sure, and "Claude Code" where
// another maker's model answers in its place. A family ("Claude Opus") is no
// model, so the name must hold a digit.
func claudeModel(name string) string {
	if strings.HasPrefix(name, "Claude Code") || strings.HasSuffix(name, "[bot]") || !strings.ContainsAny(name, "0123456789") {
		return ""
	}
	return name
}

// aiderModel reads `aider (MODEL)`. It is the model that the session began with: a
// change by /model may not be in it.
func aiderModel(name string) string {
	rest, ok := strings.CutPrefix(name, "aider (")
	model, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return ""
	}
	return model
}

// crush reads what Crush writes as Assisted-by:
//
//	Crush:MODEL
//	NAME OF MODEL via Crush <crush@charm.land>       earlier versions
//
// Behind a blank the first form, which the Linux kernel asks for, names tools of
// analysis. Nobody else is known to write Assisted-by unasked, and many projects name
// people in it. Our own public trailer writes the name of a tool in lower case, so it
// is not taken for Crush's.
func crush(value string) (Mark, bool) {
	if rest, ok := strings.CutPrefix(value, "Crush:"); ok {
		model, _, _ := strings.Cut(rest, " ")
		return Mark{Tool: "crush", Model: model}, model != ""
	}
	name, ok := strings.CutSuffix(value, " via Crush <crush@charm.land>")
	return Mark{Tool: "crush", Model: name}, ok
}
