package trust

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// ParseAllowedSigners reads a file of the format ALLOWED SIGNERS of
// ssh-keygen(1). Each line is one signer of class Developer that may speak for
// every tool and model; its Principal is the first field of the line, patterns and
// all (see Signer.Is). name stands in front of the line in Source and in errors.
//
// A line that ssh-keygen would read but that does not count here gives no
// signer and a hint, "line 3: …": keys of unsupported kinds, certificate authorities,
// namespaces that leave out gatekeeper's. A hint comes with times that lack a Z,
// too: like ssh-keygen they are in this machine's time zone, and mean
// another moment on another machine. (In summer time ssh-keygen takes them to be
// an hour later than the clocks show; here they are what the clocks show.)
//
// Everything else that ssh-keygen could misread is an error that names the line.
func ParseAllowedSigners(name string, data []byte) (signers []Signer, hints []string, err error) {
	return parseAllowed(name, data, time.Local)
}

func parseAllowed(name string, data []byte, local *time.Location) (signers []Signer, hints []string, err error) {
	number := 0
	for text := range strings.SplitSeq(string(data), "\n") {
		number++
		line := line{rest: strings.Trim(strings.TrimSuffix(text, "\r"), " \t"), local: local}
		if line.rest == "" || line.rest[0] == '#' {
			continue
		}
		signer, err := line.signer()
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		for _, hint := range line.hints {
			hints = append(hints, fmt.Sprintf("line %d: %s", number, hint))
		}
		if !line.skip {
			signer.Source = name + ":" + strconv.Itoa(number)
			signers = append(signers, signer)
		}
	}
	return signers, hints, nil
}

// line is one line being read from left to right.
type line struct {
	rest  string
	local *time.Location
	hints []string
	skip  bool // the line is in order but gives no signer
}

// drop notes that the line gives no signer, and why.
func (l *line) drop(format string, args ...any) {
	l.skip = true
	l.hint(format, args...)
}

func (l *line) hint(format string, args ...any) {
	l.hints = append(l.hints, fmt.Sprintf(format, args...))
}

// signer reads: principals [options] keytype base64 [comment].
func (l *line) signer() (s Signer, err error) {
	if err := checkLine(l.rest); err != nil {
		return s, err
	}
	if s.Principal, err = l.principals(); err != nil {
		return s, err
	}
	s.Tools, s.Models = []string{"*"}, []string{"*"}
	if !isKeyType(l.rest) {
		if err := l.options(&s); err != nil {
			return s, err
		}
	}
	s.Key, err = pubkey.ParseAuthorizedKey(l.rest)
	var unsupported *attestation.KeyError
	if errors.As(err, &unsupported) && !unsupported.Damaged {
		l.drop("the signature of %q does not count: %v", s.Principal, err)
		return s, nil
	}
	return s, err
}

// checkLine refuses what a person who reads the line could not see.
func checkLine(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return fmt.Errorf("invisible character %U", r)
		}
	}
	return nil
}

// maxPattern is where ssh-keygen silently stops to match.
const maxPattern = 1000

// principals takes the first field, which may stand in quotes.
func (l *line) principals() (string, error) {
	var field string
	if quoted, ok := strings.CutPrefix(l.rest, `"`); ok {
		field, l.rest, ok = strings.Cut(quoted, `"`)
		if !ok {
			return "", errors.New("the principals have no closing quote")
		}
		if l.rest != "" && !strings.ContainsAny(l.rest[:1], " \t") {
			return "", errors.New("no space after the principals' closing quote")
		}
	} else {
		end := strings.IndexAny(l.rest, " \t")
		if end < 0 {
			return "", errors.New("a key is missing after the principals")
		}
		field, l.rest = l.rest[:end], l.rest[end:]
	}
	l.rest = strings.TrimLeft(l.rest, " \t")
	switch {
	case field == "":
		return "", errors.New("the principals are empty")
	case strings.Contains(field, `"`):
		return "", errors.New("a quote inside of the principals")
	case len(field) >= maxPattern:
		return "", fmt.Errorf("the principals are longer than %d bytes", maxPattern)
	}
	return field, nil
}

// isKeyType tells the type of a key from the name of an option.
func isKeyType(s string) bool {
	return strings.HasPrefix(s, "ssh-") || strings.HasPrefix(s, "ecdsa-") || strings.HasPrefix(s, "sk-")
}

