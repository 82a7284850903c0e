package repo

import (
	"errors"
	"os"
	"strings"
)

// A format is what a repository's configuration says about how it is stored.
type format struct {
	idSize   int
	bare     bool
	workTree string
	known    bool // nothing in it that the light readers do not know
}

// readFormat reads the format as git does: from the repository's own config file,
// without includes (setup.c, read_repository_format).
func readFormat(path string) (format, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return format{}, err
	}
	f := format{idSize: 20, known: true}
	version, v1Only := "0", false
	err = parseConfig(string(data), func(key, value string) {
		switch key {
		case "core.repositoryformatversion":
			version = value
		case "core.bare":
			f.bare, _ = parseBool(value)
		case "core.worktree":
			f.workTree = value
		case "extensions.noop", "extensions.preciousobjects", "extensions.partialclone":
			// Nothing changes for a reader; what a partial clone lacks, git is asked for.
		case "extensions.worktreeconfig":
			// core.bare and core.worktree may be in config.worktree; hooks have
			// them from the environment and the working directory.
		case "extensions.noop-v1", "extensions.relativeworktrees":
			v1Only = true
		case "extensions.refstorage":
			v1Only = true
			f.known = f.known && value == "files"
		case "extensions.objectformat":
			v1Only = true
			switch value {
			case "sha1":
				f.idSize = 20
			case "sha256":
				f.idSize = 32
			default:
				f.known = false
			}
		default:
			if strings.HasPrefix(key, "extensions.") {
				f.known = false
			}
		}
	})
	switch {
	case err != nil:
		f.known = false // git will say what is wrong with it
	case version == "0":
		f.known = f.known && !v1Only
	case version != "1":
		f.known = false
	}
	return f, nil
}

var errConfigSyntax = errors.New("bad config line")

// parseConfig reads git's configuration grammar (git-config(1), "Syntax") and
// calls set with each canonical key and value, "true" for a key alone.
func parseConfig(s string, set func(key, value string)) error {
	p := configParser{s: strings.TrimPrefix(s, "\ufeff")}
	section := ""
	for {
		switch c := p.skipSpace(); {
		case c == 0:
			return nil
		case c == '#' || c == ';':
			p.skipLine()
		case c == '[':
			name, err := p.section()
			if err != nil {
				return err
			}
			section = name
		case section == "" || !isAlpha(c):
			return errConfigSyntax
		default:
			key, value, err := p.variable()
			if err != nil {
				return err
			}
			set(section+"."+key, value)
		}
	}
}

type configParser struct {
	s string
	i int
}

// next returns the next byte and passes it, 0 at the end. CR LF reads as LF.
func (p *configParser) next() byte {
	if p.i >= len(p.s) {
		return 0
	}
	c := p.s[p.i]
	p.i++
	if c == '\r' && p.i < len(p.s) && p.s[p.i] == '\n' {
		p.i++
		return '\n'
	}
	return c
}

func (p *configParser) skipSpace() byte {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r', '\v', '\f':
			p.i++
		default:
			return p.s[p.i]
		}
	}
	return 0
}

func (p *configParser) skipLine() {
	for c := p.next(); c != 0 && c != '\n'; {
		c = p.next()
	}
}

// section reads [name], [name "sub"] or the old [name.sub].
func (p *configParser) section() (string, error) {
	p.i++
	var b strings.Builder
	for {
		switch c := p.next(); {
		case c == ']':
			return b.String(), nil
		case c == ' ' || c == '\t':
			return p.subsection(&b)
		case isAlnum(c) || c == '.' || c == '-':
			b.WriteByte(lower(c))
		default:
			return "", errConfigSyntax
		}
	}
}

func (p *configParser) subsection(b *strings.Builder) (string, error) {
	if p.skipSpace() != '"' {
		return "", errConfigSyntax
	}
	p.i++
	b.WriteByte('.')
	for {
		c := p.next()
		switch c {
		case 0, '\n':
			return "", errConfigSyntax
		case '"':
			if p.next() != ']' {
				return "", errConfigSyntax
			}
			return b.String(), nil
		case '\\':
			if c = p.next(); c == 0 || c == '\n' {
				return "", errConfigSyntax
			}
		}
		b.WriteByte(c)
	}
}

func (p *configParser) variable() (key, value string, err error) {
	start := p.i
	for p.i < len(p.s) && (isAlnum(p.s[p.i]) || p.s[p.i] == '-') {
		p.i++
	}
	key = strings.ToLower(p.s[start:p.i])
	c := p.next()
	for c == ' ' || c == '\t' {
		c = p.next()
	}
	switch c {
	case 0, '\n':
		return key, "true", nil
	case '=':
		value, err = p.value()
		return key, value, err
	}
	return "", "", errConfigSyntax
}

// value reads to the end of the line: quotes, escapes, comments; white space is
// kept inside and dropped at both ends.
func (p *configParser) value() (string, error) {
	var b strings.Builder
	var space []byte // seen, but perhaps at the end
	quoted := false
	for {
		c := p.next()
		switch {
		case c == 0 || c == '\n':
			if quoted {
				return "", errConfigSyntax
			}
			return b.String(), nil
		case !quoted && (c == ' ' || c == '\t' || c == '\r'):
			if b.Len() > 0 {
				space = append(space, c)
			}
			continue
		case !quoted && (c == '#' || c == ';'):
			p.skipLine()
			return b.String(), nil
		}
		b.Write(space)
		space = space[:0]
		switch c {
		case '"':
			quoted = !quoted
			continue
		case '\\':
			switch c = p.next(); c {
			case '\n':
				continue
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'b':
				c = '\b'
			case '\\', '"':
			default:
				return "", errConfigSyntax
			}
		}
		b.WriteByte(c)
	}
}

func isAlpha(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }

func isAlnum(c byte) bool { return isAlpha(c) || '0' <= c && c <= '9' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// parseBool reads a git boolean: words in any case, "" as false, or an integer.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off", "":
		return false, true
	}
	digits := strings.TrimLeft(s, "+-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false, false
	}
	return strings.Trim(digits, "0") != "", true
}
