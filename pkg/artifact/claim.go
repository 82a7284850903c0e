package artifact

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A Strength is how well a link is founded.
type Strength string

const (
	SignedProvenance Strength = "signed-provenance"
	BuildInfo        Strength = "build-info"
	Document         Strength = "document"
	Declared         Strength = "declared"
)

// Strengths lists them, the best first.
func Strengths() []Strength { return []Strength{SignedProvenance, BuildInfo, Document, Declared} }

// A Claim is what one source says that an artifact was built from.
type Claim struct {
	Strength Strength
	Source   string // what it is: "Go build info", "SLSA provenance v1", ...
	By       string // who says so: the key that signed, or the builder that an unsigned document names; "" for nobody
	Commits  []Commit
}

// A Commit is one that an artifact was built from.
type Commit struct {
	ID  change.ID
	URI string // of its repository, as the source spells it; "" when it does not say
}

// ParseCommit reads the whole id of a commit, in hexadecimal. One of zeros names none.
func ParseCommit(hex string) (change.ID, error) {
	id, err := change.ParseID(hex)
	if err == nil && id == "" {
		err = fmt.Errorf("%q names no commit", hex)
	}
	return id, err
}

// MaxDocument bounds a document, in bytes, and maxDepth how deep its values nest.
const (
	MaxDocument = 16 << 20
	maxDepth    = 64
)

// ErrNoClaim reports a binary that says nothing of a commit.
var ErrNoClaim = errors.New("it says nothing of the commit that it was built from")

// OfBinary reads what the Go tool wrote into a binary: vcs.revision of `go version -m`. One
// that was built from a work tree with changes is an error, since no commit holds it. For
// a file of another kind, or one built without that, the error wraps ErrNoClaim.
func OfBinary(file string) (Claim, error) {
	c := Claim{Strength: BuildInfo, Source: "Go build info"}
	info := infoOf(file)
	if info == nil {
		return c, fmt.Errorf("%w: it holds no Go build info", ErrNoClaim)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	switch {
	case revision == "":
		return c, fmt.Errorf("%w: it was built with -buildvcs=false, or outside of a repository", ErrNoClaim)
	case settings["vcs"] != "git":
		return c, fmt.Errorf("%w: its revision is one of %q, not of git", ErrNoClaim, settings["vcs"])
	case settings["vcs.modified"] != "false":
		return c, fmt.Errorf("it was built from a work tree with changes on top of %.40q, so no commit holds it; build it from a clean checkout", revision)
	}
	id, err := ParseCommit(revision)
	if err != nil {
		return c, fmt.Errorf("vcs.revision: %w", err)
	}
	c.Commits = []Commit{{id, info.Main.Path}}
	return c, nil
}

// infoOf reads build info, nil for none. The readers of executables are not made for
// hostile input (see package debug/elf): what they stumble over is none.
func infoOf(file string) (info *buildinfo.BuildInfo) {
	defer func() {
		if recover() != nil {
			info = nil
		}
	}()
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil
	}
	return info
}

// OfDocument reads SLSA provenance (v1 or v0.2, as an in-toto statement or in a DSSE envelope) or
// a CycloneDX document, which must be about the artifact with one of the SHA-256, in
// hexadecimal. keys are those whose signatures count.
func OfDocument(data []byte, sha256 []string, keys []attestation.PublicKey) (Claim, error) {
	if len(data) > MaxDocument {
		return Claim{}, fmt.Errorf("it is larger than %d bytes", MaxDocument)
	}
	if err := strict(data); err != nil {
		return Claim{}, err
	}
	var head struct {
		Type        string `json:"_type"`
		PayloadType string `json:"payloadType"`
		BOMFormat   string `json:"bomFormat"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Claim{}, fmt.Errorf("not a document that is known: %w", err)
	}
	switch {
	case head.PayloadType != "":
		return ofEnvelope(data, sha256, keys)
	case head.BOMFormat == "CycloneDX":
		return ofCycloneDX(data, sha256)
	case strings.HasPrefix(head.Type, "https://in-toto.io/Statement/"):
		return ofStatement(data, sha256)
	}
	return Claim{}, errors.New("not a document that is known: want an in-toto statement, a DSSE envelope of one, or CycloneDX")
}

// strict reports what JSON readers could disagree about: a key that stands twice, values
// behind the first one, a depth that some refuse.
func strict(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var open []map[string]bool // keys of the objects around, nil for arrays
	wantKey := func() bool { return len(open) > 0 && open[len(open)-1] != nil }
	key := wantKey()
	for first := true; ; first = false {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && !first && len(open) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		if !first && len(open) == 0 {
			return errors.New("something stands behind its end")
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			if len(open) > maxDepth {
				return fmt.Errorf("it nests deeper than %d", maxDepth)
			}
			key = wantKey()
		case string:
			if key {
				keys, name := open[len(open)-1], folded(t)
				if keys[name] {
					return fmt.Errorf("the key %.40q stands twice in one object", t)
				}
				keys[name], key = true, false
				continue
			}
			key = wantKey()
		default:
			key = wantKey()
		}
	}
}

// folded is the same for keys that encoding/json takes for one, whatever their case.
func folded(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, key)
}

// ofEnvelope reads a statement in a DSSE envelope.
func ofEnvelope(data []byte, sha256 []string, keys []attestation.PublicKey) (Claim, error) {
	statement, sigs, err := kms.Payload(data)
	if err != nil {
		return Claim{}, err
	}
	if err := strict(statement); err != nil {
		return Claim{}, fmt.Errorf("statement: %w", err)
	}
	c, err := ofStatement(statement, sha256)
	if err != nil {
		return c, err
	}
	for _, key := range keys {
		for _, sig := range sigs {
			if attestation.VerifyStatement(statement, attestation.DSSE, sig, key) == nil {
				c.Strength, c.By = SignedProvenance, key.Fingerprint()
				return c, nil
			}
		}
	}
	if len(keys) > 0 {
		return c, errors.New("none of the keys that were named made its signature")
	}
	return c, nil
}

// A statement is as much of in-toto's as is read here. Its predicate is that of SLSA
// provenance v1 (https://slsa.dev/spec/v1.0/provenance) or v0.2.
type statement struct {
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			ResolvedDependencies []source `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder builder `json:"builder"`
		} `json:"runDetails"`

		Builder   builder  `json:"builder"` // of v0.2
		Materials []source `json:"materials"`
	} `json:"predicate"`
}

