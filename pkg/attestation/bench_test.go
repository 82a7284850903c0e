package attestation

import (
	"context"
	"testing"
)

func BenchmarkStatement(b *testing.B) {
	a, _ := signed(b, keys()["ed25519"])
	b.ReportAllocs()
	for b.Loop() {
		Statement(values, a)
	}
}

func BenchmarkParse(b *testing.B) {
	a, _ := signed(b, keys()["ed25519"])
	value := a.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for name, key := range keys() {
		b.Run(name, func(b *testing.B) {
			s, err := NewSigner(key)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Sign(context.Background(), s, values, claim()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for name, key := range keys() {
		b.Run(name, func(b *testing.B) {
			a, pub := signed(b, key)
			b.ReportAllocs()
			for b.Loop() {
				if err := Verify(values, a, pub); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParsePublicKey(b *testing.B) {
	_, pub := signed(b, keys()["ed25519"])
	blob := pub.Blob()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePublicKey(blob); err != nil {
			b.Fatal(err)
		}
	}
}
