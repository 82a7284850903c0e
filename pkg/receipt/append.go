package receipt

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

const (
	readOnly = os.O_RDONLY
	toAppend = os.O_RDWR | os.O_CREATE
)

// Bounds of lines.
const (
	idsInLine   = 256      // ids of commits
	saidInLine  = 1 << 10  // statements, and those of one commit
	refsInLine  = 64 << 10 // bytes of refs, and one ref
	openRulings = 16       // commits lines begun at once
	maxText     = 1 << 10  // bytes of a reason or detail
)

// A Draft is the receipt of one push under way. What it is told waits in memory, or in
// a file without a name. One goroutine uses it.
type Draft struct {
	log     *Log
	spool   spool
	open    []*group // in the order in which they were begun
	commits int64
	mark    mark
}

// A group is a commits line that is not full yet.
type group struct {
	ref        string
	ruling     Ruling
	ids        []change.ID
	statements []StatementID
}

func (g *group) body() *Commits {
	return &Commits{Ref: g.ref, Ruling: g.ruling, IDs: g.ids, Statements: g.statements}
}

type mark struct{ size, commits int64 }

// Begin opens the receipt of a push. An error says that none could be written.
func (l *Log) Begin() (*Draft, error) {
	if err := l.volume.Make(); err != nil {
		return nil, fmt.Errorf("make the directory of receipts: %w", err)
	}
	f, err := l.volume.Open(lockFile, toAppend)
	if err != nil {
		return nil, fmt.Errorf("open receipts: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open receipts: %w", err)
	}
	return &Draft{log: l, spool: spool{volume: l.volume}}, nil
}

// Close lets go of a draft, decided or not.
func (d *Draft) Close() error { return d.spool.close() }

// Commit notes what a commit came to on its way to a ref, and the statements about it
// whose signatures are valid.
func (d *Draft) Commit(ref string, id change.ID, r Ruling, statements ...provenance.Digest) error {
	d.commits++
	g := d.group(ref, r)
	if g == nil {
		if len(d.open) == openRulings {
			if err := d.flush(); err != nil {
				return err
			}
		}
		g = &group{ref: ref, ruling: r, ids: make([]change.ID, 0, 8)}
		d.open = append(d.open, g)
	}
	g.ids = append(g.ids, id)
	for _, s := range statements {
		g.statements = append(g.statements, idOf(s))
	}
	if len(g.ids) < idsInLine && len(g.statements) < saidInLine {
		return nil
	}
	d.open = slices.DeleteFunc(d.open, func(o *group) bool { return o == g })
	return d.put(TypeCommits, g.body())
}

func (d *Draft) group(ref string, r Ruling) *group {
	for _, g := range slices.Backward(d.open) {
		if g.ref == ref && g.ruling.same(r) {
			return g
		}
	}
	return nil
}

func (r Ruling) same(o Ruling) bool {
	return r.Verdict == o.Verdict && r.Evidence == o.Evidence && r.Binding == o.Binding &&
		r.Beside == o.Beside && r.Made == o.Made && slices.Equal(r.Rules, o.Rules)
}

// Mark remembers how much was noted, for Back.
func (d *Draft) Mark() error {
	if err := d.flush(); err != nil {
		return err
	}
	d.mark = mark{d.spool.size(), d.commits}
	return nil
}

// Back forgets what was noted since Mark.
func (d *Draft) Back() {
	d.open = nil
	d.spool.cut(d.mark.size)
	d.commits = d.mark.commits
}

func (d *Draft) flush() error {
	for _, g := range d.open {
		if err := d.put(TypeCommits, g.body()); err != nil {
			return err
		}
	}
	d.open = nil
	return nil
}

// put spools a line, without the header that says its place: its type, and the rest.
func (d *Draft) put(kind string, body Body) error {
	if err := d.spool.write(append([]byte(kind), encodeBody(body)...)); err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	return nil
}

// Decide writes the receipt: what the draft was told, and the decision, which it
// completes; signed by key unless that is nil. When it returns without an error, the
// receipt is on the disk; with one, there is none.
func (d *Draft) Decide(ctx context.Context, decision Decision, key attestation.Signer) (Head, error) {
	decision.bound()
	decision.Commits, decision.Signed = d.commits, key != nil
	if err := d.flush(); err != nil {
		return Head{}, err
	}
	var err error
	if decision.Refs, err = d.spill(decision.Refs); err != nil {
		return Head{}, err
	}
	head, err := d.log.add(ctx, func(w *writer, e ending) error {
		if err := w.copy(d.spool.reader()); err != nil {
			return err
		}
		decision.Time = e.notBefore(decision.Time)
		decision.Cut, decision.unit = e.beyond, w.unit()
		if err := w.line(TypeDecision, encodeBody(&decision)); err != nil {
			return err
		}
		if key == nil {
			return nil
		}
		signature, err := sign(ctx, key, w.chain)
		if err != nil {
			return err
		}
		return w.line(TypeSignature, encodeBody(signature))
	})
	head.Time = decision.Time
	return head, err
}

// spill puts refs into lines of their own, but for those that fit into the last line.
func (d *Draft) spill(refs []Ref) ([]Ref, error) {
	size, from := 0, 0
	for i, r := range refs {
		if size > refsInLine {
			if err := d.put(TypeRefs, &Refs{Refs: refs[from:i]}); err != nil {
				return nil, err
			}
			size, from = 0, i
		}
		size += len(r.encode())
	}
	return refs[from:], nil
}

