package artifact_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/artifact"
)

// tarOf makes a tar file of names and contents in turn.
func tarOf(t testing.TB, entries ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: entries[i], Mode: 0o644, Size: int64(len(entries[i+1])), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(entries[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sumOf(data string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(data))) }

const labels = `{"org.opencontainers.image.revision":"` + oid + `","org.opencontainers.image.source":"https://example.com/app"}`

// layout is an image of one platform in an OCI layout.
func layout(t testing.TB) (file, manifest, config string) {
	t.Helper()
	config = `{"config":{"Labels":` + labels + `}}`
	manifest = `{"schemaVersion":2,"config":{"digest":"sha256:` + sumOf(config) + `"},"layers":[]}`
	index := `{"schemaVersion":2,"manifests":[{"digest":"sha256:` + sumOf(manifest) + `","annotations":{"io.containerd.image.name":"example.com/app:1"}}]}`
	return tarOf(t, "oci-layout", `{"imageLayoutVersion":"1.0.0"}`, "blobs/sha256/"+sumOf(config), config, "blobs/sha256/"+sumOf(manifest), manifest, "index.json", index), manifest, config
}

func ofImage(t testing.TB, content string) (artifact.Image, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return artifact.OfImage(file)
}

func TestImages(t *testing.T) {
	file, manifest, config := layout(t)
	inner := `{"manifests":[{"digest":"sha256:` + sumOf(manifest) + `"},{"digest":"sha256:` + sumOf("of another platform") + `"}],"annotations":{}}`
	tests := []struct {
		name, content string
		sum, called   string
		commits       string
		err           string
	}{
		{"a layout goes by the digest of its manifest", file, sumOf(manifest), "example.com/app:1", "01234567 https://example.com/app", ""},
		{"an index goes by its own, and other platforms may be absent", tarOf(t, "blobs/sha256/"+sumOf(inner), inner, "blobs/sha256/"+sumOf(manifest), manifest, "blobs/sha256/"+sumOf(config), config,
			"index.json", `{"manifests":[{"digest":"sha256:`+sumOf(inner)+`"}]}`), sumOf(inner), "", "01234567 https://example.com/app", ""},
		{"docker save goes by the configuration", tarOf(t, "c.json", config, "manifest.json", `[{"Config":"c.json","RepoTags":["app:1"]}]`), sumOf(config), "app:1", "01234567 https://example.com/app", ""},
		{"without labels it says nothing", tarOf(t, "c.json", "{}", "manifest.json", `[{"Config":"c.json"}]`), sumOf("{}"), "", "", ""},
		{"a label that is no commit says nothing", tarOf(t, "c.json", strings.Replace(config, oid, "v1.2", 1), "manifest.json", `[{"Config":"c.json"}]`), sumOf(strings.Replace(config, oid, "v1.2", 1)), "", "", ""},

		{"another tar file", tarOf(t, "site/index.json", "{}", "README", "x"), "", "", "", "no image"},
		{"no tar file", "hello", "", "", "", "no image"},
		{"a manifest that is another", strings.Replace(file, `"layers":[]`, `"layers":{}`, 1), "", "", "", "is not what it is called"},
		{"two images", tarOf(t, "index.json", `{"manifests":[{},{}]}`), "", "", "", "it has 2 images"},
		{"two images of docker save", tarOf(t, "manifest.json", `[{},{}]`), "", "", "", "it has 2 images"},
		{"two indexes", tarOf(t, "index.json", `{"manifests":[]}`, "./index.json", `{"manifests":[]}`), "", "", "", "comes twice"},
		{"no manifest", tarOf(t, "index.json", `{"manifests":[{"digest":"sha256:`+sumOf("x")+`"}]}`), "", "", "", "is not in it"},
		{"no digest", tarOf(t, "index.json", `{"manifests":[{"digest":"../../x"}]}`), "", "", "", "is no digest"},
		{"no configuration", tarOf(t, "manifest.json", `[{"Config":"../c.json"}]`), "", "", "", "configuration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, err := ofImage(t, tt.content)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || errors.Is(err, artifact.ErrNoImage) != (tt.err == "no image") {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || i.SHA256 != tt.sum || i.Name != tt.called || commits(i.Claim) != tt.commits || !slices.Contains(i.Also, tt.sum) {
				t.Errorf("got %+v, %v", i, err)
			}
			if i.Claim.Strength != artifact.Document {
				t.Errorf("a label is %s", i.Claim.Strength)
			}
		})
	}
}

// FuzzImage holds what a stranger's tar file says to a document's word at most.
func FuzzImage(f *testing.F) {
	file, _, config := layout(f)
	f.Add([]byte(file))
	f.Add([]byte(tarOf(f, "manifest.json", `[{"Config":"x.json"}]`, "x.json", config)))
	name := filepath.Join(f.TempDir(), "image.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := artifact.OfImage(name)
		if err != nil {
			return
		}
		if i.Claim.Strength != artifact.Document || len(i.SHA256) != 64 || !slices.Contains(i.Also, i.SHA256) {
			t.Errorf("%+v", i)
		}
		if _, err := artifact.OfBinary(name); err == nil {
			t.Error("it is a binary, too")
		}
	})
}
