package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// An Action is something to be done, and by whom.
type Action struct {
	Who   string `json:"who"`
	What  string `json:"what"`
	Where string `json:"where"`
	Next  string `json:"next"`
}

// Who acts where no owner of code is known.
const (
	noOwner  = "nobody is named in CODEOWNERS"
	admins   = "administrators of the server"
	officers = "security officers"
)

// actions derives what is to be done from what was found, the most pressing first: what was
// withdrawn and still runs, keys, what nobody approved, gaps in the controls, servers of MCP,
// what is unknown.
func (r *Report) actions() {
	r.Actions = []Action{}
	for _, step := range []func() []Action{r.remedies, r.keys, r.unsanctioned, r.gaps, r.servers, r.unknown} {
		r.Actions = append(r.Actions, step()...)
	}
}

// remedies sums up the work that incidents leave, by owner.
func (r *Report) remedies() (list []Action) {
	for _, in := range r.Incidents {
		type share struct {
			files, living int
			repos         []string
		}
		var order []string
		by := map[string]*share{}
		for _, w := range in.Found.Work {
			who := strings.Join(w.Owners, " ")
			if who == "" {
				who = noOwner
			}
			s := by[who]
			if s == nil {
				s = &share{}
				by[who] = s
				order = append(order, who)
			}
			s.files++
			s.living += w.Living
			if !slices.Contains(s.repos, w.Repository) {
				s.repos = append(s.repos, w.Repository)
			}
		}
		for _, who := range order {
			s := by[who]
			size := plural(s.files, "file")
			if r.Parameters.Living {
				size += ", in which up to " + livingLines(s.living)
			}
			list = append(list, Action{who, fmt.Sprintf("Remove or review what %s wrote: %s", in.Model, size), strings.Join(s.repos, ", "),
				"go through the work list of the incident, in its order"})
		}
	}
	return list
}

func (r *Report) keys() (list []Action) {
	for _, c := range r.Controls {
		for _, k := range c.Keys {
			if k.After > 0 {
				list = append(list, Action{officers, fmt.Sprintf("Review %s that the compromised key %s signed after %s", plural(k.After, "commit"), k.Key, k.Since[:10]),
					c.Repository, "gatekeeper audit timetravel --key " + k.Key + " --work"})
			}
		}
	}
	return list
}

func (r *Report) unsanctioned() (list []Action) {
	for _, found := range []struct {
		*audit.Shadow
		what string
	}{{r.Shadow, "was used without an approval"}, {r.Withdrawn, "is in use by an approval that has ended"}} {
		for _, s := range found.Rows {
			list = append(list, Action{strings.Join(s.Teams, ", "), fmt.Sprintf("Decide about %s with %s, which %s in %s", s.Model, s.Tool, found.what, plural(s.Commits, "commit")),
				strings.Join(s.Repositories, ", "), "approve it in the policy, or gatekeeper audit timetravel --model " + quoted(s.Model) + " --work"})
		}
	}
	return list
}

// gaps are repositories that nothing guards, or nothing strictly.
func (r *Report) gaps() (list []Action) {
	for _, c := range r.Controls {
		switch {
		case c.Policy == nil:
			list = append(list, Action{officers, "Put a policy in force", c.Repository, "gatekeeper install --server"})
		case c.Receipts == nil:
			list = append(list, Action{admins, "Guard the repository: no receipts of a server are known", c.Repository, "gatekeeper install --server"})
		case string(c.Policy.Rule(c.Default).Mode) != "enforce":
			list = append(list, Action{admins, fmt.Sprintf("Enforce on %s: the mode there is %s", c.Default, c.Policy.Rule(c.Default).Mode), c.Repository,
				"mode = \"enforce\" in the policy"})
		}
		if n := len(c.Overrides); n > 0 {
			list = append(list, Action{officers, "Review " + plural(n, "override"), c.Repository, "see chapter 3"})
		}
	}
	return list
}

func (r *Report) servers() (list []Action) {
	for _, m := range r.MCP.Configured {
		where := m.Repository + ": " + m.File
		if m.Approval == "unsanctioned" {
			list = append(list, Action{officers, "Decide about the MCP server " + m.Server + ", which is configured and not approved", where, "approve it in the policy, or take it out of the file"})
		}
		if m.Unpinned != "" {
			list = append(list, Action{officers, "Pin the MCP server " + m.Server + ": " + m.Unpinned, where, "name a version or a digest"})
		}
	}
	for _, m := range r.MCP.Broken {
		list = append(list, Action{officers, "Mend a configuration of MCP servers that cannot be read whole", m.Repository + ": " + m.File, m.Problem})
	}
	return list
}

func (r *Report) unknown() (list []Action) {
	for _, g := range r.Repositories.Groups {
		if n := g.Evidence[audit.Unknown]; n > 0 {
			list = append(list, Action{"its developers", fmt.Sprintf("Close the gap of %s of which nothing is known", plural(n, "commit")), g.Key[0],
				"gatekeeper install in each clone; evidence = \"attested\" in the policy"})
		}
	}
	return list
}

// quoted is one word for a shell, whatever a stranger called it: people copy commands.
func quoted(s string) string { return "'" + strings.ReplaceAll(visible(s, ""), "'", `'\''`) + "'" }

func livingLines(n int) string {
	if n == 1 {
		return "1 line of it lives"
	}
	return plural(n, "line") + " of it live"
}

// countAre counts things that are.
func countAre[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return plural(n, what) + " are"
}

// plural counts things.
func plural[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(int64(n)) + " " + what + "s"
}
