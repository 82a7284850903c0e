package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A Trace tells which of the lines that a commit adds came from which of its records.
// It counts lines in the order in which the change digest meets them (package change,
// FORMAT.md), so it says the same of every commit with that digest, wherever the lines
// stand there. The attestation of the commit names it, as trace=.
type Trace struct {
	Records []string // the values of AI-Provenance, as the commit carries them
	Files   []TracedFile
}

// A TracedFile is the lines that a commit adds to one file, from top to bottom.
type TracedFile struct {
	Path string
	Runs []Run
}

// A Run is N lines in a row with one source.
type Run struct {
	N      int
	Source int // index of a record, or Nobody or Unknown
}

// Sources of lines besides records.
const (
	Nobody  = -1 // none of the agents that were seen; a person, or what nobody told of
	Unknown = -2 // perhaps an agent's
)

// MaxTrace bounds the text of a trace, in bytes: what a server takes of one record. What
// would be longer is not written.
const MaxTrace = attestation.MaxDetached

const traceHead = "gatekeeper trace v1\n"

// String writes the text form:
//
//	gatekeeper trace v1
//	record VALUE        a line for each, in their order
//	file "PATH"         in byte order of paths; as a string of Go
//	N SOURCE            a line for each run; SOURCE is a record from 0, - or ?
//	end
func (t Trace) String() string {
	b := []byte(t.head())
	for _, f := range t.Files {
		b = append(strconv.AppendQuote(append(b, "file "...), f.Path), '\n')
		for _, r := range f.Runs {
			b = append(append(append(strconv.AppendInt(b, int64(r.N), 10), ' '), sourceText(r.Source)...), '\n')
		}
	}
	return string(append(b, "end\n"...))
}

// head is the text before the first file.
func (t Trace) head() string {
	b := []byte(traceHead)
	for _, r := range t.Records {
		b = append(append(append(b, "record "...), r...), '\n')
	}
	return string(b)
}

func sourceText(source int) string {
	switch source {
	case Nobody:
		return "-"
	case Unknown:
		return "?"
	}
	return strconv.Itoa(source)
}

// Digest names a trace: the SHA-256 of its text.
func (t Trace) Digest() provenance.Digest { return sha256.Sum256([]byte(t.String())) }

// traceFolder is where a ref of records keeps traces.
const traceFolder = "trace/"

// TracePath is where a ref of records keeps the trace with a digest.
func TracePath(d provenance.Digest) string { return traceFolder + hex.EncodeToString(d[:]) }

// Lines counts the lines of the file.
func (f TracedFile) Lines() (n int) {
	for _, r := range f.Runs {
		n += r.N
	}
	return n
}

// At is the source of the n-th of the file's lines, from 0; false beyond the last.
func (f TracedFile) At(n int) (source int, ok bool) {
	for _, r := range f.Runs {
		if n < r.N {
			return r.Source, n >= 0
		}
		n -= r.N
	}
	return 0, false
}

// File finds a file by its path.
func (t Trace) File(path string) (TracedFile, bool) {
	at, ok := slices.BinarySearchFunc(t.Files, path, func(f TracedFile, path string) int { return strings.Compare(f.Path, path) })
	if !ok {
		return TracedFile{}, false
	}
	return t.Files[at], true
}

// Add appends a line to a file's runs.
func (f *TracedFile) Add(source int) {
	if n := len(f.Runs); n > 0 && f.Runs[n-1].Source == source {
		f.Runs[n-1].N++
		return
	}
	f.Runs = append(f.Runs, Run{1, source})
}

var errTrace = errors.New("not a whole trace of this version")

// ParseTrace reads what String writes, and nothing else.
func ParseTrace(text string) (t Trace, err error) {
	if len(text) > MaxTrace {
		return t, fmt.Errorf("parse trace: %d bytes, at most %d", len(text), MaxTrace)
	}
	rest, ok := strings.CutPrefix(text, traceHead)
	rest, whole := strings.CutSuffix(rest, "end\n")
	if !ok || !whole {
		return t, fmt.Errorf("parse trace: %w", errTrace)
	}
	for line := range strings.Lines(rest) {
		if err := t.line(strings.TrimSuffix(line, "\n")); err != nil {
			return Trace{}, fmt.Errorf("parse trace: %.100q: %w", line, err)
		}
	}
	if t.String() != text || !slices.IsSortedFunc(t.Files, func(a, b TracedFile) int { return strings.Compare(a.Path, b.Path) }) {
		return Trace{}, fmt.Errorf("parse trace: %w", errTrace)
	}
	return t, nil
}

