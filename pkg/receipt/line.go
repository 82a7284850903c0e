package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Schema names the version of a line's form.
const Schema = "gatekeeper/receipt/v1"

// MaxLine bounds a line, in bytes and with its LF. What is written stays far below.
const MaxLine = 1 << 20

const timeLayout = "2006-01-02T15:04:05Z"

// A Hash is the SHA-256 of a line, its LF included. That before the first line is zero.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Types of lines.
const (
	TypeCommits   = "commits"
	TypeRefs      = "refs"
	TypeDecision  = "decision"
	TypeOutcome   = "outcome"
	TypeSignature = "signature"
)

// A Line is one line of the receipts.
type Line struct {
	Place
	Seq  int64 // 1 for the first line of all
	Prev Hash
	Hash Hash
	Type string
	Raw  []byte // as it stands in the file, with its LF
	Body Body   // *Commits, *Refs, *Decision, *Outcome or *Signature
}

// A Place says where a line stands.
type Place struct {
	File   string // its name in the directory of the receipts
	Number int    // 1 for the first line of the file
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Number) }

// A Body is what a line says beside its place in the chain.
type Body interface {
	kind() string
	append(o *builder)
}

// Commits are commits judged for one ref that came to the same.
type Commits struct {
	Ref string
	Ruling
	IDs        []change.ID
	Statements []StatementID // about them, under valid signatures; in no order
	Extra      []Field
}

// A Ruling is what a commit came to.
type Ruling struct {
	Verdict  string
	Evidence string
	Binding  string   // "" when nothing binds
	Rules    []string // of the findings
	Beside   bool     // by a record beside the commit
	Made     bool     // by those that the platform made it of
}

// Refs are more refs than fit into the decision or outcome that follows.
type Refs struct {
	Refs  []Ref
	Extra []Field
}

// A Decision is the verdict on one push.
type Decision struct {
	Time     time.Time // of receipt, in UTC and whole seconds
	Pusher   *Pusher   // nil when nobody said
	Override string    // the reason that the pusher gave for an override, "" for none
	Policy   string    // digest of the policy, "" when there was none
	Verdict  string    // accepted | warned | refused | unchecked
	Reason   string    // why it was unchecked
	Findings []Finding // about the push as a whole
	Refs     []Ref     // when read through Decisions, those of the lines before, too
	Omitted  int64     // refs of the push that are left out, because there were too many to judge
	Changes  []RefusedChange
	Commits  int64 // ids in the lines before
	unit
	Cut    int64 // bytes of a receipt that was never finished, taken away before this one
	Signed bool  // a signature follows, without which the decision does not count
	Extra  []Field
}

// Verdicts on a push. Only what was accepted or warned can happen.
const (
	Accepted  = "accepted"
	Warned    = "warned"
	Refused   = "refused"
	Unchecked = "unchecked" // it could not be judged
)

// unit says what stands before the line that ends a unit.
type unit struct {
	Lines int64
	Bytes int64
}

// A Pusher is who pushed, as the platform names them.
type Pusher struct {
	Source string // what names them: "gitlab", "certificate"
	Name   string
	Key    string // of a push certificate, "SHA256:…"
	Extra  []Field
}

// A Ref is one ref of a push. An outcome has but its first three fields.
type Ref struct {
	Name     string
	Old, New change.ID
	Target   string // what the ref points at, when it is a symbolic one
	Baseline bool   // the old value is one of the baseline's commits
	Mode     string
	Evidence string // what the rule asks for
	Via      string
	Binding  string
	Models   string // policy.Rule.Models of the rule
	Verdict  string
	Judged   int64 // commits; those of refs judged together are counted and listed with the first
	Faulty   int64
	Findings []Finding // about the ref itself
	Extra    []Field
}

// A Finding is a rule that spoke, and why.
type Finding struct {
	Rule   string
	Detail string
	Extra  []Field
}

// An Outcome says which ref updates of a decision happened.
type Outcome struct {
	Time     time.Time
	Decision int64 // the seq of its line; 0 when none was found
	All      bool  // all of the decision's refs; then Refs is empty
	Refs     []Ref
	unit
	Extra []Field
}

