package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

const pathPolicy = `schema = 1
[[model]]
id = "acme/coder"
status = "approved"
tools = ["aider"]
paths.deny = ["crypto/**", "**/*.pem"]
[[model]]
id = "acme/*"
status = "approved"
paths.deny = ["secrets/*"]
[[model]]
id = "acme/denied"
status = "denied"
[[model]]
id = "local/llama"
status = "approved"
[[model]]
id = "local/guarded"
status = "approved"
min_class = "gateway"
paths.deny = ["crypto/**"]
`

func TestPathsOfAModel(t *testing.T) {
	p := parse(t, pathPolicy)
	for _, tt := range []struct {
		name string
		q    Query
		want string // the reason and the hint of a refusal
	}{
		{"no path at all", ask("acme/coder", "aider", main), ""},
		{"a path that nobody denies", ask("acme/coder", "aider", main).on("src/crypto/a.go"), ""},
		{"a path that is denied, after one that is not", ask("acme/coder", "aider", main).on("a.go", "crypto/aes/b.go"),
			`model "acme/coder" may not change "crypto/aes/b.go" ("crypto/**", policy.toml:2); change it without this model, in a commit of its own, or with acme/* or local/llama`},
		{"the second pattern", ask("acme/coder", "aider", main).on("etc/tls/key.pem"),
			`model "acme/coder" may not change "etc/tls/key.pem" ("**/*.pem", policy.toml:2); change it without this model, in a commit of its own, or with acme/* or local/llama`},
		{"the entry that decides is the one of the tool", ask("acme/coder", "codex", main).on("crypto/aes/b.go"), ""},
		{"and that has paths of its own", ask("acme/coder", "codex", main).on("secrets/x"),
			`model "acme/coder" may not change "secrets/x" ("secrets/*", policy.toml:7); change it without this model, in a commit of its own, or with local/llama`},
		{"a model without paths", ask("local/llama", "aider", main).on("crypto/x"), ""},
		{"the class is asked first", ask("local/guarded", "aider", main).on("crypto/x"), `model "local/guarded" asks for a signer of class gateway, this one is developer; push it by way of a gateway that signs`},
		{"then the path", ask("local/guarded", "aider", main).on("crypto/x").by(trust.Gateway),
			`model "local/guarded" may not change "crypto/x" ("crypto/**", policy.toml:17); change it without this model, in a commit of its own, or with acme/* or local/llama`},
		{"a path longer than any system checks out", ask("acme/coder", "aider", main).on(strings.Repeat("x", maxPath+1)), `model "acme/coder" may not change "` + strings.Repeat("x", maxQuoted) + `"… ("crypto/**", policy.toml:2); change it without this model, in a commit of its own, or with local/llama`},
		{"a path made for a terminal", ask("acme/coder", "aider", main).on("crypto/\x1b[2K\u202e"),
			`model "acme/coder" may not change "crypto/\x1b[2K\u202e" ("crypto/**", policy.toml:2); change it without this model, in a commit of its own, or with acme/* or local/llama`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := p.Model(tt.q)
			got := ""
			if !d.Allowed {
				got = d.Reason + "; " + d.Hint
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if restricted := strings.Contains(got, "may not change"); (d.Rule == RulePathRestricted) != restricted {
				t.Errorf("rule %q", d.Rule)
			}
		})
	}
}

func TestRestrictsPaths(t *testing.T) {
	p := parse(t, pathPolicy)
	for model, want := range map[string]bool{"acme/coder": true, "acme/other": true, "acme/denied": true, "local/llama": false, "local/guarded": true, "x/y": false, "unknown/unknown": false} {
		m, err := ParseModel(model)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.RestrictsPaths(m); got != want {
			t.Errorf("%s: %v", model, got)
		}
	}
	if parse(t, "schema = 1\n[[model]]\nid = \"a/b\"\nstatus = \"approved\"\n").WatchPaths() != nil {
		t.Error("paths are watched for no rule")
	}
}

// A watch keeps few paths, and by those Model decides as by all.
func TestAWatchLosesNothing(t *testing.T) {
	p := parse(t, pathPolicy)
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"crypto", "secrets", "src", "a.pem", "b.go"}
	for range 2000 {
		var all []string
		for range r.IntN(12) {
			path := parts[r.IntN(len(parts))]
			for range r.IntN(3) {
				path += "/" + parts[r.IntN(len(parts))]
			}
			all = append(all, path)
		}
		w := p.WatchPaths()
		for _, path := range all {
			w.See([]byte(path))
		}
		if len(w.Paths()) > 3 || slices.ContainsFunc(w.Paths(), func(path string) bool { return !slices.Contains(all, path) }) {
			t.Fatalf("kept %q of %q", w.Paths(), all)
		}
		for _, model := range []provenance.Model{{Provider: "acme", Name: "coder"}, {Provider: "acme", Name: "x"}, {Provider: "local", Name: "guarded"}, {Provider: "local", Name: "llama"}} {
			q := Query{Model: model, Tool: provenance.Tool{Name: []string{"aider", "codex"}[r.IntN(2)]}, Ref: main, At: day0, Class: trust.Gateway}
			by, from := p.Model(q.on(w.Paths()...)), p.Model(q.on(all...))
			if by != from && fmt.Sprint(by.Allowed, by.Rule) != fmt.Sprint(from.Allowed, from.Rule) {
				t.Fatalf("%q: by %q %+v, by all %+v", all, w.Paths(), by, from)
			}
		}
	}
}
