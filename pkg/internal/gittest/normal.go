package gittest

import (
	"fmt"
	"regexp"
	"strings"
)

// Each run of a test has its own ids, times, keys, ports and folders. The
// patterns are tried in order, so that a signature goes before the digests and
// ids it might seem to hold.
var patterns = []struct {
	name string
	find *regexp.Regexp
}{
	{"sig", regexp.MustCompile(`sig=(?:sshsig|dsse):[A-Za-z0-9+/=_-]+`)},
	{"key", regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`)},
	{"public", regexp.MustCompile(`AAAA[A-Za-z0-9+/]{40,}={0,2}`)},
	{"time", regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`)},
	{"sha256", regexp.MustCompile(`sha256:[0-9a-f]{64}`)},
	{"port", regexp.MustCompile(`127\.0\.0\.1\]?:\d+`)},
	{"digest", regexp.MustCompile(`\b(?:bind|change|trace)=[A-Za-z0-9_-]{43}`)},
	{"id", regexp.MustCompile(`\b[0-9a-f]{7,64}\b`)},
}

// Normal replaces in text what differs from run to run by names in angle
// brackets. The same id has the same name throughout, a shortened one that of
// the id it shortens, so a golden text still tells which commit is meant.
// Folders maps directories to the words that stand for them.
func Normal(text string, folders map[string]string) string {
	for dir, word := range folders {
		text = strings.ReplaceAll(text, dir, word)
	}
	for _, p := range patterns {
		names := &naming{kind: p.name}
		text = p.find.ReplaceAllStringFunc(text, names.replace)
	}
	return text
}

type naming struct {
	kind string
	seen []string
}

func (n *naming) replace(found string) string {
	switch n.kind {
	case "sig":
		return found[:strings.Index(found, ":")+1] + "<sig>"
	case "time":
		return "<time>"
	case "port":
		return "127.0.0.1:<port>"
	case "sha256":
		return "sha256:<" + n.number(found, "policy") + ">"
	case "key":
		return "SHA256:<" + n.number(found, "key") + ">"
	case "digest":
		return found[:strings.Index(found, "=")+1] + "<digest>"
	case "id":
		if isNumber(found) || found == "ed25519" {
			return found
		}
	}
	return "<" + n.number(found, n.kind) + ">"
}

// isNumber tells a count from an id that happens to have no letter: one in
// thirty of git's seven-digit names is such.
func isNumber(s string) bool {
	switch len(s) {
	case 7, 10, 12, 40, 64:
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

func (n *naming) number(found, kind string) string {
	for i, s := range n.seen {
		if strings.HasPrefix(s, found) || strings.HasPrefix(found, s) {
			if len(found) > len(s) {
				n.seen[i] = found
			}
			return fmt.Sprintf("%s-%d", kind, i+1)
		}
	}
	n.seen = append(n.seen, found)
	return fmt.Sprintf("%s-%d", kind, len(n.seen))
}
