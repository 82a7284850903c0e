package batch

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// holder is the key of somebody, by number.
func holder(n int) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, fmt.Sprintf("holder %d", n))
	return ed25519.NewKeyFromSeed(seed)
}

func signed(by int, text string) attestation.Ed25519Signature {
	key := holder(by)
	return attestation.Ed25519Signature{Key: key.Public().(ed25519.PublicKey), Data: []byte(text), Signature: ed25519.Sign(key, []byte(text))}
}

// honest are n good signatures by so many keys.
func honest(n, keys int) []attestation.Ed25519Signature {
	var all []attestation.Ed25519Signature
	for i := range n {
		all = append(all, signed(i%keys, fmt.Sprintf("text %d", i)))
	}
	return all
}

// singly is what crypto/ed25519 says.
func singly(all []attestation.Ed25519Signature) []bool {
	var good []bool
	for _, s := range all {
		good = append(good, len(s.Key) == ed25519.PublicKeySize && ed25519.Verify(s.Key, s.Data, s.Signature))
	}
	return good
}

// holds reports whether one equation over all signatures holds, each of them in it.
func holds(all []attestation.Ed25519Signature) bool {
	fit := make([]bool, len(all))
	return new(Verifier).together(all, fit) && !slices.Contains(fit, false)
}

