package policy

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// schema names every key of a policy, by table. A key that is not here is refused.
var schema = map[string][]string{
	"":            {"schema", "defaults", "ref", "model", "alias", "tool", "mcp", "signer", "signers", "baseline", "limits", "override"},
	"defaults":    {"mode", "evidence", "via", "binding", "author", "skew", "grace"},
	"ref":         {"match", "mode", "evidence", "via", "binding"},
	"model":       {"id", "status", "tools", "refs", "paths", "from", "until", "min_class", "reason", "owner"},
	"model.paths": {"deny"},
	"alias":       {"match", "id"},
	"tool":        {"id", "versions", "status"},
	"mcp":         {"server", "url", "command", "tools", "status"},
	"signer":      {"principal", "class", "key", "tools", "models", "valid_after", "valid_before", "compromised_since"},
	"signers":     {"allowed_signers"},
	"baseline":    {"commits"},
	"limits":      {"message", "commits", "refs", "read", "records"},
	"override":    {"principals"},
}

// repeated are the tables written with double brackets.
var repeated = map[string]bool{
	"ref": true, "model": true, "alias": true, "tool": true, "mcp": true, "signer": true, "expect": true,
}

// examples show the value of each key that must be there.
var examples = map[string]string{
	"ref.match": `"refs/heads/**"`, "model.id": `"provider/model"`, "model.status": `"approved" or "denied"`,
	"alias.match": `"claude-4.6-opus*"`, "alias.id": `"anthropic/claude-opus-4-6"`,
	"tool.id": `"claude-code"`, "tool.status": `"approved" or "denied"`,
	"mcp.server": `"github"`, "mcp.status": `"approved" or "denied"`,
	"signer.principal": `"alice@example.com"`, "signer.key": `"ssh-ed25519 AAAA…"`, "signers.allowed_signers": `"allowed_signers"`,
	"baseline.commits": `["<object id>"]`, "override.principals": `["release@example.com"]`,
	"expect.model": `"provider/model"`, "expect.want": `"approved" or "refused"`,
}

const (
	approved = "approved"
	denied   = "denied"
)

// A Note is something to know about a place of a policy.
type Note struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0 when the note is about the whole file
	Key  string `json:"key,omitempty"`
	Text string `json:"text"`
}

func (n Note) String() string {
	s := n.File
	if n.Line > 0 {
		s += fmt.Sprintf(":%d", n.Line)
	}
	if n.Key != "" {
		s += ": " + n.Key
	}
	return s + ": " + n.Text
}

// Parse reads a policy from data. open reads a file that stands beside it, by its
// slash-separated name; it is never asked for a name that leads elsewhere. What
// is wrong with the policy is an *Error or, for several faults, Errors.
func Parse(name string, data []byte, open func(name string) ([]byte, error)) (*Policy, error) {
	d, err := readDocument(name, data, schema)
	if err != nil {
		return nil, err
	}
	if err := d.wantSchema(1); err != nil {
		return nil, err
	}
	top := d.top()
	top.onlyKnown()
	p := &Policy{name: name}
	p.readRules(top)
	p.readModels(top)
	p.readTools(top)
	p.readMCP(top)
	p.readLimits(top)
	p.readBaseline(top)
	p.readOverride(top)
	beside := p.readSigners(top, open)
	if err := d.err(); err != nil {
		return nil, err
	}
	p.signers = trust.NewSet(p.keys)
	p.digest = digestOf(append([][]byte{data}, beside...))
	return p, nil
}

// wantSchema comes before all else: a newer file may well have keys that this
// version does not know, and should not be told that they are wrong.
func (d *document) wantSchema(want int64) error {
	v, ok := d.root["schema"]
	if !ok {
		return &Error{File: d.file, Line: 1, Col: 1, Msg: "no schema is named", Hint: fmt.Sprintf("begin the file with schema = %d", want)}
	}
	at := d.top().valuePlace("schema")
	n, ok := v.(int64)
	switch {
	case !ok:
		return &Error{File: d.file, Line: at.line, Col: at.col, Msg: "schema wants a number, not " + kind(v), Hint: fmt.Sprintf("write schema = %d", want)}
	case n > want:
		return &Error{File: d.file, Line: at.line, Col: at.col, Msg: fmt.Sprintf("schema %d is newer than this gatekeeper", n), Hint: "upgrade gatekeeper"}
	case n < want:
		return &Error{File: d.file, Line: at.line, Col: at.col, Msg: fmt.Sprintf("schema %d was never defined", n), Hint: fmt.Sprintf("write schema = %d", want)}
	}
	return nil
}

