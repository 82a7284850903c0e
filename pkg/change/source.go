package change

import "errors"

// A RawCommit is a commit object as it is stored, not yet believed.
type RawCommit struct {
	ID       ID
	Size     int64
	Data     []byte // nil when TooLarge; valid until the next commit is read
	TooLarge bool   // larger than the reader's limit, so its content was passed over
}

// ObjectReader is a reader of objects with an end, for one goroutine.
type ObjectReader interface {
	Objects
	Close() error
}

// ErrNoMergeTree reports a git that cannot merge without a work tree (< 2.38).
var ErrNoMergeTree = errors.New("this git has no merge-tree --write-tree")

// A RawFile is a file of a tree as it is stored, not yet believed.
type RawFile struct {
	Path     string // with slashes
	Mode     uint32 // as in the tree: 0100644 is an ordinary file
	ID       ID
	Size     int64
	Data     []byte // nil when TooLarge
	TooLarge bool   // larger than the reader's limit, so its content was passed over
}

// ErrNotGrown reports a history that does more than add files, commit by commit,
// to what it started from.
var ErrNotGrown = errors.New("something was taken away or changed")
