package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/report"
)

// hostile is what strangers would write to be more than text. Each has the word evil in it.
var hostile = []string{
	`<script>evil()</script>`,
	`"><img src=x onerror=evil()>`,
	`</style><svg onload=evil()>`,
	`{{evil}}`,
	`=evil|'/C calc'!A0`,
	"\x1b]0;evil\x07\x1b[2J",
	"evil\u202egpj.exe",
	"evil\u0085\u200b\xff",
	`javascript:evil()`,
}

// everywhere puts a text into every place of a report that a stranger writes.
func everywhere(r *report.Report, evil string) {
	r.Parameters.Title, r.Parameters.Purpose = evil, evil
	for _, u := range []*audit.Usage{r.All, r.Tools, r.Repositories, r.Teams, r.People} {
		for i := range u.Rows {
			for k := range u.Rows[i].Key {
				u.Rows[i].Key[k] = evil
			}
			u.Rows[i].Approval.Under = append(u.Rows[i].Approval.Under, audit.ApprovalGiven{Policy: evil, Entry: evil, Rule: evil})
		}
		for i := range u.Groups {
			for k := range u.Groups[i].Key {
				u.Groups[i].Key[k] = evil
			}
		}
	}
	shadow := audit.ShadowRow{Tool: evil, Model: evil, Teams: []string{evil}, Repositories: []string{evil}, Rules: map[string]int64{evil: 1}, Reason: evil}
	r.Shadow.Rows, r.Withdrawn.Rows = append(r.Shadow.Rows, shadow), append(r.Withdrawn.Rows, shadow)
	r.MCP.Used = append(r.MCP.Used, audit.MCPUsed{Server: evil, Tool: evil, Repositories: []string{evil}, Approval: evil, Rule: evil})
	r.MCP.Configured = append(r.MCP.Configured, audit.MCPConfigured{Server: evil, Tool: evil, Repository: evil, Ref: evil, File: evil, URL: evil, Approval: "unsanctioned", Unpinned: evil, Drift: []string{evil}})
	r.MCP.Broken = append(r.MCP.Broken, audit.MCPBroken{Repository: evil, File: evil, Problem: evil})
	for i := range r.Controls {
		c := &r.Controls[i]
		c.Repository = evil
		c.Refused = append(c.Refused, audit.RuleCount{Rule: evil})
		c.Overrides = append(c.Overrides, audit.Override{Time: evil, Pusher: evil, Reason: evil, Refs: []string{evil}, Rules: []string{evil}})
		c.Keys = append(c.Keys, audit.StolenKey{Key: evil, Holder: evil, Class: evil, Since: "2026-01-01T00:00:00Z", After: 1})
	}
	for i := range r.Policies {
		r.Policies[i].Models = append(r.Policies[i].Models, report.Model{Entry: evil, Model: evil, Status: evil, Tools: []string{evil}, Refs: []string{evil}, Owner: evil, Reason: evil})
	}
	for i := range r.Incidents {
		in := &r.Incidents[i]
		in.Model = evil
		in.Found.Open = append(in.Found.Open, evil)
		in.Found.Work = append(in.Found.Work, audit.WorkItem{Repository: evil, Path: evil, Owners: []string{evil}})
		in.Found.Commits = append(in.Found.Commits, audit.Carrier{Repository: evil, Uses: []string{evil}, Refs: []string{evil}, Inverse: evil})
	}
	r.Actions = append(r.Actions, report.Action{Who: evil, What: evil, Where: evil, Next: evil})
	for i := range r.Held {
		r.Held[i].Repository, r.Held[i].Problem, r.Held[i].Git = evil, evil, nil
	}
}

