package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// A chapter is what one question of a board comes to.
type chapter struct {
	Number int
	ID     string
	Title  string
	Lead   string
	Blocks []block
}

// A block is one of these.
type block struct {
	Text  string
	Note  string
	Head  string
	Bars  []bar
	Time  *columns
	List  []string
	Table *drawn

	table *table
}

// chapters are the whole report in the order in which it is read.
func (r *Report) chapters() []chapter {
	list := []chapter{r.unknownChapter(), r.deployment(), r.approvals(), r.unsanctionedChapter(), r.mcpChapter(), r.incidentsChapter(), r.responsibilities(),
		r.controlsChapter(), r.notCovered(), r.tieOut()}
	for i := range list {
		list[i].Number = i + 1
		for n := range list[i].Blocks {
			if b := &list[i].Blocks[n]; b.table != nil && !b.table.hidden {
				b.Table = b.table.draw()
			}
		}
	}
	return list
}

// tables are those of all chapters.
func tables(chapters []chapter) (list []*table) {
	for _, c := range chapters {
		for _, b := range c.Blocks {
			if b.table != nil {
				list = append(list, b.table)
			}
		}
	}
	return list
}

func (r *Report) unknownChapter() chapter {
	t := r.All.Total
	c := chapter{ID: "unknown", Title: "What is unknown",
		Lead: "Every other figure can be no better than this chapter. A commit has one evidence, the best there is. Neither unknown nor none observed means that a person wrote something: it means that nothing says otherwise."}
	bars := []bar{{Name: "all commits", Count: grouped(t.Commits), Bands: bands(t.Evidence, 100, 10)}}
	rows := [][]any{}
	for _, g := range r.Repositories.Groups {
		if len(r.Repositories.Groups) > 1 && len(bars) < 16 && g.Commits > 0 {
			bars = append(bars, bar{Name: g.Key[0], Count: grouped(g.Commits), Bands: bands(g.Evidence, 100, 10)})
		}
		row := []any{g.Key[0], g.Commits}
		for _, e := range audit.Tiers() {
			row = append(row, g.Evidence[e])
		}
		rows = append(rows, append(row, g.Merges, g.Uncounted))
	}
	columns := []column{{"repository", "Repository", text}, {"commits", "Commits", count}}
	for _, e := range audit.Tiers() {
		columns = append(columns, column{strings.ReplaceAll(string(e), "-", "_"), capital(tierNames[e]), count})
	}
	columns = append(columns, column{"silent_merges", "Silent merges", count}, column{"lines_not_counted", "Lines not counted", count})
	c.Blocks = append(c.Blocks, block{Bars: bars},
		block{List: []string{
			"Attested: a valid signature of somebody whom the policy of the time names, over what was used.",
			"None observed: such a signature over the statement that no assistant was seen.",
			"Declared: the commit says what was used, and nobody whom the policy names has signed it. Imported: another recorder says so.",
			"Inferred: the commit carries marks that assistants leave, such as co-author lines.",
			"Unknown: nothing at all.",
		}},
		block{table: &table{name: "evidence", title: "Evidence by repository", columns: columns, rows: rows, shown: shown,
			lead:  "Silent merges bring nothing of their own and count nowhere. Of merges that do, lines are not counted.",
			empty: "The index holds no commit of this period."}})
	return c
}

