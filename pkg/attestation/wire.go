package attestation

import "encoding/binary"

// The data types of the SSH protocol, RFC 4251 section 5.

func appendString[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// appendMpint writes a non-negative number given in big-endian bytes.
func appendMpint(b, n []byte) []byte {
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	if len(n) > 0 && n[0]&0x80 != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)+1))
		return append(append(b, 0), n...)
	}
	return appendString(b, n)
}

// wire reads data types one after the other. Once something is missing, all
// that follows is empty and ok is false.
type wire struct {
	rest []byte
	read int // bytes consumed
	bad  bool
}

func (w *wire) take(n int) []byte {
	if w.bad || n < 0 || n > len(w.rest) {
		w.bad = true
		return nil
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	w.read += n
	return b
}

func (w *wire) uint32() uint32 {
	b := w.take(4)
	if w.bad {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (w *wire) string() []byte {
	n := w.uint32()
	if uint64(n) > uint64(len(w.rest)) {
		w.bad = true
		return nil
	}
	return w.take(int(n))
}

// positive reads an mpint above zero in its shortest form, and returns it as
// it stands, with the zero byte that keeps it positive.
func (w *wire) positive() []byte {
	n := w.string()
	if len(n) == 0 || n[0]&0x80 != 0 || n[0] == 0 && (len(n) == 1 || n[1]&0x80 == 0) {
		w.bad = true
		return nil
	}
	return n
}

// done reports whether everything was there and nothing is left.
func (w *wire) done() bool { return !w.bad && len(w.rest) == 0 }
