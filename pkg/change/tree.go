package change

import (
	"bytes"
	"fmt"
)

// An Entry is one name in a tree.
type Entry struct {
	Mode uint32 // as written; old histories hold modes that git no longer writes, such as 0100664
	Name string
	ID   ID
}

// IsTree reports whether the entry is a folder.
func (e Entry) IsTree() bool { return e.Mode&0o170000 == 0o040000 }

// IsFile reports whether the entry is a file, and no link.
func (e Entry) IsFile() bool { return e.Mode&0o170000 == 0o100000 }

// ParseTree reads the bytes of a tree object with ids of idSize bytes.
//
// It refuses only what would let two readers see different trees: an entry that
// breaks off, a mode that is not a number of at most seven octal digits below
// 0200000, an empty name or one with a slash, entries out of git's order, the
// same name twice. Names that git merely warns of, such as "." or ".git", are
// read: a digest must be able to speak of any history that git takes. An error
// is a *MalformedError.
func ParseTree(raw []byte, idSize int) ([]Entry, error) {
	text := string(raw) // one copy that all names and ids share
	entries := make([]Entry, 0, len(raw)/(idSize+16)+1)
	for t := newTreeReader(raw, idSize); ; {
		e, ok, err := t.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return entries, nil
		}
		idAt := t.pos - idSize
		nameAt := idAt - 1 - len(e.name)
		entries = append(entries, Entry{e.mode, text[nameAt : idAt-1], ID(text[idAt:t.pos])})
	}
}

// treeEntry is an Entry in the memory of the raw tree.
type treeEntry struct {
	mode     uint32
	name, id []byte
}

// kind is what an entry is to git. The values stand in the format.
type kind byte

const (
	kindNone    kind = '-'
	kindFile    kind = 'f'
	kindLink    kind = 'l'
	kindGitlink kind = 'g'
	kindTree    kind = 't'
)

// kind and canonical read a mode the way git's canon_mode does (object.h):
// whatever is not a file, a symbolic link or a tree is a gitlink.
func (e treeEntry) kind() kind {
	switch e.mode & 0o170000 {
	case 0o100000:
		return kindFile
	case 0o120000:
		return kindLink
	case 0o040000:
		return kindTree
	}
	return kindGitlink
}

func (e treeEntry) canonical() uint32 {
	switch e.kind() {
	case kindFile:
		if e.mode&0o100 != 0 {
			return 0o100755
		}
		return 0o100644
	case kindLink:
		return 0o120000
	case kindTree:
		return 0o040000
	}
	return 0o160000
}

// compare orders entries as trees do: by name, a tree's name ending in a slash.
// Leaves met in this order have paths in byte order.
func (e treeEntry) compare(other treeEntry) int {
	n := min(len(e.name), len(other.name))
	if c := bytes.Compare(e.name[:n], other.name[:n]); c != 0 {
		return c
	}
	return int(e.byteAt(n)) - int(other.byteAt(n))
}

func (e treeEntry) byteAt(n int) byte {
	switch {
	case n < len(e.name):
		return e.name[n]
	case e.kind() == kindTree:
		return '/'
	}
	return 0
}

// treeReader gives the entries of a raw tree one by one, without copying.
type treeReader struct {
	raw    []byte
	memory []byte // of raw, to be used again
	idSize int
	pos    int // in raw, behind the last entry
	count  int // entries read
	last   treeEntry
	// leaves are names before this one that begin it, each the beginning of
	// the next. "a" as a file and "a" as a tree need not be neighbours: "a.b"
	// sorts between them.
	leaves [][]byte
}

func newTreeReader(raw []byte, idSize int) *treeReader {
	return &treeReader{raw: raw, idSize: idSize}
}

// next reads an entry; it reports false at the end.
func (t *treeReader) next() (treeEntry, bool, error) {
	if t.pos == len(t.raw) {
		return treeEntry{}, false, nil
	}
	e, err := t.read()
	if err == nil {
		err = t.accept(e)
	}
	if err != nil {
		return treeEntry{}, false, err
	}
	return e, true, nil
}

// accept holds an entry against those before it.
func (t *treeReader) accept(e treeEntry) error {
	if bytes.IndexByte(e.name, '/') >= 0 || len(e.name) == 0 {
		return t.malformed("name %.64q is empty or has a slash", e.name)
	}
	if t.count > 1 && t.last.compare(e) >= 0 {
		return t.malformed("name %.64q is out of order", e.name)
	}
	if t.repeats(e) {
		return t.malformed("name %.64q comes twice", e.name)
	}
	t.last = e
	return nil
}

// join passes over n bytes in which another reader has accepted all entries, after
// the same names.
func (t *treeReader) join(other *treeReader, n int) {
	t.pos += n
	t.count, t.last = other.count, other.last
	t.leaves = append(t.leaves[:0], other.leaves...)
}

// read takes an entry apart.
func (t *treeReader) read() (treeEntry, error) {
	t.count++
	rest := t.raw[t.pos:]
	var e treeEntry
	i := 0
	for ; i < len(rest) && i < 7 && '0' <= rest[i] && rest[i] <= '7'; i++ {
		e.mode = e.mode<<3 | uint32(rest[i]-'0')
	}
	if i == 0 || i == len(rest) || rest[i] != ' ' || e.mode >= 0o200000 {
		return e, t.malformed("want an octal mode and a space")
	}
	rest = rest[i+1:]
	end := bytes.IndexByte(rest, 0)
	if end < 0 || len(rest) < end+1+t.idSize {
		return e, t.malformed("breaks off")
	}
	e.name = rest[:end]
	e.id = rest[end+1 : end+1+t.idSize]
	t.pos += i + 1 + end + 1 + t.idSize
	return e, nil
}

// repeats reports whether a tree has the name of a leaf that came before it.
// Order alone rules out the other ways in which a name could come twice.
func (t *treeReader) repeats(e treeEntry) bool {
	for n := len(t.leaves); n > 0 && !bytes.HasPrefix(e.name, t.leaves[n-1]); n-- {
		t.leaves = t.leaves[:n-1]
	}
	if e.kind() != kindTree {
		t.leaves = append(t.leaves, e.name)
		return false
	}
	n := len(t.leaves)
	return n > 0 && len(t.leaves[n-1]) == len(e.name)
}

// unread takes back the last read, which began there and was not accepted.
func (t *treeReader) unread(start int) { t.pos, t.count = start, t.count-1 }

func (t *treeReader) malformed(format string, args ...any) error {
	return &MalformedError{Object: "tree", Line: t.count, Reason: fmt.Sprintf(format, args...)}
}
