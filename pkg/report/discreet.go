package report

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// A report goes to people who are not meant to learn of persons, of this machine, or of what
// opens a door. What is said here is said before anything is drawn, so that every file is alike.

// owners are those of code, or of an approval. A group of a forge stays (@org/team), and a
// person is their team.
func (r *Report) owners(names []string) []string {
	if r.Parameters.People {
		return names
	}
	list := []string{}
	for _, name := range names {
		list = append(list, r.owner(name))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (r *Report) owner(name string) string {
	at := strings.Index(name, "@")
	if r.Parameters.People || at < 0 || at == 0 && strings.Contains(name, "/") {
		return name
	}
	return r.teams.Of(strings.TrimPrefix(name, "@"))
}

// withoutPersons takes them from what an incident found.
func (r *Report) withoutPersons(found *audit.Timetravel) {
	for i := range found.Commits {
		found.Commits[i].Owners = r.owners(found.Commits[i].Owners)
	}
	for i := range found.Work {
		found.Work[i].Owners = r.owners(found.Work[i].Owners)
	}
}

// withoutPlaces names repositories where errors name their places on this machine.
func withoutPlaces(said []string, repositories map[int64]audit.Repository) {
	list := slices.SortedFunc(maps.Values(repositories), func(a, b audit.Repository) int {
		return cmp.Or(cmp.Compare(len(b.Place), len(a.Place)), cmp.Compare(a.Place, b.Place))
	})
	for i := range said {
		for _, in := range list {
			said[i] = strings.ReplaceAll(said[i], in.Place, in.Name)
		}
	}
}

var (
	inAddress = regexp.MustCompile(`://[^/?#\s]*@`)
	inQuery   = regexp.MustCompile(`([?&][^=&#\s]+=)[^&#\s]+`)
)

// withoutSecrets takes passwords and values of queries from an address: keys of servers are
// handed over in them.
func withoutSecrets(address string) string {
	if !strings.Contains(address, "://") {
		return address
	}
	return inQuery.ReplaceAllString(inAddress.ReplaceAllString(address, "://…@"), "${1}…")
}
