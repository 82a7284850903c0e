package change

import (
	"encoding/hex"
	"fmt"
	"io"
)

// ID is the raw id of a git object: 20 bytes of SHA-1 or 32 of SHA-256.
// The zero value names no object.
type ID string

// String is the hexadecimal form that git prints.
func (id ID) String() string { return hex.EncodeToString([]byte(id)) }

// ParseID reads 40 or 64 lower-case hexadecimal digits. All zeros, git's word
// for "no object", give the zero ID.
func ParseID(s string) (ID, error) {
	if len(s) != 40 && len(s) != 64 {
		return "", fmt.Errorf("object id %.80q: want 40 or 64 hexadecimal digits", s)
	}
	var buf [32]byte
	raw := buf[:len(s)/2]
	zero := true
	for i := range raw {
		hi, lo := digit(s[2*i]), digit(s[2*i+1])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("object id %.80q: want lower-case hexadecimal digits", s)
		}
		raw[i] = byte(hi<<4 | lo)
		zero = zero && raw[i] == 0
	}
	if zero {
		return "", nil
	}
	return ID(raw), nil
}

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// Objects reads git objects. Open returns the object's type as git names it
// ("commit", "tree", "blob", "tag"), its size in bytes and its content, which
// the caller closes before it opens another one. An error wraps ErrMissing when the
// object is not there.
type Objects interface {
	Open(id ID) (Object, error)
}

// An Object is one git object being read. A ReadCloser that has all of its content in
// memory may say so with a method Whole() []byte; nobody changes these bytes.
type Object struct {
	Type string
	Size int64
	io.ReadCloser
}

// Stats counts what the hunks of a change hold.
type Stats struct {
	Added, Removed int   // lines in hunks; files without hunks count nothing
	Files          int   // paths that differ
	Read           int64 // bytes of blobs read
	Steps          int64 // lines compared in search of hunks, a measure of work
}