// A Signature is the server's, over the decision in the line before.
type Signature struct {
	Of     int64 // the seq of the decision
	Key    attestation.PublicKey
	Scheme attestation.Scheme
	Sig    []byte
	Extra  []Field
}

func (*Commits) kind() string   { return TypeCommits }
func (*Refs) kind() string      { return TypeRefs }
func (*Decision) kind() string  { return TypeDecision }
func (*Outcome) kind() string   { return TypeOutcome }
func (*Signature) kind() string { return TypeSignature }

// header is what every line begins with, these fields in this order and form, so
// that the chain can be followed without reading the rest.
func header(seq int64, prev Hash, kind string) []byte {
	b := append(make([]byte, 0, 160), `{"schema":"`+Schema+`","seq":`...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, `,"prev":"`...)
	b = hex.AppendEncode(b, prev[:])
	return append(b, `","type":"`+kind+`"`...)
}

// encodeBody writes all of a line behind its header.
func encodeBody(body Body) []byte {
	b := JSON(body)
	b[0] = ',' // no body is empty
	return append(b, '\n')
}

// JSON is what a line says behind its header, as an object.
func JSON(body Body) json.RawMessage {
	o := &builder{}
	body.append(o)
	return o.end()
}

// parseHeader reads the header of a line, with its LF, and returns what stands behind it.
func parseHeader(line []byte) (l Line, rest []byte, err error) {
	malformed := errors.New("it does not begin as a line of " + Schema)
	rest, ok := bytes.CutPrefix(line, []byte(`{"schema":"`+Schema+`","seq":`))
	digits, rest, ok2 := bytes.Cut(rest, []byte(`,"prev":"`))
	if !ok || !ok2 || len(rest) < 2*sha256.Size || line[len(line)-1] != '\n' {
		return l, nil, malformed
	}
	l.Seq, err = strconv.ParseInt(string(digits), 10, 64)
	if err != nil || l.Seq < 1 || strconv.FormatInt(l.Seq, 10) != string(digits) {
		return l, nil, malformed
	}
	prev := rest[:2*sha256.Size]
	if _, err := hex.Decode(l.Prev[:], prev); err != nil || !bytes.Equal(prev, bytes.ToLower(prev)) {
		return l, nil, malformed
	}
	rest, ok = bytes.CutPrefix(rest[len(prev):], []byte(`","type":"`))
	kind, rest, ok2 := bytes.Cut(rest, []byte(`"`))
	if !ok || !ok2 || len(rest) < 2 || rest[0] != ',' && rest[0] != '}' {
		return l, nil, malformed
	}
	l.Type, l.Raw, l.Hash = string(kind), line, sha256.Sum256(line)
	return l, rest, nil
}

// decode reads a line, which ends in LF. Fields that it does not know are kept; one
// that comes twice, is missing or has another type is an error.
func decode(line []byte) (Line, error) {
	l, rest, err := parseHeader(line)
	if err != nil {
		return l, err
	}
	l.Body, err = decodeBody(l.Type, rest)
	return l, err
}

func decodeBody(kind string, rest []byte) (Body, error) {
	if !utf8.Valid(rest) {
		return nil, errors.New("it is not UTF-8")
	}
	o := parseObject(append([]byte("{"), bytes.TrimPrefix(rest, []byte(","))...))
	for _, name := range []string{"schema", "seq", "prev", "type"} {
		if o.take(name) != nil {
			o.fail(name, "comes twice")
		}
	}
	var body Body
	switch kind {
	case TypeCommits:
		body = readCommits(o)
	case TypeRefs:
		body = &Refs{Refs: readRefs(o), Extra: o.rest()}
	case TypeDecision:
		body = readDecision(o)
	case TypeOutcome:
		body = readOutcome(o)
	case TypeSignature:
		body = readSignature(o)
	default:
		return nil, fmt.Errorf("lines of type %.40q are not known here; a newer gatekeeper may have written it", kind)
	}
	return body, o.err
}

