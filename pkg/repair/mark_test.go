package repair_test

import (
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A tool that left a mark of its own and of which no record tells is declared; what
// else the commit says stays.
func TestMarksOfTools(t *testing.T) {
	const (
		claude  = "Co-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>"
		opus    = "claude-code/unknown anthropic/claude-opus-4-6 lines=unknown/1 via=declared session=unknown"
		aider   = "aider/1.0 local/llama lines=1/1 via=hook session=9f2c1b7e0a44"
		aiderBy = "aider/1.0 local/llama lines=unknown/1 via=declared session=9f2c1b7e0a44"
	)
	for _, c := range []struct {
		name    string
		message string
		values  []string // that are signed
		want    []string // nil: the commit stays
	}{
		{"nothing else is said", "Tip\n\n" + claude + "\n", nil, []string{opus}},
		{"nothing was observed", "Tip\n\n" + claude + "\n", []string{"none via=process"}, []string{opus}},
		{"another tool was", "Tip\n\n" + claude + "\n", []string{aider}, []string{aiderBy, opus}},
		{"two models", "Tip\n\n" + claude + "\nCo-Authored-By: Claude Sonnet 4.5 <noreply@anthropic.com>\n", []string{"none via=process"},
			[]string{opus, "claude-code/unknown anthropic/claude-sonnet-4-5 lines=unknown/1 via=declared session=unknown"}},
		{"a record tells of it", "Tip\n\n" + claude + "\n", []string{hooked}, nil},
		{"a tool that nobody knows may be it", "Tip\n\n" + claude + "\n", []string{"unknown/unknown unknown/unknown lines=unknown/1 via=unknown session=unknown"}, nil},
		{"somebody of that name", "Tip\n\nCo-authored-by: Claude Shannon <claude@example.com>\n", []string{"none via=process"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			base := w.stamped(w.commit(draft{name: "base", message: "Base\n"}), []string{hooked}, w.alice)
			tip := w.commit(draft{name: "tip", parents: []change.ID{base}, message: c.message})
			if c.values != nil {
				tip = w.stamped(tip, c.values, w.alice)
			}
			w.main(tip)
			plan := w.repair()
			if c.want == nil {
				wantActions(t, plan, "")
				return
			}
			wantActions(t, plan, "stamp Tip")
			wantValues(t, w, c.want...)
			wantActions(t, w.repair(), "")
		})
	}
}
