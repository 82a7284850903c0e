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
	Now     time.Time
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
	repositories, whole := c.repositories(ctx, m)
	return []Finding{c.signature(dir, manifest, m), c.files(dir, m), c.figures(ctx, m, whole), repositories}, nil
}

// open opens an ordinary file of bounded size: nobody waits at a pipe, and no link leads away.
func open(dir fs.FS, name string, most int64) (fs.File, error) {
	info, err := fs.Lstat(dir, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is not an ordinary file", name)
	case info.Size() > most:
		return nil, fmt.Errorf("%s: it is larger than %d bytes", name, most)
	}
	return dir.Open(name)
}

func readFile(dir fs.FS, name string, most int64) ([]byte, error) {
	f, err := open(dir, name, most)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// maxFile bounds a file of a report, in bytes.
const maxFile = 4 << 30

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
	if at.After(c.Now) {
		return f.is(Differs, "the manifest is as of %s, which is to come", m.Predicate.AsOf)
	}
	behind := c.Signers.Find(key)
	if slices.ContainsFunc(behind, func(s trust.Signer) bool { return !s.CompromisedSince.IsZero() }) {
		return f.is(Differs, "key %s is compromised", key)
	}
	for _, s := range behind {
		if err = s.Valid(at); err == nil {
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
	if there(dir, SSHFile) && there(dir, DSSEFile) {
		return "", fmt.Errorf("%s and %s are both there: which of them counts?", SSHFile, DSSEFile)
	}
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

func there(dir fs.FS, name string) bool {
	_, err := fs.Lstat(dir, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// files holds the folder against the manifest: nothing else, nothing less, nothing changed.
func (c Checker) files(dir fs.FS, m *Manifest) Finding {
	f := Finding{Check: "files", Details: []string{}}
	want := map[string]string{}
	for _, s := range m.Subject {
		want[s.Name] = s.Digest[hash]
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
	return f.is(Agrees, "%s as the manifest names them", countAre(len(m.Subject), "file"))
}

func digestOf(dir fs.FS, name string) (string, error) {
	f, err := open(dir, name, maxFile)
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

// figures gathers the report again, and compares what comes of it. Where a repository is no
// longer whole, what was read from it cannot come out as before.
func (c Checker) figures(ctx context.Context, m *Manifest, whole bool) Finding {
	f := Finding{Check: "figures", Details: []string{}}
	again, err := c.Again(ctx, m)
	switch {
	case errors.Is(err, ErrNotHere):
		return f.is(Unchecked, "%v", err)
	case err != nil && !whole && m.readFromObjects(PageFile):
		return f.is(Unchecked, "a repository is not whole: %v", err)
	case err != nil:
		return f.is(Differs, "they could not be counted again: %v", err)
	}
	again.Program = m.Predicate.Program
	files, err := again.Files()
	if err != nil {
		return f.is(Differs, "they could not be drawn again: %v", err)
	}
	other := differing(m, again.Manifest(files))
	for _, name := range other {
		f.Details = append(f.Details, name+": counted again, it is another")
	}
	tied := tied(m) == tied(again.Manifest(nil))
	if !tied {
		f.Details = append(f.Details, ManifestFile+": the index has other tips, policies or receipts")
	}
	counted := func(name string) bool { return !m.readFromObjects(name) }
	switch {
	case len(f.Details) == 0:
		return f.is(Agrees, "counted again from the index, every file is the same")
	case tied && m.Predicate.Program != c.Program:
		return f.is(Unchecked, "the report was made with gatekeeper %s, and this is %s, which draws it otherwise", m.Predicate.Program, c.Program)
	case tied && !whole && !slices.ContainsFunc(other, counted):
		return f.is(Unchecked, "what these files say was read from commits that are not at hand any more")
	}
	return f.is(Differs, "counted again from the index, the report is another")
}

// differing names the files that two manifests do not have alike.
func differing(a, b *Manifest) (names []string) {
	sums := func(m *Manifest) map[string]string {
		sums := map[string]string{}
		for _, s := range m.Subject {
			sums[s.Name] = s.Digest[hash]
		}
		return sums
	}
	was, is := sums(a), sums(b)
	for name, sum := range was {
		if is[name] != sum {
			names = append(names, name)
		}
	}
	for name := range is {
		if was[name] == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// readFromObjects reports whether a file has what git was asked for, beside the index.
func (m *Manifest) readFromObjects(name string) bool {
	with := m.Predicate.Parameters
	switch name {
	case PageFile, DataFile, "actions.csv":
		return with.Living || len(with.Incidents) > 0
	case "tools.csv", "repositories.csv":
		return with.Living
	}
	return strings.HasPrefix(name, "incident-")
}

// tied is what a manifest says of repositories.
func tied(m *Manifest) string {
	data, err := spell(m.Predicate.Repositories)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// repositories asks git, and says whether all that it was asked for is still there.
func (c Checker) repositories(ctx context.Context, m *Manifest) (f Finding, whole bool) {
	f = Finding{Check: "repositories", Details: []string{}}
	same, absent := 0, 0
	for _, s := range m.Predicate.Repositories {
		n, err := c.Count(ctx, s)
		switch {
		case err != nil:
			absent++
			f.Details = append(f.Details, s.Repository+": "+err.Error())
		case n != s.Commits:
			f.Details = append(f.Details, fmt.Sprintf("%s: git counts %d commits, and the report %d", s.Repository, n, s.Commits))
		case s.Git != nil && n != *s.Git:
			f.Details = append(f.Details, fmt.Sprintf("%s: git counts %d commits, and the report says that it counted %d", s.Repository, n, *s.Git))
		default:
			same++
		}
	}
	all := len(m.Predicate.Repositories)
	switch {
	case same+absent < all:
		return f.is(Differs, "git counts otherwise"), absent == 0
	case absent > 0:
		return f.is(Unchecked, "%d of %d could be counted by git, and agree", same, all), false
	}
	return f.is(Agrees, "git counts the same commits in all %d", all), true
}

func (f Finding) is(s State, format string, args ...any) Finding {
	f.State, f.Said = s, strings.TrimSpace(fmt.Sprintf(format, args...))
	return f
}
