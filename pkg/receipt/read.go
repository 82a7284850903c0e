package receipt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Lines yields every line, from the first to the last of what is whole, after it
// has followed the chain to it. It ends with an error: a *BrokenError, which says
// where, when lines were changed, taken out, put in or put elsewhere.
func (l *Log) Lines(ctx context.Context) iter.Seq2[Line, error] { return l.lines(ctx, true) }

// lines is Lines, with the bodies of commits lines or without.
func (l *Log) lines(ctx context.Context, commits bool) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		e, err := l.settled(ctx)
		broken := errors.As(err, new(*BrokenError))
		if err != nil && !broken {
			yield(Line{}, err)
			return
		}
		if broken { // then the first break is to be told, and that may be another
			e.files, _ = fileNumbers(l.volume)
			e.position = position{}
		}
		s := scan{log: l, ctx: ctx, until: e, commits: commits}
		for line, scanErr := range s.lines() {
			if !yield(line, scanErr) || scanErr != nil {
				return
			}
		}
		if broken {
			yield(Line{}, err)
		}
	}
}

// A scan reads the chain from a place on.
type scan struct {
	log     *Log
	ctx     context.Context
	until   ending   // with the zero position: as far as there is something
	from    position // where chain ends
	chain   chain
	commits bool // read the bodies of commits lines, too
	unit    unit // lines since the last whole unit
	awaits  int64
}

func (s *scan) lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for i, n := range s.until.files {
			if n < s.from.file {
				continue
			}
			if i > 0 && s.until.files[i-1] != n-1 || i == 0 && n != 1 {
				yield(Line{}, &BrokenError{fileName(n - 1), "it is missing"})
				return
			}
			if s.until.file != 0 && n > s.until.file { // it has nothing whole yet
				return
			}
			if !s.file(n, yield) {
				return
			}
		}
	}
}

// file reads one file and reports whether to go on.
func (s *scan) file(n int, yield func(Line, error) bool) bool {
	f, err := s.log.volume.Open(fileName(n), readOnly)
	if err != nil {
		return yield(Line{}, fmt.Errorf("read receipts: %w", err)) && false
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return yield(Line{}, fmt.Errorf("read receipts: %w", err)) && false
	}
	place, offset := Place{File: fileName(n)}, int64(0)
	if n == s.from.file {
		offset = s.from.offset
	}
	if n == s.until.file {
		size = s.until.offset
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, offset, size-offset), readAhead)
	for {
		place.Number++
		raw, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return true
		}
		if s.ctx.Err() != nil {
			err = s.ctx.Err()
		}
		var line Line
		if err == nil {
			line, err = s.line(raw)
		}
		if err != nil {
			return yield(Line{}, at(place, err)) && false
		}
		line.Place = place
		if !yield(line, nil) {
			return false
		}
	}
}

// at puts the place into an error about a line.
func at(place Place, err error) error {
	var broken *BrokenError
	switch {
	case errors.As(err, &broken):
		return &BrokenError{place.String(), broken.Reason}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &BrokenError{place.String(), "the end of the line is missing"}
	}
	return fmt.Errorf("read %s: %w", place, err)
}

// line takes one line, which must follow the one before.
func (s *scan) line(raw []byte) (Line, error) {
	line, rest, err := parseHeader(raw)
	if err != nil {
		return line, &BrokenError{Reason: err.Error()}
	}
	if err := s.chain.next(line); err != nil {
		return line, err
	}
	if line.Type != TypeCommits || s.commits {
		if line.Body, err = decodeBody(line.Type, rest); err != nil {
			return line, &BrokenError{Reason: err.Error()}
		}
	}
	return line, s.grammar(line)
}

// grammar checks that lines stand together as units.
func (s *scan) grammar(line Line) error {
	signature, signed := line.Body.(*Signature)
	if signed != (s.awaits != 0) || signed && signature.Of != s.awaits {
		return &BrokenError{Reason: "a signature is missing here, or stands where none belongs"}
	}
	s.awaits = 0
	var said unit
	switch body := line.Body.(type) {
	case *Signature:
		return nil
	case *Decision:
		said = body.unit
		if body.Signed {
			s.awaits = line.Seq
		}
	case *Outcome:
		said = body.unit
	default:
		s.unit.Lines, s.unit.Bytes = s.unit.Lines+1, s.unit.Bytes+int64(len(line.Raw))
		return nil
	}
	if said != s.unit {
		return &BrokenError{Reason: fmt.Sprintf("it speaks of %d lines before it, and there are %d", said.Lines, s.unit.Lines)}
	}
	s.unit = unit{}
	return nil
}
