package policy

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// model is the same pattern by other means: as a regular expression.
func modelOf(pattern string) *regexp.Regexp {
	expr := regexp.QuoteMeta(pattern)
	expr = strings.ReplaceAll(expr, `\*\*`, `(?s:.*)`)
	expr = strings.ReplaceAll(expr, `\*`, `[^/]*`)
	return regexp.MustCompile(`\A(?:` + expr + `)\z`)
}

func TestGlob(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string, most int) string {
		b := make([]byte, random.IntN(most+1))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	var globs []glob
	for range 4000 {
		if g, err := compileGlob(text("**/ab", 7)); err == nil {
			globs = append(globs, g)
		}
	}
	names := make([]string, 60)
	for i := range names {
		names[i] = text("/ab", 8)
	}
	t.Run("a pattern matches what its regular expression matches", func(t *testing.T) {
		for _, g := range globs {
			m := modelOf(g.text)
			for _, name := range names {
				if g.match(name) != m.MatchString(name) {
					t.Fatalf("%q against %q: %v", g.text, name, g.match(name))
				}
			}
		}
	})
	t.Run("a pattern that covers another matches all that it matches", func(t *testing.T) {
		affirmed := 0
		for range 20_000 {
			a, b := globs[random.IntN(len(globs))], globs[random.IntN(len(globs))]
			if !a.covers(b) {
				continue
			}
			affirmed++
			for _, name := range names {
				if b.match(name) && !a.match(name) {
					t.Fatalf("%q does not cover %q: %q", a.text, b.text, name)
				}
			}
		}
		if affirmed < 1000 {
			t.Errorf("only %d pairs to look at", affirmed)
		}
	})
	t.Run("a pattern covers itself", func(t *testing.T) {
		for _, g := range globs {
			if !g.covers(g) {
				t.Fatalf("%q does not", g.text)
			}
		}
	})
	t.Run("a pattern begins with what some match begins with", func(t *testing.T) {
		for _, g := range globs {
			for _, name := range names {
				for i := range name {
					if g.match(name) && !g.begins(name[:i]) {
						t.Fatalf("%q matches %q and does not begin with %q", g.text, name, name[:i])
					}
				}
			}
		}
	})
	t.Run("a hostile name costs no more than its length", func(t *testing.T) {
		g, err := compileGlob(strings.Repeat("**a*b", 100))
		if err != nil {
			t.Fatal(err)
		}
		if g.match(strings.Repeat("ab", 10_000) + "a") {
			t.Error("matched")
		}
	})
	t.Run("bytes that stand for stars inside meet nothing in a name", func(t *testing.T) {
		g, _ := compileGlob("a*b/**")
		if g.match("a\x01b/\x02") != true || g.match("a\x01/b/\x02") {
			t.Error("a star took the wrong bytes")
		}
		if l, _ := compileGlob("ab"); l.match("a\x01") || l.match("\x02") {
			t.Error("plain text matched a control byte")
		}
	})
	for pattern, why := range map[string]string{"": "empty", "***": "three stars", "a\x01": "control", strings.Repeat("a", maxPattern+1): "longer"} {
		if _, err := compileGlob(pattern); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	t.Run("the zero glob matches nothing", func(t *testing.T) {
		if (glob{}).match("") || (glob{}).match("a") {
			t.Error("matched")
		}
	})
}
