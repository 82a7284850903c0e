package attestation

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// MaxDetached is the largest detached attestation, in bytes.
const MaxDetached = 64 << 10

// A Detached is an attestation that stands beside a commit instead of in its
// message, together with the lines that it signs. Its text form is that of the
// trailers, each line ended by LF:
//
//	AI-Provenance: VALUE      one or more, in their order
//	AI-Attestation: VALUE     one
//
// so that what is signed is rendered from it as it is from a message.
type Detached struct {
	Provenance  []string // values of AI-Provenance
	Attestation Attestation
}

const (
	provenanceLine  = "AI-Provenance: "
	attestationLine = "AI-Attestation: "
)

// String is the text form.
func (d Detached) String() string {
	var b strings.Builder
	for _, v := range d.Provenance {
		b.WriteString(provenanceLine + v + "\n")
	}
	b.WriteString(attestationLine + d.Attestation.String() + "\n")
	return b.String()
}

// ParseDetached reads the text form, and accepts exactly what String writes. It
// believes neither the signature nor that the values are records.
func ParseDetached(data []byte) (d Detached, err error) {
	if len(data) > MaxDetached {
		return d, fmt.Errorf("detached attestation: %d bytes, at most %d", len(data), MaxDetached)
	}
	rest := data
	for {
		value, after, ok := cutLine(rest, provenanceLine)
		if !ok {
			break
		}
		d.Provenance, rest = append(d.Provenance, value), after
	}
	if err := checkValues(d.Provenance); err != nil {
		return Detached{}, fmt.Errorf("detached attestation: %w", err)
	}
	value, rest, ok := cutLine(rest, attestationLine)
	if !ok || len(rest) > 0 {
		return Detached{}, fmt.Errorf("detached attestation: want one %q line after %d %q lines, and nothing else",
			strings.TrimSpace(attestationLine), len(d.Provenance), strings.TrimSpace(provenanceLine))
	}
	if d.Attestation, err = Parse(value); err != nil {
		return Detached{}, fmt.Errorf("detached attestation: %w", err)
	}
	return d, nil
}

// cutLine takes a line that begins with key off the front of data.
func cutLine(data []byte, key string) (value string, rest []byte, ok bool) {
	line, rest, whole := bytes.Cut(data, []byte("\n"))
	text, ok := bytes.CutPrefix(line, []byte(key))
	return string(text), rest, ok && whole
}

// Path is where the attestation is kept in a tree of records:
//
//	att/CHANGE/KEY/SHA256
//
// with the change digest and the SHA-256 of the text form in lower-case
// hexadecimal, and the key as KeyID has it. So it is found by what it is about,
// nobody can put another text in its place, and each key has a folder of its own.
func (d Detached) Path() string {
	sum := sha256.Sum256([]byte(d.String()))
	return ChangeFolder(d.Attestation) + "/" + KeyID(d.Attestation.Key) + "/" + hex.EncodeToString(sum[:])
}

// ChangeFolder is the folder of all attestations about the change of a.
func ChangeFolder(a Attestation) string { return "att/" + hex.EncodeToString(a.Change[:]) }

// KeyID is the name of a key in refs and paths: the first 16 hexadecimal digits of
// the SHA-256 of its public key, in lower case. It takes the fingerprint as Parse
// accepts it, and is "" for any other text.
func KeyID(fingerprint string) string {
	sum, ok := strings.CutPrefix(fingerprint, "SHA256:")
	raw, err := base64.RawStdEncoding.Strict().DecodeString(sum)
	if !ok || err != nil || len(raw) != sha256.Size || base64.RawStdEncoding.EncodeToString(raw) != sum { // line feeds are read over
		return ""
	}
	return hex.EncodeToString(raw[:8])
}
