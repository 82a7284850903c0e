package audit

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// ownersFiles are where GitHub, GitLab and Gitea look for CODEOWNERS.
var ownersFiles = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS", ".gitea/CODEOWNERS"}

// maxOwners bounds such a file, in bytes: GitHub reads up to 3 MB
// (https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners).
const maxOwners = 3 << 20

// maxParts bounds a pattern: deeper ones are for no file that git could check out.
const maxParts = 1024

// ownerWork bounds what is spent on one file of rules, in comparisons: some seconds.
// A hostile one could take days.
const ownerWork = 1 << 30

// An ownerBook looks owners up, and remembers them.
type ownerBook struct {
	rules Owners
	known map[string][]string
	left  int64 // of ownerWork
}

func newOwnerBook(rules Owners) *ownerBook {
	return &ownerBook{rules: rules, known: map[string][]string{}, left: ownerWork}
}

// of are the owners of a file; none once too much was spent.
func (b *ownerBook) of(path string) []string {
	if b == nil || b.over() {
		return nil
	}
	owners, ok := b.known[path]
	if !ok {
		owners = b.rules.of(path, &b.left)
		b.known[path] = owners
	}
	return owners
}

func (b *ownerBook) over() bool { return b.left < 0 }

// Owners are the rules of a CODEOWNERS file.
type Owners []ownerRule

type ownerRule struct {
	section  int
	anchored bool
	folder   bool     // only what is below it
	parts    []string // of the pattern; ** is any number of folders
	owners   []string
}

// ParseOwners reads a CODEOWNERS file. Lines that are no rule are passed over, as the
// forges do. GitLab's sections are read, with their default owners.
func ParseOwners(data []byte) (rules Owners) {
	section, byDefault := 0, []string(nil)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if head := strings.TrimPrefix(line, "^"); strings.HasPrefix(head, "[") && strings.Contains(head, "]") {
			section++
			byDefault = ownersIn(strings.Fields(head[strings.IndexByte(head, ']')+1:]))
			continue
		}
		fields := strings.Fields(strings.ReplaceAll(line, `\ `, "\x00"))
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		pattern := strings.ReplaceAll(strings.ReplaceAll(fields[0], "\x00", " "), `\#`, "#")
		r := ownerRule{section: section, owners: ownersIn(fields[1:])}
		if r.owners == nil {
			r.owners = byDefault
		}
		pattern, r.folder = strings.CutSuffix(pattern, "/")
		r.anchored = strings.Contains(pattern, "/")
		if strings.Count(pattern, "/") < maxParts {
			r.parts = strings.Split(strings.TrimPrefix(pattern, "/"), "/")
			rules = append(rules, r)
		}
	}
	return rules
}

// ownersIn are the owners of a line, up to a comment.
func ownersIn(fields []string) (owners []string) {
	for _, f := range fields {
		if strings.HasPrefix(f, "#") {
			break
		}
		if strings.Contains(f, "@") {
			owners = append(owners, strings.ReplaceAll(f, "\x00", " "))
		}
	}
	return owners
}

// Of are the owners of a file: those of the last rule that matches, of each section.
func (o Owners) Of(path string) (owners []string) {
	unlimited := int64(1<<63 - 1)
	return o.of(path, &unlimited)
}

// of spends no more work than is left, and gives up when that runs out.
func (o Owners) of(path string, left *int64) (owners []string) {
	parts := strings.Split(path, "/")
	for i := len(o) - 1; i >= 0; i-- {
		section := o[i].section
		for ; i >= 0 && o[i].section == section; i-- {
			if *left < 0 {
				return nil
			}
			if o[i].match(parts, left) {
				owners = append(owners, o[i].owners...)
				for i >= 0 && o[i].section == section {
					i--
				}
				break
			}
		}
		i++ // the loop takes one away
	}
	return owners
}

// match reports whether a rule is for a path: the pattern fits it, or a folder above.
func (r ownerRule) match(path []string, left *int64) bool {
	// A last "*" of several parts is for files of the folder alone: docs/* is not for
	// docs/a/b.
	shallow := r.anchored && r.parts[len(r.parts)-1] == "*"
	at := r.reach(path, left)
	for n := len(path); n > 0 && at != nil; n-- {
		if at[n] && !(n == len(path) && r.folder || n < len(path) && shallow) {
			return true
		}
	}
	return false
}

// reach tells after how many parts of a path the pattern may end. It compares part by
// part, in time proportional to the product of their numbers.
func (r ownerRule) reach(path []string, left *int64) []bool {
	at, next := make([]bool, len(path)+1), make([]bool, len(path)+1)
	at[0] = true
	if !r.anchored {
		for i := range at {
			at[i] = true
		}
	}
	for _, p := range r.parts {
		any := false
		clear(next)
		for i, here := range at {
			switch {
			case p == "**":
				next[i] = here || i > 0 && next[i-1]
				any = any || next[i]
			case here && i < len(path):
				if strings.Contains(p, "*") {
					*left -= int64(len(p) * len(path[i]) / 16)
				}
				if trust.Match(p, path[i]) {
					next[i+1], any = true, true
				}
			}
		}
		*left -= int64(len(at))
		if at, next = next, at; !any || *left < 0 {
			return nil
		}
	}
	return at
}
