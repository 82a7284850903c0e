package repair_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// shown is a message with <nobody> and <signed> for lines that say no more.
func shown(message string) string {
	var b strings.Builder
	for line := range strings.Lines(message) {
		switch text := strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(text, "AI-Attestation: v1 ") && strings.Contains(text, " sig="):
			b.WriteString("<signed>\n")
		case strings.TrimPrefix(text, "AI-Provenance: ") == nobody:
			b.WriteString("<nobody>\n")
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestMessages(t *testing.T) {
	const reserved = "AI-Provenance: " + hooked + "\n"
	const spoken = "Assisted-by: claude-code:claude-sonnet-4-5\nAI-Provenance: " + declared + "\n<signed>\n"
	rows := []struct {
		name, headers, message string
		action                 repair.Action
		want                   string // "" is the message as it was
	}{
		{"a subject", "", "Subject\n", repair.Stamp, "Subject\n\n<nobody>\n<signed>\n"},
		{"no final newline", "", "Subject", repair.Stamp, "Subject\n\n<nobody>\n<signed>\n"},
		{"a body without final newline", "", "Subject\n\nBody", repair.Stamp, "Subject\n\nBody\n\n<nobody>\n<signed>\n"},
		{"blank lines at the end", "", "Subject\n\n\n\n", repair.Stamp, "Subject\n\n<nobody>\n<signed>\n\n\n\n"},
		{"CRLF", "", "Subject\r\n\r\nBody\r\n", repair.Stamp, "Subject\r\n\r\nBody\r\n\n<nobody>\n<signed>\n"},
		{"trailers of others", "", "Subject\n\nBody\n\nFixes: 1\nSigned-off-by: A <a@example.com>\n", repair.Stamp,
			"Subject\n\nBody\n\nFixes: 1\nSigned-off-by: A <a@example.com>\n<nobody>\n<signed>\n"},
		{"several blocks", "", "Subject\n\nFixes: 1\n\nBody\n\nFixes: 2\n", repair.Stamp, "Subject\n\nFixes: 1\n\nBody\n\nFixes: 2\n<nobody>\n<signed>\n"},
		{"comments at the end", "", "Subject\n\nBody\n\n# comment\n", repair.Stamp, "Subject\n\nBody\n\n<nobody>\n<signed>\n\n# comment\n"},
		{"a scissors line", "", "Subject\n\n# ------------------------ >8 ------------------------\ndiff\n", repair.Stamp,
			"Subject\n\n<nobody>\n<signed>\n\n# ------------------------ >8 ------------------------\ndiff\n"},
		{"its own words unsigned", "", "Subject\n\n" + reserved, repair.Stamp, "Subject\n\n" + spoken},
		{"its own words with a public face", "", "Subject\n\nAssisted-by: claude-code:claude-sonnet-4-5\n" + reserved, repair.Stamp, "Subject\n\n" + spoken},
		{"its own words under another style", "", "Subject\n\nAssisted-by: LLM\n" + reserved, repair.Stamp, "Subject\n\n" + spoken},
		{"a public face of other origin", "", "Subject\n\nAssisted-by: somebody\n" + reserved, repair.Stamp, "Subject\n\nAssisted-by: somebody\n" + spoken},
		{"none, unsigned, is not repeated", "", "Subject\n\nAI-Provenance: none via=hook\n", repair.Stamp, "Subject\n\n<nobody>\n<signed>\n"},
		{"a squash with lines in its middle", "", "Squash\n\n# First\n\n" + reserved + "AI-Attestation: v1 x\n\n# Second\n\ntext\n", repair.Stamp,
			"Squash\n\n# First\n\n\n# Second\n\ntext\n\n" + spoken},
		{"a squash as git writes it", "", "Squashed commit of the following:\n\ncommit 1234\n\n    First\n    \n    " + reserved + "\n", repair.Stamp,
			"Squashed commit of the following:\n\ncommit 1234\n\n    First\n    \n" + spoken + "\n"},
		{"unsorted lines", "", "Subject\n\nAI-Provenance: " + nobody + "\n" + reserved, repair.Stamp,
			"Subject\n\nAssisted-by: claude-code:claude-sonnet-4-5\nAI-Provenance: " + declared + "\n<nobody>\n<signed>\n"},
		{"none beside a record", "", "Subject\n\n" + reserved + "AI-Provenance: none via=hook\n", repair.Stamp, "Subject\n\n" + spoken},
		{"more lines than there are keep tool and model", "", "Subject\n\nAI-Provenance: claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=9/3 via=hook session=9f2c1b7e0a44\n", repair.Stamp,
			"Subject\n\nAssisted-by: claude-code:claude-sonnet-4-5\nAI-Provenance: claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=unknown/1 via=unknown session=unknown\n<signed>\n"},
		{"a line that nobody can read leaves somebody unknown", "", "Subject\n\n" + reserved + "AI-Provenance: cl\u0430ude/1 a/b lines=1/1 via=hook session=unknown\n", repair.Stamp,
			"Subject\n\nAssisted-by: claude-code:claude-sonnet-4-5\nAI-Provenance: " + declared + "\n<nobody>\n<signed>\n"},
		{"an attestation of nothing", "", "Subject\n\nAI-Attestation: v1 x\n", repair.Stamp, "Subject\n\n<nobody>\n<signed>\n"},
		{"quoted lines are prose", "", "Subject\n\n> " + reserved, repair.Stamp, "Subject\n\n> " + reserved + "\n<nobody>\n<signed>\n"},

		{"nothing at all", "", "", repair.Beside, ""},
		{"blank lines alone", "", "\n\n", repair.Beside, ""},
		{"a line of dashes", "", "Subject\n\n---\nnot a patch\n", repair.Beside, ""},
		{"Latin-1", "encoding ISO-8859-1\n", "Caf\xe9\n", repair.Beside, ""},
		{"a line of dashes above lines of ours", "", "Subject\n\n---\n\n" + reserved, repair.Beside, "Subject\n\n---\n\n"},
		{"lines of ours alone", "", reserved, repair.Beside, "<empty>"},

		{"UTF-16", "encoding UTF-16\n", "Subject\n", repair.Leave, ""},
		{"another case", "", "Subject\n\nai-provenance: x\n", repair.Leave, ""},
		{"a space before the colon", "", "Subject\n\nAI-Provenance : x\n\nBody\n", repair.Leave, ""},
		{"lines of ours in Latin-1", "encoding ISO-8859-1\n", "Caf\xe9\n\n" + reserved, repair.Leave, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			base := w.commit(draft{name: "base", message: "Base\n"})
			w.main(w.commit(draft{name: "file", parents: []change.ID{base}, headers: row.headers, message: row.message}))
			plan := w.repair()
			if got := plan.Steps[1].Action; got != row.action {
				t.Errorf("action is %s, want %s: %s", got, row.action, plan.Steps[1].Why)
			}
			want := row.want
			switch want {
			case "":
				want = row.message
			case "<empty>":
				want = ""
			}
			if diff := cmp.Diff(want, shown(w.message("HEAD"))); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if row.action == repair.Leave {
				if s := plan.Steps[1]; s.Why == "" || s.Hint == "" || len(s.Values) > 0 {
					t.Errorf("left without a word: %+v", s)
				}
				return
			}
			w.accepted("refs/heads/main")
		})
	}

	t.Run("styles", func(t *testing.T) {
		for _, c := range []struct{ style, want string }{
			{"assisted-by", "Assisted-by: claude-code:claude-sonnet-4-5\n"}, {"kernel", "Assisted-by: LLM\n"}, {"none", ""},
		} {
			w := newWorld(t)
			w.line("Subject\n\nAssisted-by: LLM\n" + reserved)
			w.repair(func(o *repair.Options) { o.Style = c.style })
			want := "Subject\n\n" + c.want + "AI-Provenance: " + declared + "\n<signed>\n"
			if diff := cmp.Diff(want, shown(w.message("HEAD"))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.style, diff)
			}
		}
	})

	t.Run("a block that fits only without a signature goes beside", func(t *testing.T) {
		w := newWorld(t)
		var lines strings.Builder
		for i := range 100 {
			lines.WriteString("Fixes: " + strings.Repeat("x", 300+i%2) + "\n")
		}
		w.line("Subject\n\n" + lines.String() + strings.Repeat("Y: "+strings.Repeat("y", 100)+"\n", 15))
		plan := w.repair()
		if length := len(w.message("HEAD")); length > trailer.MaxBlock || plan.Steps[0].Action != repair.Beside {
			t.Errorf("%s of a message with %d bytes", plan.Steps[0].Action, length)
		}
		w.accepted("refs/heads/main")
	})

	t.Run("more records than a message may hold", func(t *testing.T) {
		var many strings.Builder
		for i := range trailer.MaxReserved + 10 {
			many.WriteString(strings.Replace(reserved, "2.1.330", fmt.Sprintf("3.0.%d", i), 1))
		}
		for name, c := range map[string]struct {
			text string
			want repair.Action
		}{
			"that can be lifted": {many.String(), repair.Beside},
			"and one illegible":  {many.String() + "AI-Provenance: \u0430/1\n", repair.Leave},
		} {
			w := newWorld(t)
			w.line("Subject\n\n" + c.text)
			plan := w.repair()
			if s := plan.Steps[0]; s.Action != c.want {
				t.Errorf("%s: %s: %s", name, s.Action, s.Why)
			}
			if c.want == repair.Beside {
				w.accepted("refs/heads/main")
			}
		}
	})

	t.Run("records that are too long when they are joined", func(t *testing.T) {
		w := newWorld(t)
		servers := func(of byte) string {
			var names []string
			for i := range 150 {
				names = append(names, fmt.Sprintf("%c%08d", of, i))
			}
			return "AI-Provenance: " + hooked + " mcp=" + strings.Join(names, ",") + "\n"
		}
		w.line("One\n\n"+servers('a')+"\nand\n\n"+servers('b'), "Two\n")
		wantActions(t, w.repair(), "leave One, stamp Two")
	})
}
