package receipt

import (
	"bytes"
	"io"
)

// spoolMemory is how much of a receipt under way is kept in memory, in bytes: all of
// it for a push of some thousand commits.
const spoolMemory = 256 << 10

// A spool holds what a receipt will say until the push is decided, in a file without
// a name when it is much. The zero offset is its beginning.
type spool struct {
	volume volume
	file   file  // nil while memory is enough
	filed  int64 // bytes in file
	memory []byte
}

func (s *spool) size() int64 { return s.filed + int64(len(s.memory)) }

func (s *spool) write(data []byte) error {
	s.memory = append(s.memory, data...)
	if len(s.memory) < spoolMemory {
		return nil
	}
	if s.file == nil {
		f, err := s.volume.Temp()
		if err != nil {
			return err
		}
		s.file = f
	}
	if _, err := s.file.WriteAt(s.memory, s.filed); err != nil {
		return err
	}
	s.filed += int64(len(s.memory))
	s.memory = s.memory[:0]
	return nil
}

// cut takes back what was written since the spool had that size.
func (s *spool) cut(size int64) {
	if size >= s.filed {
		s.memory = s.memory[:size-s.filed]
		return
	}
	s.filed, s.memory = size, s.memory[:0] // what the file has beyond is written over
}

// reader reads all of it.
func (s *spool) reader() io.Reader {
	parts := []io.Reader{bytes.NewReader(s.memory)}
	if s.file != nil {
		parts = append([]io.Reader{io.NewSectionReader(s.file, 0, s.filed)}, parts...)
	}
	return io.MultiReader(parts...)
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