func TestVerify(t *testing.T) {
	t.Run("good signatures are accepted by one equation", func(t *testing.T) {
		for _, n := range []int{least, least + 1, 50, Most} {
			for _, keys := range []int{1, 3, n} {
				if !holds(honest(n, keys)) {
					t.Errorf("%d signatures by %d keys: the equation does not hold", n, keys)
				}
			}
		}
	})
	t.Run("any number of signatures gets as many answers", func(t *testing.T) {
		var v Verifier
		for _, n := range []int{0, 1, least - 1, Most + 1, 3*Most - 1} {
			if got := v.Verify(honest(n, 2)); len(got) != n || slices.Contains(got, false) {
				t.Errorf("%d: got %v", n, got)
			}
		}
	})
	t.Run("a bad signature is found, and no good one suffers", func(t *testing.T) {
		var v Verifier
		for bad := 0; bad < 2*Most; bad += 17 {
			all := honest(2*Most, 3)
			all[bad].Data = []byte("another text")
			got := v.Verify(all)
			if i := slices.Index(got, false); i != bad || slices.Contains(got[i+1:], false) {
				t.Fatalf("number %d is bad, got %v", bad, got)
			}
		}
	})
	t.Run("one that cannot stand in an equation does not keep others out", func(t *testing.T) {
		all := honest(10, 2)
		all[3].Signature = all[3].Signature[:63]
		fit := make([]bool, len(all))
		if !new(Verifier).together(all, fit) || fit[3] {
			t.Error("it does")
		}
	})
	t.Run("errors of two signatures do not cancel out", func(t *testing.T) {
		all := honest(least, 1)
		var delta, a, b edwards25519.Scalar
		delta.SetUniformBytes(bytes.Repeat([]byte{7}, 64))
		mustScalar(t, &a, all[0].Signature[32:])
		mustScalar(t, &b, all[1].Signature[32:])
		all[0].Signature = append(all[0].Signature[:32:32], a.Add(&a, &delta).Bytes()...)
		all[1].Signature = append(all[1].Signature[:32:32], b.Subtract(&b, &delta).Bytes()...)
		if got, want := new(Verifier).Verify(all), []bool{false, false, true, true}; !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("more keys than are remembered are no more than that", func(t *testing.T) {
		v := Verifier{keys: map[[ed25519.PublicKeySize]byte]*key{}}
		for i := range maxKeys - 2 {
			v.keys[[ed25519.PublicKeySize]byte{byte(i), byte(i >> 8), 1}] = new(key)
		}
		if got := v.Verify(honest(8, 8)); slices.Contains(got, false) {
			t.Errorf("got %v", got)
		}
		if len(v.keys) > maxKeys {
			t.Errorf("%d keys are remembered", len(v.keys))
		}
	})
}

func mustScalar(t *testing.T, s *edwards25519.Scalar, b []byte) {
	t.Helper()
	if _, err := s.SetCanonicalBytes(b); err != nil {
		t.Fatal(err)
	}
}

// The order of the group that the base point makes.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// What a push may bring instead of a signature, by the classes of Wycheproof's vectors:
// each alone among honest ones, and all of them together, is judged as crypto/ed25519 does.
func TestDamaged(t *testing.T) {
	var good = signed(0, "text")
	s := new(big.Int).SetBytes(reversed(good.Signature[32:]))
	numbers := map[string]*big.Int{
		"S is 0":             big.NewInt(0),
		"S is 1":             big.NewInt(1),
		"S is the order":     order,
		"S is one below":     new(big.Int).Sub(order, big.NewInt(1)),
		"S is one above":     new(big.Int).Add(order, big.NewInt(1)),
		"S plus the order":   new(big.Int).Add(s, order),
		"S negated":          new(big.Int).Sub(order, s),
		"S plus one":         new(big.Int).Add(s, big.NewInt(1)),
		"S is 2^252":         new(big.Int).Lsh(big.NewInt(1), 252),
		"S with highest bit": new(big.Int).Add(s, new(big.Int).Lsh(big.NewInt(1), 255)),
		"S is all ones":      new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)),
	}
	for k := int64(2); k <= 15; k++ {
		numbers[fmt.Sprintf("S plus %d orders", k)] = new(big.Int).Add(s, new(big.Int).Mul(order, big.NewInt(k)))
	}
	damaged := map[string]attestation.Ed25519Signature{}
	put := func(name string, signature []byte) {
		damaged[name] = attestation.Ed25519Signature{Key: good.Key, Data: good.Data, Signature: signature}
	}
	r, sBytes := good.Signature[:32:32], good.Signature[32:]
	for name, n := range numbers {
		put(name, append(r, reversed(n.FillBytes(make([]byte, 32)))...))
	}
	put("nothing", nil)
	put("R alone", r)
	put("a byte less", good.Signature[:63])
	put("a byte more", append(good.Signature[:64:64], 0))
	put("twice", append(good.Signature[:64:64], good.Signature...))
	put("R and S swapped", append(sBytes[:32:32], r...))
	put("R is zeros", append(make([]byte, 32), sBytes...))
	put("R is ones", append(bytes.Repeat([]byte{0xff}, 32), sBytes...))
	put("R is no point", append(append([]byte{2}, make([]byte, 31)...), sBytes...))
	put("R is the key", append(slices.Clone([]byte(good.Key)), sBytes...))
	for bit := range 512 {
		flipped := slices.Clone(good.Signature)
		flipped[bit/8] ^= 1 << (bit % 8)
		put(fmt.Sprintf("bit %d flipped", bit), flipped)
	}
	damaged["another key"] = attestation.Ed25519Signature{Key: signed(1, "").Key, Data: good.Data, Signature: good.Signature}
	damaged["a short key"] = attestation.Ed25519Signature{Key: good.Key[:31], Data: good.Data, Signature: good.Signature}
	damaged["a key that is no point"] = attestation.Ed25519Signature{Key: append([]byte{2}, make([]byte, 31)...), Data: good.Data, Signature: good.Signature}
	damaged["another text"] = attestation.Ed25519Signature{Key: good.Key, Data: []byte("Text"), Signature: good.Signature}
	damaged["no text"] = attestation.Ed25519Signature{Key: good.Key, Signature: good.Signature}

	var v Verifier
	company := honest(least, 2)
	all := slices.Clone(company)
	for name, d := range damaged {
		got := v.Verify(append(company, d))
		if got[least] || slices.Contains(got[:least], false) {
			t.Errorf("%s: got %v", name, got)
		}
		all = append(all, d)
	}
	if got, want := v.Verify(all), singly(all); !slices.Equal(got, want) {
		t.Error("together they are judged in another way")
	}
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

const vectorFile = "../../../testdata/vectors/ed25519/cctv.txt"

// A vector is a signature whose points have small order or mixed order, or are not written
// in the canonical way.
type vector struct {
	attestation.Ed25519Signature
	flags []string
}

func (v vector) is(flag string) bool { return slices.Contains(v.flags, flag) }

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		key, err1 := hex.DecodeString(words[0])
		signature, err2 := hex.DecodeString(words[1] + words[2])
		if err1 != nil || err2 != nil || len(words) != 5 {
			t.Fatalf("bad vector: %s", line)
		}
		all = append(all, vector{attestation.Ed25519Signature{Key: key, Data: []byte(words[4]), Signature: signature}, strings.Split(words[3], ",")})
	}
	if len(all) != 768 {
		t.Fatalf("%d vectors", len(all))
	}
	return all
}

