package receipt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
)

// Dir is where receipts are kept, below the common git directory.
const Dir = "gatekeeper/receipts"

// maxFile is the size in bytes after which a new file begins.
const maxFile = 64 << 20

// A Log is the receipts of one repository. Its methods may be called from several
// goroutines and processes at once.
type Log struct {
	MaxFile int64 // bytes after which a new file begins; 0 is 64 MiB
	volume  volume
	replay  int64 // how many bytes Accepted reads anew each time before it writes its cache again
}

// Open returns the receipts in a directory, which need not be there yet.
func Open(dir string) *Log { return &Log{volume: disk{dir}, replay: 64 << 10} }

// In is where a repository keeps its receipts.
func In(commonDir string) string { return filepath.Join(commonDir, filepath.FromSlash(Dir)) }

func (l *Log) maxFile() int64 {
	if l.MaxFile > 0 {
		return l.MaxFile
	}
	return maxFile
}

// A BrokenError says that receipts are not as they were written: lines that do not
// belong together, or that nobody of ours wrote.
type BrokenError struct {
	Where  string // file:line, or a file and the offset of a byte in it
	Reason string
}

func (e *BrokenError) Error() string { return e.Where + ": " + e.Reason }

// A Head is the end of the chain: what is published elsewhere, so that nobody can take
// receipts away unseen.
type Head struct {
	Seq  int64     // of the last line; 0 when there is none
	Hash Hash      // of the last line
	Time time.Time // of the last decision or outcome
}

// A position is a place between two units. The zero position is before all.
type position struct {
	file   int // its number
	offset int64
}

// An ending is where the last whole unit ends, and what is beyond.
type ending struct {
	Head
	position
	files   []int
	newest  int   // the file that is written to; 0 when there is none
	beyond  int64 // bytes behind the last whole unit: of a receipt that was never finished
	restart int64 // the size that newest has without them
}

// Last returns the head without reading more than the end of the newest file.
func (l *Log) Last(ctx context.Context) (Head, error) {
	e, err := l.settled(ctx)
	return e.Head, err
}

// settled is the ending at a moment at which nobody writes.
func (l *Log) settled(ctx context.Context) (ending, error) {
	unlock, err := l.volume.Lock(ctx, true)
	if err != nil {
		return ending{}, fmt.Errorf("read receipts: %w", err)
	}
	defer unlock()
	return l.end()
}

// end looks for the end of the last whole unit, from the end of the newest file. The
// caller holds the lock.
func (l *Log) end() (ending, error) {
	files, err := fileNumbers(l.volume)
	if err != nil || len(files) == 0 {
		return ending{}, wrap("read receipts", err)
	}
	e := ending{files: files, newest: files[len(files)-1]}
	for _, n := range slices.Backward(files) {
		size, tail, err := l.tail(n)
		if err != nil {
			return ending{}, err
		}
		if n == e.newest {
			e.beyond, e.restart = size-tail.end, tail.end
		} else if size > tail.end {
			return ending{}, &BrokenError{fileName(n), fmt.Sprintf("%d bytes at its end are no whole receipt, and there is a newer file", size-tail.end)}
		}
		if tail.end > 0 {
			e.position, e.Head = position{n, tail.end}, tail.head()
			return e, nil
		}
	}
	return e, nil
}

func (l *Log) tail(n int) (size int64, u lastUnit, err error) {
	f, err := l.volume.Open(fileName(n), readOnly)
	if err != nil {
		return 0, u, fmt.Errorf("read receipts: %w", err)
	}
	defer f.Close()
	if size, err = f.Size(); err == nil {
		u, err = findTail(f, fileName(n), size)
	}
	return size, u, wrap("read receipts", err)
}

// A lastUnit is the unit that ends at a place of a file.
type lastUnit struct {
	start, end int64
	line       int64 // where closing begins
	closing    Line  // the decision or outcome
	last       Line  // the signature behind it, or closing itself
}

func (u lastUnit) head() Head {
	h := Head{Seq: u.last.Seq, Hash: u.last.Hash}
	switch body := u.closing.Body.(type) {
	case *Decision:
		h.Time = body.Time
	case *Outcome:
		h.Time = body.Time
	}
	return h
}

// findTail looks for the last whole unit of a file. What stands behind it was left by
// a writer that died: a line without end, a unit without its last line, or, after the
// power failed, bytes that are zero because they never reached the disk. Whatever
// else is wrong was done by somebody, and is a *BrokenError.
func findTail(f file, name string, size int64) (lastUnit, error) {
	for end := size; ; {
		complete, err := lineStart(f, end)
		if err != nil || complete == 0 {
			return lastUnit{}, err
		}
		if complete < end {
			end = complete
			continue
		}
		u, err := unitBefore(f, end)
		if err == nil && u.end == end {
			err = u.check(f)
		}
		var broken *BrokenError
		switch {
		case err == nil && u.end == end:
			return u, nil
		case err == nil: // it lacks its end
			end = u.line
			continue
		case !errors.As(err, &broken):
			return u, err
		}
		zeros, zerosErr := hasZeros(f, u.start, end)
		if zerosErr != nil {
			return u, zerosErr
		}
		// A unit with something behind it was looked at before that was written.
		if whole := u.end == end; !zeros || whole && end < size {
			return u, &BrokenError{fmt.Sprintf("%s, bytes %d to %d", name, u.start, end), broken.Reason}
		}
		end = u.line // what stands before it is looked at by itself
	}
}

