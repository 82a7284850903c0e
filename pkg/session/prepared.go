package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

const preparedFile = "prepared"

const preparedHead = "gatekeeper prepared v1"

// Prepared is what prepare-commit-msg worked out about a commit under way, so
// that no later hook works it out again from an index that has moved on.
type Prepared struct {
	Git  int       // process id of the git that commits, 0 when not known
	Head change.ID // HEAD at that time, zero while the branch is unborn

	Bind, Change provenance.Digest
	Trace        provenance.Digest // of the record.Trace, zero for none
	Values       []string          // of AI-Provenance, as Values writes them
	Added        int               // lines that the commit adds, where they were counted
	Attestation  string            // of AI-Attestation, "" when there is no signature yet
	Unsigned     bool              // there will be none: signing failed, and that was said
	Add, Remove  []trailer.Line    // public trailers to be there, and not to be there
	Declared     []string          // ids of the declarations among Values
	Parts        []string          // what the commits that this one is made of carry, in the form of attestation.Detached

	Buffer   trailer.Buffer // how git will clean the message
	Template string         // the cleaned template that the message began as, "" when there was none
	Lift     bool           // a squash: reserved lines may stand in the body
	Certain  bool           // the parents are known, not guessed
	Lost     bool           // nothing could be worked out or written; post-commit looks at what became of it
	Kept     bool           // moved as somebody signed it: that stays, whatever the message says
}

// String is the text of the file. ParsePrepared reads it back.
func (p Prepared) String() string {
	var b strings.Builder
	put := func(key, value string) { b.WriteString(key + " " + value + "\n") }
	b.WriteString(preparedHead + "\n")
	put("git", strconv.Itoa(p.Git))
	put("head", "x"+p.Head.String())
	put("bind", p.Bind.String())
	put("change", p.Change.String())
	if !p.Trace.IsZero() {
		put("trace", p.Trace.String())
	}
	for _, v := range p.Values {
		put("value", v)
	}
	if p.Added != 0 {
		put("added", strconv.Itoa(p.Added))
	}
	if p.Attestation != "" {
		put("attestation", p.Attestation)
	}
	for _, l := range p.Add {
		put("add", strconv.Quote(l.Key)+" "+strconv.Quote(l.Value))
	}
	for _, l := range p.Remove {
		put("remove", strconv.Quote(l.Key)+" "+strconv.Quote(l.Value))
	}
	for _, id := range p.Declared {
		put("declared", id)
	}
	for _, part := range p.Parts {
		put("part", strconv.Quote(part))
	}
	put("comment", strconv.Quote(p.Buffer.Comment))
	if p.Template != "" {
		put("template", strconv.Quote(p.Template))
	}
	for _, f := range p.flags() {
		if *f.set {
			put("flag", f.name)
		}
	}
	b.WriteString("end\n") // a file cut short is none
	return b.String()
}

type flag struct {
	name string
	set  *bool
}

func (p *Prepared) flags() []flag {
	return []flag{
		{"strip", &p.Buffer.Strip}, {"cut", &p.Buffer.Cut}, {"verbatim", &p.Buffer.Verbatim},
		{"lift", &p.Lift}, {"certain", &p.Certain}, {"unsigned", &p.Unsigned}, {"lost", &p.Lost},
		{"kept", &p.Kept},
	}
}

// ParsePrepared reads the text of the file. It accepts exactly what String writes.
func ParsePrepared(text string) (Prepared, error) {
	rest, ok := strings.CutPrefix(text, preparedHead+"\n")
	rest, whole := strings.CutSuffix(rest, "end\n")
	if !ok || !whole {
		return Prepared{}, errors.New("prepared: not a whole file of this version")
	}
	var p Prepared
	for line := range strings.Lines(rest) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err := p.set(key, value); err != nil {
			return Prepared{}, fmt.Errorf("prepared: %.60q: %w", line, err)
		}
	}
	if p.String() != text {
		return Prepared{}, errors.New("prepared: lines are missing, doubled or out of order")
	}
	return p, nil
}

