package artifact

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// Bounds of an image in a tar file.
const (
	maxEntries = 100_000
	maxBlob    = 1 << 20  // bytes of one manifest or configuration
	maxBlobs   = 64 << 20 // of all
	maxNested  = 64       // manifests of one image, such as those of its platforms
)

// Labels and annotations by which images name what they were built from
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md). Anybody can write them.
const (
	labelRevision = "org.opencontainers.image.revision"
	labelSource   = "org.opencontainers.image.source"
)

// An Image is what a tar file of an OCI layout, or of docker save, says of itself.
type Image struct {
	Name   string   // "" when it does not say
	SHA256 string   // of the manifest or index by which a registry knows it; of the configuration where there is none
	Also   []string // others by which documents may call it
	Claim  Claim    // by its labels; without commits when they name none
}

// ErrNoImage reports a file that is no image.
var ErrNoImage = errors.New("it is no image")

// OfImage reads the one image in a tar file.
func OfImage(file string) (Image, error) {
	f, err := os.Open(file)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	magic := make([]byte, 5)
	if n, _ := f.ReadAt(magic, 257); n < len(magic) || string(magic) != "ustar" {
		return Image{}, ErrNoImage
	}
	a, err := readArchive(f)
	if err != nil {
		return Image{}, err
	}
	var index struct{ Manifests []descriptor }
	if a.read("index.json", &index) == nil && index.Manifests != nil {
		return a.layout(index.Manifests)
	}
	var saved []struct {
		Config   string
		RepoTags []string
	}
	if a.read("manifest.json", &saved) == nil && saved != nil {
		if len(saved) != 1 {
			return Image{}, fmt.Errorf("it has %d images; save each in a file of its own", len(saved))
		}
		return a.saved(saved[0].Config, saved[0].RepoTags)
	}
	return Image{}, ErrNoImage
}

// An archive is the small objects of JSON in a tar file, by name.
type archive map[string][]byte

// readArchive keeps what may be a manifest or a configuration.
func readArchive(r io.Reader) (archive, error) {
	a, kept := archive{}, 0
	t := tar.NewReader(r)
	for range maxEntries {
		h, err := t.Next()
		if err != nil { // what is no tar file to its end has what stands before
			return a, nil
		}
		name := path.Clean(h.Name)
		top := name == "index.json" || name == "manifest.json"
		if h.Typeflag != tar.TypeReg || h.Size > maxBlob || !top && !strings.HasPrefix(name, "blobs/sha256/") && !strings.HasSuffix(name, ".json") {
			continue
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return a, nil
		}
		if !bytes.HasPrefix(data, []byte("{")) && !bytes.HasPrefix(data, []byte("[")) {
			continue
		}
		if _, twice := a[name]; twice && top {
			return nil, fmt.Errorf("%s comes twice", name)
		}
		if kept += len(data); kept > maxBlobs {
			return nil, fmt.Errorf("it has more than %d bytes of manifests", maxBlobs)
		}
		a[name] = data
	}
	return nil, fmt.Errorf("it has more than %d files", maxEntries)
}

var errAbsent = errors.New("is not in it")

func (a archive) read(name string, to any) error {
	data, ok := a[name]
	if !ok {
		return errAbsent
	}
	if err := strict(data); err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

// blob reads an object by its digest, which it must have.
func (a archive) blob(digest string, to any) (sum string, err error) {
	sum, ok := strings.CutPrefix(digest, "sha256:")
	if b, err := hex.DecodeString(sum); !ok || err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("%.80q is no digest", digest)
	}
	name := "blobs/sha256/" + sum
	data, ok := a[name]
	if !ok {
		return "", fmt.Errorf("%.80s %w", digest, errAbsent)
	}
	if sumOf(data) != sum {
		return "", fmt.Errorf("%s is not what it is called", digest)
	}
	return sum, a.read(name, to)
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// A descriptor is as much of OCI's as is read here
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md).
type descriptor struct {
	Digest      string
	Annotations map[string]string
}

// layout reads an OCI layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
func (a archive) layout(manifests []descriptor) (Image, error) {
	i := Image{Claim: byLabel}
	if len(manifests) != 1 {
		return i, fmt.Errorf("it has %d images; save each in a file of its own", len(manifests))
	}
	i.Name = manifests[0].Annotations["io.containerd.image.name"]
	if err := a.manifest(&i, manifests[0].Digest, 0); err != nil {
		return i, err
	}
	i.SHA256 = i.Also[0]
	return i, nil
}

// byLabel is what labels say, before they were read.
var byLabel = Claim{Strength: Document, Source: "image label"}

// manifest adds what a manifest says or, of an index, what its manifests say.
func (a archive) manifest(i *Image, digest string, depth int) error {
	if len(i.Also) >= maxNested || depth > 3 {
		return fmt.Errorf("it has more than %d manifests, or they are nested too deep", maxNested)
	}
	var m struct {
		Annotations map[string]string
		Manifests   []descriptor
		Config      descriptor
	}
	sum, err := a.blob(digest, &m)
	if err != nil {
		return err
	}
	i.Also = append(i.Also, sum)
	i.label(m.Annotations)
	for _, inner := range m.Manifests {
		err := a.manifest(i, inner.Digest, depth+1)
		if err != nil && !errors.Is(err, errAbsent) { // docker save leaves other platforms out, and names them all the same
			return err
		}
	}
	var c configuration
	if sum, err := a.blob(m.Config.Digest, &c); m.Config.Digest != "" && err == nil {
		i.Also = append(i.Also, sum)
		i.label(c.Config.Labels)
	}
	return nil
}

type configuration struct {
	Config struct{ Labels map[string]string }
}

// saved reads what docker save wrote before it wrote layouts.
func (a archive) saved(config string, tags []string) (Image, error) {
	i := Image{Claim: byLabel}
	config = path.Clean(config)
	var c configuration
	if err := a.read(config, &c); err != nil {
		return i, fmt.Errorf("configuration %.80q: %w", config, err)
	}
	i.SHA256 = sumOf(a[config])
	i.Also = []string{i.SHA256}
	if len(tags) > 0 {
		i.Name = tags[0]
	}
	i.label(c.Config.Labels)
	return i, nil
}

// label adds the commit that labels name.
func (i *Image) label(labels map[string]string) {
	id, err := ParseCommit(labels[labelRevision])
	if err != nil {
		return
	}
	i.Claim.Commits = slices.Clip(i.Claim.Commits)
	i.Claim.add(Commit{id, labels[labelSource]})
}
