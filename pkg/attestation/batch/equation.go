package batch

import "filippo.io/edwards25519"

// A signature R, S by key A is good when R + kA - SB = 0, where k is the hash over R, A
// and what was signed, and B the base point (RFC 8032 section 5.1.7, without cofactor).
// An equation is the sum of these, each multiplied with a random number z of its own:
//
//	sum(z R) + sum over keys(sum(z k) A) - sum(z S) B = 0
//
// z is odd, so that a single R with a component of small order cannot hide it.
type equation struct {
	points  []edwards25519.Point  // R of each signature
	factors []edwards25519.Scalar // z of each signature
	keys    []*key
	base    edwards25519.Scalar // sum(z S)
}

// coefficient is the length of z in bytes.
const coefficient = 16

func (e *equation) reset() {
	for _, k := range e.keys {
		k.open = false
	}
	e.points, e.factors, e.keys = e.points[:0], e.factors[:0], e.keys[:0]
	e.base = edwards25519.Scalar{}
}

// add adds a signature. It reports false, and adds nothing, when R or S is not written
// as crypto/ed25519 wants it.
func (e *equation) add(by *key, r, s, hash, random []byte) bool {
	var point edwards25519.Point
	var scalar, k, z edwards25519.Scalar
	if !ordinary(r) {
		return false
	}
	if _, err := point.SetBytes(r); err != nil {
		return false
	}
	if _, err := scalar.SetCanonicalBytes(s); err != nil {
		return false
	}
	if _, err := k.SetUniformBytes(hash); err != nil {
		return false
	}
	var wide [32]byte
	copy(wide[:], random)
	wide[0] |= 1
	if _, err := z.SetCanonicalBytes(wide[:]); err != nil {
		return false
	}
	if !by.open {
		by.open, by.terms = true, edwards25519.Scalar{}
		e.keys = append(e.keys, by)
	}
	by.terms.MultiplyAdd(&z, &k, &by.terms)
	e.base.MultiplyAdd(&z, &scalar, &e.base)
	e.points, e.factors = append(e.points, point), append(e.factors, z)
	return true
}

// ordinary reports whether R cannot be written in another way. A point has two forms
// only where a coordinate is zero or y is 19 below 2^255 or closer; the neighbours that
// this takes for such, too, come up by chance never.
func ordinary(r []byte) bool {
	first := r[1]
	if first != 0 && first != 0xff {
		return true
	}
	for _, b := range r[2:31] {
		if b != first {
			return true
		}
	}
	return false
}

func (e *equation) holds() bool {
	n := len(e.points) + len(e.keys)
	points, factors := make([]*edwards25519.Point, 0, n), make([]*edwards25519.Scalar, 0, n)
	for i := range e.points {
		points, factors = append(points, &e.points[i]), append(factors, &e.factors[i])
	}
	for _, k := range e.keys {
		points, factors = append(points, &k.point), append(factors, &k.terms)
	}
	left := new(edwards25519.Point).VarTimeMultiScalarMult(factors, points)
	right := new(edwards25519.Point).ScalarBaseMult(&e.base)
	return left.Equal(right) == 1
}
