package provenance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxValue is the longest value of a reserved trailer, in bytes.
const MaxValue = 2048

// maxLines is the largest count of lines, so that every reader's integers hold it.
const maxLines = 1<<31 - 1

// sessionLen is the length of a session id in hex digits.
const sessionLen = 12

// MalformedError reports text that is not the canonical form of what it should be.
type MalformedError struct {
	Value  string // the text, as written
	Reason string // what is wrong with it
}

func (e *MalformedError) Error() string { return fmt.Sprintf("%q: %s", e.Value, e.Reason) }

// CheckValue reports, as a *MalformedError, why s cannot be the value of a
// reserved trailer: 1 to MaxValue bytes of [A-Za-z0-9._:/@+,=%-], in words
// parted by single spaces.
func CheckValue(s string) error {
	switch {
	case s == "":
		return &MalformedError{s, "is empty"}
	case len(s) > MaxValue:
		return &MalformedError{s[:64] + "...", fmt.Sprintf("is longer than %d bytes", MaxValue)}
	case s[0] == ' ' || s[len(s)-1] == ' ' || strings.Contains(s, "  "):
		return &MalformedError{s, "has a space too many"}
	}
	for i := 0; i < len(s); i++ {
		if s[i] != ' ' && !plain(s[i]) {
			return &MalformedError{s, fmt.Sprintf("byte %#02x at %d is not of [A-Za-z0-9._:/@+,=%%-]", s[i], i)}
		}
	}
	return nil
}

// plain reports whether c stands for itself in a value.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '+' <= c && c <= ':': // + , - . / 0-9 :
		return true
	}
	return c == '_' || c == '@' || c == '=' || c == '%'
}

// Escape percent-encodes, in upper-case hex, every byte of s that cannot stand
// in a value, every `%`, and every byte of also.
func Escape(s, also string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain(c) && c != '%' && strings.IndexByte(also, c) < 0 {
			b.WriteByte(c)
			continue
		}
		const hex = "0123456789ABCDEF"
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// Unescape undoes Escape. What Escape would not write is refused, so that one
// name has one spelling.
func Unescape(s, also string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", &MalformedError{s, "ends inside a percent-encoded byte"}
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", &MalformedError{s, "has % without two hex digits"}
		}
		b.WriteByte(byte(c))
		i += 2
	}
	plain := b.String()
	if canonical := Escape(plain, also); canonical != s {
		return "", &MalformedError{s, fmt.Sprintf("is not in canonical form, which is %q", canonical)}
	}
	return plain, nil
}

// String writes the value of one AI-Provenance trailer:
//
//	TOOL/VERSION PROVIDER/MODEL lines=A/T via=V session=S[ mcp=a,b][ key=value…]
//
// MCP servers are put in the byte order of their escaped form, each once. A
// value that ParseRecord would refuse comes only from fields that cannot be
// (a session that is no session id, negative counts, an Extra that is no
// field) or from more than MaxValue bytes.
func (r Record) String() string {
	words := []string{
		pair(r.Tool.Name, r.Tool.Version),
		pair(r.Model.Provider, r.Model.Name),
		"lines=" + r.Lines.String(),
		"via=" + orUnknown(string(r.Via)),
		"session=" + orUnknown(r.Session),
	}
	if mcp := escapeMCP(r.MCP); len(mcp) > 0 {
		words = append(words, "mcp="+strings.Join(mcp, ","))
	}
	return strings.Join(append(words, r.Extra...), " ")
}

// String writes A/T, or unknown/T.
func (l Lines) String() string {
	if !l.Known {
		return Unknown + "/" + strconv.Itoa(l.Total)
	}
	return strconv.Itoa(l.AI) + "/" + strconv.Itoa(l.Total)
}

func pair(first, second string) string {
	return orUnknown(Escape(first, "/")) + "/" + orUnknown(Escape(second, ""))
}

func escapeMCP(names []string) []string {
	var escaped []string
	for _, n := range names {
		if n != "" {
			escaped = append(escaped, Escape(n, ","))
		}
	}
	slices.Sort(escaped)
	return slices.Compact(escaped)
}

