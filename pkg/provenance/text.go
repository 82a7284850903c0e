package provenance

import "fmt"

// MalformedError reports text that is not the canonical form of what it should be.
type MalformedError struct {
	Value  string // the offending value, as written
	Reason string // why it was refused
}

func (e *MalformedError) Error() string { return fmt.Sprintf("%q: %s", e.Value, e.Reason) }

// ParseRecord reads one AI-Provenance value that is not `none …`.
func ParseRecord(value string) (Record, error) { return Record{}, nil }

// String writes the value of one AI-Provenance trailer.
func (r Record) String() string { return "" }

// AssistedBy is the value of the public trailer in a style: "assisted-by", "kernel" or "none".
func (r Record) AssistedBy(style string) string { return "" }

// Parse reads all AI-Provenance values of one commit.
func Parse(values []string) (Provenance, error) { return Provenance{}, nil }

// Values writes all AI-Provenance values of one commit, byte-sorted.
func (p Provenance) Values() []string { return nil }

// Union joins what several sources say about one commit that adds total lines.
func Union(total int, sets ...Provenance) Provenance { return Provenance{} }

// Escape percent-encodes.
func Escape(s, alsoEscape string) string { return s }

// Unescape undoes Escape.
func Unescape(s string) (string, error) { return s, nil }
