package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate/report"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// hostile are subjects by which somebody would like to be more than a subject. The gate
// shows them plain already; the forms must not lean on that.
var hostile = []string{
	"Add retry loop",
	"one\n::set-output name=a::b",
	"two\r\n  ::stop-commands::x",
	"three %0A::error::forged, title=x",
	"four ##[add-path]/tmp/evil",
	"five [click](https://evil.example/) {0}",
	"six \x1b]8;;https://evil.example/\x07 \u202e \u2028 \xff \x00",
	`seven "}],"results":[] \`,
}

func verdict() gate.Verdict {
	v := gate.Verdict{Schema: gate.Schema, Policy: "sha256:" + strings.Repeat("5", 64), Verdict: gate.Refused,
		Refs: []gate.RefVerdict{{Ref: "refs/heads/main", New: strings.Repeat("f", 40), Verdict: gate.Refused, Judged: 10, Faulty: 9,
			Findings: []gate.Finding{{Rule: gate.RefForbidden, Detail: "about the ref"}}}},
		Commits: []gate.CommitVerdict{{ID: strings.Repeat("0", 40), Ref: "refs/heads/main", Subject: "Approved", Verdict: gate.Accepted}}}
	for i, s := range hostile {
		v.Commits = append(v.Commits, gate.CommitVerdict{ID: fmt.Sprintf("%040x", 0xabc000+i), Ref: "refs/heads/main", Subject: s, Verdict: gate.Refused,
			Findings: []gate.Finding{{Rule: gate.ModelNotApproved, Detail: "model " + s, Hint: "hint " + s}}})
	}
	last := &v.Commits[len(v.Commits)-1]
	last.Findings = append(last.Findings, gate.Finding{Rule: gate.ModelNotApproved, Detail: "another model"})
	v.Commits = append(v.Commits, gate.CommitVerdict{ID: strings.Repeat("a", 40), Ref: "refs/heads/wip", Subject: "Only warned", Verdict: gate.Warned,
		Findings: []gate.Finding{{Rule: gate.AttestationMissing, Detail: "nothing is said"}}})
	return v
}

var run = report.Run{Version: "v1.2.3", Policy: ".gatekeeper/policy.toml",
	Remote: "https://ci:secret@git.example/team/project.git?token=secret", NotJudged: []string{gate.PushTooLarge}}

func sarif(w io.Writer, v gate.Verdict) error { return report.SARIF(w, v, run) }

func written(t *testing.T, write func(io.Writer, gate.Verdict) error, v gate.Verdict) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheFormsReadLikeThis(t *testing.T) {
	for name, form := range map[string]func(io.Writer, gate.Verdict) error{"sarif": sarif, "github": report.GitHub} {
		t.Run(name, func(t *testing.T) {
			got, path := written(t, form, verdict()), "testdata/"+name+".golden"
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got (go test -update rewrites it)\n%s", diff)
			}
			if again := written(t, form, verdict()); !bytes.Equal(got, again) {
				t.Error("the same verdict gave other bytes")
			}
		})
	}
}

// commands are those that a runner finds in a log, by its own two grammars: "::name" at
// the start of a line, or else "##[name]" anywhere in one.
func commands(log string) []string {
	var found []string
	older := regexp.MustCompile(`##\[([^\] ]*)[^\]]*\]`)
	for _, line := range regexp.MustCompile(`\r\n|\r|\n`).Split(log, -1) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "::") && strings.Contains(line[2:], "::") {
			name, _, _ := strings.Cut(strings.SplitN(line[2:], "::", 2)[0], " ")
			found = append(found, name)
		}
		for _, m := range older.FindAllStringSubmatch(line, -1) {
			found = append(found, m[1])
		}
	}
	return found
}