// ParseRecord reads one AI-Provenance value that is not `none …`. It accepts
// exactly what String writes: ParseRecord(s).String() is s. Errors are
// *MalformedError.
func ParseRecord(value string) (Record, error) {
	if err := CheckValue(value); err != nil {
		return Record{}, err
	}
	r, reason := parseRecord(strings.Split(value, " "))
	if reason != "" {
		return Record{}, &MalformedError{value, reason}
	}
	return r, nil
}

// parseRecord reads the words of a record, or says why they are none.
func parseRecord(words []string) (r Record, reason string) {
	if len(words) < 5 {
		return r, "want TOOL/VERSION PROVIDER/MODEL lines=A/T via=V session=S"
	}
	if r.Tool.Name, r.Tool.Version, reason = parsePair(words[0], "TOOL/VERSION"); reason != "" {
		return r, reason
	}
	if r.Model.Provider, r.Model.Name, reason = parsePair(words[1], "PROVIDER/MODEL"); reason != "" {
		return r, reason
	}
	if r.Lines, reason = parseLines(words[2]); reason != "" {
		return r, reason
	}
	if r.Via, reason = parseVia(words[3]); reason != "" {
		return r, reason
	}
	if r.Session, reason = parseSession(words[4]); reason != "" {
		return r, reason
	}
	rest := words[5:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "mcp=") {
		if r.MCP, reason = parseMCP(rest[0]); reason != "" {
			return r, reason
		}
		rest = rest[1:]
	}
	r.Extra, reason = parseExtra(rest)
	return r, reason
}

func parsePair(word, form string) (first, second, reason string) {
	a, b, ok := strings.Cut(word, "/")
	if !ok || a == "" || b == "" {
		return "", "", fmt.Sprintf("%q is not %s", word, form)
	}
	first, err := Unescape(a, "/")
	if err == nil {
		second, err = Unescape(b, "")
	}
	if err != nil {
		return "", "", err.Error()
	}
	return unlessUnknown(first), unlessUnknown(second), ""
}

func unlessUnknown(s string) string {
	if s == Unknown {
		return ""
	}
	return s
}

// field takes the value of `key=value`.
func field(word, key string) (value, reason string) {
	value, ok := strings.CutPrefix(word, key+"=")
	if !ok {
		return "", fmt.Sprintf("want %s= where %q stands", key, word)
	}
	return value, ""
}

func parseLines(word string) (l Lines, reason string) {
	v, reason := field(word, "lines")
	if reason != "" {
		return l, reason
	}
	ai, total, ok := strings.Cut(v, "/")
	if !ok {
		return l, fmt.Sprintf("%q is not lines=A/T", word)
	}
	if l.Total, ok = parseCount(total); !ok {
		return l, fmt.Sprintf("%q: the total is not a number up to %d", word, maxLines)
	}
	if ai == Unknown {
		return l, ""
	}
	if l.AI, l.Known = parseCount(ai); !l.Known {
		return l, fmt.Sprintf("%q: want a number up to %d or unknown before the slash", word, maxLines)
	}
	if l.AI > l.Total {
		return l, fmt.Sprintf("%q: more lines than the commit adds", word)
	}
	return l, ""
}

// parseCount reads a decimal number as strconv.Itoa writes it.
func parseCount(s string) (int, bool) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, false
	}
	return int(n), true
}

func parseVia(word string) (v Via, reason string) {
	s, reason := field(word, "via")
	if reason != "" {
		return "", reason
	}
	if v = Via(s); v.strength() < 0 {
		return "", fmt.Sprintf("%q: want hook, process, declared, import or unknown", word)
	}
	return v, ""
}

func parseSession(word string) (session, reason string) {
	s, reason := field(word, "session")
	if reason != "" || s == Unknown {
		return "", reason
	}
	if len(s) != sessionLen || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Sprintf("%q: want %d lower-case hex digits or unknown", word, sessionLen)
	}
	return s, ""
}

