package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

func TestFiguresForPeople(t *testing.T) {
	spaced := func(s string) string { return strings.ReplaceAll(s, "\u00a0", " ") }
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1 000", 1234567: "1 234 567", -12345: "-12 345"} {
		if got := spaced(grouped(n)); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
	for _, tt := range []struct {
		known, unknown, of int64
		want               string
	}{
		{0, 0, 0, "–"},
		{29, 0, 100, "29 %"},  // 29.000000000000004
		{1, 0, 3, "33–34 %"},  // a range holds what it is about
		{2, 1, 3, "66–100 %"}, //
		{0, 1, 1000, "0–1 %"}, //
		{999, 0, 1000, "99–100 %"} /* never 100 alone */} {
		s := audit.Share{Known: tt.known, Unknown: tt.unknown, Of: tt.of}
		if tt.of > 0 {
			s.Least, s.Most = float64(tt.known)/float64(tt.of), float64(tt.known+tt.unknown)/float64(tt.of)
		}
		if got := spaced(between(s)); got != tt.want {
			t.Errorf("%d and %d of %d: %q, want %q", tt.known, tt.unknown, tt.of, got, tt.want)
		}
	}
	for _, tt := range []struct {
		n, of int64
		want  string
	}{{0, 0, "–"}, {0, 5, "0 %"}, {1, 1000, "<1 %"}, {999, 1000, ">99 %"}, {5, 5, "100 %"}, {1, 3, "33 %"}} {
		if got := spaced(part(tt.n, tt.of)); got != tt.want {
			t.Errorf("%d of %d: %q, want %q", tt.n, tt.of, got, tt.want)
		}
	}
}

// group is commits of a month.
func group(month string, n int64) audit.Group {
	return audit.Group{Key: []string{month}, Total: audit.Total{Commits: n, Evidence: map[audit.Evidence]int64{audit.Unknown: n}}}
}

func TestTimeIsFoldedUntilItFits(t *testing.T) {
	years := func(from, to int) (months []audit.Group) {
		for y := from; y <= to; y++ {
			for m := 1; m <= 12; m++ {
				months = append(months, group(fmt.Sprintf("%04d-%02d", y, m), 1))
			}
		}
		return months
	}
	tests := []struct {
		name    string
		months  []audit.Group
		last    string
		want    string // first, last and number of spans
		outside int64
	}{
		{"nothing", nil, "2026-03", "", 0},
		{"one month", []audit.Group{group("2026-03", 4)}, "2026-03", "2026-03 2026-03 1", 0},
		{"a gap is there", []audit.Group{group("2025-12", 4), group("2026-03", 4)}, "2026-03", "2025-12 2026-03 4", 0},
		{"up to the time of the report", []audit.Group{group("2026-03", 4)}, "2026-05", "2026-03 2026-05 3", 0},
		{"three years are months", years(2024, 2026), "2026-12", "2024-01 2026-12 36", 0},
		{"four are quarters", years(2023, 2026), "2026-12", "2023 Q1 2026 Q4 16", 0},
		{"twenty are years", years(2007, 2026), "2026-12", "2007 2026 20", 0},
		{"more than 36 are cut", years(1970, 2026), "2026-12", "1991 2026 36", 252},
		{"one forged date does not choose", append([]audit.Group{group("1970-01", 1)}, group("2026-03", 500)), "2026-03", "2026-03 2026-03 1", 1},
		{"nor one of the future", []audit.Group{group("2026-03", 5), group("9999-12", 1)}, "2026-03", "2026-03 2026-03 1", 1},
		{"nor only of the future", []audit.Group{group("9999-12", 1)}, "2026-03", "", 1},
		{"nor before the year 0", []audit.Group{group("-001-05", 1), group("2026-03", 200)}, "2026-03", "2026-03 2026-03 1", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spans, outside := fold(tt.months, monthNumber(tt.last))
			got, in, all := "", int64(0), int64(0)
			if len(spans) > 0 {
				got = fmt.Sprint(spans[0].name, " ", spans[len(spans)-1].name, " ", len(spans))
			}
			for _, s := range spans {
				in += s.total()
			}
			for _, m := range tt.months {
				all += m.Commits
			}
			if got != tt.want || outside != tt.outside || in+outside != all {
				t.Errorf("%q with %d outside and %d in, of %d; want %q with %d", got, outside, in, all, tt.want, tt.outside)
			}
		})
	}
}

func TestScalesHaveFewRoundSteps(t *testing.T) {
	for _, top := range []int64{1, 2, 3, 4, 5, 7, 10, 19, 99, 100, 101, 4000, 123456789} {
		step := niceStep(top)
		if n := (top + step - 1) / step; n < 1 || n > 4 {
			t.Errorf("%d in steps of %d: %d steps", top, step, n)
		}
	}
}