// unitBefore reads the unit whose last line ends at end, which is behind an LF. When
// that line ends no unit, the unit has an end of 0 and starts with the line.
func unitBefore(f file, end int64) (lastUnit, error) {
	u := lastUnit{}
	var err error
	u.line, u.last, err = readLineBefore(f, end)
	if u.start = u.line; err != nil {
		return u, err
	}
	signed := u.last.Type == TypeSignature
	u.closing = u.last
	if signed {
		if u.line == 0 {
			return u, &BrokenError{Reason: "a signature stands where no decision is before it"}
		}
		u.line, u.closing, err = readLineBefore(f, u.line)
		if u.start = u.line; err != nil {
			return u, err
		}
	}
	var before int64
	switch body := u.closing.Body.(type) {
	case *Decision:
		before = body.Bytes
		if body.Signed == signed {
			u.end = end
		}
	case *Outcome:
		before, u.end = body.Bytes, end
	}
	switch {
	case signed && u.closing.Type != TypeDecision, signed && u.end == 0:
		return u, &BrokenError{Reason: "a signature stands behind a line that is not to be signed"}
	case before > u.line:
		return u, &BrokenError{Reason: "it says that more stands before it than does"}
	}
	start, err := lineStart(f, u.line-before)
	if err == nil && start != u.line-before {
		err = &BrokenError{Reason: "what it says stands before it does not begin with a line"}
	} else {
		u.start = start
	}
	return u, err
}

// readLineBefore reads the line that ends at end.
func readLineBefore(f file, end int64) (start int64, l Line, err error) {
	if start, err = lineStart(f, end-1); err != nil {
		return start, l, err
	}
	if end-start > MaxLine {
		return start, l, &BrokenError{Reason: fmt.Sprintf("a line of %d bytes", end-start)}
	}
	raw := make([]byte, end-start)
	if _, err := f.ReadAt(raw, start); err != nil {
		return start, l, err
	}
	if l, err = decode(raw); err != nil {
		return start, l, &BrokenError{Reason: err.Error()}
	}
	return start, l, nil
}

// check follows the chain through the unit, from the line before it when that is in
// the same file.
func (u lastUnit) check(f file) error {
	from, err := lineStart(f, max(0, u.start-1))
	if err != nil {
		return err
	}
	lines := bufio.NewReader(io.NewSectionReader(f, from, u.end-from))
	var c *chain
	for at := from; at < u.end; {
		raw, err := readLine(lines)
		if err != nil {
			return err
		}
		l, _, err := parseHeader(raw)
		if err != nil {
			return &BrokenError{Reason: err.Error()}
		}
		if c == nil {
			c = &chain{l.Seq - 1, l.Prev}
		}
		if err := c.next(l); err != nil {
			return err
		}
		at += int64(len(raw))
	}
	return nil
}

// A chain is a line's place: its number and its hash.
type chain struct {
	seq  int64
	hash Hash
}

// next goes on to a line, which must follow.
func (c *chain) next(l Line) error {
	if l.Seq != c.seq+1 {
		return &BrokenError{Reason: fmt.Sprintf("seq %d stands where %d should", l.Seq, c.seq+1)}
	}
	if l.Prev != c.hash {
		return &BrokenError{Reason: "it does not follow from the line before: one of the two was changed"}
	}
	c.seq, c.hash = l.Seq, l.Hash
	return nil
}

// readLine reads a line with its LF. io.EOF says that there is none,
// io.ErrUnexpectedEOF that its end is missing.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxLine:
			return nil, &BrokenError{Reason: fmt.Sprintf("a line of more than %d bytes", MaxLine)}
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, io.ErrUnexpectedEOF
		default:
			return line, err
		}
	}
}

const readAhead = 64 << 10

// lineStart is the place behind the last LF before end, 0 when there is none.
func lineStart(f file, end int64) (int64, error) {
	buf := make([]byte, min(end, 4<<10))
	for end > 0 {
		from := max(0, end-int64(len(buf)))
		part := buf[:end-from]
		if _, err := f.ReadAt(part, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
		if len(buf) < readAhead {
			buf = make([]byte, readAhead)
		}
	}
	return 0, nil
}

// hasZeros reports whether a byte of a part of the file is zero, which no byte of a
// receipt is.
func hasZeros(f file, from, to int64) (bool, error) {
	buf := make([]byte, readAhead)
	for from < to {
		part := buf[:min(to-from, readAhead)]
		if _, err := f.ReadAt(part, from); err != nil {
			return false, err
		}
		if bytes.IndexByte(part, 0) >= 0 {
			return true, nil
		}
		from += int64(len(part))
	}
	return false, nil
}

// wrap says what was being done, but for broken receipts, which say it themselves.
func wrap(doing string, err error) error {
	if err == nil || errors.As(err, new(*BrokenError)) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