// options takes the comma-separated options up to the first space outside of quotes.
func (l *line) options(s *Signer) error {
	seen := map[string]bool{}
	for {
		end := strings.IndexAny(l.rest, "=, \t")
		if end < 0 {
			return fmt.Errorf("a key is missing after %q", l.rest)
		}
		name := strings.ToLower(l.rest[:end]) // keywords are case-insensitive
		l.rest = l.rest[end:]
		if seen[name] {
			return fmt.Errorf("option %s stands twice", name)
		}
		seen[name] = true
		if err := l.option(s, name); err != nil {
			return err
		}
		after, more := strings.CutPrefix(l.rest, ",")
		l.rest = after
		if !more {
			break
		}
	}
	if l.rest == "" || !strings.ContainsAny(l.rest[:1], " \t") {
		return errors.New("no space after the options")
	}
	l.rest = strings.TrimLeft(l.rest, " \t")
	if !s.ValidAfter.IsZero() && !s.ValidBefore.IsZero() && !s.ValidAfter.Before(s.ValidBefore) {
		return errors.New("valid-before is not later than valid-after")
	}
	return nil
}

func (l *line) option(s *Signer, name string) error {
	if name == "cert-authority" {
		l.drop("certificate authorities are not supported; list the keys themselves")
		return nil
	}
	switch name {
	case "namespaces", "valid-after", "valid-before":
	default:
		return fmt.Errorf("%q is neither an option nor a kind of key", name)
	}
	value, err := l.quoted()
	if err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	switch name {
	case "namespaces":
		err = l.namespaces(s, value)
	case "valid-after":
		s.ValidAfter, err = l.time(value)
	case "valid-before":
		s.ValidBefore, err = l.time(value)
	}
	if err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	return nil
}

// quoted takes ="value", in which \" is a quote.
func (l *line) quoted() (string, error) {
	text, ok := strings.CutPrefix(l.rest, `="`)
	if !ok {
		return "", errors.New(`want ="value", in quotes`)
	}
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			l.rest = text[i+1:]
			return value.String(), nil
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == '"':
			i++
		}
		value.WriteByte(text[i])
	}
	return "", errors.New("the closing quote is missing")
}

func (l *line) namespaces(s *Signer, value string) error {
	if len(value) >= maxPattern {
		return fmt.Errorf("longer than %d bytes", maxPattern)
	}
	s.Namespaces = strings.Split(value, ",")
	if !MatchList(s.Namespaces, attestation.Namespace) {
		l.drop(`the signature of %q does not count: namespaces=%q leaves out %s; write namespaces="%s,%s"`,
			s.Principal, value, attestation.Namespace, value, attestation.Namespace)
	}
	return nil
}

// time reads YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z]. Unlike ssh-keygen it refuses days
// that no month has, where that would take the first days of the next.
func (l *line) time(value string) (time.Time, error) {
	digits, utc := strings.CutSuffix(value, "Z")
	zone := time.UTC
	if !utc {
		zone = l.local
		l.hint("%q is in this machine's time zone; %q means the same everywhere", value, value+"Z")
	}
	layout := "20060102150405"
	switch len(digits) {
	case 8, 12, 14:
		layout = layout[:len(digits)]
	default:
		layout = ""
	}
	t, err := time.ParseInLocation(layout, digits, zone)
	if layout == "" || err != nil || t.Unix() <= 0 {
		return time.Time{}, fmt.Errorf("%q is not a time of the form 20261123Z or 20261123071245Z", value)
	}
	return t.UTC(), nil
}

// AllowedSigner is the signer as a line of an allowed_signers file, without
// what that format cannot say: class, tools, models and compromise.
func (s Signer) AllowedSigner() string {
	principal := s.Principal
	if strings.ContainsAny(principal, " \t") || strings.HasPrefix(principal, "#") {
		principal = `"` + principal + `"`
	}
	var options []string
	add := func(name, value string) {
		options = append(options, name+`="`+strings.ReplaceAll(value, `"`, `\"`)+`"`)
	}
	if len(s.Namespaces) > 0 {
		add("namespaces", strings.Join(s.Namespaces, ","))
	}
	const layout = "20060102150405Z"
	if !s.ValidAfter.IsZero() {
		add("valid-after", s.ValidAfter.UTC().Format(layout))
	}
	if !s.ValidBefore.IsZero() {
		add("valid-before", s.ValidBefore.UTC().Format(layout))
	}
	if len(options) == 0 {
		return principal + " " + s.Key.AuthorizedKey()
	}
	return principal + " " + strings.Join(options, ",") + " " + s.Key.AuthorizedKey()
}
