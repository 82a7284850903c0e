package gate

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// body puts more into the message of a commit: in front of its trailers, or among them.
func body(text string) func(*sketch) {
	return func(s *sketch) {
		s.rewrite = func(m string) string { return strings.Replace(m, "\n\n", "\n\n"+text+"\n\n", 1) }
	}
}

func trailers(lines ...string) func(*sketch) {
	return func(s *sketch) {
		s.rewrite = func(m string) string { return m + strings.Join(lines, "\n") + "\n" }
	}
}

func author(who string) func(*sketch) {
	return func(s *sketch) {
		s.raw = func(o string) string {
			return strings.Replace(o, "author Alice <alice@example.com>", "author "+who, 1)
		}
	}
}

const claudeLine = "Co-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>"

func TestMarksThatNoRecordTellsOf(t *testing.T) {
	undeclared := []string{UndeclaredAI}
	other := []string{"aider/1.0 local/llama lines=1/1 via=hook session=9f2c1b7e0a44"}
	unknown := []string{"unknown/unknown unknown/unknown lines=unknown/1 via=unknown session=unknown"}
	const lists = "[[model]]\nid = \"unknown/unknown\"\nstatus = \"approved\"\n[[tool]]\nid = \"unknown\"\nstatus = \"approved\"\n[[tool]]\nid = \"copilot-*\"\nstatus = \"approved\"\n"
	for _, c := range []struct {
		name   string
		values []string
		alter  func(*sketch)
		want   []string
	}{
		{"a co-author line beside none", none, trailers(claudeLine), undeclared},
		{"a link to a session", none, trailers("Claude-Session: https://claude.ai/code/session_011CUJ"), undeclared},
		{"two marks of one tool are one finding", none, trailers(claudeLine, "Claude-Session: https://claude.ai/code/session_011CUJ", "Co-authored-by: Claude <noreply@anthropic.com>"), undeclared},
		{"marks of two tools are two", none, trailers(claudeLine, "Co-authored-by: Cursor <cursoragent@cursor.com>"), []string{UndeclaredAI, UndeclaredAI}},
		{"a record of another tool", other, trailers(claudeLine), undeclared},
		{"a bot as the author", none, author("devin-ai-integration[bot] <158243242+devin-ai-integration[bot]@users.noreply.github.com>"), undeclared},
		{"an agent as the author", none, author("Claude <noreply@anthropic.com>"), undeclared},
		{"beside a signature over a record of it", []string{good}, trailers(claudeLine), nil},
		{"a record of a tool that nobody knows may be of any", unknown, trailers(claudeLine), nil},
		{"those called Copilot write each other's", []string{"copilot-cli/1 anthropic/claude-sonnet-4-5 lines=1/1 via=hook session=9f2c1b7e0a44"}, trailers("Co-authored-by: Copilot <copilot@github.com>"), nil},

		{"somebody called Claude", none, author("Claude Shannon <claude@example.com>"), nil},
		{"somebody called Devin", none, trailers("Co-authored-by: Devin Coleman <devin@example.com>"), nil},
		{"somebody who works at the maker's", none, author("Ai Ito <ai.ito@anthropic.com>"), nil},
		{"somebody whose account has such a name", none, author("Copilot <7654321+copilot-fan@users.noreply.github.com>"), nil},
		{"somebody thanked for assistance", none, trailers("Assisted-by: Jane Doe <jane@example.com>"), nil},
		{"a tool of analysis in the kernel's form", none, trailers("Assisted-by: sparse coccinelle"), nil},
		{"our own public line of a record", []string{good}, trailers("Assisted-by: claude-code:claude-sonnet-4-5"), nil},
		{"a mark in prose", none, body("It is not like commits with\n" + claudeLine + "\nwhich we do not want."), nil},
		{"a mark that is quoted", none, body("> " + claudeLine), nil},
		{"a mark of a squashed part, in the body", none, body("* Fix it\n\n" + claudeLine + "\n\n* Fix it more"), nil},
		{"a mark that is denied", none, trailers("Not-by: Claude <noreply@anthropic.com>", "Co-authored-by: not Claude"), nil},
		{"the address of ChatGPT's users", none, trailers("Co-authored-by: ChatGPT <noreply@openai.com>"), nil},
		{"GitHub's own committer", none, author("GitHub <noreply@github.com>"), nil},
		{"a bot that is no assistant", none, author("dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			root := w.root()
			s := sketch{parents: []change.ID{root}, files: after, values: c.values, by: w.by(alice)}
			c.alter(&s)
			v := w.push(rules(t, house(t, "")+lists), "refs/heads/main", w.commit(s))
			if diff := cmp.Diff(append([]string{}, c.want...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s%+v", diff, v)
			}
			for _, f := range v.Commits[len(v.Commits)-1].Findings {
				if f.Hint == "" || !strings.Contains(f.Detail, "of which no record tells") {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// What a commit that says nothing carries is evidence of its own, the least there is.
func TestMarksOfACommitThatSaysNothing(t *testing.T) {
	w := newWorld(t)
	s := sketch{parents: []change.ID{w.root()}, files: after}
	trailers("", claudeLine)(&s)
	tip := w.commit(s)
	for defaults, want := range map[string][]string{
		"":                      {AttestationMissing, UndeclaredAI},
		`evidence = "declared"`: {AttestationMissing, UndeclaredAI},
		`evidence = "any"`:      {},
	} {
		v := w.push(rules(t, house(t, defaults)), "refs/heads/main", tip)
		if last := v.Commits[len(v.Commits)-1]; !cmp.Equal(names(v), want) || last.Evidence != Inferred {
			t.Errorf("%s: %q, evidence %s", defaults, names(v), last.Evidence)
		}
	}
	v := w.push(rules(t, house(t, `mode = "warn"`)), "refs/heads/main", tip)
	if v.Verdict != Warned {
		t.Errorf("where the policy warns: %s", v.Verdict)
	}
}

// What is attested beside a commit may account for its marks, and so may those of
// whom the platform made it.
func TestMarksThatAreAccountedForElsewhere(t *testing.T) {
	t.Run("beside", func(t *testing.T) {
		own := sketch{}
		trailers("", claudeLine)(&own)
		b := newBeside(t, own)
		if v := b.judge("", b.says(alice, nil, good)); v.Verdict != Accepted || v.Evidence != Attested {
			t.Errorf("got %+v", v)
		}
		if v := b.judge("", b.says(alice, nil, none...)); v.Verdict != Refused || !cmp.Equal(rulesOf(v), []string{UndeclaredAI}) {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("without a policy only for who asks", func(t *testing.T) {
		w := newWorld(t)
		s := sketch{parents: []change.ID{w.root()}, files: after, values: none, by: w.by(alice)}
		trailers(claudeLine)(&s)
		tip := w.commit(s)
		for _, asks := range []bool{false, true} {
			g := Gate{Policy: rules(t, "schema = 1\n"), Source: w, Now: now, FormOnly: true, Marks: asks}
			v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepAll)
			if err != nil || cmp.Equal(names(v), []string{UndeclaredAI}) != asks || len(names(v)) > 1 {
				t.Errorf("asked %v: %q, %v", asks, names(v), err)
			}
		}
	})
	t.Run("git's own merge brings nothing", func(t *testing.T) {
		w := newWorld(t)
		root := w.root()
		a := w.commit(sketch{parents: []change.ID{root}, files: after, values: none, by: w.by(alice)})
		b := w.commit(sketch{parents: []change.ID{root}, files: moved, values: none, by: w.by(alice)})
		w.merges[[2]change.ID{a, b}] = w.tree(picked)
		s := sketch{parents: []change.ID{a, b}, files: picked}
		trailers("", claudeLine)(&s)
		if v := w.push(rules(t, house(t, "")), "refs/heads/main", w.commit(s)); v.Verdict != Accepted {
			t.Errorf("%+v", v)
		}
	})
}
