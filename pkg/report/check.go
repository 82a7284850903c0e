package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// A State is what a check came to.
type State string

const (
	Agrees    State = "agrees"
	Differs   State = "differs"
	Unchecked State = "not checked"
)

// A Finding is what one check of a report came to.
type Finding struct {
	Check   string   `json:"check"` // signature, files, figures or repositories
	State   State    `json:"state"`
	Said    string   `json:"said"`
	Details []string `json:"details"`
}

// ErrNotHere reports that something to compare with is not at hand.
var ErrNotHere = errors.New("not at hand")

// A Checker has what a report is held against.
type Checker struct {
	Program string
	Signers *trust.Set // who may sign; nil when nobody was named

	// Again gathers the report that a manifest tells of anew, with the counts that it has from
	// git. ErrNotHere in its error says that the figures cannot be checked.
	Again func(ctx context.Context, m *Manifest) (*Report, error)
	// Count asks git how many commits the tips of a source reach now; ErrNotHere as above.
	Count func(ctx context.Context, s Source) (int64, error)
}

// Check holds the files of a report against its manifest, and that against all else. An
// error says that there is no manifest.
func (c Checker) Check(ctx context.Context, dir fs.FS) ([]Finding, error) {
	manifest, err := readFile(dir, ManifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s in it: it is no report", ManifestFile)
	}
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(manifest)
	if err != nil {
		return nil, err
	}
	return []Finding{c.signature(dir, manifest, m), c.files(dir, m), c.figures(ctx, m), c.repositories(ctx, m)}, nil
}

// readFile reads an ordinary file of bounded size.
func readFile(dir fs.FS, name string, most int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return data, err
}

// maxEnvelope bounds a DSSE envelope: the manifest in base64, and some.
const maxEnvelope = maxManifest/3*4 + 1<<20

// signature asks who stands behind the manifest.
func (c Checker) signature(dir fs.FS, manifest []byte, m *Manifest) Finding {
	f := Finding{Check: "signature", Details: []string{}}
	key, err := signedBy(dir, manifest, c.Signers)
	if err != nil {
		return f.is(Differs, "%v", err)
	}
	if key == "" {
		if c.Signers != nil {
			return f.is(Differs, "the manifest is not signed")
		}
		return f.is(Unchecked, "the manifest is not signed")
	}
	if c.Signers == nil {
		return f.is(Unchecked, "the signature names key %s; who may sign was not said: --signers FILE", key)
	}
	at, err := time.Parse(time.RFC3339, m.Predicate.AsOf)
	if err != nil {
		return f.is(Differs, "the manifest says no time: %v", err)
	}
	for _, s := range c.Signers.Find(key) {
		if !s.CompromisedSince.IsZero() {
			err = fmt.Errorf("key %s is compromised", key)
		} else if err = s.Valid(at); err == nil {
			return f.is(Agrees, "signed by %s with %s", s.Principal, key)
		}
	}
	if err == nil {
		err = fmt.Errorf("nobody who may sign has the key %s", key)
	}
	return f.is(Differs, "%v", err)
}