func (c *Commits) append(o *builder) {
	o.text("ref", escapeName(c.Ref))
	c.Ruling.append(o)
	o.list("ids", len(c.IDs), func(b []byte, i int) []byte {
		return append(hex.AppendEncode(append(b, '"'), []byte(c.IDs[i])), '"')
	})
	if len(c.Statements) > 0 {
		o.list("statements", len(c.Statements), func(b []byte, i int) []byte {
			return append(base64.RawURLEncoding.AppendEncode(append(b, '"'), c.Statements[i][:]), '"')
		})
	}
	o.extra(c.Extra)
}

func (r Ruling) append(o *builder) {
	o.text("verdict", r.Verdict)
	o.text("evidence", r.Evidence)
	if r.Binding == "" {
		o.raw("binding", []byte("null"))
	} else {
		o.text("binding", r.Binding)
	}
	if len(r.Rules) > 0 {
		o.list("rules", len(r.Rules), func(b []byte, i int) []byte { return appendQuoted(b, r.Rules[i]) })
	}
	o.flag("beside", r.Beside)
	o.flag("made", r.Made)
}

func readCommits(o *object) *Commits {
	c := &Commits{Ref: o.refName("ref")}
	c.Verdict, c.Evidence, c.Binding = o.text("verdict"), o.text("evidence"), o.orNull("binding")
	c.Rules, c.Beside, c.Made = o.words("rules"), o.flag("beside"), o.flag("made")
	for _, hex := range o.mustWords("ids") {
		id, err := change.ParseID(hex)
		if err != nil || id == "" {
			o.fail("ids", "has %.80q, which is not the id of a commit", hex)
			break
		}
		c.IDs = append(c.IDs, id)
	}
	for _, text := range o.words("statements") {
		s, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || len(s) != len(StatementID{}) {
			o.fail("statements", "has %.80q, which is not the id of a statement", text)
			break
		}
		c.Statements = append(c.Statements, StatementID(s))
	}
	c.Extra = o.rest()
	return c
}

func (r *Refs) append(o *builder) {
	appendRefs(o, r.Refs)
	o.extra(r.Extra)
}

func appendRefs(o *builder, refs []Ref) {
	o.list("refs", len(refs), func(b []byte, i int) []byte { return append(b, refs[i].encode()...) })
}

func (r Ref) encode() []byte {
	o := &builder{}
	o.text("ref", escapeName(r.Name))
	o.id("old", r.Old, r.New)
	o.id("new", r.New, r.Old)
	o.some("target", escapeName(r.Target))
	o.flag("baseline", r.Baseline)
	o.some("mode", r.Mode)
	o.some("evidence", r.Evidence)
	o.some("via", r.Via)
	o.some("binding", r.Binding)
	o.some("models", r.Models)
	if r.Verdict != "" {
		o.text("verdict", r.Verdict)
		o.number("judged", r.Judged)
		o.number("faulty", r.Faulty)
	}
	appendFindings(o, r.Findings)
	o.extra(r.Extra)
	return o.end()
}

func readRefs(o *object) (refs []Ref) {
	for _, raw := range o.list("refs") {
		m := parseObject(raw)
		r := Ref{Name: m.refName("ref"), Old: m.id("old"), New: m.id("new"), Baseline: m.flag("baseline"),
			Mode: m.some("mode"), Evidence: m.some("evidence"), Via: m.some("via"), Binding: m.some("binding"), Models: m.some("models"),
			Verdict: m.some("verdict")}
		if m.has("target") {
			r.Target = m.refName("target")
		}
		if r.Verdict != "" {
			r.Judged, r.Faulty = m.number("judged"), m.number("faulty")
		}
		r.Findings, r.Extra = readFindings(m), m.rest()
		if m.err != nil {
			o.fail("refs", "number %d: %w", len(refs)+1, m.err)
			return nil
		}
		refs = append(refs, r)
	}
	return refs
}

func appendFindings(o *builder, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	o.list("findings", len(findings), func(b []byte, i int) []byte {
		f := &builder{}
		f.text("rule", findings[i].Rule)
		f.text("detail", findings[i].Detail)
		f.extra(findings[i].Extra)
		return append(b, f.end()...)
	})
}