func (p *Prepared) set(key, value string) (err error) {
	switch key {
	case "git":
		p.Git, err = strconv.Atoi(value)
	case "head":
		p.Head, err = parseHead(value)
	case "trace":
		p.Trace, err = provenance.ParseDigest(value)
	case "bind":
		p.Bind, err = provenance.ParseDigest(value)
	case "change":
		p.Change, err = provenance.ParseDigest(value)
	case "value":
		p.Values = append(p.Values, value)
	case "added":
		p.Added, err = strconv.Atoi(value)
	case "attestation":
		p.Attestation = value
	case "add":
		p.Add, err = appendLine(p.Add, value)
	case "remove":
		p.Remove, err = appendLine(p.Remove, value)
	case "declared":
		p.Declared = append(p.Declared, value)
	case "part":
		err = p.setPart(value)
	case "comment":
		p.Buffer.Comment, err = strconv.Unquote(value)
	case "template":
		p.Template, err = strconv.Unquote(value)
	case "flag":
		err = p.setFlag(value)
	default:
		err = errors.New("unknown key")
	}
	return err
}

func (p *Prepared) setPart(value string) error {
	part, err := strconv.Unquote(value)
	p.Parts = append(p.Parts, part)
	return err
}

func (p *Prepared) setFlag(name string) error {
	for _, f := range p.flags() {
		if f.name == name {
			*f.set = true
			return nil
		}
	}
	return errors.New("unknown flag")
}

// parseHead reads an id after the x that keeps "no commit" from being an empty value.
func parseHead(value string) (change.ID, error) {
	hex, ok := strings.CutPrefix(value, "x")
	if !ok {
		return "", errors.New("want x and an object id")
	}
	if hex == "" {
		return "", nil
	}
	return change.ParseID(hex)
}

func appendLine(lines []trailer.Line, value string) ([]trailer.Line, error) {
	quoted, err := strconv.QuotedPrefix(value)
	if err != nil {
		return nil, err
	}
	key, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, err
	}
	text, err := strconv.Unquote(strings.TrimPrefix(value[len(quoted):], " "))
	if err != nil {
		return nil, err
	}
	return append(lines, trailer.Line{Key: key, Value: text}), nil
}

// Prepared reads what prepare-commit-msg left. Nothing left gives ok false.
func (s *State) Prepared() (p Prepared, ok bool, err error) {
	data, err := s.read(preparedFile)
	if err != nil || data == nil {
		return p, false, err
	}
	p, err = ParsePrepared(string(data))
	return p, err == nil, err
}

// Prepare leaves p for the hooks that follow, in place of what was left before.
func (s *State) Prepare(p Prepared) error {
	if err := s.remove(stampedFile); err != nil {
		return err
	}
	return s.write(preparedFile, p.String())
}

// write replaces a file of the state. Nobody reads while it writes, and a file
// that is not whole is seen as such, so it writes in place. It cuts the file to
// its new length afterwards: ext4 waits for the disk when a file that was cut to
// nothing is closed (ext4(5), auto_da_alloc).
func (s *State) write(name, text string) error {
	f, err := os.OpenFile(s.path(name), os.O_WRONLY|os.O_CREATE, 0o666)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(s.dir, 0o777); err == nil {
			f, err = os.OpenFile(s.path(name), os.O_WRONLY|os.O_CREATE, 0o666)
		}
	}
	if err != nil {
		return fmt.Errorf("keep what was worked out: %w", err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Truncate(int64(len(text))), f.Close())
	if err != nil {
		return fmt.Errorf("keep what was worked out: %w", err)
	}
	return nil
}

// Drop takes away what prepare-commit-msg left.
func (s *State) Drop() error { return errors.Join(s.remove(preparedFile), s.remove(stampedFile)) }

const stampedFile = "stamped"

// Stamped is Prepare for a message that is complete, so that there is nothing
// left to do unless another hook changes it. The file begins with the process id
// of git, which the shim of commit-msg compares with its own parent's to save
// starting anything.
func (s *State) Stamped(p Prepared) error {
	if err := s.remove(preparedFile); err != nil {
		return err
	}
	return s.write(stampedFile, strconv.Itoa(p.Git)+"\n"+p.String())
}

// Stamp reads what Stamped left. It is not taken away after a commit: whether it
// belongs to the one under way, p.Git must tell.
func (s *State) Stamp() (p Prepared, ok bool, err error) {
	data, err := s.read(stampedFile)
	if err != nil || data == nil {
		return p, false, err
	}
	git, text, _ := strings.Cut(string(data), "\n")
	if p, err = ParsePrepared(text); err == nil && git != strconv.Itoa(p.Git) {
		err = errors.New("stamped: two process ids")
	}
	return p, err == nil, err
}