// signedBy is the fingerprint of the key that signed the manifest, "" when none did. A DSSE
// signature does not carry its key: without signers it is only named.
func signedBy(dir fs.FS, manifest []byte, signers *trust.Set) (string, error) {
	file, err := readFile(dir, SSHFile, attestation.MaxDetached)
	if err == nil {
		key, err := attestation.VerifyFile(file, attestation.Namespace, manifest, pubkey.Parse)
		if err != nil {
			return "", fmt.Errorf("%s: %w", SSHFile, err)
		}
		return key.Fingerprint(), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	file, err = readFile(dir, DSSEFile, maxEnvelope)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	statement, key, sig, err := kms.Unwrap(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", DSSEFile, err)
	}
	if !bytes.Equal(statement, manifest) {
		return "", fmt.Errorf("%s holds another manifest than %s", DSSEFile, ManifestFile)
	}
	if signers == nil {
		return key, nil
	}
	for _, s := range signers.Find(key) {
		if err := attestation.VerifyStatement(statement, attestation.DSSE, sig, s.Key); err != nil {
			return "", fmt.Errorf("%s: %w", DSSEFile, err)
		}
	}
	return key, nil
}

// files holds the folder against the manifest: nothing else, nothing less, nothing changed.
func (c Checker) files(dir fs.FS, m *Manifest) Finding {
	f := Finding{Check: "files", Details: []string{}}
	want := map[string]string{}
	for _, s := range m.Subject {
		want[s.Name] = s.Digest["sha256"]
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return f.is(Differs, "%v", err)
	}
	for _, e := range entries {
		name := e.Name()
		sum, listed := want[name]
		delete(want, name)
		switch {
		case !listed && slices.Contains([]string{ManifestFile, SSHFile, DSSEFile}, name):
		case !listed:
			f.Details = append(f.Details, name+": the manifest does not name it")
		case !e.Type().IsRegular():
			f.Details = append(f.Details, name+": it is not an ordinary file")
		default:
			if got, err := digestOf(dir, name); err != nil {
				f.Details = append(f.Details, err.Error())
			} else if got != sum {
				f.Details = append(f.Details, name+": its SHA-256 is another")
			}
		}
	}
	for name := range want {
		f.Details = append(f.Details, name+": it is missing")
	}
	slices.Sort(f.Details)
	if len(f.Details) > 0 {
		return f.is(Differs, "the files are not those of the manifest")
	}
	return f.is(Agrees, "%d files are as the manifest names them", len(m.Subject))
}

func digestOf(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// figures gathers the report again, and compares what comes of it.
func (c Checker) figures(ctx context.Context, m *Manifest) Finding {
	f := Finding{Check: "figures", Details: []string{}}
	again, err := c.Again(ctx, m)
	if errors.Is(err, ErrNotHere) {
		return f.is(Unchecked, "%v", err)
	}
	if err != nil {
		return f.is(Differs, "they could not be counted again: %v", err)
	}
	again.Program = m.Predicate.Program
	files, err := again.Files()
	if err != nil {
		return f.is(Differs, "they could not be drawn again: %v", err)
	}
	anew := again.Manifest(files)
	for _, s := range m.Subject {
		if got, ok := files[s.Name]; !ok || digest(got) != s.Digest["sha256"] {
			f.Details = append(f.Details, s.Name+": counted again, it is another")
		}
	}
	if was, is := tied(m), tied(anew); was != is {
		f.Details = append(f.Details, ManifestFile+": the index has other tips, policies or receipts")
	}
	if len(f.Details) == 0 {
		return f.is(Agrees, "counted again from the index, every file is the same")
	}
	if m.Predicate.Program != c.Program {
		return f.is(Unchecked, "the report was made with gatekeeper %s, and this is %s, which draws it otherwise", m.Predicate.Program, c.Program)
	}
	return f.is(Differs, "counted again from the index, the report is another")
}

// tied is what a manifest says of repositories.
func tied(m *Manifest) string {
	data, err := spell(m.Predicate.Repositories)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// repositories asks git.
func (c Checker) repositories(ctx context.Context, m *Manifest) Finding {
	f := Finding{Check: "repositories", Details: []string{}}
	same, absent := 0, 0
	for _, s := range m.Predicate.Repositories {
		n, err := c.Count(ctx, s)
		switch {
		case err != nil:
			absent++
			f.Details = append(f.Details, s.Repository+": "+err.Error())
		case n != s.Commits:
			f.Details = append(f.Details, fmt.Sprintf("%s: git counts %d commits, and the report %d", s.Repository, n, s.Commits))
		default:
			same++
		}
	}
	all := len(m.Predicate.Repositories)
	switch {
	case same+absent < all:
		return f.is(Differs, "git counts otherwise")
	case absent > 0:
		return f.is(Unchecked, "%d of %d could be counted by git, and agree", same, all)
	}
	return f.is(Agrees, "git counts the same commits in all %d", all)
}

func (f Finding) is(s State, format string, args ...any) Finding {
	f.State, f.Said = s, strings.TrimSpace(fmt.Sprintf(format, args...))
	return f
}
