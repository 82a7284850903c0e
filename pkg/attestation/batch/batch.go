// Package batch checks many Ed25519 signatures for the price of a few.
//
// For all signatures of a batch one equation is set up that holds when each of them is
// good and, unless somebody guesses 127 random bits, only then. Terms of one key are
// merged, so that a signature by a key met before costs a quarter of a single check. The
// equation can but accept: where it does not hold, each signature is checked by
// crypto/ed25519, whose word is the last.
//
// The two differ in one case, which only the holder of a key can bring about, with
// signatures that no honest program makes: when the points R of several signatures in one batch have
// components of small order, which cancel out in the sum. crypto/ed25519 refuses each of
// them. One such signature alone never passes. See
// https://hdevalence.ca/blog/2020-10-04-its-25519am and RFC 8032 section 8.9.
//
// Nothing is known here of what was signed, or of whose a key is.
package batch

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"hash"
	"slices"

	"filippo.io/edwards25519"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// Most is how many signatures one equation takes: with more, the tables for it leave the
// fastest memory. Fewer than least cost no less than one by one.
const (
	Most  = 128
	least = 4
)

// maxKeys bounds the keys that a Verifier remembers, some 300 bytes each.
const maxKeys = 4096

// A Verifier remembers keys from batch to batch. The zero value is ready; one goroutine
// uses it.
type Verifier struct {
	keys map[[ed25519.PublicKeySize]byte]*key
	hash hash.Hash
	sum  equation
}

// Verify reports of each signature whether it is good.
func (v *Verifier) Verify(all []attestation.Ed25519Signature) []bool {
	good := make([]bool, 0, len(all))
	for some := range slices.Chunk(all, Most) {
		good = append(good, v.verify(some)...)
	}
	return good
}

func (v *Verifier) verify(some []attestation.Ed25519Signature) []bool {
	good := make([]bool, len(some))
	together := v.together(some, good)
	for i, s := range some {
		good[i] = together && good[i] || alone(s)
	}
	return good
}

// alone has the last word. crypto/ed25519 panics at a key of another length.
func alone(s attestation.Ed25519Signature) bool {
	return len(s.Key) == ed25519.PublicKeySize && ed25519.Verify(s.Key, s.Data, s.Signature)
}

// together marks the signatures that fit into one equation, and reports whether it holds.
func (v *Verifier) together(some []attestation.Ed25519Signature, fit []bool) bool {
	if len(some) < least {
		return false
	}
	v.sum.reset()
	var random [Most * coefficient]byte
	rand.Read(random[:len(some)*coefficient])
	n := 0
	for i, s := range some {
		if fit[i] = v.add(s, random[i*coefficient:][:coefficient]); fit[i] {
			n++
		}
	}
	return n >= least && v.sum.holds()
}

// add adds one signature to the equation, unless its form is one that crypto/ed25519
// refuses, or might.
func (v *Verifier) add(s attestation.Ed25519Signature, random []byte) bool {
	if len(s.Key) != ed25519.PublicKeySize || len(s.Signature) != ed25519.SignatureSize {
		return false
	}
	k := v.key([ed25519.PublicKeySize]byte(s.Key))
	if !k.fit {
		return false
	}
	if v.hash == nil {
		v.hash = sha512.New()
	}
	v.hash.Reset()
	v.hash.Write(s.Signature[:32])
	v.hash.Write(s.Key)
	v.hash.Write(s.Data)
	var sum [sha512.Size]byte
	return v.sum.add(k, s.Signature[:32], s.Signature[32:], v.hash.Sum(sum[:0]), random)
}

// A key is one that was met before.
type key struct {
	point edwards25519.Point
	fit   bool                // for an equation
	terms edwards25519.Scalar // what the equation under way multiplies the point with
	open  bool                // and whether there is such a term
}

func (v *Verifier) key(encoded [ed25519.PublicKeySize]byte) *key {
	if k, ok := v.keys[encoded]; ok {
		return k
	}
	if v.keys == nil {
		v.keys = map[[ed25519.PublicKeySize]byte]*key{}
	}
	if len(v.keys) == maxKeys {
		clear(v.keys)
	}
	k := newKey(encoded[:])
	v.keys[encoded] = k
	return k
}

// newKey reads the point of a key. One with a component of small order is not fit: its
// multiples depend on more than the remainder by the order of the group.
func newKey(encoded []byte) *key {
	k := new(key)
	if _, err := k.point.SetBytes(encoded); err != nil {
		return k
	}
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		return k
	}
	minusOne := edwards25519.NewScalar().Negate(one) // as a number, the order less one
	almost := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusOne, &k.point, edwards25519.NewScalar())
	k.fit = almost.Equal(new(edwards25519.Point).Negate(&k.point)) == 1
	return k
}
