package change

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Bind names the content of a commit together with the content that it stands
// on: the trees of its parents in order, then its own tree. Commits with equal
// binding put the same content on the same content, whatever their ids.
//
// The digest is SHA-256 over the number of parents and then each tree id after
// its length, numbers being four bytes, big-endian. It tells parents apart by
// their number, too: a merge re-created without its second parent differs.
func Bind(parentTrees []ID, tree ID) provenance.Digest {
	buf := make([]byte, 0, 128)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(parentTrees)))
	for _, id := range parentTrees {
		buf = appendID(buf, id)
	}
	return sha256.Sum256(appendID(buf, tree))
}

func appendID(buf []byte, id ID) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(id)))
	return append(buf, id...)
}

// OfMerge is the change digest that a commit with so many parents carries: first,
// the digest against its first parent, where there is one parent or none. A merge
// has another, which no commit with one parent can have; else a merge made again
// without its second parent, with the same tree, would still fit its signature.
//
// It is SHA-256 over "gatekeeper merge v1\n", the number of parents as eight
// bytes, big-endian, and the 32 bytes of first.
func OfMerge(parents int, first provenance.Digest) provenance.Digest {
	if parents < 2 {
		return first
	}
	buf := binary.BigEndian.AppendUint64([]byte("gatekeeper merge v1\n"), uint64(parents))
	return sha256.Sum256(append(buf, first[:]...))
}
