package attestation

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// MaxValue is the length in bytes of the longest value of an AI-* trailer.
const MaxValue = 2048

// An Attestation is the value of one AI-Attestation trailer.
type Attestation struct {
	Key    string            // fingerprint of the signing key, "SHA256:…"
	Time   time.Time         // of signing, in UTC and whole seconds
	Bind   provenance.Digest // over the trees of the parents and the commit
	Change provenance.Digest // over what the commit changed
	Extra  []string          // fields between change and sig, as written
	Scheme Scheme
	Sig    []byte // SSHSIG: the whole signature blob; DSSE: the raw signature
}

// A Scheme says how the signature of an attestation is made.
type Scheme string

// The schemes of version v1.
const (
	SSHSIG Scheme = "sshsig"
	DSSE   Scheme = "dsse"
)

// A MalformedError reports a value, or a signature blob inside of one, that is
// not in the one form this package writes.
type MalformedError struct {
	Value  string // what was read
	Offset int    // of the byte in Value where it went wrong; in a signature blob, of that blob
	Reason string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("attestation, byte %d: %s", e.Offset, e.Reason)
}

const timeLayout = "2006-01-02T15:04:05Z"

// Parse reads the value of an AI-Attestation trailer. It does not look into the
// signature: KeyBlob and Verify do. Errors are *MalformedError.
func Parse(value string) (Attestation, error) {
	p := parser{value: value}
	a, err := p.attestation()
	if err != nil {
		return Attestation{}, err
	}
	return a, nil
}

// String is the trailer value. For an attestation that Parse gave it is the text
// that Parse was given.
func (a Attestation) String() string {
	b := a.appendClaim(make([]byte, 0, 512))
	b = append(b, " sig="...)
	b = append(b, a.Scheme...)
	b = append(b, ':')
	return string(base64.StdEncoding.AppendEncode(b, a.Sig))
}

// traceField opens the field of a trace.
const traceField = "trace="

// WithTrace is the attestation with the name of a trace, before it is signed; see package
// record for what a trace tells.
func (a Attestation) WithTrace(d provenance.Digest) Attestation {
	a.Extra = append([]string{traceField + d.String()}, a.Extra...)
	return a
}

// Trace is the name of the trace that the attestation stands for; false when it names
// none.
func (a Attestation) Trace() (provenance.Digest, bool) {
	if len(a.Extra) == 0 {
		return provenance.Digest{}, false
	}
	text, ok := strings.CutPrefix(a.Extra[0], traceField)
	if !ok {
		return provenance.Digest{}, false
	}
	d, err := provenance.ParseDigest(text)
	return d, err == nil
}

// appendClaim writes the value up to " sig=".
func (a Attestation) appendClaim(b []byte) []byte {
	b = append(b, "v1 key="...)
	b = append(b, a.Key...)
	b = append(b, " time="...)
	b = a.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, " bind="...)
	b = base64.RawURLEncoding.AppendEncode(b, a.Bind[:])
	b = append(b, " change="...)
	b = base64.RawURLEncoding.AppendEncode(b, a.Change[:])
	for _, field := range a.Extra {
		b = append(b, ' ')
		b = append(b, field...)
	}
	return b
}

// parser walks over the fields of a value. start is the offset of the current field.
type parser struct {
	value       string
	start, next int
}

func (p *parser) attestation() (a Attestation, err error) {
	if err := checkText(p.value); err != nil {
		return a, err
	}
	if err := p.version(); err != nil {
		return a, err
	}
	if a.Key, err = p.key(); err != nil {
		return a, err
	}
	if a.Time, err = p.time(); err != nil {
		return a, err
	}
	if a.Bind, err = p.digest("bind"); err != nil {
		return a, err
	}
	if a.Change, err = p.digest("change"); err != nil {
		return a, err
	}
	if a.Extra, err = p.extra(); err != nil {
		return a, err
	}
	a.Scheme, a.Sig, err = p.sig()
	return a, err
}

// checkText refuses what no value of an AI-* trailer may hold. What it accepts
// needs no escape in JSON.
func checkText(value string) error {
	if len(value) > MaxValue {
		return &MalformedError{value, MaxValue, fmt.Sprintf("%d bytes, at most %d", len(value), MaxValue)}
	}
	for i := range len(value) {
		if !allowed(value[i]) {
			return &MalformedError{value, i, fmt.Sprintf("character %q is not allowed", value[i])}
		}
		if value[i] == ' ' && (i == 0 || i == len(value)-1 || value[i-1] == ' ') {
			return &MalformedError{value, i, "only single spaces between fields"}
		}
	}
	if value == "" {
		return &MalformedError{value, 0, "the value is empty"}
	}
	return nil
}

// allowed reports whether c is in [A-Za-z0-9._:/@+,=%-] or a space.
func allowed(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '+' <= c && c <= ':': // + , - . / 0-9 :
		return true
	}
	return c == ' ' || c == '_' || c == '@' || c == '=' || c == '%'
}