// elements of the page, and the attributes that they may have.
var elements = map[string][]string{
	"html": {"lang"}, "head": nil, "body": nil, "meta": {"charset", "http-equiv", "content", "name"}, "title": nil, "style": nil,
	"header": nil, "main": nil, "section": {"class", "id"}, "nav": {"aria-label"}, "div": {"class"}, "span": {"class"}, "small": nil, "strong": nil,
	"h1": nil, "h2": nil, "h3": {"class"}, "p": {"class"}, "ul": {"class"}, "ol": nil, "li": nil, "dl": {"class"}, "dt": nil, "dd": nil, "a": {"href"},
	"table": nil, "thead": nil, "tbody": nil, "tr": nil, "th": {"scope", "class"}, "td": {"class"},
	"svg":  {"class", "viewBox", "preserveAspectRatio", "role", "aria-label", "aria-hidden"},
	"rect": {"class", "x", "y", "width", "height"}, "line": {"x1", "x2", "y1", "y2"}, "text": {"class", "x", "y", "dx", "dy"}, "g": nil,
}

func TestWhatStrangersWriteIsText(t *testing.T) {
	s := stage(t, "ledger")
	q := s.questions(t)
	q.Incidents, q.People, q.Purpose = []string{"acme/*"}, true, "a test"
	for _, evil := range hostile {
		t.Run(strings.ToValidUTF8(evil, "?"), func(t *testing.T) {
			r := s.gather(t, q)
			everywhere(r, evil)
			files := drawn(t, r)
			checkPage(t, files[report.PageFile])
			for name, data := range files {
				if !bytes.Contains(data, []byte("evil")) && slices.Contains([]string{report.PageFile, report.DataFile, "overrides.csv", "actions.csv"}, name) {
					t.Errorf("%s: what a stranger wrote is lost", name)
				}
				for _, c := range string(data) {
					if !unicode.IsPrint(c) && !strings.ContainsRune("\n\t\u00a0", c) || c == unicode.ReplacementChar && name != report.DataFile {
						t.Fatalf("%s holds %U", name, c)
					}
				}
				if strings.HasSuffix(name, ".csv") {
					checkCells(t, name, data)
				}
			}
			var back map[string]any
			if err := json.Unmarshal(files[report.DataFile], &back); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkPage goes through the page as a browser does: it has the elements of the template and
// no others, and names nothing outside.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	tree, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	chapters := 0
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		allowed, known := elements[n.Data]
		if !known {
			t.Errorf("an element <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(allowed, a.Key) {
				t.Errorf("<%s> has an attribute %s", n.Data, a.Key)
			}
			if a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("a link to %s", a.Val)
			}
			if a.Key == "class" && strings.Contains(a.Val, "evil") {
				t.Errorf("a class %s", a.Val)
			}
		}
		if n.Data == "style" && strings.Contains(n.FirstChild.Data, "evil") {
			t.Error("the style sheet has it")
		}
		if n.Data == "h2" {
			chapters++
		}
	}
	if chapters != 11 {
		t.Errorf("%d chapters, want 11 with the summary", chapters)
	}
}

// checkCells looks for formulas.
func checkCells(t *testing.T, name string, data []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+@", rune(cell[0])) {
				t.Errorf("%s: a formula %q", name, cell)
			}
		}
	}
}

// The names of branches and files are where a stranger can really write such things into a
// repository.
func TestHostileNamesInARepository(t *testing.T) {
	s := stage(t, "ledger")
	r := s.repos[0]
	c := r.Edit("main", past.Edit{Author: past.Person{Name: `Mallory &lt;b&gt; "x"`, Email: "mallory@example.com", Team: "x"}, How: past.Ways[2],
		Add: map[string]int{"<img src=x onerror=evil()>.go": 3}})
	if out, err := exec.Command("git", "-C", r.Dir, "update-ref", "refs/heads/<svg/onload=evil()>", c.ID).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.index(t)
	q := s.questions(t)
	q.Incidents, q.People, q.Purpose = []string{"acme/*"}, true, "a test"
	files := drawn(t, s.gather(t, q))
	checkPage(t, files[report.PageFile])
	for _, want := range []string{"&lt;img src=x onerror=evil()&gt;.go", "Mallory &amp;lt;b&amp;gt; &#34;x&#34;"} {
		if !bytes.Contains(files[report.PageFile], []byte(want)) {
			t.Errorf("the page has no %s", want)
		}
	}
	if !bytes.Contains(files["incident-1-commits.csv"], []byte("refs/heads/<svg/onload=evil()>")) {
		t.Error("the branch is not listed")
	}
}
