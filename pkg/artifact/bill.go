package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// A Bill is what is known of the models and tools that had a part in an artifact.
type Bill struct {
	Program string    // version of gatekeeper
	AsOf    time.Time // when this was known
	Name    string    // of the artifact
	SHA256  string    // of it, in hexadecimal
	Links   []Link
	Parts   []Part
	Commits int64 // that are in it, of the repositories that the index knows
	Unknown int64 // of these, those of which nothing is known
}

// A Link is one commit that the artifact was built from, and how that is known.
type Link struct {
	Commit   string
	URI      string
	Strength Strength
	Source   string
}

// A Part is a model in the hands of a tool, with the commits of the artifact in which it
// took part.
type Part struct {
	Tool            string // "unknown" where it is not known, likewise below
	Provider, Model string
	Commits         int64
	Evidence        map[string]int64 // commits by evidence
	Unsanctioned    int64            // commits in which no policy approved it at the time
	Examples        []Example        // some of the commits
}

// An Example is a commit with its evidence.
type Example struct{ Repository, Commit, Evidence string }

// CycloneDX writes the bill as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). Models are
// components of type machine-learning-model, and tools applications, with the scope
// "excluded": they had a part in how the artifact was made and are not in it when it runs.
// Occurrences name commits. The same bill gives the same bytes.
func (b Bill) CycloneDX() ([]byte, error) {
	bom := cdx.NewBOM()
	bom.JSONSchema, bom.SpecVersion = "http://cyclonedx.org/schema/bom-1.6.schema.json", cdx.SpecVersion1_6
	about := cdx.Component{BOMRef: "artifact", Type: cdx.ComponentTypeFile, Name: b.Name,
		Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: b.SHA256}},
		Pedigree: &cdx.Pedigree{Commits: b.commits()}}
	bom.Metadata = &cdx.Metadata{Timestamp: b.AsOf.UTC().Format(time.RFC3339), Component: &about,
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "gatekeeper", Version: b.Program}}}}
	bom.Properties = properties("commits", b.Commits, "commits:unknown", b.Unknown)
	components, depends := []cdx.Component{}, []string{}
	for _, p := range b.Parts {
		for _, c := range p.components() {
			if !hasRef(components, c.BOMRef) {
				components, depends = append(components, c), append(depends, c.BOMRef)
			}
		}
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: "artifact", Dependencies: &depends}}
	plain, err := json.Marshal(bom)
	if err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	bom.SerialNumber = serial(plain)
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(true).Encode(bom); err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	return out.Bytes(), nil
}

func hasRef(list []cdx.Component, ref string) bool {
	for _, c := range list {
		if c.BOMRef == ref {
			return true
		}
	}
	return false
}

func (b Bill) commits() *[]cdx.Commit {
	list := []cdx.Commit{}
	for _, l := range b.Links {
		list = append(list, cdx.Commit{UID: l.Commit, URL: l.URI, Message: fmt.Sprintf("linked by %s (%s)", l.Source, l.Strength)})
	}
	return &list
}

// components are the tool and the model of a part, and what the two did together. A model
// that several tools used has a component for each, since the evidence is another.
func (p Part) components() (list []cdx.Component) {
	tool := cdx.Component{BOMRef: "tool:" + p.Tool, Type: cdx.ComponentTypeApplication, Name: p.Tool, Scope: cdx.ScopeExcluded}
	model := cdx.Component{BOMRef: "model:" + p.Provider + "/" + p.Model + " by " + tool.BOMRef, Type: cdx.ComponentTypeMachineLearningModel,
		Group: known(p.Provider), Name: p.Model, Scope: cdx.ScopeExcluded, Evidence: &cdx.Evidence{Occurrences: p.occurrences()}}
	if p.Provider != "unknown" {
		model.Supplier = &cdx.OrganizationalEntity{Name: p.Provider}
	}
	pairs := []any{"tool", p.Tool, "commits", p.Commits, "commits:unsanctioned", p.Unsanctioned}
	for _, e := range []string{"attested", "declared", "import", "inferred"} {
		pairs = append(pairs, "commits:"+e, p.Evidence[e])
	}
	model.Properties = properties(pairs...)
	return []cdx.Component{tool, model}
}

func (p Part) occurrences() *[]cdx.EvidenceOccurrence {
	if len(p.Examples) == 0 {
		return nil
	}
	list := []cdx.EvidenceOccurrence{}
	for _, e := range p.Examples {
		list = append(list, cdx.EvidenceOccurrence{Location: e.Repository + "@" + e.Commit, AdditionalContext: e.Evidence})
	}
	return &list
}

func known(word string) string {
	if word == "unknown" {
		return ""
	}
	return word
}

// properties are pairs of a name and a value, in a namespace of ours.
func properties(pairs ...any) *[]cdx.Property {
	list := []cdx.Property{}
	for i := 0; i < len(pairs); i += 2 {
		value, ok := pairs[i+1].(string)
		if !ok {
			value = strconv.FormatInt(pairs[i+1].(int64), 10)
		}
		list = append(list, cdx.Property{Name: "gatekeeper:" + pairs[i].(string), Value: value})
	}
	return &list
}

// serial names the document by its content: a UUID of version 8 (RFC 9562, section 5.8) out
// of its SHA-256.
func serial(content []byte) string {
	sum := sha256.Sum256(content)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