func (r *Report) deployment() chapter {
	c := chapter{ID: "deployment", Title: "Deployment: who uses what, and where",
		Lead: "Each share is a range: what is known to belong to it, and that with all that is unknown and may. A commit in which two assistants took part counts for both."}
	if chart := overTime(r.Months.Groups, r.lastMonth()); chart != nil {
		c.Blocks = append(c.Blocks, block{Head: "Commits over time, by evidence", Time: chart})
		if chart.Outside > 0 {
			c.Blocks = append(c.Blocks, block{Note: countAre(chart.Outside, "commit") + " dated outside of what is drawn. Dates are the word of whoever made a commit."})
		}
	}
	for _, t := range []struct {
		u           *audit.Usage
		name, title string
		heads       []column
	}{
		{r.Tools, "tools", "Tools and models", []column{{"tool", "Tool", text}, {"model", "Model", text}}},
		{r.Teams, "teams", "Teams", []column{{"team", "Team", text}}},
		{r.Repositories, "repositories", "Repositories", []column{{"repository", "Repository", text}}},
		{r.People, "people", "People", []column{{"person", "Person", text}}},
		{r.Months, "months", "", []column{{"month", "Month", text}}},
	} {
		if t.u == nil {
			continue
		}
		table := usageTable(t.u, t.name, t.title, t.heads)
		if t.u == r.Months {
			slices.SortFunc(table.rows, func(a, b []any) int { return cmp.Compare(monthNumber(a[0].(string)), monthNumber(b[0].(string))) })
		}
		c.Blocks = append(c.Blocks, block{table: table})
	}
	if r.Parameters.People {
		c.Blocks = append(c.Blocks, block{Note: "Persons are shown for this purpose, which the index has logged: " + r.Parameters.Purpose})
	}
	return c
}

func usageTable(u *audit.Usage, name, title string, heads []column) *table {
	t := &table{name: name, title: title, hidden: title == "", shown: shown, empty: "Nothing is known to have been used.",
		columns: append(heads, column{"commits", "Commits", share}, column{"lines", "Added lines", share})}
	living := u.Total.Living != nil
	if living {
		t.columns = append(t.columns, column{"living", "Lines that live", share})
	}
	t.columns = append(t.columns, column{"approved", "Approved", count}, column{"unsanctioned", "Not approved", count}, column{"not_judged", "Not judged", count | sparse},
		column{"first", "First", text}, column{"last", "Last", text})
	for _, row := range u.Rows {
		var line []any
		for _, k := range row.Key {
			line = append(line, k)
		}
		line = append(line, row.Commits, row.Added)
		if living {
			line = append(line, *row.Living)
		}
		t.rows = append(t.rows, append(line, row.Approval.Approved, row.Approval.Unsanctioned, row.Approval.NotJudged, row.First, row.Last))
	}
	return t
}

func (r *Report) approvals() chapter {
	c := chapter{ID: "approvals", Title: "Approvals and exceptions",
		Lead: "What the policies in force approve and deny, which of it was used, and what was let in although a rule spoke against it."}
	if given := r.Parameters.Policy; given != nil {
		c.Blocks = append(c.Blocks, block{Text: "Whether a use was approved is judged by a policy that was given for this report, " + brief(*given) +
			", in place of those in force. What has been withdrawn since, and the controls, are told by those in force."})
	}
	models := &table{name: "approvals", title: "Approvals and denials in force", shown: shown, empty: "No policy is known.",
		columns: []column{{"model", "Model", text}, {"status", "Status", text}, {"tools", "Only with", text | sparse}, {"refs", "Only for", text | sparse}, {"from", "From", text | sparse}, {"until", "Until", text | sparse},
			{"owner", "Owner", text | sparse}, {"reason", "Reason", text | sparse}, {"entry", "Entry", text}, {"policy", "", text}, {"repositories", "Repositories", count}}}
	for _, p := range r.Policies {
		for _, m := range p.Models {
			models.rows = append(models.rows, []any{m.Model, m.Status, m.Tools, m.Refs, m.From, m.Until, m.Owner, m.Reason, m.Entry, p.Digest, len(p.Repositories)})
		}
	}
	under := &table{name: "approvals-used", title: "Under what the commits were made", shown: shown, empty: "No use is known.",
		lead:    "Approval is that of the time of a commit: of its receipt where there is one.",
		columns: []column{{"entry", "Entry of the policy", text}, {"rule", "Rule that spoke against it", text}, {"commits", "Commits", count}, {"policy", "Policy", text}}}
	if len(r.All.Rows) > 0 {
		for _, u := range r.All.Rows[0].Approval.Under {
			under.rows = append(under.rows, []any{u.Entry, u.Rule, u.Commits, brief(u.Policy)})
		}
	}
	overrides := &table{name: "overrides", title: "Exceptions: pushes that were let in against a rule", shown: shown, empty: "No override is known.",
		columns: []column{{"repository", "Repository", text}, {"time", "Time", text}, {"by", "By", text}, {"reason", "Reason given", text}, {"refs", "Refs", text}, {"rules", "Against", text}, {"commits", "Commits", count}}}
	for _, of := range r.Controls {
		for _, o := range of.Overrides {
			overrides.rows = append(overrides.rows, []any{of.Repository, o.Time, r.person(o.Pusher), o.Reason, o.Refs, o.Rules, o.Commits})
		}
	}
	c.Blocks = append(c.Blocks, block{table: models}, block{table: under}, block{table: overrides})
	return c
}

