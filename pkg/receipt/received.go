package receipt

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A StatementID names a statement: the beginning of its SHA-256, of which to find
// another with the same is as hard as to forge a signature of Ed25519.
type StatementID [16]byte

func idOf(d provenance.Digest) StatementID { return StatementID(d[:16]) }

// Received says which statements had been received at some time. It takes 8 bytes for
// each of them.
type Received struct {
	seed   maphash.Seed
	sorted [256][]uint64 // by the first byte
}

// ReceivedBefore reads the receipts from before a time. They are in order of time.
func (l *Log) ReceivedBefore(ctx context.Context, t time.Time) (*Received, error) {
	r := &Received{seed: maphash.MakeSeed()}
	var open []*Commits
	for line, err := range l.Lines(ctx) {
		if err != nil {
			return nil, err
		}
		switch body := line.Body.(type) {
		case *Commits:
			open = append(open, body)
		case *Decision:
			if !body.Time.Before(t) {
				return r.sort(), nil
			}
			for _, commits := range open {
				r.add(commits.Statements)
			}
			open = nil
		}
	}
	return r.sort(), nil
}

// hash is not known outside of this process, so that nobody can look for a statement
// that has that of another.
func (r *Received) hash(s StatementID) (first byte, hash uint64) {
	hash = maphash.Bytes(r.seed, s[:])
	return byte(hash >> 56), hash
}

func (r *Received) add(statements []StatementID) {
	for _, s := range statements {
		first, hash := r.hash(s)
		r.sorted[first] = append(r.sorted[first], hash)
	}
}

func (r *Received) sort() *Received {
	for _, hashes := range r.sorted {
		slices.Sort(hashes)
	}
	return r
}

// Has reports whether the statement with a digest had been received.
func (r *Received) Has(statement provenance.Digest) bool {
	first, hash := r.hash(idOf(statement))
	_, found := slices.BinarySearch(r.sorted[first], hash)
	return found
}
