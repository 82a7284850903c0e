package trailer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func TestPublic(t *testing.T) {
	p, err := provenance.Parse([]string{
		"aider/1 openai/gpt-5 lines=unknown/1 via=declared session=unknown",
		"aider/2 openai/gpt-5 lines=unknown/1 via=declared session=unknown",
		"claude-code/2 unknown/unknown lines=unknown/1 via=hook session=unknown",
		"unknown/unknown unknown/unknown lines=unknown/1 via=unknown session=unknown",
	})
	if err != nil {
		t.Fatal(err)
	}
	line := func(v string) Line { return Line{KeyAssistedBy, v} }
	for style, want := range map[string][]Line{
		"assisted-by": {line("aider:gpt-5"), line("claude-code")},
		"kernel":      {line("LLM")},
		"none":        nil,
	} {
		if diff := cmp.Diff(want, Public(p, style)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", style, diff)
		}
	}
	want := []Line{line("aider:gpt-5"), line("claude-code"), line("LLM")}
	if diff := cmp.Diff(want, PublicOf(provenance.Provenance{None: provenance.ViaHook}, p)); diff != "" {
		t.Errorf("of any style (-want +got):\n%s", diff)
	}
	for _, style := range Styles {
		if got := Public(provenance.Provenance{None: provenance.ViaHook}, style); got != nil {
			t.Errorf("%s: nothing is assisted by %v", style, got)
		}
	}
}