// person is who somebody is in this report.
func (r *Report) person(name string) string {
	if r.Parameters.People {
		return name
	}
	return r.teams.Of(name)
}

func (r *Report) unsanctionedChapter() chapter {
	c := chapter{ID: "unsanctioned", Title: "Unsanctioned use", Lead: "Tools and models that no policy approved when they were used, and those that one approved then and none does now."}
	if n := r.Shadow.NotJudged; n > 0 {
		c.Blocks = append(c.Blocks, block{Text: "Assistants took part in " + plural(n, "commit") + " of repositories of which no policy is known: what was used there is in none of these tables."})
	}
	for _, s := range []struct {
		*audit.Shadow
		name, title, empty string
	}{{r.Shadow, "unsanctioned", "Not approved at the time", "Everything that is known to have been used was approved at the time."},
		{r.Withdrawn, "withdrawn", "Approved at the time, and not any more", "No approval has ended of anything that is known to have been used."}} {
		t := &table{name: s.name, title: s.title, empty: s.empty, shown: shown,
			columns: []column{{"tool", "Tool", text}, {"model", "Model", text}, {"commits", "Commits", count}, {"people", "People", count}, {"teams", "Teams", text},
				{"repositories", "Repositories", text}, {"rules", "Rule", text}, {"first", "First", text}, {"last", "Last", text}, {"reason", "", text}}}
		for _, row := range s.Rows {
			t.rows = append(t.rows, []any{row.Tool, row.Model, row.Commits, row.People, row.Teams, row.Repositories, slices.Sorted(maps.Keys(row.Rules)), row.First, row.Last, row.Reason})
		}
		c.Blocks = append(c.Blocks, block{table: t})
	}
	return c
}

func (r *Report) mcpChapter() chapter {
	c := chapter{ID: "mcp", Title: "MCP servers", Lead: "Servers that assistants called for, as commits record them by name, and those that files in the repositories configure, by what they run or reach."}
	used := &table{name: "mcp-used", title: "Used", empty: "No commit names a server.", shown: shown,
		columns: []column{{"server", "Server", text}, {"tool", "By", text}, {"commits", "Commits", count}, {"repositories", "Repositories", text}, {"approval", "Approval", text}, {"rule", "", text}, {"first", "First", text}, {"last", "Last", text}}}
	for _, m := range r.MCP.Used {
		used.rows = append(used.rows, []any{m.Server, m.Tool, m.Commits, m.Repositories, m.Approval, m.Rule, m.First, m.Last})
	}
	configured := &table{name: "mcp-configured", title: "Configured", empty: "No file in a default branch configures a server.", shown: shown,
		columns: []column{{"server", "Server", text}, {"tool", "For", text}, {"repository", "Repository", text}, {"ref", "", text}, {"file", "File", text}, {"runs", "Runs or reaches", text},
			{"approval", "Approval", text}, {"unpinned", "Not pinned", text | sparse}, {"drift", "Drift", text | sparse}, {"since", "Seen since", text}}}
	for _, m := range r.MCP.Configured {
		configured.rows = append(configured.rows, []any{m.Server, m.Tool, m.Repository, m.Ref, m.File, m.Runs(), m.Approval, m.Unpinned, m.Drift, m.Since})
	}
	broken := &table{name: "mcp-broken", title: "Could not be read whole", empty: "Every such file could be read.", shown: shown,
		columns: []column{{"repository", "Repository", text}, {"file", "File", text}, {"problem", "Problem", text}}}
	for _, m := range r.MCP.Broken {
		broken.rows = append(broken.rows, []any{m.Repository, m.File, m.Problem})
	}
	c.Blocks = append(c.Blocks, block{table: used}, block{table: configured}, block{table: broken})
	return c
}