// field moves to the next field, which is "" at the end of the value.
func (p *parser) field() string {
	p.start = p.next
	if p.start >= len(p.value) {
		p.start = len(p.value)
		return ""
	}
	end := strings.IndexByte(p.value[p.start:], ' ')
	if end < 0 {
		p.next = len(p.value)
		return p.value[p.start:]
	}
	p.next = p.start + end + 1
	return p.value[p.start : p.start+end]
}

func (p *parser) malformed(format string, args ...any) error {
	return &MalformedError{p.value, p.start, fmt.Sprintf(format, args...)}
}

// named moves to the next field and returns the value of it, which must be called name.
func (p *parser) named(name string) (string, error) {
	field := p.field()
	value, ok := strings.CutPrefix(field, name+"=")
	if !ok {
		return "", p.malformed("want %s=…, got %q", name, shorten(field))
	}
	return value, nil
}

func (p *parser) version() error {
	switch field := p.field(); {
	case field == "v1":
		return nil
	case len(field) > 1 && field[0] == 'v' && strings.Trim(field[1:], "0123456789") == "":
		return p.malformed("version %s is not one that this gatekeeper reads; a newer one may", shorten(field))
	default:
		return p.malformed("want the version v1, got %q", shorten(field))
	}
}

func (p *parser) key() (string, error) {
	key, err := p.named("key")
	if err != nil {
		return "", err
	}
	sum, ok := strings.CutPrefix(key, "SHA256:")
	raw, err := base64.RawStdEncoding.Strict().DecodeString(sum)
	if !ok || err != nil || len(raw) != len(provenance.Digest{}) {
		return "", p.malformed("key %q is not SHA256: and 43 characters of base64", shorten(key))
	}
	return key, nil
}

func (p *parser) time() (time.Time, error) {
	text, err := p.named("time")
	if err != nil {
		return time.Time{}, err
	}
	// time.Parse takes a fraction that the layout does not show; formatting again finds it.
	t, err := time.Parse(timeLayout, text)
	if err != nil || t.Format(timeLayout) != text {
		return time.Time{}, p.malformed("time %q is not of the form 2026-11-23T07:12:45Z", shorten(text))
	}
	if !saneTime(t) {
		return time.Time{}, p.malformed("time %s: the year is not between 2000 and 2999", text)
	}
	return t, nil
}

func saneTime(t time.Time) bool { return 2000 <= t.Year() && t.Year() <= 2999 }

func (p *parser) digest(name string) (provenance.Digest, error) {
	text, err := p.named(name)
	if err != nil {
		return provenance.Digest{}, err
	}
	d, err := provenance.ParseDigest(text)
	if err != nil {
		return d, p.malformed("%s: %q is not 43 characters of unpadded base64url", name, shorten(text))
	}
	return d, nil
}

// extra reads the fields up to sig, and leaves the parser in front of it.
func (p *parser) extra() ([]string, error) {
	var fields []string
	var names []string
	for !strings.HasPrefix(p.value[p.next:], "sig=") && p.next < len(p.value) {
		field := p.field()
		name, value, _ := strings.Cut(field, "=")
		if err := p.checkExtra(names, name, value); err != nil {
			return nil, err
		}
		fields, names = append(fields, field), append(names, name)
	}
	return fields, nil
}

func (p *parser) checkExtra(before []string, name, value string) error {
	if !isName(name) || value == "" {
		return p.malformed("%q is not of the form name=value", shorten(p.value[p.start:]))
	}
	switch name {
	case "key", "time", "bind", "change", "v1":
		return p.malformed("field %s stands in the wrong place", name)
	case "trace":
		if len(before) > 0 {
			return p.malformed("field trace stands in the wrong place: right after change")
		}
	case "deleg":
		if len(before) > 1 || len(before) == 1 && before[0] != "trace" {
			return p.malformed("field deleg stands in the wrong place: before fields of later versions")
		}
	}
	for _, other := range before {
		if other == name {
			return p.malformed("field %s stands twice", name)
		}
	}
	return nil
}

func isName(s string) bool {
	for i := range len(s) {
		lower := 'a' <= s[i] && s[i] <= 'z'
		inner := '0' <= s[i] && s[i] <= '9' || s[i] == '-'
		if !lower && (i == 0 || !inner) {
			return false
		}
	}
	return s != ""
}

func (p *parser) sig() (Scheme, []byte, error) {
	text, err := p.named("sig")
	if err != nil {
		return "", nil, err
	}
	name, encoded, _ := strings.Cut(text, ":")
	scheme := Scheme(name)
	if scheme != SSHSIG && scheme != DSSE {
		return "", nil, p.malformed("signature scheme %q is neither sshsig nor dsse", shorten(name))
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(sig) == 0 {
		return "", nil, p.malformed("the signature is not padded standard base64")
	}
	if p.field() != "" {
		return "", nil, p.malformed("sig is not the last field")
	}
	return scheme, sig, nil
}

// shorten keeps what strangers wrote from filling the screen.
func shorten(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