func TestNoStrangerStartsACommand(t *testing.T) {
	if got := commands("a\n ::x y=z::\nb ##[w v]c"); !slices.Equal(got, []string{"x", "w"}) {
		t.Fatalf("the reader of commands finds %q", got)
	}
	want := append(slices.Repeat([]string{"error"}, len(hostile)+2), "warning")
	if got := commands(string(written(t, report.GitHub, verdict()))); !slices.Equal(got, want) {
		t.Errorf("got commands %q, want %q", got, want)
	}
	if got := commands(string(written(t, sarif, verdict()))); len(got) > 0 {
		t.Errorf("SARIF in a log has the commands %q", got)
	}
}

func FuzzNoStrangerStartsACommand(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := gate.Verdict{Verdict: gate.Refused, Commits: []gate.CommitVerdict{{ID: "ab", Subject: s, Verdict: gate.Refused,
			Findings: []gate.Finding{{Rule: gate.ModelDenied, Detail: s, Hint: s}}}}}
		if got := commands(string(written(t, report.GitHub, v))); !slices.Equal(got, []string{"error"}) {
			t.Errorf("commands %q", got)
		}
		log := written(t, sarif, v)
		if got := commands(string(log)); len(got) > 0 {
			t.Errorf("SARIF has the commands %q", got)
		}
		check(t, log)
	})
}