func (r *Report) incidentsChapter() chapter {
	c := chapter{ID: "incidents", Title: "Incidents", Lead: "Models that were withdrawn, with all that carries what they wrote; keys that were compromised; and what servers refused."}
	if len(r.Incidents) == 0 {
		c.Blocks = append(c.Blocks, block{Text: "This report was not asked to look back at a model (gatekeeper audit report --incident MODEL)."})
	}
	for i, in := range r.Incidents {
		c.Blocks = append(c.Blocks, r.lookBack(i+1, in)...)
	}
	keys := &table{name: "compromised-keys", title: "Compromised keys", empty: "No policy in force calls a key compromised.", shown: shown,
		columns: []column{{"repository", "Repository", text}, {"key", "Key", text}, {"holder", "Holder", text}, {"class", "Class", text}, {"since", "Compromised since", text}, {"commits", "Signed commits", count}, {"after", "Of these, after that", count}}}
	refused := &table{name: "refused", title: "Refused by servers", empty: "No refusal is known.", shown: shown,
		columns: []column{{"repository", "Repository", text}, {"rule", "Rule", text}, {"pushes", "Pushes", count}, {"commits", "Commits", count}}}
	for _, of := range r.Controls {
		for _, k := range of.Keys {
			keys.rows = append(keys.rows, []any{of.Repository, k.Key, r.person(k.Holder), k.Class, k.Since, k.Commits, k.After})
		}
		for _, rule := range of.Refused {
			refused.rows = append(refused.rows, []any{of.Repository, rule.Rule, rule.Pushes, rule.Commits})
		}
	}
	c.Blocks = append(c.Blocks, block{table: keys}, block{table: refused})
	return c
}

// lookBack shows one incident.
func (r *Report) lookBack(n int, in Incident) []block {
	f := in.Found
	name := fmt.Sprintf("incident-%d", n)
	said := fmt.Sprintf("At least %s and at most %s of %s.", grouped(f.Bounds.Least), grouped(f.Bounds.Most), plural(r.All.Total.Commits+r.All.Total.Merges, "commit"))
	if f.Bounds.Unknown > 0 {
		said += fmt.Sprintf(" Nothing is known of %s of the time.", plural(f.Bounds.Unknown, "commit"))
	}
	if f.Bounds.Unnamed > 0 {
		said += fmt.Sprintf(" The claims of %s leave it open.", plural(f.Bounds.Unnamed, "commit"))
	}
	undone, clean := 0, 0
	commits := &table{name: name + "-commits", title: "Commits that carry it", empty: "No commit is known to carry it.", shown: shown,
		columns: []column{{"repository", "Repository", text}, {"commit", "Commit", id}, {"date", "Date", text}, {"how", "How", text}, {"of", "", text}, {"evidence", "Evidence", text}, {"uses", "Used", text},
			{"added", "Lines", count}, {"undone", "Undone", text | sparse}, {"inverse", "Taking it back", text}, {"refs", "", text}, {"in_refs", "Refs", count}}}
	for _, k := range f.Commits {
		if k.Undone == "whole" {
			undone++
		}
		if k.Inverse == audit.InverseClean {
			clean++
		}
		added := any(k.Added)
		if k.Added < 0 {
			added = "–"
		}
		commits.rows = append(commits.rows, []any{k.Repository, k.Commit, k.Date, k.How, k.Of, tierNames[k.Evidence], k.Uses, added, k.Undone, k.Inverse, k.Refs, len(k.Refs)})
	}
	work := &table{name: name + "-work", title: "Files to be looked at, in order of reach", empty: "There is nothing to be done.", shown: shown,
		columns: []column{{"repository", "Repository", text}, {"path", "File", text}, {"owners", "Owners", text}, {"living", "Lines that live", count}, {"refs", "Refs", count}, {"commits", "Commits", count}, {"clean", "Revert cleanly", count}, {"later", "Touched later", count}}}
	if !r.Parameters.Living {
		work.columns[3].head = ""
	}
	for _, w := range f.Work {
		owners := any(w.Owners)
		if len(w.Owners) == 0 {
			owners = "–"
		}
		work.rows = append(work.rows, []any{w.Repository, w.Path, owners, w.Living, w.Refs, len(w.Commits), w.Clean, w.Later})
	}
	how := []string{}
	for _, k := range slices.Sorted(maps.Keys(f.By)) {
		how = append(how, fmt.Sprintf("%s: %s", k, grouped(f.By[k])))
	}
	said += fmt.Sprintf(" Of those known, %s undone as a whole, and %s can be taken back cleanly at the default branch.", areOf(undone), grouped(int64(clean)))
	blocks := []block{{Head: "Incident: " + in.Model}, {Text: said}}
	if len(how) > 0 {
		blocks = append(blocks, block{Note: "How they came to carry it: " + strings.Join(how, ", ") + "."})
	}
	if len(f.Open) > 0 {
		blocks = append(blocks, block{Note: "Could not be looked at:"}, block{List: f.Open})
	}
	return append(blocks, block{table: commits}, block{table: builtWith(name, f)}, block{table: work})
}

