package policy

import (
	"errors"
	"fmt"
	"strings"
)

// maxPattern bounds a pattern in bytes, and with it the cost of a match, which
// is at most len(pattern) × len(name) steps.
const maxPattern = 512

// Bytes that stand for `*` and `**` in a compiled pattern. A name with these
// bytes in it still meets only itself: no pattern may hold them.
const (
	anyButSlash = 0x01
	anyAtAll    = 0x02
	anyStar     = "\x01\x02"
)

// glob is a compiled pattern. The zero glob matches nothing.
type glob struct {
	text  string // as written
	code  string // with anyButSlash and anyAtAll in place of stars
	plain int    // bytes of code before the first star
	stars bool
}

func compileGlob(pattern string) (glob, error) {
	switch {
	case pattern == "":
		return glob{}, errors.New("is empty")
	case len(pattern) > maxPattern:
		return glob{}, fmt.Errorf("is longer than %d bytes", maxPattern)
	case strings.Contains(pattern, "***"):
		return glob{}, errors.New("has three stars in a row: * stops at /, ** does not")
	}
	for i := 0; i < len(pattern); i++ {
		if pattern[i] < 0x20 || pattern[i] == 0x7f {
			return glob{}, errors.New("has a control character")
		}
	}
	code := strings.ReplaceAll(pattern, "**", "\x02")
	code = strings.ReplaceAll(code, "*", "\x01")
	g := glob{text: pattern, code: code, plain: len(code)}
	if i := strings.IndexAny(code, anyStar); i >= 0 {
		g.plain, g.stars = i, true
	}
	return g, nil
}

// matchFolded is match for a name in any case.
func (g glob) matchFolded(name string) bool {
	g.code = strings.ToLower(g.code)
	return g.match(strings.ToLower(name))
}

func (g glob) match(name string) bool {
	if !g.stars {
		return g.code != "" && g.code == name
	}
	// Nearly every pattern is plain text and one star at its end.
	rest, ok := strings.CutPrefix(name, g.code[:g.plain])
	if !ok {
		return false
	}
	if g.plain == len(g.code)-1 {
		return g.code[g.plain] == anyAtAll || strings.IndexByte(rest, '/') < 0
	}
	at := g.run(name)
	return at[len(g.code)]
}

// begins reports whether some name that begins with prefix matches.
func (g glob) begins(prefix string) bool {
	for _, alive := range g.run(prefix) {
		if alive {
			return true
		}
	}
	return false
}

// run reads name and returns which places of the pattern it may have led to. All
// of them are followed at once, so no name makes the pattern try again and again.
func (g glob) run(name string) []bool {
	now, next := make([]bool, len(g.code)+1), make([]bool, len(g.code)+1)
	now[0] = true
	g.passStars(now)
	for i := 0; i < len(name); i++ {
		clear(next)
		for at := 0; at < len(g.code); at++ {
			if !now[at] {
				continue
			}
			switch c := g.code[at]; {
			case c == anyAtAll, c == anyButSlash && name[i] != '/':
				next[at] = true
			case c == name[i] && c != anyButSlash:
				next[at+1] = true
			}
		}
		g.passStars(next)
		now, next = next, now
	}
	return now
}

// passStars lets stars stand for nothing.
func (g glob) passStars(at []bool) {
	for i := 0; i < len(g.code); i++ {
		if at[i] && (g.code[i] == anyAtAll || g.code[i] == anyButSlash) {
			at[i+1] = true
		}
	}
}

// covers reports whether g matches all that other does. It may miss a case, but
// what it affirms is so: each star of other is taken by a star of g as wide.
func (g glob) covers(other glob) bool {
	if !strings.HasPrefix(other.code, g.code[:g.plain]) || !g.stars && g.code != other.code {
		return false
	}
	now, next := make([]bool, len(g.code)+1), make([]bool, len(g.code)+1)
	now[0] = true
	g.passStars(now)
	for i := 0; i < len(other.code); i++ {
		c := other.code[i]
		clear(next)
		for at := 0; at < len(g.code); at++ {
			if !now[at] {
				continue
			}
			switch own := g.code[at]; {
			case own == anyAtAll, own == anyButSlash && c != '/' && c != anyAtAll:
				next[at] = true
			case own == c && c > anyAtAll:
				next[at+1] = true
			}
		}
		g.passStars(next)
		now, next = next, now
	}
	return now[len(g.code)]
}

func matchAny(globs []glob, name string) bool {
	for _, g := range globs {
		if g.match(name) {
			return true
		}
	}
	return false
}

// coversAll reports whether every glob of others is covered by one of globs. No
// globs at all stand for everything.
func coversAll(globs, others []glob) bool {
	if len(globs) == 0 {
		return true
	}
	if len(others) == 0 {
		return false
	}
	for _, o := range others {
		covered := false
		for _, g := range globs {
			covered = covered || g.covers(o)
		}
		if !covered {
			return false
		}
	}
	return true
}

func texts(globs []glob) []string {
	s := make([]string, len(globs))
	for i, g := range globs {
		s[i] = g.text
	}
	return s
}
