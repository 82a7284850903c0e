package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
)

// A page is what the template takes: words and lengths, nothing to be worked out.
type page struct {
	Title, Program, AsOf, Period string
	Repositories                 string
	CSS                          template.CSS
	Cards                        []card
	Bar                          []band
	Summary                      []string
	Chapters                     []chapter
	Tiers                        []band // for legends
}

// A card is a key figure.
type card struct {
	Figure, Label, Note string
	Range               *gauge
}

// html draws the page. html/template escapes whatever is put in; visible then leaves no
// character in it that is not to be seen.
func (r *Report) html(chapters []chapter) ([]byte, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	p := page{Title: r.Parameters.Title, Program: r.Program, AsOf: strings.NewReplacer("T", " ", "Z", " UTC").Replace(r.AsOf), Period: r.period(), Repositories: r.scope(),
		CSS: template.CSS(pageCSS), Cards: r.cards(), Bar: bands(r.All.Total.Evidence, 100, 6), Summary: r.summary(), Chapters: chapters}
	for _, e := range audit.Tiers() {
		p.Tiers = append(p.Tiers, band{Class: string(e), Label: tierNames[e]})
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("draw the page: %w", err)
	}
	return []byte(visible(b.String(), "\t\n\u00a0")), nil
}

func (r *Report) scope() string {
	if len(r.Held) == 1 {
		return "1 repository"
	}
	return grouped(int64(len(r.Held))) + " repositories"
}

func (r *Report) period() string {
	since, until := r.Parameters.Since, r.Parameters.Until
	switch {
	case since == nil && until == nil:
		return "all history"
	case until == nil:
		return "since " + (*since)[:10]
	case since == nil:
		return "before " + (*until)[:10]
	}
	return (*since)[:10] + " to " + (*until)[:10]
}

// lastMonth is the last one that the report is about.
func (r *Report) lastMonth() string {
	last, _ := time.Parse(time.RFC3339, r.AsOf) // written by Gather
	if r.Parameters.Until != nil {
		if until, err := time.Parse(time.RFC3339, *r.Parameters.Until); err == nil && until.Before(last) {
			last = until.Add(-time.Second)
		}
	}
	return last.Format("2006-01")
}

// used is the share of commits in which assistants took part.
func (r *Report) used() audit.Share {
	if len(r.All.Rows) > 0 {
		return r.All.Rows[0].Commits
	}
	t := r.All.Total
	s := audit.Share{Unknown: t.Evidence[audit.Unknown], Of: t.Commits}
	if s.Of > 0 {
		s.Most = float64(s.Unknown) / float64(s.Of)
	}
	return s
}

func (r *Report) approvedOf() audit.ApprovalCount {
	if len(r.All.Rows) > 0 {
		return r.All.Rows[0].Approval
	}
	return audit.ApprovalCount{}
}

// enforced is how many repositories have receipts and a policy that enforces.
func (r *Report) enforced() (n int) {
	for _, c := range r.Controls {
		if c.Policy != nil && c.Receipts != nil && c.Policy.Rule(c.Default).Mode == "enforce" {
			n++
		}
	}
	return n
}

func (r *Report) cards() []card {
	t, used := r.All.Total, r.used()
	signed := t.Evidence[audit.Attested] + t.Evidence[audit.NoneObserved]
	return []card{
		{Figure: grouped(t.Commits), Label: "commits", Note: grouped(t.Added) + " added lines"},
		{Figure: between(used), Label: "of them with an assistant", Note: grouped(used.Known) + " known", Range: newGauge(used)},
		{Figure: part(signed, t.Commits), Label: "vouched for by a signature", Note: plural(signed, "commit")},
		{Figure: part(t.Evidence[audit.Unknown], t.Commits), Label: "unknown", Note: plural(t.Evidence[audit.Unknown], "commit")},
		{Figure: grouped(r.approvedOf().Unsanctioned), Label: "commits with unapproved use", Note: pairs(len(r.Shadow.Rows))},
		{Figure: fmt.Sprintf("%d of %d", r.enforced(), len(r.Controls)), Label: "repositories enforce", Note: r.refusals()},
	}
}

func (r *Report) refusals() string {
	n, known := int64(0), false
	for _, c := range r.Controls {
		if c.Receipts != nil {
			n += c.Receipts.Decisions["refused"]
			known = true
		}
	}
	if !known {
		return "no receipts are known"
	}
	if n == 1 {
		return "1 push refused"
	}
	return grouped(n) + " pushes refused"
}

// summary says the whole in a few sentences.
func (r *Report) summary() (said []string) {
	t, used := r.All.Total, r.used()
	add := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if t.Commits == 0 {
		return []string{"The index holds no commit of this period."}
	}
	add("Assistants took part in at least %s of %s, and in at most %s (%s).", grouped(used.Known), plural(t.Commits, "commit"),
		grouped(min(used.Known+used.Unknown, used.Of)), between(used))
	if n := t.Evidence[audit.Unknown]; n > 0 {
		add("Nothing is known of %s (%s). That does not say that people wrote them.", plural(n, "commit"), part(n, t.Commits))
	}
	switch a := r.approvedOf(); {
	case a.Unsanctioned > 0:
		add("In %s something was used that no policy approved at the time: %s.", plural(a.Unsanctioned, "commit"), r.worst())
	case a.NotJudged > 0:
		add("No use without an approval is known, but %s could not be judged: no policy is known.", plural(a.NotJudged, "commit"))
	case a.Approved > 0:
		add("Everything that is known to have been used was approved at the time.")
	}
	if n := len(r.Withdrawn.Rows); n > 0 {
		add("Approved at the time, and not by the policy of today: %s.", pairs(n))
	}
	add("Guarded by a server that enforces its policy: %d of %s.", r.enforced(), r.scope())
	for _, in := range r.Incidents {
		b := in.Found.Bounds
		add("%s is carried by at least %s, and at most %s; the work list has %s.", in.Model, plural(b.Least, "commit"), grouped(b.Most), plural(len(in.Found.Work), "file"))
	}
	if n := len(r.Actions); n > 0 {
		add("%s to be done: see chapter 7.", thingsAre(n))
	}
	return said
}

// worst names the first few of what nobody approved.
func (r *Report) worst() string {
	var names []string
	for i, s := range r.Shadow.Rows {
		if i == 3 {
			names = append(names, fmt.Sprintf("and %d more", len(r.Shadow.Rows)-i))
			break
		}
		names = append(names, s.Model+" with "+s.Tool)
	}
	return strings.Join(names, ", ")
}

func pairs(n int) string {
	if n == 1 {
		return "1 pair of tool and model"
	}
	return grouped(int64(n)) + " pairs of tool and model"
}

func thingsAre(n int) string {
	if n == 1 {
		return "1 thing is"
	}
	return grouped(int64(n)) + " things are"
}
