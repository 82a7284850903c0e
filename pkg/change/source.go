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
