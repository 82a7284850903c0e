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
		r.parts = strings.Split(strings.TrimPrefix(pattern, "/"), "/")
		rules = append(rules, r)
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
	parts := strings.Split(path, "/")
	for i := len(o) - 1; i >= 0; i-- {
		section := o[i].section
		for ; i >= 0 && o[i].section == section; i-- {
			if o[i].match(parts) {
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
func (r ownerRule) match(path []string) bool {
	parts := r.parts
	if !r.anchored {
		parts = append([]string{"**"}, parts...)
	}
	// A last "*" of several parts is for files of the folder alone: docs/* is not for
	// docs/a/b.
	shallow := r.anchored && parts[len(parts)-1] == "*"
	for n := len(path); n > 0; n-- {
		if n == len(path) && r.folder || n < len(path) && shallow {
			continue
		}
		if fits(parts, path[:n]) {
			return true
		}
	}
	return false
}

// fits compares part by part, in time proportional to the product of their numbers.
func fits(pattern, path []string) bool {
	at := make([]bool, len(path)+1) // places that the pattern so far may have got to
	at[0] = true
	for _, p := range pattern {
		next := make([]bool, len(path)+1)
		for i, here := range at {
			switch {
			case p == "**":
				next[i] = here || i > 0 && next[i-1]
			case here && i < len(path) && trust.Match(p, path[i]):
				next[i+1] = true
			}
		}
		at = next
	}
	return at[len(path)]
}