func TestBandsFillTheBar(t *testing.T) {
	list := bands(map[audit.Evidence]int64{audit.Attested: 1, audit.Declared: 1, audit.Unknown: 1}, 100, 10)
	want := []band{
		{Class: "attested", Label: "attested", X: 0, W: 33.33, H: 10, Count: "1", Share: "33\u00a0%"},
		{Class: "declared", Label: "declared", X: 33.33, W: 33.33, H: 10, Count: "1", Share: "33\u00a0%"},
		{Class: "unknown", Label: "unknown", X: 66.67, W: 33.33, H: 10, Count: "1", Share: "33\u00a0%"},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if list := bands(map[audit.Evidence]int64{}, 100, 10); list != nil {
		t.Errorf("%v of nothing", list)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{"plain ä 漢": "plain ä 漢", "a\x1b[2J": `a\x1b[2J`, "x\u202ey": `x\u202ey`, "\xff": `\xff`, "\u0085": `\x85`, "a\nb": `a\x0ab`, "\uFFFD": "\uFFFD", "": ""} {
		if got := visible(in, ""); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := visible("a\nb\u200b", "\n"); got != "a\nb"+`\u200b` {
		t.Errorf("%q", got)
	}
}

func TestOwnersAreTeams(t *testing.T) {
	teams, err := audit.ParseTeams("teams", []byte("bob@example.com payments\ncarol platform\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{teams: teams}
	named := []string{"@acme/core", "@carol", "@dan", "bob@example.com", "erin@example.com", "a board"}
	want := []string{audit.NoTeam, "@acme/core", "a board", "payments", "platform"}
	if diff := cmp.Diff(want, r.owners(named)); diff != "" {
		t.Error(diff)
	}
	r.Parameters.People = true
	if diff := cmp.Diff(named, r.owners(named)); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsNameRepositoriesAndNotTheirPlaces(t *testing.T) {
	said := []string{"chdir /srv/a/.git: no", "/srv/a/.git/modules/b: no"}
	withoutPlaces(said, map[int64]audit.Repository{1: {Name: "a", Place: "/srv/a/.git"}, 2: {Name: "b", Place: "/srv/a/.git/modules/b"}})
	if diff := cmp.Diff([]string{"chdir a: no", "b: no"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestAddressesKeepTheirSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:pass@mcp.example.com/sse?key=abc&v=2#x": "https://…@mcp.example.com/sse?key=…&v=…#x",
		"https://mcp.example.com/@scope/a":                 "https://mcp.example.com/@scope/a",
		"@scope/server?x=1":                                "@scope/server?x=1",
		"--url=https://h/?token=t":                         "--url=https://h/?token=…",
	} {
		if got := withoutSecrets(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestOneIsOne(t *testing.T) {
	for got, want := range map[string]string{
		more(1): "1 more row is", more(2): "2 more rows are", countAre(1, "file"): "1 file is", countAre(0, "file"): "0 files are",
		plural(1, "commit"): "1 commit", plural(2, "commit"): "2 commits", livingLines(1): "1 line of it lives", livingLines(3): "3 lines of it live",
		pairs(1): "1 pair of tool and model", thingsAre(1): "1 thing is", (&Report{Held: make([]Held, 1)}).scope(): "1 repository",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestARepositoryEnforcesByPolicyAndReceipts(t *testing.T) {
	under := func(mode string) *policy.Policy {
		p, err := policy.Parse("policy.toml", []byte("schema = 1\n[defaults]\nmode = \""+mode+"\"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	kept := &audit.ReceiptsKept{}
	r := &Report{Controls: []audit.Controls{
		{Default: "refs/heads/main", Policy: under("enforce"), Receipts: kept},
		{Default: "refs/heads/main", Policy: under("warn"), Receipts: kept},
		{Default: "refs/heads/main", Policy: under("enforce")},
		{Default: "refs/heads/main", Receipts: kept},
	}}
	if n := r.enforced(); n != 1 {
		t.Errorf("%d enforce, want the first alone", n)
	}
}

func TestCommandsToCopyHoldNoOther(t *testing.T) {
	r := &Report{Shadow: &audit.Shadow{Rows: []audit.ShadowRow{{Tool: "x", Model: "acme/'; touch evil; '"}}}, Withdrawn: &audit.Shadow{}}
	if got, want := r.unsanctioned()[0].Next, `approve it in the policy, or gatekeeper audit timetravel --model 'acme/'\''; touch evil; '\''' --work`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