func (p *Policy) readRules(top *table) {
	p.defaults = Rule{Match: DefaultMatch, Mode: Enforce, Evidence: Attested, Via: ViaAny, Binding: Change,
		Author: AuthorAny, Skew: 10 * time.Minute, Grace: 336 * time.Hour}
	if t := top.sub("defaults"); t != nil {
		r := &p.defaults
		r.Line = t.line()
		r.read(t)
		r.Author = word(t, "author", authors, r.Author)
		r.Skew = t.duration("skew", r.Skew)
		r.Grace = t.duration("grace", r.Grace)
	}
	for _, t := range top.list("ref") {
		t.need("match")
		e := refEntry{entry: t.entry(), match: t.glob("match", refGlob), rule: p.defaults}
		e.rule.Match, e.rule.Line = e.match.text, t.line()
		e.rule.read(t)
		p.refs = append(p.refs, e)
	}
}

// read takes what [defaults] and [[ref]] share.
func (r *Rule) read(t *table) {
	r.Mode = word(t, "mode", modes, r.Mode)
	r.Evidence = word(t, "evidence", evidences, r.Evidence)
	r.Via = word(t, "via", vias, r.Via)
	r.Binding = word(t, "binding", bindings, r.Binding)
}

func (p *Policy) readModels(top *table) {
	for _, t := range top.list("model") {
		t.need("id", "status")
		m := modelEntry{
			entry: t.entry(), id: t.glob("id", modelGlob), denied: t.denied(),
			tools: t.globs("tools", toolGlob), refs: t.globs("refs", refGlob),
			from: t.date("from"), until: t.date("until"),
			minClass: t.class("min_class"), reason: t.str("reason"), owner: t.str("owner"),
		}
		t.period("from", "until", m.from, m.until)
		if t.m["status"] == denied && t.has("min_class") {
			t.d.fault(t.keyPlace("min_class"), "leave it out", "min_class means nothing where the model is denied")
		}
		if s := t.sub("paths"); s != nil {
			m.deny = s.globs("deny", pathGlob)
			if m.denied {
				p.hints = append(p.hints, t.d.note(t.at.key("paths"), "the model is denied on all paths"))
			}
		}
		m.dead = p.deniedAlready(&m)
		p.models = append(p.models, m)
	}
	for _, t := range top.list("alias") {
		t.need("match", "id")
		a := aliasEntry{entry: t.entry(), match: t.glob("match", anyGlob), id: t.str("id")}
		if a.id != "" {
			if err := canonicalID(a.id); err != nil {
				t.wrong("id", "write one model: provider/model", "%s %v", quote(a.id), err)
			}
		}
		p.aliases = append(p.aliases, a)
	}
}

func (t *table) denied() bool { return word(t, "status", []string{approved, denied}, denied) == denied }

func (t *table) class(key string) trust.Class {
	s := t.str(key)
	if s == "" {
		return trust.Developer
	}
	c, err := trust.ParseClass(s)
	if err != nil {
		hint := "developer < tool < gateway < platform"
		if near := nearest(s, []string{"developer", "tool", "gateway", "platform"}); near != "" {
			hint = didYouMean(near)
		}
		t.wrong(key, hint, "is %s", quote(s))
	}
	return c
}

func (p *Policy) readTools(top *table) {
	for _, t := range top.list("tool") {
		t.need("id", "status")
		e := toolEntry{entry: t.entry(), id: t.glob("id", toolGlob), denied: t.denied()}
		if s := t.str("versions"); s != "" {
			v, err := parseVersions(s)
			if err != nil {
				t.wrong("versions", `bounds parted by commas, as in ">=2.0, <3"`, "%v", err)
			}
			e.versions = v
		}
		p.tools = append(p.tools, e)
	}
}