// builtWith lists the artifacts that carriers are in.
func builtWith(name string, f *audit.Timetravel) *table {
	in := map[string]int{}
	for _, k := range f.Commits {
		for _, a := range k.Artifacts {
			in[a]++
		}
	}
	t := &table{name: name + "-artifacts", title: "Artifacts that it is in", empty: "No artifact that the index knows was built from any of them (gatekeeper audit artifact add).", shown: shown,
		columns: []column{{"artifact", "Artifact", text}, {"commits", "Commits that carry it", count}}}
	for _, a := range slices.Sorted(maps.Keys(in)) {
		t.rows = append(t.rows, []any{a, in[a]})
	}
	return t
}

func areOf(n int) string {
	if n == 1 {
		return "1 is"
	}
	return grouped(int64(n)) + " are"
}

func (r *Report) responsibilities() chapter {
	c := chapter{ID: "remediation", Title: "Responsibilities for remediation", Lead: "What is to be done, the most pressing first, and by whom: owners are those of CODEOWNERS, teams those of the authors."}
	t := &table{name: "actions", empty: "Nothing was found that asks for an action.", shown: 2 * shown,
		columns: []column{{"who", "Who", text}, {"what", "What", text}, {"where", "Where", text}, {"next", "Next step", text}}}
	for _, a := range r.Actions {
		t.rows = append(t.rows, []any{a.Who, a.What, a.Where, a.Next})
	}
	c.Blocks = append(c.Blocks, block{table: t})
	return c
}

