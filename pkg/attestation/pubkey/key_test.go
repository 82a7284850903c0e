package pubkey

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

func blobOf(t testing.TB, text string) []byte {
	t.Helper()
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func point(first byte, rest ...byte) []byte {
	p := make([]byte, 32)
	p[0] = first
	copy(p[32-len(rest):], rest)
	return p
}

func TestParseRefuses(t *testing.T) {
	ed := func(key []byte) []byte {
		return wire.AppendString(wire.AppendString(nil, attestation.TypeEd25519), key)
	}
	rsaBlob := func(e, n []byte) []byte {
		return wire.AppendString(wire.AppendString(wire.AppendString(nil, typeRSA), e), n)
	}
	modulus := func(bits int) []byte {
		n := make([]byte, bits/8+1)
		n[1], n[bits/8] = 0x80, 1
		return n
	}
	good := ed(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)).Public().(ed25519.PublicKey))
	e := []byte{1, 0, 1}
	for _, tt := range []struct {
		name string
		blob []byte
		want string
	}{
		{"nothing", nil, "type is missing"},
		{"bytes left over", append(bytes.Clone(good), 0), "left over"},
		{"bytes missing", good[:len(good)-1], "missing"},
		{"DSA", wire.AppendString(nil, "ssh-dss"), "too weak"},
		{"a security key", wire.AppendString(nil, "sk-ssh-ed25519@openssh.com"), "FIDO"},
		{"an ECDSA security key", wire.AppendString(nil, "sk-ecdsa-sha2-nistp256@openssh.com"), "FIDO"},
		{"a certificate", wire.AppendString(nil, "ssh-ed25519-cert-v01@openssh.com"), "certificates"},
		{"P-521", wire.AppendString(nil, "ecdsa-sha2-nistp521"), "P-521"},
		{"an unknown type", wire.AppendString(nil, "ssh-xmss@openssh.com"), "not supported"},
		{"a curve that is not the type's", wire.AppendString(wire.AppendString(wire.AppendString(nil, typeP256), "nistp384"), make([]byte, 97)), "curve"},
		{"an ECDSA point at infinity", wire.AppendString(wire.AppendString(wire.AppendString(nil, typeP256), "nistp256"), []byte{0}), "point"},
		{"RSA of 2048 bits", rsaBlob(e, modulus(2048)), "2048 bits are too few"},
		{"RSA of 16384 bits", rsaBlob(e, modulus(16384)), "too many"},
		{"an RSA modulus with a needless zero", rsaBlob(e, append([]byte{0}, modulus(3072)...)), "shortest form"},
		{"a negative RSA modulus", rsaBlob(e, modulus(3072)[1:]), "shortest form"},
		{"an RSA exponent of 1", rsaBlob([]byte{1}, modulus(3072)), "exponent"},
		{"an even RSA exponent", rsaBlob([]byte{4}, modulus(3072)), "exponent"},
		{"a long RSA exponent", rsaBlob([]byte{1, 0, 0, 0, 1}, modulus(3072)), "exponent"},
		{"the neutral point", ed(point(1)), "small order"},
		{"the neutral point with the sign of x set", ed(point(1, 0x80)), "small order"},
		{"a point of order 2", ed(append(append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), "small order"},
		{"a point of order 4", ed(point(0)), "small order"},
		{"another point of order 4", ed(point(0, 0x80)), "small order"},
		{"y = p", ed(append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), "canonical"},
		{"y = p+1 with the sign of x set", ed(append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0xff)), "canonical"},
		{"y off the curve", ed(point(2)), "not a point"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := Parse(tt.blob)
			var keyErr *attestation.KeyError
			if !errors.As(err, &keyErr) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want a KeyError with %q", key.Fingerprint(), err, tt.want)
			}
		})
	}
}

// The four points of order 8, from https://github.com/C2SP/CCTV/tree/main/ed25519.
func TestPointsOfOrder8AreRefused(t *testing.T) {
	for _, text := range []string{
		"JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=", "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/IU=",
		"xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=", "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA/o=",
	} {
		key := blobOf(t, text)
		if got := badPoint(key); !strings.Contains(got, "small order") {
			t.Errorf("%x: %q", key, got)
		}
	}
}

func TestHonestPointsAreAccepted(t *testing.T) {
	for range 200 {
		pub, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if reason := badPoint(pub); reason != "" {
			t.Fatalf("%x: %s", pub, reason)
		}
	}
}

// Half of all y belong to a point. TestHonestPointsAreAccepted holds the other side.
func TestAboutHalfOfAllValuesAreNotOnTheCurve(t *testing.T) {
	bad := 0
	for y := range 200 {
		if badPoint(point(byte(y), 0)) == "not a point of the curve" {
			bad++
		}
	}
	if bad < 70 || bad > 130 {
		t.Errorf("%d of 200 small y are off the curve", bad)
	}
}

func TestNewSignerRefusesKeysThatDoNotFit(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSigner(short); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("RSA 2048: %v", err)
	}
	long := make([]byte, 640)
	long[0], long[639] = 0x80, 1
	key, err := Parse(wire.AppendMpint(wire.AppendMpint(wire.AppendString(nil, typeRSA), []byte{1, 0, 1}), long))
	if err != nil {
		t.Fatal(err)
	}
	if err := FitsSSHSIG(key); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Errorf("RSA 5120: %v", err)
	}
}
