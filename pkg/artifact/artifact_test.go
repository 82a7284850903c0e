package artifact_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/xeipuuv/gojsonschema"

	"github.com/gatekeeper-git/gatekeeper/pkg/artifact"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

const (
	sum  = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	oid  = "0123456789abcdef0123456789abcdef01234567"
	oid2 = "fedcba9876543210fedcba9876543210fedcba98"
)

func id(t testing.TB, hex string) change.ID {
	t.Helper()
	id, err := change.ParseID(hex)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// v1 is SLSA provenance with some dependencies.
func v1(subject, dependencies string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%s"}}],"predicateType":"https://slsa.dev/provenance/v1",`+
		`"predicate":{"buildDefinition":{"resolvedDependencies":[%s]},"runDetails":{"builder":{"id":"https://builder.example.com"}}}}`, subject, dependencies)
}

// commits are links as text.
func commits(c artifact.Claim) string {
	var list []string
	for _, l := range c.Commits {
		list = append(list, l.ID.String()[:8]+" "+l.URI)
	}
	return strings.Join(list, ", ")
}

func TestDocuments(t *testing.T) {
	git := `{"uri":"git+https://example.com/a","digest":{"gitCommit":"` + oid + `"}}`
	cyclone := func(component string) string {
		return `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"component":{"type":"application","name":"x"` + component + `}}}`
	}
	hashes := `,"hashes":[{"alg":"SHA-1","content":"00"},{"alg":"SHA-256","content":"` + strings.ToUpper(sum) + `"}]`
	tests := []struct {
		name, document string
		want           string // what links it
		err            string // part of the error instead
	}{
		{"SLSA v1", v1(sum, git), "01234567 git+https://example.com/a", ""},
		{"two repositories, and other materials", v1(sum, git+`,{"uri":"pkg:npm/x@1","digest":{"sha256":"00"}},{"uri":"git+https://example.com/b","digest":{"gitCommit":"`+oid2+`"}}`),
			"01234567 git+https://example.com/a, fedcba98 git+https://example.com/b", ""},
		{"the same twice", v1(sum, git+","+git), "01234567 git+https://example.com/a", ""},
		{"sha1 of a repository, as some write v1", v1(sum, `{"uri":"git+https://example.com/a","digest":{"sha1":"`+oid+`"}}`), "01234567 git+https://example.com/a", ""},
		{"sha1 of a file is no commit", v1(sum, `{"uri":"https://example.com/a.tgz","digest":{"sha1":"`+oid+`"}}`), "", "says nothing of the commit"},
		{"SLSA v0.2", `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"x","digest":{"sha256":"` + sum + `"}}],"predicateType":"https://slsa.dev/provenance/v0.2",` +
			`"predicate":{"builder":{"id":"b"},"materials":[{"uri":"git+https://example.com/a","digest":{"sha1":"` + oid + `"}}]}}`, "01234567 git+https://example.com/a", ""},
		{"CycloneDX", cyclone(hashes + `,"pedigree":{"commits":[{"uid":"` + oid + `","url":"https://example.com/a"}]}`), "01234567 https://example.com/a", ""},

		{"about another", v1(strings.Repeat("0", 64), git), "", "none of its 1 subjects"},
		{"about nothing", `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1"}`, "", "none of its 0 subjects"},
		{"no dependencies", v1(sum, ""), "", "says nothing of the commit"},
		{"half an id", v1(sum, `{"uri":"git+https://example.com/a","digest":{"gitCommit":"0123"}}`), "", "commit of"},
		{"an id of zeros", v1(sum, `{"uri":"git+https://example.com/a","digest":{"gitCommit":"0000000000000000000000000000000000000000"}}`), "", "names no commit"},
		{"another predicate", strings.Replace(v1(sum, git), "provenance/v1", "verification_summary/v1", 1), "", "want SLSA provenance v1 or v0.2"},
		{"a component without a hash", cyclone(`,"pedigree":{"commits":[{"uid":"` + oid + `"}]}`), "", "none of its 0 subjects"},
		{"a component without a pedigree", cyclone(hashes), "", "no metadata.component.pedigree.commits"},
		{"no component", `{"bomFormat":"CycloneDX","specVersion":"1.6"}`, "", "does not say what it is about"},
		{"a uid that is no id", cyclone(hashes + `,"pedigree":{"commits":[{"uid":"v1.2"}]}`), "", "uid of a commit"},
		{"another document", `{"spdxVersion":"SPDX-2.3"}`, "", "not a document that is known"},
		{"an array", `[]`, "", "not a document that is known"},
		{"nothing", ``, "", "not JSON"},
		{"a key twice", `{"_type":"a","subject":[{"x":1,"x":2}]}`, "", `"x" stands twice`},
		{"a key twice in another case", `{"_type":"a","subject":[],"\u017fubject":[]}`, "", "stands twice"},
		{"the same key in two objects", v1(sum, git+`,{"uri":"x"}`), "01234567 git+https://example.com/a", ""},
		{"something behind it", v1(sum, git) + "{}", "", "stands behind its end"},
		{"too deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), "", "deeper than 64"},
		{"cut short", v1(sum, git)[:100], "", "not JSON"},
		{"too large", strings.Repeat(" ", artifact.MaxDocument) + "{}", "", "larger than"},
		{"very many commits", v1(sum, many(1001)), "", "it names 1001 commits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := artifact.OfDocument([]byte(tt.document), []string{sum}, nil)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || commits(c) != tt.want || c.Strength != artifact.Document {
				t.Errorf("got %q, %s, %v; want %q", commits(c), c.Strength, err, tt.want)
			}
		})
	}
}

