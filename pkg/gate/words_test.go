package gate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestARefusalReadsLikeThis(t *testing.T) {
	v := Verdict{Verdict: Refused,
		Refs: []RefVerdict{{Ref: "refs/heads/main", Verdict: Refused, Judged: 3, Faulty: 1}},
		Commits: []CommitVerdict{{ID: "3f2a91c0000000000000000000000000000000ff", Ref: "refs/heads/main", Subject: "Add retry loop", Verdict: Refused,
			Findings: []Finding{{ModelNotApproved, `model "acme-coder-2" is not approved`, "approved here: acme-coder-3, local-7b (policy.toml:12)"}}}}}
	want := `gatekeeper: refused refs/heads/main (1 of 3 commits)

  3f2a91c  Add retry loop
    model "acme-coder-2" is not approved         [model-not-approved]
    hint: approved here: acme-coder-3, local-7b (policy.toml:12)

gatekeeper: nothing was stored; mend the commits and push again
`
	if diff := cmp.Diff(want, text(t, v)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestLinesStayWithinTheTerminal(t *testing.T) {
	long := strings.Repeat("many words that go on and on, ", 10)
	v := Verdict{Verdict: Refused,
		Refs: []RefVerdict{{Ref: "refs/heads/main", Verdict: Refused, Judged: 30, Faulty: 30, Findings: []Finding{{RefForbidden, long, long}}}}}
	for range 30 {
		v.Commits = append(v.Commits, CommitVerdict{ID: strings.Repeat("a", 40), Ref: "refs/heads/main", Subject: strings.Repeat("é", 300),
			Findings: []Finding{{AttestationMissing, long, long}, {ModelUnknown, "short", ""}}})
	}
	got := text(t, v)
	for _, line := range strings.Split(got, "\n") {
		if utf8.RuneCountInString(line) > columns {
			t.Errorf("%d columns: %q", utf8.RuneCountInString(line), line)
		}
	}
	if n := strings.Count(got, "aaaaaaa  "); n != shownCommits {
		t.Errorf("%d commits told, want %d", n, shownCommits)
	}
	if !strings.Contains(got, "… and 20 more commits") {
		t.Errorf("the commits not told are not counted:\n%s", got)
	}
}

func TestAnAcceptedPushSaysNothing(t *testing.T) {
	v := Verdict{Verdict: Accepted, Refs: []RefVerdict{{Ref: "refs/heads/main", Verdict: Accepted, Judged: 3}}}
	if got := text(t, v); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestAKeyStaysWholeSoThatItCanBeCopied(t *testing.T) {
	key := "SHA256:" + strings.Repeat("k", 90)
	got := text(t, Verdict{Verdict: Refused, Refs: []RefVerdict{{Verdict: Refused, Findings: []Finding{{SignerUnknown, "no signer has the key " + key, ""}}}}})
	if !strings.Contains(got, key) {
		t.Errorf("the key is broken up:\n%s", got)
	}
}

func TestTextIsFoldedToTheTerminal(t *testing.T) {
	got := Fold("git cat-file: exit status 128: \x1b[2K"+strings.Repeat(" and so on", 12), "  ")
	want := `  git cat-file: exit status 128: \x1b[2K and so on and so on and so
  on and so on and so on and so on and so on and so on and so on and
  so on and so on and so on
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func text(t *testing.T, v Verdict) string {
	t.Helper()
	var b strings.Builder
	if err := v.WriteText(&b, Words{Refused: "refused", Warned: "warning for", Last: "nothing was stored; mend the commits and push again"}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStrangersTextIsSafeToShow(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"Grüße 世界", "Grüße 世界"},
		{"a\x1b[2Kb", `a\x1b[2Kb`},
		{"a\nb\rc\td", `a\x0ab\x0dc\x09d`},
		{"\u202eevil", `\u202eevil`},
		{"zero\u200bwidth", `zero\u200bwidth`},
		{"c1\u0085", `c1\u0085`},
		{"bad\xff", `bad\xff`},
		{"real\uFFFD", "real\uFFFD"},
		{"tag\U000E0041", `tag\ue0041`},
	} {
		if got := Plain(c.in); got != c.want {
			t.Errorf("Plain(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := Plain(strings.Repeat("x", 10*MaxShown)); len(got) > MaxShown+len("…") {
		t.Errorf("%d bytes shown", len(got))
	}
}

// What is shown never moves the cursor, whatever comes in.
func FuzzPlain(f *testing.F) {
	f.Add("a\x1b[2K\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Plain(s)
		if !utf8.ValidString(got) || len(got) > MaxShown+16 {
			t.Fatalf("Plain(%q) = %q", s, got)
		}
		for _, r := range got {
			if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("Plain(%q) lets %U through", s, r)
			}
		}
		if again := Plain(got); len(got) <= MaxShown && again != got {
			t.Fatalf("Plain is not the same twice: %q, %q", got, again)
		}
	})
}