// One deformed signature among honest ones is judged as crypto/ed25519 does, at every draw
// of the coefficients.
func TestVectors(t *testing.T) {
	var v Verifier
	company := honest(least, 1)
	for i, vector := range vectors(t) {
		want := !vector.is("residue") && !vector.is("R-noncanonical")
		if got := singly([]attestation.Ed25519Signature{vector.Ed25519Signature}); got[0] != want {
			t.Errorf("vector %d %v: crypto/ed25519 says %v", i, vector.flags, got[0])
		}
		for range 4 {
			got := v.Verify(append(company, vector.Ed25519Signature))
			if got[least] != want || slices.Contains(got[:least], false) {
				t.Errorf("vector %d %v: got %v, want %v", i, vector.flags, got, want)
			}
		}
	}
}

// All vectors in batches: those that crypto/ed25519 accepts are accepted, and one that it
// refuses is accepted at most when others like it stand in the same batch: with a point R
// that has a component of small order, under a key that has none.
func TestVectorsTogether(t *testing.T) {
	all := vectors(t)
	deformed := func(v vector) bool { return v.is("R-mixed") && !v.is("A-mixed") && !v.is("R-noncanonical") }
	for range 10 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var v Verifier
		for some := range slices.Chunk(all, 16) {
			var signatures []attestation.Ed25519Signature
			several := 0
			for _, vector := range some {
				signatures = append(signatures, vector.Ed25519Signature)
				if deformed(vector) {
					several++
				}
			}
			got, want := v.Verify(signatures), singly(signatures)
			for i := range some {
				if got[i] != want[i] && (!got[i] || several < 2 || !deformed(some[i])) {
					t.Errorf("%v: got %v, want %v, beside %d deformed ones", some[i].flags, got[i], want[i], several)
				}
			}
		}
	}
}

// Where a batch differs from single checks, pinned: the holder of a key adds the point of
// order two to R, as no program that signs does. Each of these signatures is refused by
// itself; two of them pass together. Nobody without the key can make one.
func TestDeformedByTheHolder(t *testing.T) {
	deformed := func(text string) attestation.Ed25519Signature { return deformedBy(t, 0, text) }
	one := append(honest(least, 2), deformed("a"))
	if got := new(Verifier).Verify(one); got[least] || !slices.Equal(got, singly(one)) {
		t.Errorf("one alone: got %v", got)
	}
	two := append(one, deformed("b"))
	if got := new(Verifier).Verify(two); slices.Contains(got, false) {
		t.Errorf("two together: got %v, and all passed when this was written", got)
	}
	if got := singly(two); got[least] || got[least+1] {
		t.Errorf("crypto/ed25519 accepts them: %v", got)
	}
	other := append(two[:least+1:least+1], deformedBy(t, 1, "b"))
	other[least+1].Key = two[0].Key
	if got := new(Verifier).Verify(other); got[least] || got[least+1] {
		t.Errorf("one of them is by another holder: got %v", got)
	}
}