func (r *Report) controlsChapter() chapter {
	c := chapter{ID: "controls", Title: "Technical controls in force", Lead: "What guards each repository, as far as the index knows: its policy, and the receipts of what its server decided."}
	guards := &table{name: "controls", title: "Repositories", empty: "The index holds no repository.", shown: shown,
		columns: []column{{"repository", "Repository", text}, {"policy", "Policy", text}, {"mode", "Default branch", text}, {"since", "Receipts since", text}, {"accepted", "Accepted", count}, {"warned", "Warned", count | sparse},
			{"refused", "Refused", count}, {"unchecked", "Not checked", count | sparse}, {"covered", "Commits with a receipt", text}, {"head", "", text}, {"hash", "", text}}}
	for i, of := range r.Controls {
		policy, mode := "none", "–"
		if of.Policy != nil {
			policy, mode = brief(of.Policy.Digest()), string(of.Policy.Rule(of.Default).Mode)
		}
		row := []any{of.Repository, policy, mode}
		if k := of.Receipts; k != nil {
			row = append(row, k.First, k.Decisions["accepted"], k.Decisions["warned"], k.Decisions["refused"], k.Decisions["unchecked"], part(k.Commits, r.Held[i].Commits), k.Seq, k.Hash)
		} else {
			row = append(row, "no receipts", "–", "–", "–", "–", "–", "", "")
		}
		guards.rows = append(guards.rows, row)
	}
	rules := &table{name: "rules", title: "What refs ask of a commit", empty: "No policy is known.", shown: shown,
		columns: []column{{"policy", "Policy", text}, {"match", "Refs", text}, {"mode", "Mode", text}, {"evidence", "Evidence", text}, {"via", "Observation", text}, {"binding", "Binding", text}, {"author", "Author", text}}}
	signers := &table{name: "signers", title: "Who may sign", empty: "No policy is known.", shown: shown,
		columns: []column{{"policy", "Policy", text}, {"repositories", "Repositories", count}, {"developers", "Developers' keys", count}, {"tools", "Tools", count}, {"gateways", "Gateways", count}, {"platforms", "Platforms", count}, {"override", "May override", count}}}
	for _, p := range r.Policies {
		for _, rule := range p.Rules {
			rules.rows = append(rules.rows, []any{brief(p.Digest), rule.Match, rule.Mode, rule.Evidence, rule.Via, rule.Binding, rule.Author})
		}
		signers.rows = append(signers.rows, []any{brief(p.Digest), len(p.Repositories), p.Signers["developer"], p.Signers["tool"], p.Signers["gateway"], p.Signers["platform"], p.Override})
	}
	history := &table{name: "policies", title: "Policies over time", empty: "No policy is known.", shown: shown, lead: "The first one that is known counts for all that was before it.",
		columns: []column{{"repository", "Repository", text}, {"since", "In force since", text}, {"digest", "Digest", text}}}
	for _, of := range r.Controls {
		for _, p := range of.Policies {
			since := p.Since
			if since == "" {
				since = "the beginning"
			}
			history.rows = append(history.rows, []any{of.Repository, since, p.Digest})
		}
	}
	c.Blocks = append(c.Blocks, block{table: guards}, block{table: rules}, block{table: signers}, block{table: history})
	return c
}

// brief shortens a digest for people.
func brief(digest string) string {
	if len(digest) > 19 {
		return digest[:19] + "…"
	}
	return digest
}

func (r *Report) notCovered() chapter {
	return chapter{ID: "not-covered", Title: "What this report does not cover", Lead: "What it cannot say must not be read into it.", Blocks: []block{{List: []string{
		"Priorities of training, the risk of single developers, and benchmarks of models: this version has no such chapters.",
		"What an assistant contributed without leaving a trace: such commits are unknown, or signed as none observed by somebody who did not see it or did not say so. A signature binds the word of its signer; it does not make that word true.",
		"Names of branches, files and servers, and reasons that somebody gave, are shown as they were written, whoever they name.",
		"Whether code is correct, secure or free of the rights of others.",
		"Branches, tags and remote branches are read. Commits that no ref reaches count nowhere, nor do requests that only a forge keeps.",
		"Dates of commits are the word of whoever made them; dates of receipts are the server's.",
		"Servers of MCP are known by the name that a configuration gives them where only a commit tells of them.",
	}}}}
}

// tieOut ties the figures to the repositories.
func (r *Report) tieOut() chapter {
	c := chapter{ID: "tie-out", Title: "How the figures tie out",
		Lead: "The manifest beside this page names the files by their SHA-256, the tips of all refs that were read, and the policies and receipts by their digests. It is an in-toto statement. gatekeeper audit verify checks its signature, and counts again."}
	t := &table{name: "tie-out", title: "Commits of the index, and of git", empty: "The index holds no repository.", shown: shown,
		lead:    "The second column is git rev-list --count over the same tips.",
		columns: []column{{"repository", "Repository", text}, {"index", "Index", count}, {"git", "git", count}, {"agree", "Agree", text}, {"refs", "Refs", count}, {"receipts", "Last receipt", text}}}
	for i, h := range r.Held {
		git, agree := any("–"), h.Problem
		if h.Git != nil {
			git, agree = *h.Git, "yes"
			if *h.Git != h.Commits {
				agree = "no"
			}
		}
		receipts := "none"
		if k := r.Controls[i].Receipts; k != nil {
			receipts = fmt.Sprintf("%d %s", k.Seq, brief(k.Hash))
		}
		t.rows = append(t.rows, []any{h.Repository, h.Commits, git, agree, len(h.Tips), receipts})
	}
	c.Blocks = append(c.Blocks, block{table: t})
	return c
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