func (t *Trace) line(line string) error {
	word, value, _ := strings.Cut(line, " ")
	switch {
	case word == "record" && len(t.Files) == 0:
		if _, err := provenance.ParseRecord(value); err != nil {
			return err
		}
		t.Records = append(t.Records, value)
	case word == "file":
		path, err := strconv.Unquote(value)
		if err != nil || len(t.Files) > 0 && t.Files[len(t.Files)-1].Path >= path {
			return errTrace
		}
		t.Files = append(t.Files, TracedFile{Path: path})
	case len(t.Files) > 0:
		return t.Files[len(t.Files)-1].run(word, value, len(t.Records))
	default:
		return errTrace
	}
	return nil
}

func (f *TracedFile) run(count, source string, records int) error {
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1<<30 {
		return errTrace
	}
	r := Run{N: n}
	switch source {
	case "-":
		r.Source = Nobody
	case "?":
		r.Source = Unknown
	default:
		if r.Source, err = strconv.Atoi(source); err != nil || r.Source < 0 || r.Source >= records {
			return errTrace
		}
	}
	if n := len(f.Runs); n > 0 && f.Runs[n-1].Source == r.Source {
		return errTrace // one run, and not two
	}
	f.Runs = append(f.Runs, r)
	return nil
}

// KeepTrace keeps a trace in the common git directory until it is sent: Grow would
// start a process, for which no commit has the time.
func KeepTrace(commonDir string, t Trace) error { return keepTrace(commonDir, t.String()) }

func keepTrace(commonDir, text string) error {
	name := keptTrace(commonDir, sha256.Sum256([]byte(text)))
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return fmt.Errorf("keep the trace: %w", err)
	}
	if err := repo.WriteFileAtomic(name, []byte(text)); err != nil {
		return fmt.Errorf("keep the trace: %w", err)
	}
	return nil
}

// KeepsTraces reports whether any trace is kept here.
func KeepsTraces(commonDir string) bool {
	entries, err := os.ReadDir(filepath.Dir(keptTrace(commonDir, provenance.Digest{})))
	return err == nil && len(entries) > 0
}

// KeptTrace reads a trace that was kept; nil where there is none.
func KeptTrace(commonDir string, d provenance.Digest) ([]byte, error) {
	data, err := os.ReadFile(keptTrace(commonDir, d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || sha256.Sum256(data) != d {
		return nil, err
	}
	return data, nil
}

// RenumberTrace keeps a copy of a kept trace for a commit that got more records: old are
// those of the trace, of which new has all that lines came from. It names the copy, or is zero where the
// trace is no longer kept, or would become too long.
func RenumberTrace(commonDir string, d provenance.Digest, old, new []string) (copied provenance.Digest, err error) {
	text, err := KeptTrace(commonDir, d)
	if err != nil || text == nil {
		return copied, err
	}
	lines, ok := strings.CutPrefix(string(text), Trace{Records: old}.head())
	if !ok {
		return copied, errTrace
	}
	b := []byte(Trace{Records: new}.head())
	for line := range strings.Lines(lines) {
		count, source, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if n, err := strconv.Atoi(source); err == nil && n < len(old) && count != "file" {
			at := slices.Index(new, old[n])
			if at < 0 {
				return copied, errTrace
			}
			line = count + " " + strconv.Itoa(at) + "\n"
		}
		b = append(b, line...)
	}
	if len(b) > MaxTrace {
		return copied, nil
	}
	return sha256.Sum256(b), keepTrace(commonDir, string(b))
}

// DropTrace forgets a kept trace that was sent.
func DropTrace(commonDir string, d provenance.Digest) error {
	err := os.Remove(keptTrace(commonDir, d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// PruneTraces forgets the traces that were kept before a time. They are of commits that
// were amended or thrown away.
func PruneTraces(commonDir string, before time.Time) error {
	dir := filepath.Dir(keptTrace(commonDir, provenance.Digest{}))
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget old traces: %w", err)
	}
	var all []error
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			all = append(all, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(all...)
}

func keptTrace(commonDir string, d provenance.Digest) string {
	return filepath.Join(commonDir, "gatekeeper", "traces", hex.EncodeToString(d[:]))
}
