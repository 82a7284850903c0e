// Package wire reads and writes the data types of the SSH protocol, RFC 4251
// section 5, as keys and signatures are made of them. It accepts one encoding of
// each thing, and leaves what that means to others.
package wire

import "encoding/binary"

// AppendString writes s and its length.
func AppendString[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// AppendMpint writes a non-negative number given in big-endian bytes.
func AppendMpint(b, n []byte) []byte {
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	if len(n) > 0 && n[0]&0x80 != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)+1))
		return append(append(b, 0), n...)
	}
	return AppendString(b, n)
}

// A Reader reads data types one after the other. Once something is missing, all
// that follows is empty and Bad stays true. Nothing is copied.
type Reader struct {
	Rest   []byte // not yet read
	Offset int    // bytes that were read
	Bad    bool
}

// Take reads n bytes.
func (r *Reader) Take(n int) []byte {
	if r.Bad || n < 0 || n > len(r.Rest) {
		r.Bad = true
		return nil
	}
	b := r.Rest[:n]
	r.Rest = r.Rest[n:]
	r.Offset += n
	return b
}

// Uint32 reads a number of four bytes.
func (r *Reader) Uint32() uint32 {
	b := r.Take(4)
	if r.Bad {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// Bytes reads what SSH calls a string.
func (r *Reader) Bytes() []byte {
	n := r.Uint32()
	if uint64(n) > uint64(len(r.Rest)) {
		r.Bad = true
		return nil
	}
	return r.Take(int(n))
}

// Positive reads an mpint above zero in its shortest form, and returns it as
// it stands, with the zero byte that keeps it positive.
func (r *Reader) Positive() []byte {
	n := r.Bytes()
	if len(n) == 0 || n[0]&0x80 != 0 || n[0] == 0 && (len(n) == 1 || n[1]&0x80 == 0) {
		r.Bad = true
		return nil
	}
	return n
}

// Done reports whether everything was there and nothing is left.
func (r *Reader) Done() bool { return !r.Bad && len(r.Rest) == 0 }
