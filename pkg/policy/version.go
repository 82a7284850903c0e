package policy

import (
	"fmt"
	"strings"
)

// A version is dotted numbers and what may follow them, as in 2.1.330 or
// v1.0.0-beta.2+linux. Missing numbers are zero, a pre-release comes before its
// release (semver.org §11), build metadata does not count.
type version struct {
	numbers []string // without leading zeros, so that length and bytes order them
	pre     []string
}

func parseVersion(s string) (version, bool) {
	s = strings.TrimPrefix(s, "v")
	s, _, _ = strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(s, "-")
	v := version{numbers: strings.Split(core, ".")}
	for i, n := range v.numbers {
		if !digits(n) {
			return version{}, false
		}
		v.numbers[i] = strings.TrimLeft(n, "0")
	}
	if hasPre {
		v.pre = strings.Split(pre, ".")
		for _, part := range v.pre {
			if part == "" {
				return version{}, false
			}
		}
	}
	return v, true
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (v version) compare(o version) int {
	for i := range max(len(v.numbers), len(o.numbers)) {
		if c := compareNumbers(part(v.numbers, i), part(o.numbers, i)); c != 0 {
			return c
		}
	}
	switch {
	case v.pre == nil && o.pre == nil:
		return 0
	case v.pre == nil:
		return 1
	case o.pre == nil:
		return -1
	}
	return comparePre(v.pre, o.pre)
}

func part(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}

func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func comparePre(a, b []string) int {
	for i := range min(len(a), len(b)) {
		an, bn := digits(a[i]), digits(b[i])
		c := strings.Compare(a[i], b[i])
		switch {
		case an && bn:
			c = compareNumbers(strings.TrimLeft(a[i], "0"), strings.TrimLeft(b[i], "0"))
		case an:
			c = -1
		case bn:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// versions is a range: every bound must hold. Without bounds every version, an
// unknown one included, is inside.
type versions struct {
	text   string
	bounds []bound
}

type bound struct {
	op string
	version
}

// parseVersions reads bounds parted by commas or spaces, ">=2.0, <3".
func parseVersions(s string) (versions, error) {
	r := versions{text: s}
	rest := strings.Trim(s, ", ")
	for rest != "" {
		op := rest[:len(rest)-len(strings.TrimLeft(rest, "<>=!~^"))]
		rest = strings.TrimLeft(rest[len(op):], " ")
		end := strings.IndexAny(rest, ", <>=!~^")
		if end < 0 {
			end = len(rest)
		}
		word := rest[:end]
		switch op {
		case ">=", ">", "<=", "<", "=":
		case "":
			return versions{}, fmt.Errorf("%s has no comparison: write >=%s or =%s", quote(word), word, word)
		default:
			return versions{}, fmt.Errorf("%s is not one of >= > <= < =", quote(op))
		}
		v, ok := parseVersion(word)
		if !ok {
			return versions{}, fmt.Errorf("%s is not a version of dotted numbers", quote(word))
		}
		r.bounds = append(r.bounds, bound{op, v})
		rest = strings.TrimLeft(rest[end:], ", ")
	}
	if len(r.bounds) == 0 {
		return versions{}, fmt.Errorf("name no version")
	}
	return r, nil
}

// has reports whether s is inside the range, and whether that can be told at all.
func (r versions) has(s string) (inside, known bool) {
	if len(r.bounds) == 0 {
		return true, true
	}
	v, ok := parseVersion(s)
	if !ok {
		return false, false
	}
	for _, b := range r.bounds {
		if !b.holds(v.compare(b.version)) {
			return false, true
		}
	}
	return true, true
}

func (b bound) holds(c int) bool {
	switch b.op {
	case ">=":
		return c >= 0
	case ">":
		return c > 0
	case "<=":
		return c <= 0
	case "<":
		return c < 0
	}
	return c == 0
}
