package change

import "errors"

// An Entry is one name in a tree.
type Entry struct {
	Mode uint32
	Name string
	ID   ID
}

// ParseTree reads the bytes of a tree object with ids of idSize bytes.
func ParseTree(raw []byte, idSize int) ([]Entry, error) { return nil, errors.ErrUnsupported }