// deformedBy signs with the point of order two added to R.
func deformedBy(t *testing.T, n int, text string) attestation.Ed25519Signature {
	t.Helper()
	orderTwo := bytes.Repeat([]byte{0xff}, 32) // y = -1
	orderTwo[0], orderTwo[31] = 0xec, 0x7f
	two, err := new(edwards25519.Point).SetBytes(orderTwo)
	if err != nil {
		t.Fatal(err)
	}
	key := holder(n)
	public := key.Public().(ed25519.PublicKey)
	digest := sum512(key.Seed())
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(digest[:32])
	if err != nil {
		t.Fatal(err)
	}
	nonce, err := edwards25519.NewScalar().SetUniformBytes(sum512([]byte("nonce"), []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	r := new(edwards25519.Point).ScalarBaseMult(nonce)
	r.Add(r, two)
	k, err := edwards25519.NewScalar().SetUniformBytes(sum512(r.Bytes(), public, []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	s := edwards25519.NewScalar().MultiplyAdd(k, secret, nonce)
	return attestation.Ed25519Signature{Key: public, Data: []byte(text), Signature: append(r.Bytes(), s.Bytes()...)}
}

func sum512(parts ...[]byte) []byte {
	sum := sha512.Sum512(bytes.Join(parts, nil))
	return sum[:]
}

// Whatever is done to a batch of signatures at random, the batch says what single checks say.
func FuzzVerify(f *testing.F) {
	f.Add(uint8(3), uint8(1), []byte{})
	f.Add(uint8(40), uint8(3), []byte{0, 0, 1, 7, 33, 128, 7, 70, 3})
	f.Add(uint8(129), uint8(129), []byte{128, 96, 4, 12, 100, 255})
	f.Fuzz(func(t *testing.T, n, keys uint8, damage []byte) {
		all := honest(int(n), max(1, int(keys)))
		for ; len(damage) >= 3 && n > 0; damage = damage[3:] {
			hurt(&all[damage[0]%n], damage[1], damage[2], all[damage[2]%n])
		}
		if got, want := new(Verifier).Verify(all), singly(all); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// hurt changes one byte of a signature, of its text or of its key, or takes over what
// another one has.
func hurt(s *attestation.Ed25519Signature, where, how byte, other attestation.Ed25519Signature) {
	switch {
	case where < 64:
		s.Signature = slices.Clone(s.Signature)
		s.Signature[where] ^= how
	case where < 96:
		s.Key = slices.Clone(s.Key)
		s.Key[where-64] ^= how
	case where < 128:
		s.Data = append(slices.Clone(s.Data), how)
	case where < 160:
		s.Key = other.Key
	case where < 192:
		s.Data = other.Data
	case where < 224:
		s.Signature = other.Signature
	default:
		*s = other
	}
}

// BenchmarkVerify is what a signature costs in a full batch by one key or many, and singly.
func BenchmarkVerify(b *testing.B) {
	for _, keys := range []int{1, 16, Most} {
		b.Run(fmt.Sprintf("%d by %d keys", Most, keys), func(b *testing.B) {
			all := honest(Most, keys)
			var v Verifier
			for b.Loop() {
				v.Verify(all)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/Most, "us/signature")
		})
	}
	for _, n := range []int{least, 2 * least, 4 * least} {
		b.Run(fmt.Sprintf("%d by one key", n), func(b *testing.B) {
			all := honest(n, 1)
			var v Verifier
			for b.Loop() {
				v.Verify(all)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "us/signature")
		})
	}
	b.Run("strangers", func(b *testing.B) {
		all := honest(Most, Most)
		for b.Loop() {
			new(Verifier).Verify(all)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/Most, "us/signature")
	})
	b.Run("singly", func(b *testing.B) {
		all := honest(Most, 1)
		for b.Loop() {
			singly(all)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/Most, "us/signature")
	})
}
