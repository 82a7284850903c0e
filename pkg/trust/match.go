package trust

import "strings"

// Match reports whether all of s is of the shape of pattern: * stands for any
// run of bytes, also none, ? for any one byte, everything else for itself (the
// PATTERNS of ssh_config(5)). It takes time proportional to len(pattern)*len(s).
func Match(pattern, s string) bool {
	star, retry := -1, 0 // the last * and where the run it stands for ends
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0: // let the last * take one byte more
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// MatchList reports whether one of the patterns matches s and none that
// begins with ! does, as the pattern-lists of ssh_config(5).
func MatchList(patterns []string, s string) bool {
	matched := false
	for _, pattern := range patterns {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !Match(pattern, s) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

func matchAny(patterns []string, s string) bool {
	for _, pattern := range patterns {
		if Match(pattern, s) {
			return true
		}
	}
	return false
}