func (p *Policy) readMCP(top *table) {
	for _, t := range top.list("mcp") {
		t.need("server", "status")
		e := mcpEntry{entry: t.entry(), server: t.glob("server", anyGlob), url: t.str("url"),
			tools: t.globs("tools", anyGlob), denied: t.denied()}
		if e.url != "" && !strings.HasPrefix(e.url, "https://") && !strings.HasPrefix(e.url, "http://") {
			t.wrong("url", "write for instance https://mcp.example.com/github", "%s is not a web address", quote(e.url))
		}
		for _, s := range t.strs("command") {
			e.command = append(e.command, s.string)
		}
		p.mcp = append(p.mcp, e)
	}
}

func (p *Policy) readLimits(top *table) {
	p.limits = Limits{Message: 1 << 20, Commits: 200_000, Refs: 10_000, Read: 4 << 30, Records: 64 << 20}
	if t := top.sub("limits"); t != nil {
		p.limits = Limits{
			Message: t.size("message", p.limits.Message), Commits: t.count("commits", p.limits.Commits),
			Refs: t.count("refs", p.limits.Refs), Read: t.size("read", p.limits.Read),
			Records: t.size("records", p.limits.Records),
		}
	}
}

func (p *Policy) readBaseline(top *table) {
	t := top.sub("baseline")
	if t == nil {
		return
	}
	t.need("commits")
	for _, s := range t.strs("commits") {
		if !objectID(s.string) {
			t.d.fault(s.place, "write all 40 or 64 digits, in lower case: git rev-parse REV", "commits: %s is not an object id", quote(s.string))
			continue
		}
		p.baseline = append(p.baseline, s.string)
	}
}

func objectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

func (p *Policy) readOverride(top *table) {
	t := top.sub("override")
	if t == nil {
		return
	}
	t.need("principals")
	for _, s := range t.strs("principals") {
		p.override = append(p.override, s.string)
	}
}

// readSigners reads [[signer]] and the allowed_signers file, and returns the
// bytes of that file.
//
// A key has one entry: two that differ would let the laxer speak. Where it
// stands in allowed_signers as well, the [[signer]] holds and the line does not
// count, or else nobody could mark a key of that file as compromised.
func (p *Policy) readSigners(top *table, open func(string) ([]byte, error)) (beside [][]byte) {
	lines := map[string]int{}
	for _, t := range top.list("signer") {
		t.need("principal", "key")
		s, ok := t.signer()
		if !ok {
			continue
		}
		id := s.Key.Fingerprint()
		if line, twice := lines[id]; twice {
			t.wrong("key", "a key has one entry: join the two", "stands in line %d already", line)
			continue
		}
		lines[id] = t.line()
		p.keys = append(p.keys, s)
	}
	t := top.sub("signers")
	if t == nil {
		return nil
	}
	t.need("allowed_signers")
	name := t.str("allowed_signers")
	if name == "" {
		return nil
	}
	data, ok := t.beside("allowed_signers", name, open)
	if !ok {
		return nil
	}
	signers, hints, err := trust.ParseAllowedSigners(name, data)
	if err != nil {
		line, msg := cutLine(strings.TrimPrefix(err.Error(), name+":"))
		t.d.faults = append(t.d.faults, &Error{File: name, Line: line, Msg: msg, Hint: "named in " + entryAt(p.name, t.line())})
		return nil
	}
	for _, h := range hints {
		line, msg := cutLine(strings.TrimPrefix(h, "line "))
		p.hints = append(p.hints, Note{File: name, Line: line, Text: msg})
	}
	for _, s := range signers {
		if line, twice := lines[s.Key.Fingerprint()]; twice {
			file, at := splitEntry(s.Source)
			p.hints = append(p.hints, Note{File: file, Line: at, Text: "does not count: the key has a [[signer]] in " + entryAt(p.name, line)})
			continue
		}
		p.keys = append(p.keys, s)
	}
	return [][]byte{data}
}

// cutLine parts "12: text"; the line is 0 when there is none.
func cutLine(s string) (line int, msg string) {
	number, msg, ok := strings.Cut(s, ": ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0, printable(s)
	}
	return n, printable(msg)
}