func readFindings(o *object) (findings []Finding) {
	var list []json.RawMessage
	o.may("findings", &list)
	for _, raw := range list {
		m := parseObject(raw)
		f := Finding{Rule: m.text("rule"), Detail: m.text("detail"), Extra: m.rest()}
		if m.err != nil {
			o.fail("findings", "number %d: %w", len(findings)+1, m.err)
			return nil
		}
		findings = append(findings, f)
	}
	return findings
}

func (d *Decision) append(o *builder) {
	o.time("time", d.Time)
	if d.Pusher == nil {
		o.raw("pusher", []byte("null"))
	} else {
		o.raw("pusher", d.Pusher.encode())
	}
	o.some("override", d.Override)
	o.text("policy", d.Policy)
	o.text("verdict", d.Verdict)
	o.some("reason", d.Reason)
	appendFindings(o, d.Findings)
	appendRefs(o, d.Refs)
	o.count("omitted", d.Omitted)
	appendChanges(o, d.Changes)
	o.number("commits", d.Commits)
	d.unit.append(o)
	o.count("cut", d.Cut)
	o.flag("signed", d.Signed)
	o.extra(d.Extra)
}

func readDecision(o *object) *Decision {
	d := &Decision{Time: o.time("time"), Pusher: readPusher(o), Override: o.some("override"), Policy: o.text("policy"),
		Verdict: o.text("verdict"), Reason: o.some("reason"), Findings: readFindings(o), Refs: readRefs(o),
		Omitted: o.count("omitted"), Changes: readChanges(o), Commits: o.number("commits"), unit: readUnit(o), Cut: o.count("cut"), Signed: o.flag("signed")}
	d.Extra = o.rest()
	return d
}

func (u unit) append(o *builder) {
	o.number("lines", u.Lines)
	o.number("bytes", u.Bytes)
}

func readUnit(o *object) unit { return unit{o.number("lines"), o.number("bytes")} }

func (p Pusher) encode() []byte {
	o := &builder{}
	o.text("source", p.Source)
	o.text("name", p.Name)
	o.some("key", p.Key)
	o.extra(p.Extra)
	return o.end()
}

func readPusher(o *object) *Pusher {
	if o.null("pusher") {
		return nil
	}
	var raw json.RawMessage
	if !o.read("pusher", &raw) {
		return nil
	}
	m := parseObject(raw)
	p := &Pusher{Source: m.text("source"), Name: m.text("name"), Key: m.some("key"), Extra: m.rest()}
	if m.err != nil {
		o.fail("pusher", "is wrong: %w", m.err)
	}
	return p
}

func (u *Outcome) append(o *builder) {
	o.time("time", u.Time)
	o.known("decision", u.Decision)
	o.flag("all", u.All)
	if !u.All {
		appendRefs(o, u.Refs)
	}
	u.unit.append(o)
	o.extra(u.Extra)
}

func readOutcome(o *object) *Outcome {
	u := &Outcome{Time: o.time("time"), Decision: o.known("decision"), All: o.flag("all")}
	if !u.All {
		u.Refs = readRefs(o)
	}
	u.unit = readUnit(o)
	u.Extra = o.rest()
	return u
}

func (s *Signature) append(o *builder) {
	o.number("of", s.Of)
	o.text("key", s.Key.AuthorizedKey())
	o.text("scheme", string(s.Scheme))
	o.text("sig", base64.StdEncoding.EncodeToString(s.Sig))
	o.extra(s.Extra)
}

func readSignature(o *object) *Signature {
	s := &Signature{Of: o.number("of")}
	line, scheme, sig := o.text("key"), o.text("scheme"), o.text("sig")
	s.Scheme, s.Extra = attestation.Scheme(scheme), o.rest()
	if o.err != nil {
		return s
	}
	var err error
	if s.Key, err = pubkey.ParseAuthorizedKey(line); err == nil && s.Key.AuthorizedKey() != line {
		err = errors.New("not as ssh-keygen prints it, without a comment")
	}
	if err != nil {
		o.fail("key", "is wrong: %w", err)
	}
	if s.Sig, err = base64.StdEncoding.Strict().DecodeString(sig); err != nil {
		o.fail("sig", "is not base64: %w", err)
	}
	return s
}