func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"uri":"git+https://example.com/%d","digest":{"gitCommit":"%s"}}`, i, oid))
	}
	return strings.Join(list, ",")
}

func TestEnvelopes(t *testing.T) {
	key := func(seed byte) (ed25519.PrivateKey, attestation.PublicKey) {
		private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32)))
		public, err := pubkey.New(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		return private, public
	}
	private, public := key('a')
	_, stranger := key('b')
	document := v1(sum, `{"uri":"git+https://example.com/a","digest":{"gitCommit":"`+oid+`"}}`)
	seal := func(kind, payload string, sigs ...string) string {
		var list []string
		for _, s := range sigs {
			list = append(list, `{"keyid":"","sig":"`+s+`"}`)
		}
		return fmt.Sprintf(`{"payloadType":"%s","payload":"%s","signatures":[%s]}`, kind, base64.StdEncoding.EncodeToString([]byte(payload)), strings.Join(list, ","))
	}
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(private, attestation.PAE([]byte(document))))
	other := base64.StdEncoding.EncodeToString(ed25519.Sign(private, attestation.PAE([]byte("other"))))
	const kind = attestation.PayloadType
	tests := []struct {
		name, envelope string
		keys           []attestation.PublicKey
		want           artifact.Strength
		err            string
	}{
		{"signed by a key that is named", seal(kind, document, sig), []attestation.PublicKey{stranger, public}, artifact.SignedProvenance, ""},
		{"one of two signatures", seal(kind, document, other, sig), []attestation.PublicKey{public}, artifact.SignedProvenance, ""},
		{"no key is named", seal(kind, document, sig), nil, artifact.Document, ""},
		{"another key is named", seal(kind, document, sig), []attestation.PublicKey{stranger}, "", "none of the keys"},
		{"a signature over something else", seal(kind, document, other), []attestation.PublicKey{public}, "", "none of the keys"},
		{"another payload", seal("text/plain", document, sig), nil, "", "want application/vnd.in-toto+json"},
		{"no signature", seal(kind, document), nil, "", "0 signatures"},
		{"no base64", strings.Replace(seal(kind, document, sig), sig, "*", 1), nil, "", "signature of a DSSE envelope"},
		{"a payload with a key twice", seal(kind, `{"_type":"a","_type":"b"}`, sig), nil, "", "stands twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := artifact.OfDocument([]byte(tt.envelope), []string{sum}, tt.keys)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || c.Strength != tt.want {
				t.Errorf("got %s, %v; want %s", c.Strength, err, tt.want)
			}
		})
	}
}

func TestBinaries(t *testing.T) {
	if _, err := artifact.OfBinary("artifact_test.go"); !errors.Is(err, artifact.ErrNoClaim) || strings.Contains(err.Error(), "artifact_test") {
		t.Errorf("a file that is no binary: %v", err)
	}
	self, err := os.Executable() // go test stamps no revision
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.OfBinary(self); !errors.Is(err, artifact.ErrNoClaim) {
		t.Errorf("a binary without a revision: %v", err)
	}
}

// bill is one with everything in it, some of it a stranger's.
func bill() artifact.Bill {
	return artifact.Bill{Program: "1.0", AsOf: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Name: "tool <b>", SHA256: sum, Commits: 9, Unknown: 2,
		Links: []artifact.Link{{Commit: oid, URI: "git+https://example.com/a", Strength: artifact.SignedProvenance, Source: "SLSA provenance v1"}},
		Parts: []artifact.Part{
			{Tool: "claude-code", Provider: "anthropic", Model: "claude-opus-4-6", Commits: 3, Unsanctioned: 1, Evidence: map[string]int64{"attested": 2, "inferred": 1},
				Examples: []artifact.Example{{Repository: "repo", Commit: oid2, Evidence: "attested"}}},
			{Tool: "claude-code", Provider: "unknown", Model: "unknown", Commits: 1, Evidence: map[string]int64{"inferred": 1}},
			{Tool: "cursor", Provider: "anthropic", Model: "claude-opus-4-6", Commits: 1, Evidence: map[string]int64{"declared": 1}},
		}}
}

func TestBillIsCycloneDX(t *testing.T) {
	data, err := bill().CycloneDX()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the official schema accepts it", func(t *testing.T) { checkSchema(t, data) })
	t.Run("the same bill gives the same bytes, and another another name", func(t *testing.T) {
		again, err := bill().CycloneDX()
		if err != nil || string(again) != string(data) {
			t.Errorf("%v, and other bytes", err)
		}
		b := bill()
		b.Commits++
		other, err := b.CycloneDX()
		if err != nil || serial(t, other) == serial(t, data) {
			t.Errorf("%v, and the same serial number", err)
		}
	})
	t.Run("it links the artifact as we read it", func(t *testing.T) {
		c, err := artifact.OfDocument(data, []string{sum}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]artifact.Commit{{ID: id(t, oid), URI: "git+https://example.com/a"}}, c.Commits); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("models and tools stand in it once", func(t *testing.T) {
		var got []string
		for _, c := range *decode(t, data).Components {
			got = append(got, string(c.Type)+" "+c.BOMRef)
		}
		want := []string{"application tool:claude-code", "machine-learning-model model:anthropic/claude-opus-4-6 by tool:claude-code",
			"machine-learning-model model:unknown/unknown by tool:claude-code", "application tool:cursor", "machine-learning-model model:anthropic/claude-opus-4-6 by tool:cursor"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("one of nothing is valid, too", func(t *testing.T) {
		b := bill()
		b.Parts, b.Links = nil, nil
		data, err := b.CycloneDX()
		if err != nil {
			t.Fatal(err)
		}
		checkSchema(t, data)
	})
}

func decode(t *testing.T, data []byte) *cdx.BOM {
	t.Helper()
	var bom cdx.BOM
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	return &bom
}

func serial(t *testing.T, data []byte) string { return decode(t, data).SerialNumber }

// checkSchema validates against the schema that the library brings along.
func checkSchema(t *testing.T, data []byte) {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	list.Env = append(os.Environ(), "GOFLAGS=") // whoever runs the tests may have asked them for JSON
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.ToSlash(filepath.Join(strings.TrimSpace(string(out)), "schema"))
	loader := gojsonschema.NewSchemaLoader()
	for _, name := range []string{"jsf-0.82.schemax.json", "spdx.schema.json"} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := loader.AddSchema("http://cyclonedx.org/schema/"+strings.Replace(name, "schemax", "schema", 1), gojsonschema.NewBytesLoader(file)); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(filepath.Join(dir, "bom-1.6.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := loader.Compile(gojsonschema.NewBytesLoader(file))
	if err != nil {
		t.Fatal(err)
	}
	result, err := schema.Validate(gojsonschema.NewBytesLoader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range result.Errors() {
		t.Error(e)
	}
}

// FuzzDocument holds what was read to what the document says: each commit and URI stands in
// it, and reading is the same twice.
func FuzzDocument(f *testing.F) {
	git := `{"uri":"git+https://example.com/a","digest":{"gitCommit":"` + oid + `"}}`
	f.Add(v1(sum, git))
	f.Add(`{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"hashes":[{"alg":"SHA-256","content":"` + sum + `"}],"pedigree":{"commits":[{"uid":"` + oid + `"}]}}}}`)
	f.Add(fmt.Sprintf(`{"payloadType":"%s","payload":"%s","signatures":[{"sig":"YQ=="}]}`, attestation.PayloadType, base64.StdEncoding.EncodeToString([]byte(v1(sum, git)))))
	f.Fuzz(func(t *testing.T, document string) {
		c, err := artifact.OfDocument([]byte(document), []string{sum}, nil)
		if err != nil {
			return
		}
		if c.Strength != artifact.Document || len(c.Commits) == 0 {
			t.Errorf("%+v", c)
		}
		again, err := artifact.OfDocument([]byte(document), []string{sum}, nil)
		if diff := cmp.Diff(c, again); err != nil || diff != "" {
			t.Errorf("read again: %v\n%s", err, diff)
		}
		for _, l := range c.Commits {
			if n := len(l.ID); n != 20 && n != 32 {
				t.Errorf("an id of %d bytes", n)
			}
		}
	})
}
