package pubkey

import (
	"bytes"
	"math/big"
	"slices"
)

// badPoint says why the 32 bytes cannot be an honest Ed25519 public key, or "".
//
// crypto/ed25519 takes any bytes for a key. With a point of small order some
// signatures verify for messages that nobody signed, and encodings that are not
// canonical give one key two fingerprints: both are refused when a key is read,
// so that verification need not care. See https://hdevalence.ca/blog/2020-10-04-its-25519am.
func badPoint(key []byte) string {
	bigEndian := bytes.Clone(key)
	bigEndian[31] &= 0x7f // the highest bit is the sign of x
	slices.Reverse(bigEndian)
	y := new(big.Int).SetBytes(bigEndian)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	if y.Cmp(p) >= 0 {
		return "the point is not in its canonical form"
	}
	mod := func(n *big.Int) *big.Int { return n.Mod(n, p) }
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	mod(d.Mul(d, big.NewInt(-121665)))
	y2 := mod(new(big.Int).Mul(y, y))
	dy2 := mod(new(big.Int).Mul(d, y2))
	u := mod(new(big.Int).Sub(y2, big.NewInt(1)))
	v := mod(new(big.Int).Add(dy2, big.NewInt(1)))

	// Small order: y² = 1 (order 1 and 2), y = 0 (order 4), or twice the point has
	// y = 0, for which x² = -y² makes the equation of the curve dy⁴ + 2y² - 1 = 0.
	quartic := mod(new(big.Int).Mul(dy2, y2))
	mod(quartic.Add(quartic, y2).Add(quartic, u))
	if u.Sign() == 0 || y.Sign() == 0 || quartic.Sign() == 0 {
		return "the point has a small order: anybody could sign for it"
	}

	// The curve is -x² + y² = 1 + dx²y² (RFC 8032 section 5.1): x² = u/v with
	// u = y²-1 and v = dy²+1, which is a square exactly when uv is one.
	if big.Jacobi(mod(u.Mul(u, v)), p) == -1 {
		return "not a point of the curve"
	}
	return ""
}