// bound shortens what strangers may have made long.
func (d *Decision) bound() {
	d.Time = d.Time.UTC().Truncate(time.Second)
	d.Override, d.Reason = clip(d.Override), clip(d.Reason)
	if d.Pusher != nil {
		d.Pusher = &Pusher{Source: clip(d.Pusher.Source), Name: clip(d.Pusher.Name), Key: clip(d.Pusher.Key)}
	}
	d.Findings = clipped(d.Findings)
	d.Changes = slices.Clone(d.Changes[:min(len(d.Changes), MaxChanges)])
	for i := range d.Changes {
		d.Changes[i].Said = clip(d.Changes[i].Said)
	}
	d.Refs = slices.Clone(d.Refs)
	for i := range d.Refs {
		d.Refs[i].Findings = clipped(d.Refs[i].Findings)
	}
}

func clipped(findings []Finding) []Finding {
	findings = slices.Clone(findings[:min(len(findings), 16)])
	for i, f := range findings {
		findings[i] = Finding{Rule: clip(f.Rule), Detail: clip(f.Detail)}
	}
	return findings
}

func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Finish writes which ref updates of a push happened, all fields of which but the
// first three are ignored. It returns the seq of the decision that they belong to, the
// latest one that names them all and has no outcome yet, 0 when there is none.
func (l *Log) Finish(ctx context.Context, now time.Time, happened []Ref) (decision int64, err error) {
	d, err := l.Begin()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	outcome := Outcome{Time: now.UTC().Truncate(time.Second)}
	_, err = l.add(ctx, func(w *writer, e ending) error {
		decided, of, err := l.decisionOf(e, happened)
		if err != nil {
			return err
		}
		outcome.Time = e.notBefore(outcome.Time)
		outcome.Decision, decision = decided, decided
		outcome.All = decided != 0 && of == len(happened)
		if !outcome.All {
			if outcome.Refs, err = d.spill(bare(happened)); err != nil {
				return err
			}
		}
		if err := w.copy(d.spool.reader()); err != nil {
			return err
		}
		outcome.unit = w.unit()
		return w.line(TypeOutcome, encodeBody(&outcome))
	})
	return decision, err
}

// notBefore is a time, or that of the last receipt where a clock was set back.
func (e ending) notBefore(t time.Time) time.Time {
	if t.Before(e.Time) {
		return e.Time
	}
	return t
}

func bare(refs []Ref) []Ref {
	list := make([]Ref, len(refs))
	for i, r := range refs {
		list[i] = Ref{Name: r.Name, Old: r.Old, New: r.New}
	}
	return list
}

// add writes a unit at the end, under the lock, and makes it last.
func (l *Log) add(ctx context.Context, write func(*writer, ending) error) (Head, error) {
	unlock, err := l.volume.Lock(ctx, false)
	if err != nil {
		return Head{}, fmt.Errorf("write the receipt: %w", err)
	}
	defer unlock()
	e, err := l.end()
	if err != nil {
		return Head{}, err
	}
	head, err := l.addAt(e, write)
	return head, wrap("write the receipt", err)
}

func (l *Log) addAt(e ending, write func(*writer, ending) error) (Head, error) {
	if e.beyond > 0 {
		if err := l.cut(e); err != nil {
			return Head{}, err
		}
	}
	n, offset := max(e.newest, 1), e.restart
	if offset > l.maxFile() {
		n, offset = n+1, 0
	}
	f, err := l.volume.Open(fileName(n), toAppend)
	if err != nil {
		return Head{}, err
	}
	w := &writer{file: f, offset: offset, chain: chain{e.Seq, e.Hash}, start: offset}
	err = write(w, e)
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil && offset == 0 {
		err = l.volume.Sync()
	}
	if err != nil { // nobody will be told of it; what cannot be taken away here, the next one takes away
		return Head{}, errors.Join(err, f.Truncate(offset), f.Close())
	}
	f.Close() // what was synced is there whatever this says
	return Head{Seq: w.seq, Hash: w.hash}, nil
}

// cut takes away what a writer left that died.
func (l *Log) cut(e ending) error {
	f, err := l.volume.Open(fileName(e.newest), toAppend)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(e.restart), f.Close())
}

// A writer chains lines and writes them, some at a time.
type writer struct {
	chain
	file   file
	start  int64 // of the unit
	offset int64 // of what waits
	lines  int64
	buf    []byte
}

func (w *writer) unit() unit { return unit{w.lines, w.offset + int64(len(w.buf)) - w.start} }

// line writes a line, of which rest is all behind the header.
func (w *writer) line(kind string, rest []byte) error {
	from := len(w.buf)
	w.buf = append(append(w.buf, header(w.seq+1, w.hash, kind)...), rest...)
	line := w.buf[from:]
	if len(line) > MaxLine {
		return fmt.Errorf("a line of %d bytes is too long for a receipt", len(line))
	}
	w.seq, w.hash, w.lines = w.seq+1, sha256.Sum256(line), w.lines+1
	if len(w.buf) < spoolMemory {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	n, err := w.file.WriteAt(w.buf, w.offset)
	w.offset += int64(n)
	w.buf = w.buf[:0]
	return err
}

// copy writes the lines of a spool.
func (w *writer) copy(spooled io.Reader) error {
	lines := bufio.NewReaderSize(spooled, readAhead)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what was spooled: %w", err)
		}
		end := bytes.IndexAny(line, ",}")
		if err := w.line(string(line[:end]), line[end:]); err != nil {
			return err
		}
	}
}
