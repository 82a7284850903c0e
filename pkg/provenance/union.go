package provenance

import (
	"cmp"
	"slices"
	"sort"
	"strings"
)

// identity is what makes two records the same use of the same tool.
type identity struct {
	tool    Tool
	model   Model
	session string
}

func (r Record) identity() identity { return identity{r.Tool, r.Model, r.Session} }

// strength orders the ways of observing, the strongest highest; -1 is no way.
func (v Via) strength() int {
	return slices.Index([]Via{ViaUnknown, ViaImport, ViaDeclared, ViaProcess, ViaHook}, v)
}

// Stronger reports whether v observes better than w:
// hook, process, declared, import, unknown.
func (v Via) Stronger(w Via) bool { return v.strength() > w.strength() }

// Union joins what several sources say about one commit that adds total lines:
// the old records of an amended commit, the parts of a squash, what was
// declared, what was seen.
//
// Records of one tool, version, model and session become one, with the
// strongest via and all MCP servers. A record that lacks version or model is
// filled from each declared record of the same tool that contradicts it in
// nothing; the result keeps the weaker via of the two, because a chain is as
// strong as its weakest link. A declaration that adds nothing to a record seen
// by stronger means is that record. A record of which nothing at all is known gives
// way to any declaration.
//
// Which source wrote which line is no longer known, so lines become
// unknown/total. Any record beats none, and the strongest none is kept when
// there is no record. Fields of Extra are kept unless two sources give one of
// them different values.
func Union(total int, sets ...Provenance) Provenance {
	var records []Record
	var none Via
	for _, p := range sets {
		records = append(records, p.Records...)
		if p.None != "" && (none == "" || p.None.Stronger(none)) {
			none = p.None
		}
	}
	if len(records) == 0 {
		return Provenance{None: none}
	}
	records = mergeSame(records)
	for {
		filled := mergeSame(fillFromDeclared(records))
		if slices.EqualFunc(filled, records, func(a, b Record) bool { return a.String() == b.String() }) {
			break
		}
		records = filled // knowledge only grows, so this ends
	}
	for i := range records {
		records[i].Lines = Lines{Total: total}
	}
	return Provenance{Records: records}
}

// mergeSame makes one record of those with one identity, and sorts.
func mergeSame(records []Record) []Record {
	at := make(map[identity]int)
	var out []Record
	for _, r := range records {
		r = normal(r)
		i, ok := at[r.identity()]
		if !ok {
			at[r.identity()] = len(out)
			out = append(out, joined(r, r, r.Via))
			continue
		}
		via := out[i].Via
		if r.Via.Stronger(via) {
			via = r.Via
		}
		out[i] = joined(out[i], r, via)
	}
	sortByText(out)
	return out
}

// sortByText puts records in the order of their text, which is written once of each. The
// binaries of every commit link package sort anyway; slices.SortFunc would be
// compiled for records alone, and weigh 28 KB.
func sortByText(records []Record) {
	b := byText{records, make([]string, len(records))}
	for i, r := range records {
		b.texts[i] = r.String()
	}
	sort.Sort(b)
}

type byText struct {
	records []Record
	texts   []string
}

func (b byText) Len() int           { return len(b.records) }
func (b byText) Less(i, j int) bool { return b.texts[i] < b.texts[j] }
func (b byText) Swap(i, j int) {
	b.records[i], b.records[j] = b.records[j], b.records[i]
	b.texts[i], b.texts[j] = b.texts[j], b.texts[i]
}

// normal spells unknown parts in one way and forgets the lines.
func normal(r Record) Record {
	r.Tool = Tool{unlessUnknown(r.Tool.Name), unlessUnknown(r.Tool.Version)}
	r.Model = Model{unlessUnknown(r.Model.Provider), unlessUnknown(r.Model.Name)}
	r.Session = unlessUnknown(r.Session)
	r.Via = Via(orUnknown(string(r.Via)))
	r.Lines = Lines{}
	return r
}

// fillFromDeclared replaces each record that lacks something by its unions with
// the declarations that know it, and drops declarations that are used up or
// say nothing new.
func fillFromDeclared(records []Record) []Record {
	var out []Record
	used := make([]bool, len(records))
	for i, r := range records {
		for j, d := range records {
			if i == j || d.Via != ViaDeclared || d.nobody() || !r.nobody() && !fits(r, d) {
				continue
			}
			switch {
			case r.nobody():
				out = append(out, joined(r, d, d.Via))
				used[i], used[j] = true, true
			case fills(d, r):
				out = append(out, joined(r, d, weaker(r.Via, d.Via)))
				used[i], used[j] = true, true
			case r.Via.Stronger(d.Via) && !adds(d, r):
				out = append(out, joined(r, d, r.Via))
				used[i], used[j] = true, true
			}
		}
	}
	for i, r := range records {
		if !used[i] {
			out = append(out, r)
		}
	}
	return out
}

// nobody reports whether the record knows neither tool nor model nor session.
func (r Record) nobody() bool { return r.Tool == Tool{} && r.Model == Model{} && r.Session == "" }

func weaker(a, b Via) Via {
	if a.Stronger(b) {
		return b
	}
	return a
}

// fits reports whether a and b may be one use of one tool: no known part of
// one contradicts the other.
func fits(a, b Record) bool {
	agree := func(x, y string) bool { return x == "" || y == "" || x == y }
	return a.Tool.Name != "" && a.Tool.Name == b.Tool.Name &&
		agree(a.Tool.Version, b.Tool.Version) &&
		agree(a.Model.Provider, b.Model.Provider) &&
		agree(a.Model.Name, b.Model.Name) &&
		agree(a.Session, b.Session)
}

// fills reports whether d knows version or model where r does not.
func fills(d, r Record) bool {
	return d.Tool.Version != "" && r.Tool.Version == "" ||
		d.Model.Provider != "" && r.Model.Provider == "" ||
		d.Model.Name != "" && r.Model.Name == ""
}

// adds reports whether d knows any part that r does not.
func adds(d, r Record) bool { return fills(d, r) || d.Session != "" && r.Session == "" }

// joined has the known parts of both; they must fit.
func joined(a, b Record, via Via) Record {
	return Record{
		Tool:    Tool{cmp.Or(a.Tool.Name, b.Tool.Name), cmp.Or(a.Tool.Version, b.Tool.Version)},
		Model:   Model{cmp.Or(a.Model.Provider, b.Model.Provider), cmp.Or(a.Model.Name, b.Model.Name)},
		Via:     via,
		Session: cmp.Or(a.Session, b.Session),
		MCP:     joinMCP(a.MCP, b.MCP),
		Extra:   joinExtra(a.Extra, b.Extra),
	}
}

func joinMCP(a, b []string) []string {
	all := slices.DeleteFunc(slices.Concat(a, b), func(s string) bool { return s == "" })
	slices.SortFunc(all, func(x, y string) int { return cmp.Compare(Escape(x, ","), Escape(y, ",")) })
	return slices.Compact(all)
}

func joinExtra(a, b []string) []string {
	if slices.Equal(a, b) {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	all = slices.Compact(all)
	values := make(map[string]int)
	for _, f := range all {
		values[extraKey(f)]++
	}
	return slices.DeleteFunc(all, func(f string) bool { return values[extraKey(f)] > 1 })
}

func extraKey(f string) string {
	key, _, _ := strings.Cut(f, "=")
	return key
}