func TestWhatIsUnescapedIsWhatWasSaid(t *testing.T) {
	line := string(written(t, report.GitHub, verdict()))
	line = strings.Split(line, "\n")[4] // that of "three"
	_, data, _ := strings.Cut(line[2:], "::")
	got := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(data)
	want := "commit 0000000 (three %0A::error::forged, title=x): model three %0A::error::forged, title=x\nhint: hint three %0A::error::forged, title=x"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestSARIFHasWhatTheSchemaRequires(t *testing.T) {
	for name, v := range map[string]gate.Verdict{"findings": verdict(), "none": {Verdict: gate.Accepted}} {
		t.Run(name, func(t *testing.T) { check(t, written(t, sarif, v)) })
	}
}

// check holds a file to the required properties, the enumerations and the bounds of the
// schema of SARIF 2.1.0 for all that it says, and to what GitHub wants on top.
func check(t *testing.T, file []byte) {
	t.Helper()
	var log map[string]any
	if err := json.Unmarshal(file, &log); err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if log["version"] != "2.1.0" {
		t.Errorf("version %v", log["version"])
	}
	for _, r := range list(t, log, "runs") {
		driver := object(t, object(t, r, "tool"), "driver")
		text(t, driver, "name")
		var ids []string
		for _, rule := range list(t, driver, "rules") {
			ids = append(ids, text(t, rule, "id"))
			text(t, object(t, rule, "shortDescription"), "text")
		}
		if unique := slices.Compact(slices.Sorted(slices.Values(ids))); len(unique) != len(ids) {
			t.Error("two rules have one id")
		}
		for _, i := range list(t, r, "invocations") {
			if _, is := i["executionSuccessful"].(bool); !is {
				t.Error("an invocation does not say whether it was successful")
			}
		}
		if r["versionControlProvenance"] != nil {
			for _, o := range list(t, r, "versionControlProvenance") {
				if uri := text(t, o, "repositoryUri"); strings.Contains(uri, "secret") {
					t.Errorf("repository %s", uri)
				}
			}
		}
		prints := map[string]bool{}
		for _, result := range list(t, r, "results") {
			checkResult(t, result, ids, prints)
		}
	}
}

func checkResult(t *testing.T, result map[string]any, ids []string, prints map[string]bool) {
	t.Helper()
	text(t, object(t, result, "message"), "text")
	if i := int(result["ruleIndex"].(float64)); i < 0 || i >= len(ids) || ids[i] != result["ruleId"] {
		t.Errorf("rule %v is not the one at %d", result["ruleId"], i)
	}
	if !slices.Contains([]any{"none", "note", "warning", "error"}, result["level"]) {
		t.Errorf("level %v", result["level"])
	}
	print := text(t, object(t, result, "partialFingerprints"), "primaryLocationLineHash")
	if prints[print] {
		t.Errorf("two results have the fingerprint %s", print)
	}
	prints[print] = true
	locations := list(t, result, "locations")
	if len(locations) != 1 {
		t.Fatalf("%d locations", len(locations))
	}
	physical := object(t, locations[0], "physicalLocation")
	text(t, object(t, physical, "artifactLocation"), "uri")
	if line, _ := object(t, physical, "region")["startLine"].(float64); line < 1 {
		t.Errorf("line %v", line)
	}
	for _, l := range list(t, locations[0], "logicalLocations") {
		text(t, l, "fullyQualifiedName")
	}
}

func object(t *testing.T, in map[string]any, key string) map[string]any {
	t.Helper()
	o, is := in[key].(map[string]any)
	if !is {
		t.Fatalf("%s is no object: %v", key, in[key])
	}
	return o
}

func list(t *testing.T, in map[string]any, key string) []map[string]any {
	t.Helper()
	elements, is := in[key].([]any)
	if !is {
		t.Fatalf("%s is no array: %v", key, in[key])
	}
	var objects []map[string]any
	for i := range elements {
		objects = append(objects, object(t, map[string]any{key: elements[i]}, key))
	}
	return objects
}

func text(t *testing.T, in map[string]any, key string) string {
	t.Helper()
	s, _ := in[key].(string)
	if s == "" {
		t.Errorf("%s is no text: %v", key, in[key])
	}
	return s
}

func TestARunStaysWithinWhatGitHubTakes(t *testing.T) {
	v := gate.Verdict{Verdict: gate.Refused}
	for i := range report.MaxResults + 7 {
		v.Commits = append(v.Commits, gate.CommitVerdict{ID: fmt.Sprintf("%040x", i), Verdict: gate.Refused,
			Findings: []gate.Finding{{Rule: gate.ModelDenied, Detail: "denied"}}})
	}
	file := written(t, sarif, v)
	check(t, file)
	if n := bytes.Count(file, []byte(`"ruleId"`)); n != report.MaxResults {
		t.Errorf("%d results, want %d", n, report.MaxResults)
	}
	if want := "the first 5000 of 5007 findings"; !bytes.Contains(file, []byte(want)) {
		t.Errorf("it does not say %q", want)
	}
}

func TestARepositoryIsNamedByAURLWithoutPasswords(t *testing.T) {
	for remote, want := range map[string]string{
		"https://git.example/a/b.git":                   "https://git.example/a/b.git",
		"https://job-token:s3cret@git.example/a b":      "https://git.example/a%20b",
		"https://git.example/a?private_token=s3cret#s3": "https://git.example/a",
		"ssh://git@git.example:2222/a":                  "ssh://git.example:2222/a",
		"git@git.example:a/b.git":                       "",
		"file:///home/alice/a":                          "",
		"/srv/git/a.git":                                "",
		"ext::sh -c s3cret":                             "",
		"":                                              "",
	} {
		var b bytes.Buffer
		if err := report.SARIF(&b, verdict(), report.Run{Remote: remote}); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Runs []struct {
				Origin []struct {
					URI string `json:"repositoryUri"`
				} `json:"versionControlProvenance"`
			}
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		uri := ""
		for _, o := range got.Runs[0].Origin {
			uri = o.URI
		}
		if uri != want {
			t.Errorf("%s is told as %q, want %q", remote, uri, want)
		}
	}
}

// A rule that a reader can search for is in the table, and the other way round.
func TestRulesAreThoseOfREADME(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| rule | what it says |")
	table, _, _ = strings.Cut(table, "\n\n")
	var want, got []string
	for _, row := range strings.Split(table, "\n")[2:] {
		for _, name := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			want = append(want, name[1])
		}
	}
	for _, r := range gate.Rules {
		got = append(got, r.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-README +gate.Rules\n%s", diff)
	}
}