type builder struct {
	ID string `json:"id"`
}

type source struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

func ofStatement(data []byte, sha256 []string) (Claim, error) {
	var s statement
	if err := json.Unmarshal(data, &s); err != nil {
		return Claim{}, fmt.Errorf("in-toto statement: %w", err)
	}
	c := Claim{Strength: Document}
	var sources []source
	switch s.PredicateType {
	case "https://slsa.dev/provenance/v1":
		c.Source, c.By, sources = "SLSA provenance v1", s.Predicate.RunDetails.Builder.ID, s.Predicate.BuildDefinition.ResolvedDependencies
	case "https://slsa.dev/provenance/v0.2":
		c.Source, c.By, sources = "SLSA provenance v0.2", s.Predicate.Builder.ID, s.Predicate.Materials
	default:
		return c, fmt.Errorf("the statement is of type %.80q; want SLSA provenance v1 or v0.2", s.PredicateType)
	}
	var about []string
	for _, subject := range s.Subject {
		about = append(about, subject.Digest["sha256"])
	}
	if err := names(about, sha256); err != nil {
		return c, err
	}
	for _, from := range sources {
		hex := from.Digest["gitCommit"]
		if hex == "" && strings.HasPrefix(from.URI, "git+") {
			hex = from.Digest["sha1"] // of v0.2, and of generators that write v1 like it
		}
		if hex == "" {
			continue
		}
		id, err := ParseCommit(hex)
		if err != nil {
			return c, fmt.Errorf("commit of %.80q: %w", from.URI, err)
		}
		c.add(Commit{id, from.URI})
	}
	return c, c.some()
}

// names reports whether one of the digests that a document is about is one of the artifact.
func names(about, sha256 []string) error {
	if slices.ContainsFunc(about, func(d string) bool { return slices.Contains(sha256, strings.ToLower(d)) }) {
		return nil
	}
	return fmt.Errorf("it is about other artifacts: none of its %d subjects has the SHA-256 %s", len(about), strings.Join(sha256, " or "))
}

func (c *Claim) add(commit Commit) {
	if !slices.Contains(c.Commits, commit) {
		c.Commits = append(c.Commits, commit)
	}
}

// maxCommits bounds what one document may name.
const maxCommits = 1000

func (c *Claim) some() error {
	switch {
	case len(c.Commits) == 0:
		return ErrNoClaim
	case len(c.Commits) > maxCommits:
		return fmt.Errorf("it names %d commits; the most is %d", len(c.Commits), maxCommits)
	}
	return nil
}

// ofCycloneDX reads the pedigree of the component that the document is about.
func ofCycloneDX(data []byte, sha256 []string) (Claim, error) {
	c := Claim{Strength: Document, Source: "CycloneDX"}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return c, fmt.Errorf("CycloneDX: %w", err)
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil {
		return c, errors.New("CycloneDX: metadata.component does not say what it is about")
	}
	component := bom.Metadata.Component
	var about []string
	for _, h := range deref(component.Hashes) {
		if h.Algorithm == cdx.HashAlgoSHA256 {
			about = append(about, h.Value)
		}
	}
	if err := names(about, sha256); err != nil {
		return c, fmt.Errorf("CycloneDX: %w", err)
	}
	if component.Pedigree == nil {
		return c, fmt.Errorf("%w: there is no metadata.component.pedigree.commits", ErrNoClaim)
	}
	for _, commit := range deref(component.Pedigree.Commits) {
		id, err := ParseCommit(commit.UID)
		if err != nil {
			return c, fmt.Errorf("CycloneDX: uid of a commit: %w", err)
		}
		c.add(Commit{id, commit.URL})
	}
	return c, c.some()
}

func deref[T any](list *[]T) []T {
	if list == nil {
		return nil
	}
	return *list
}
