package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// PredicateType names what a manifest says of the files of a report.
const PredicateType = "https://github.com/gatekeeper-git/gatekeeper/audit-report/v1"

// A Manifest ties a report to what it was made from. It is an in-toto statement
// (https://in-toto.io/Statement/v1) whose subjects are the files.
type Manifest struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// hash is the one algorithm by which files are named.
const hash = "sha256"

// A Subject is a file.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"` // sha256, in hexadecimal
}

// Predicate says how the report was made.
type Predicate struct {
	Program      string     `json:"program"` // version of gatekeeper
	AsOf         string     `json:"as_of"`   // RFC 3339
	Parameters   Parameters `json:"parameters"`
	Repositories []Source   `json:"repositories"`
}

// A Source is a repository that was read.
type Source struct {
	Held
	Policies []audit.InForce `json:"policies"`
	Receipts *LastReceipt    `json:"receipts"` // null without any
}

// LastReceipt is where the chain of receipts had got to.
type LastReceipt struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Manifest describes files that were drawn from the report.
func (r *Report) Manifest(files map[string][]byte) *Manifest {
	m := &Manifest{Type: attestation.StatementType, PredicateType: PredicateType, Subject: []Subject{},
		Predicate: Predicate{Program: r.Program, AsOf: r.AsOf, Parameters: r.Parameters, Repositories: []Source{}}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m.Subject = append(m.Subject, Subject{name, map[string]string{hash: digest(files[name])}})
	}
	for i, h := range r.Held {
		s := Source{Held: h, Policies: r.Controls[i].Policies}
		if k := r.Controls[i].Receipts; k != nil {
			s.Receipts = &LastReceipt{k.Seq, k.Hash}
		}
		m.Predicate.Repositories = append(m.Predicate.Repositories, s)
	}
	return m
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Bytes are those that are signed.
func (m *Manifest) Bytes() ([]byte, error) { return spell(m) }

// Sign signs the bytes of a manifest and returns the file that holds the signature, with its
// name: SSHFile for SSH keys, DSSEFile for PEM files and key services.
func Sign(ctx context.Context, key attestation.Signer, manifest []byte) (name string, file []byte, err error) {
	scheme, sig, err := key.Sign(ctx, manifest)
	if err != nil {
		return "", nil, fmt.Errorf("sign with key %s: %w", key.PublicKey().Fingerprint(), err)
	}
	if scheme == attestation.DSSE {
		file, err = kms.Wrap(manifest, key.PublicKey().Fingerprint(), sig)
		return DSSEFile, file, err
	}
	file, err = attestation.Attestation{Scheme: scheme, Sig: sig}.Armored()
	return SSHFile, file, err
}

// maxManifest bounds a manifest that is read, in bytes: 50 repositories with 5,000 refs each
// take 20 MiB.
const maxManifest = 64 << 20

// parseManifest takes a manifest that is spelt as Bytes spells it, to the byte: what two
// readers could take for two things, a key twice or something behind the end, is none.
func parseManifest(data []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s is no manifest of a report: %w", ManifestFile, err)
	}
	if m.Type != attestation.StatementType || m.PredicateType != PredicateType {
		return nil, fmt.Errorf("%s is no manifest of a report: want predicateType %s", ManifestFile, PredicateType)
	}
	if spelt, err := m.Bytes(); err != nil || !bytes.Equal(spelt, data) {
		return nil, fmt.Errorf("%s is not spelt as gatekeeper does: something in it is twice, unknown, or behind the end", ManifestFile)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s is no manifest of a report: %w", ManifestFile, err)
	}
	return &m, nil
}

// maxIncidents bounds how often a report looks back, and so what it costs to check one.
const maxIncidents = 100

// check holds a manifest against what Gather and Manifest put into one.
func (m *Manifest) check() error {
	for i, s := range m.Subject {
		if _, err := hex.DecodeString(s.Digest[hash]); err != nil || len(s.Digest) != 1 || len(s.Digest[hash]) != 2*sha256.Size {
			return fmt.Errorf("file %q: want its SHA-256, and nothing else", s.Name)
		}
		if s.Name == "" || strings.ContainsAny(s.Name, `/\`) || i > 0 && s.Name <= m.Subject[i-1].Name {
			return fmt.Errorf("file %q: want names of the folder in order, each once", s.Name)
		}
	}
	for i, s := range m.Predicate.Repositories {
		if i > 0 && s.Repository <= m.Predicate.Repositories[i-1].Repository {
			return fmt.Errorf("repository %q: want names in order, each once", s.Repository)
		}
		if (s.Git == nil) != slices.Contains([]string{notHere, notWhole}, s.Problem) || s.Git != nil && s.Problem != "" {
			return fmt.Errorf("repository %q: want a count of git, or why there is none", s.Repository)
		}
	}
	return m.Predicate.Parameters.Check()
}
