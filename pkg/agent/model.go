package agent

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A maker is whose models are called so. Names of makers are those of
// https://models.dev, which several agents read their models from.
type maker struct {
	provider string
	prefixes []string // lower case
}

// makers is read in order. Sources: the vendors' own lists of models; the dotted
// forms are Amazon Bedrock's ids of the same models.
func makers() []maker {
	return []maker{
		{"anthropic", []string{"claude", "anthropic.", "us.anthropic.", "eu.anthropic.", "apac.anthropic.", "global.anthropic."}},
		{"openai", []string{"gpt-", "chatgpt-", "codex-", "o1", "o3", "o4", "openai."}},
		{"google", []string{"gemini-", "gemma-", "gemma2", "gemma3"}},
		{"alibaba", []string{"qwen", "qwq-", "qvq-"}},
		{"xai", []string{"grok"}},
		{"meta", []string{"llama", "codellama", "meta-llama-"}},
		{"mistral", []string{"mistral", "codestral", "devstral", "ministral", "magistral", "mixtral", "pixtral", "open-mistral", "open-mixtral"}},
		{"deepseek", []string{"deepseek"}},
		{"moonshotai", []string{"kimi", "moonshot-"}},
		{"zai", []string{"glm-"}},
		{"minimax", []string{"minimax"}},
		{"cohere", []string{"command-r", "command-a"}},
		{"amazon", []string{"nova-", "amazon.nova", "us.amazon.nova"}},
		{"microsoft", []string{"phi-", "mai-"}},
		{"ibm", []string{"granite"}},
	}
}

// CanonicalModel reads an agent's spelling of a model. `provider/model` is kept
// as it is; a bare name gets its maker where the name tells it, else no
// provider. The name by which Anthropic shows a model to people gives its id. Words
// that stand for whatever the agent picks (default, auto, an answer that no model
// gave) name no model.
func CanonicalModel(spelling string) provenance.Model {
	name := strings.TrimPrefix(bounded(strings.TrimSpace(spelling)), "models/") // the Gemini API's own form
	if placeholder(name) {
		return provenance.Model{}
	}
	if provider, rest, ok := strings.Cut(name, "/"); ok {
		if provider == provenance.Unknown {
			provider = ""
		}
		if placeholder(rest) {
			rest = ""
		}
		return provenance.Model{Provider: provider, Name: rest}
	}
	name = claudeID(name)
	return provenance.Model{Provider: providerOf(strings.ToLower(name)), Name: name}
}

// claudeID is the id of a Claude model that goes by the name shown to people: "Claude
// Opus 4.6" is claude-opus-4-6, and with "(1M context)" behind it
// claude-opus-4-6[1m], as Claude Code has them. Other names come back as they are: no
// other maker forms both by one rule.
func claudeID(name string) string {
	if !strings.HasPrefix(name, "Claude ") {
		return name
	}
	plain, large := strings.CutSuffix(name, " (1M context)")
	id := []byte(strings.ToLower(plain))
	for i, c := range id {
		switch {
		case c == ' ' || c == '.':
			id[i] = '-'
		case (c < 'a' || 'z' < c) && (c < '0' || '9' < c):
			return name
		}
	}
	if large {
		id = append(id, "[1m]"...)
	}
	return string(id)
}

func placeholder(name string) bool {
	switch strings.ToLower(name) {
	case "", "default", "auto", "<synthetic>", "inherit", provenance.Unknown:
		return true
	}
	return false
}

func providerOf(name string) string {
	for _, m := range makers() {
		for _, p := range m.prefixes {
			if strings.HasPrefix(name, p) {
				return m.provider
			}
		}
	}
	return ""
}
