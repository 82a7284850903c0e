package attestation_test

import (
	"context"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

func BenchmarkStatement(b *testing.B) {
	a, _ := signed(b, keys()["ed25519"])
	b.ReportAllocs()
	for b.Loop() {
		attestation.Statement(values, a)
	}
}

func BenchmarkParse(b *testing.B) {
	a, _ := signed(b, keys()["ed25519"])
	value := a.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := attestation.Parse(value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for name, key := range keys() {
		b.Run(name, func(b *testing.B) {
			s, err := pubkey.NewSigner(key)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := attestation.Sign(context.Background(), s, values, claim()); err != nil {
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
				if err := attestation.Verify(values, a, pub); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
