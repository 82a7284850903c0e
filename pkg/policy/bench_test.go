package policy

import "testing"

// The gate asks this for every record of every commit.
func BenchmarkModel(b *testing.B) {
	p, err := Load(corpus + "/good/full.toml")
	if err != nil {
		b.Fatal(err)
	}
	q := ask("acme/coder-3", "claude-code/2.1.330", main)
	b.ReportAllocs()
	for b.Loop() {
		if !p.Model(q).Allowed || !p.Tool(q).Allowed {
			b.Fatal("refused")
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(corpus + "/good/full.toml"); err != nil {
			b.Fatal(err)
		}
	}
}