// signer reads one [[signer]].
func (t *table) signer() (trust.Signer, bool) {
	s := trust.Signer{
		Principal: t.str("principal"), Class: t.class("class"), Source: t.entry(),
		Tools: t.patterns("tools"), Models: t.patterns("models"),
		ValidAfter: t.date("valid_after"), ValidBefore: t.date("valid_before"), CompromisedSince: t.date("compromised_since"),
	}
	t.period("valid_after", "valid_before", s.ValidAfter, s.ValidBefore)
	text := t.text("key")
	if text == "" {
		if t.has("key") {
			t.wrong("key", "paste the public key: gatekeeper key show", "is empty")
		}
		return s, false
	}
	key, err := trust.ParsePublicKey(text)
	if err != nil {
		t.wrong("key", "paste the public key: gatekeeper key show", "does not count: %s", printable(err.Error()))
		return s, false
	}
	s.Key = key
	return s, true
}

// patterns reads a list for package trust; a missing one allows everything.
func (t *table) patterns(key string) []string {
	if !t.has(key) {
		return []string{"*"}
	}
	var list []string
	for _, s := range t.strs(key) {
		list = append(list, s.string)
	}
	return list
}

// beside reads the file that key names.
func (t *table) beside(key, name string, open func(string) ([]byte, error)) ([]byte, bool) {
	switch {
	case !local(name):
		t.wrong(key, "put the file beside the policy and name it plainly", "%s leads out of the policy's directory", quote(name))
		return nil, false
	case open == nil:
		t.wrong(key, "", "%s cannot be read from here", quote(name))
		return nil, false
	}
	data, err := open(name)
	if err != nil {
		t.wrong(key, "put the file beside the policy", "%s cannot be read: %s", quote(name), printable(reason(err)))
		return nil, false
	}
	return data, true
}

// local reports whether a slash-separated name stays in its directory.
func local(name string) bool {
	return !strings.Contains(name, `\`) && !strings.HasPrefix(name, "/") && filepath.IsLocal(name)
}

// reason is err without the path that was named already.
func reason(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

func anyGlob(glob) error { return nil }

func refGlob(g glob) error {
	if i := strings.IndexAny(g.text, " ~^:?[\\"); i >= 0 {
		return &hinted{fmt.Sprintf("has %q, which no ref has in its name", g.text[i]), "only * and ** are special"}
	}
	if !g.begins("refs/") {
		hint := "write the whole name: refs/heads/" + g.text
		if strings.HasPrefix(g.text, "*") {
			hint = "* stops at /; for every ref write **"
		} else if strings.HasPrefix(g.text, "heads/") || strings.HasPrefix(g.text, "tags/") {
			hint = "write the whole name: refs/" + g.text
		}
		return &hinted{"matches no ref: their names begin with refs/", hint}
	}
	return nil
}

func modelGlob(g glob) error {
	switch {
	case strings.HasPrefix(g.text, "/"), strings.HasSuffix(g.text, "/"):
		return &hinted{"lacks a part: an id is provider/model", "write for instance anthropic/claude-sonnet-4-*"}
	case !strings.Contains(g.text, "/") && !strings.Contains(g.text, "**"):
		return &hinted{"matches no model: an id is provider/model", "for every known model write **"}
	}
	return nil
}

func toolGlob(g glob) error {
	if strings.Contains(g.text, "/") {
		return &hinted{"has a /, which no tool has in its name", "versions have a key of their own in [[tool]]"}
	}
	return nil
}

func pathGlob(g glob) error {
	for _, part := range strings.Split(g.text, "/") {
		if part == "" || part == "." || part == ".." {
			return &hinted{"is not a path as git writes it", "write for instance crypto/**"}
		}
	}
	return nil
}

// canonicalID checks the id that an alias leads to.
func canonicalID(id string) error {
	provider, name, ok := strings.Cut(id, "/")
	switch {
	case strings.Contains(id, "*"):
		return errors.New("has a star: an alias leads to one model")
	case !ok || provider == "" || name == "":
		return errors.New("is not provider/model")
	case provider == provenance.Unknown || name == provenance.Unknown:
		return errors.New("leads to what nobody knows")
	}
	return nil
}