func parseMCP(word string) (names []string, reason string) {
	written := strings.Split(strings.TrimPrefix(word, "mcp="), ",")
	for i, w := range written {
		if w == "" {
			return nil, fmt.Sprintf("%q: a server without a name", word)
		}
		if i > 0 && written[i-1] >= w {
			return nil, fmt.Sprintf("%q: servers are not sorted, each once", word)
		}
		name, err := Unescape(w, ",")
		if err != nil {
			return nil, err.Error()
		}
		names = append(names, name)
	}
	return names, ""
}

// parseExtra takes the fields of later versions as they are. Two of one key
// would be read by one reader as the first and by another as the last.
func parseExtra(words []string) (extra []string, reason string) {
	seen := map[string]bool{"lines": true, "via": true, "session": true, "mcp": true}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" || value == "" {
			return nil, fmt.Sprintf("%q is not key=value", w)
		}
		if seen[key] {
			return nil, fmt.Sprintf("%q is out of place or a second %s=", w, key)
		}
		seen[key] = true
		extra = append(extra, w)
	}
	return extra, ""
}

// noneValue is how None is written. It stands alone.
func noneValue(v Via) string { return "none via=" + string(v) }

// Values writes all AI-Provenance values of one commit, byte-sorted.
func (p Provenance) Values() []string {
	if len(p.Records) == 0 {
		if p.None == "" {
			return nil
		}
		return []string{noneValue(p.None)}
	}
	values := make([]string, len(p.Records))
	for i, r := range p.Records {
		values[i] = r.String()
	}
	slices.Sort(values)
	return values
}

// Parse reads all AI-Provenance values of one commit, in the order in which
// they stand there. It accepts exactly what Values writes for records that can
// be true together: sorted, no tool with one version, model and session twice,
// one total, and no more lines altogether than that total; or `none via=hook`
// or `none via=process` alone. Errors are *MalformedError.
//
// No values give the zero Provenance: nothing is said, which is not `none`.
func Parse(values []string) (Provenance, error) {
	if len(values) == 1 {
		for _, v := range []Via{ViaHook, ViaProcess} {
			if values[0] == noneValue(v) {
				return Provenance{None: v}, nil
			}
		}
	}
	var p Provenance
	for i, v := range values {
		if v == "none" || strings.HasPrefix(v, "none ") {
			return Provenance{}, &MalformedError{v, "none stands alone, as none via=hook or none via=process"}
		}
		if i > 0 && values[i-1] >= v {
			return Provenance{}, &MalformedError{v, "records are not sorted, each once"}
		}
		r, err := ParseRecord(v)
		if err != nil {
			return Provenance{}, err
		}
		p.Records = append(p.Records, r)
	}
	if i, reason := contradiction(p.Records); reason != "" {
		return Provenance{}, &MalformedError{values[i], reason}
	}
	return p, nil
}

// contradiction finds the first record that cannot stand beside those before it.
func contradiction(records []Record) (at int, reason string) {
	seen := make(map[identity]bool, len(records))
	var sum int64
	for i, r := range records {
		if seen[r.identity()] {
			return i, "a second record of this tool, version, model and session"
		}
		seen[r.identity()] = true
		if r.Lines.Total != records[0].Lines.Total {
			return i, fmt.Sprintf("one record says that the commit adds %d lines, another %d",
				records[0].Lines.Total, r.Lines.Total)
		}
		if sum += int64(r.Lines.AI); sum > int64(r.Lines.Total) {
			return i, "the records together claim more lines than the commit adds"
		}
	}
	return 0, ""
}

// AssistedBy is the value of the public Assisted-by trailer in a style:
// "assisted-by" gives TOOL:MODEL, or TOOL while the model is unknown; "kernel"
// gives LLM, as the Linux kernel asks; any other style, such as "none", gives
// "", which means no trailer. So does a record that names neither: that nobody knows
// who wrote something is no thanks to an assistant.
func (r Record) AssistedBy(style string) string {
	tool, model := Escape(r.Tool.Name, "/:"), Escape(r.Model.Name, "")
	switch {
	case tool == "" && model == "":
		return ""
	case style == "kernel":
		return "LLM"
	case style != "assisted-by":
		return ""
	case model == "":
		return tool
	}
	return orUnknown(tool) + ":" + model
}
