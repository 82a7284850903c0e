package report_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/report"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// a desk has a signed report, and all it takes to check it.
type desk struct {
	*testing.T
	report  *report.Report
	files   map[string][]byte // as they were made
	checker report.Checker
}

func newDesk(t *testing.T) *desk {
	s := stage(t, "ledger")
	q := s.questions(t)
	r := s.gather(t, q)
	d := &desk{T: t, report: r, files: drawn(t, r)}
	d.sign(d.files, past.People[0])
	d.checker = report.Checker{Program: r.Program, Now: asOf.Add(time.Hour), Signers: trust.NewSet([]trust.Signer{signerOf(past.People[0])}),
		Again: func(context.Context, *report.Manifest) (*report.Report, error) { return s.gather(t, q), nil },
		Count: func(_ context.Context, of report.Source) (int64, error) { return s.reached(of) }}
	return d
}

// reached is what the past knows of a repository.
func (s *scene) reached(of report.Source) (int64, error) {
	for _, r := range s.repos {
		if strings.TrimSuffix(filepath.Base(r.Dir), ".git") == of.Repository {
			return int64(len(r.Reached())), nil
		}
	}
	return 0, report.ErrNotHere
}

func signerOf(p past.Person) trust.Signer {
	return trust.Signer{Principal: p.Email, Key: p.Key().PublicKey(), Tools: []string{"*"}, Models: []string{"*"}}
}

func (d *desk) sign(files map[string][]byte, by past.Person) {
	d.Helper()
	name, signature, err := report.Sign(context.Background(), by.Key(), files[report.ManifestFile])
	if err != nil {
		d.Fatal(err)
	}
	files[name] = signature
}

// lay writes files to a folder and checks it, as the command does.
func (d *desk) lay(files map[string][]byte, then func(dir string) error) string {
	d.Helper()
	dir := d.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			d.Fatal(err)
		}
	}
	if then != nil {
		if err := then(dir); err != nil {
			d.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		d.Fatal(err)
	}
	defer root.Close()
	found, err := d.checker.Check(context.Background(), root.FS())
	if err != nil {
		return err.Error()
	}
	var said []string
	for _, f := range found {
		said = append(said, fmt.Sprintf("%s %s: %s %s", f.Check, f.State, f.Said, strings.Join(f.Details, "; ")))
	}
	return strings.Join(said, "\n")
}

// with is the report with its manifest changed, and signed again by somebody who may.
func (d *desk) with(old, new string) map[string][]byte {
	d.Helper()
	files := maps.Clone(d.files)
	before := string(files[report.ManifestFile])
	after := strings.Replace(before, old, new, 1)
	if after == before {
		d.Fatalf("the manifest has no %q", old)
	}
	files[report.ManifestFile] = []byte(after)
	d.sign(files, past.People[0])
	return files
}

const agrees = "signature agrees|files agrees|figures agrees|repositories agrees"

func TestAnUntouchedReportAgrees(t *testing.T) {
	d := newDesk(t)
	d.wants(d.lay(d.files, nil), agrees)
}

// wants holds what was said against the beginnings of lines, or parts of an error.
func (d *desk) wants(said, want string) {
	d.Helper()
	for w := range strings.SplitSeq(want, "|") {
		if !strings.Contains(said, w) {
			d.Errorf("said\n%s\nwant %q in it", said, w)
		}
	}
}

// Even who may sign makes no manifest that two readers take for two things.
func TestAManifestIsSpeltInOneWay(t *testing.T) {
	d := newDesk(t)
	manifest := string(d.files[report.ManifestFile])
	first := `"program": "0.0.0-test"`
	sum := hex.EncodeToString(func() []byte { s := sha256.Sum256(d.files["actions.csv"]); return s[:] }())
	subject := fmt.Sprintf("    {\n      \"name\": \"actions.csv\",\n      \"digest\": {\n        \"sha256\": \"%s\"\n      }\n    },\n", sum)
	for _, tt := range []struct{ name, old, new, want string }{
		{"a key twice", first, `"program": "9", ` + first, "is not spelt as gatekeeper does"},
		{"a key in other letters", `"as_of"`, `"AS_OF"`, "is not spelt as gatekeeper does"},
		{"something unknown", first, first + `, "approved_by": "the board"`, "is not spelt as gatekeeper does"},
		{"something behind the end", manifest, manifest + "{}", "is no manifest of a report"},
		{"white space behind the end", manifest, manifest + "\n", "is not spelt as gatekeeper does"},
		{"another kind of statement", "audit-report/v1", "commit/v1", "want predicateType"},
		{"another hash", `"sha256": "` + sum, `"sha512": "` + sum, "want its SHA-256, and nothing else"},
		{"two hashes", `"sha256": "` + sum + `"`, "\"md5\": \"00\",\n        \"sha256\": \"" + sum + `"`, "want its SHA-256, and nothing else"},
		{"half a hash", sum, sum[:32], "want its SHA-256, and nothing else"},
		{"a file twice", subject, subject + subject, "want names of the folder in order, each once"},
		{"a file elsewhere", `"actions.csv"`, `"../actions.csv"`, "want names of the folder in order, each once"},
		{"words of its own for a count", `"problem": ""`, `"problem": "audited by hand"`, "want a count of git, or why there is none"},
		{"a look back at everything", `"incidents": []`, "\"incidents\": [\n        \"**\"\n      ]", "name a model, or a pattern of some"},
		{"persons for nothing", `"people": false`, `"people": true`, "persons are shown for a purpose"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := *d
			d.T = t
			d.wants(d.lay(d.with(tt.old, tt.new), nil), tt.want)
		})
	}
}

// pipe puts one where nobody writes to it.
func pipe(name string) func(dir string) error {
	return func(dir string) error { return exec.Command("mkfifo", filepath.Join(dir, name)).Run() }
}

func TestWhoeverChangesAReportIsFoundOut(t *testing.T) {
	d := newDesk(t)
	count := fmt.Sprintf("\"commits\": %d,\n        \"git\": %d", d.report.Held[0].Commits, d.report.Held[0].Commits)
	subject := strings.SplitAfterN(string(d.files[report.ManifestFile]), "    },\n", 2)[0]
	subject = subject[strings.Index(subject, "    {\n"):] // actions.csv
	without := d.with(subject, "")
	delete(without, "actions.csv")
	stolen := signerOf(past.People[0])
	stolen.CompromisedSince = asOf
	expired := signerOf(past.People[0])
	expired.ValidBefore = asOf.Add(-time.Second)
	envelope, err := kms.Wrap(d.files[report.ManifestFile], "SHA256:x", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, data []byte) map[string][]byte {
		files := maps.Clone(d.files)
		if data == nil {
			delete(files, name)
		} else {
			files[name] = data
		}
		return files
	}
	resigned := with("x", nil)
	d.sign(resigned, past.People[1])
	page := with(report.PageFile, []byte("<h1>all is well</h1>"))
	for _, tt := range []struct {
		name    string
		files   map[string][]byte
		then    func(dir string) error
		signers []trust.Signer
		want    string
	}{
		{"signed by another", resigned, nil, nil, "signature differs: nobody who may sign"},
		{"not signed", with(report.SSHFile, nil), nil, nil, "signature differs: the manifest is not signed"},
		{"a key that is stolen", d.files, nil, []trust.Signer{stolen}, "signature differs: key SHA256:"},
		{"a key that is stolen, for one of two", d.files, nil, []trust.Signer{stolen, signerOf(past.People[0])}, "signature differs: key SHA256:"},
		{"a key that had expired", d.files, nil, []trust.Signer{expired}, "signature differs: "},
		{"an envelope beside", with(report.DSSEFile, envelope), nil, nil, "signature differs: manifest.json.sig and manifest.dsse.json are both there"},
		{"a folder as an envelope", d.files, func(dir string) error { return os.Mkdir(filepath.Join(dir, report.DSSEFile), 0o755) }, nil,
			"signature differs: manifest.json.sig and manifest.dsse.json are both there"},
		{"a pipe as a signature", with(report.SSHFile, nil), pipe(report.SSHFile), nil,
			"signature differs: manifest.json.sig: it is not an ordinary file"},
		{"a pipe as a manifest", with(report.ManifestFile, nil), pipe(report.ManifestFile), nil,
			"manifest.json: it is not an ordinary file"},
		{"a pipe as a file", with("tools.csv", nil), pipe("tools.csv"), nil,
			"files differs: the files are not those of the manifest tools.csv: it is not an ordinary file"},
		{"a link as a file", with("tools.csv", nil), func(dir string) error { return os.Symlink("months.csv", filepath.Join(dir, "tools.csv")) }, nil,
			"tools.csv: it is not an ordinary file"},
		{"a file without end", d.files, func(dir string) error { return os.Truncate(filepath.Join(dir, "tools.csv"), 1<<42) }, nil, "tools.csv: it is larger than"},
		{"a signature without end", d.files, func(dir string) error { return os.Truncate(filepath.Join(dir, report.SSHFile), 1<<42) }, nil, "signature differs: manifest.json.sig: it is larger than"},
		{"a name in other letters", with("Report.html", []byte("x")), nil, nil, "Report.html: the manifest does not name it"},
		{"another page", page, nil, nil, "files differs: the files are not those of the manifest report.html: its SHA-256 is another"},
		{"a file less, in the manifest, too", without, nil, nil, "signature agrees|files agrees|figures differs: counted again from the index, the report is another actions.csv"},
		{"a count of git that is a lie", d.with(count, strings.Replace(count, "\"git\": ", "\"git\": 9", 1)), nil, nil, "repositories differs: git counts otherwise"},
		{"of a time to come", d.with("2027-01-15T", "2037-01-15T"), nil, nil, "signature differs: the manifest is as of 2037-01-15T00:00:00Z, which is to come"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := *d
			d.T = t
			if tt.signers != nil {
				d.checker.Signers = trust.NewSet(tt.signers)
			}
			d.wants(d.lay(tt.files, tt.then), tt.want)
		})
	}
}

// A version that draws otherwise is no excuse for other tips.
func TestWhatCannotBeCheckedIsNoYes(t *testing.T) {
	d := newDesk(t)
	here := d.checker
	changed := func() (*report.Report, error) {
		r := *d.report
		r.Parameters.Title = "another"
		return &r, nil
	}
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		again func() (*report.Report, error)
		count error
		want  string
	}{
		{"no index", d.files, func() (*report.Report, error) { return nil, fmt.Errorf("x: %w", report.ErrNotHere) }, nil, "figures not checked"},
		{"an index that cannot be read", d.files, func() (*report.Report, error) { return nil, errors.New("broken") }, nil, "figures differs"},
		{"a repository that is gone", d.files, nil, report.ErrNotHere, "figures agrees|repositories not checked: 0 of 1"},
		{"another version", d.with("0.0.0-test", "9.9.9"), changed, nil, "figures not checked: the report was made with gatekeeper 9.9.9"},
		{"the same version", d.files, changed, nil, "figures differs"},
		{"commits that are gone are no excuse for what was not read from them", d.files, changed, errors.New("gone"), "figures differs"},
		{"other tips, and another version", d.with("0.0.0-test", "9.9.9"), func() (*report.Report, error) {
			r := *d.report
			r.Held = slices.Clone(r.Held)
			r.Held[0].Tips = map[string]string{}
			return &r, nil
		}, nil, "figures differs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := *d
			d.T, d.checker = t, here
			if tt.again != nil {
				d.checker.Again = func(context.Context, *report.Manifest) (*report.Report, error) { return tt.again() }
			}
			if tt.count != nil {
				d.checker.Count = func(context.Context, report.Source) (int64, error) { return 0, tt.count }
			}
			d.wants(d.lay(tt.files, nil), tt.want)
		})
	}
}

// enveloped seals a manifest by DSSE with the key of a person, in the name of another's.
func enveloped(t *testing.T, manifest []byte, by, named past.Person) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte(by.Email))
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(attestation.PayloadType), attestation.PayloadType, len(manifest), manifest)
	file, err := kms.Wrap(manifest, named.Key().PublicKey().Fingerprint(), ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), []byte(pae)))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEnvelopes(t *testing.T) {
	d := newDesk(t)
	alice, bob := past.People[0], past.People[1]
	manifest := d.files[report.ManifestFile]
	other := bytes.Replace(manifest, []byte("0.0.0-test"), []byte("0.0.1-test"), 1)
	mine := enveloped(t, manifest, alice, alice)
	for _, tt := range []struct {
		name     string
		envelope []byte
		signers  *trust.Set
		want     string
	}{
		{"of who may", mine, d.checker.Signers, agrees},
		{"of another", enveloped(t, manifest, bob, bob), d.checker.Signers, "signature differs: nobody who may sign"},
		{"of another in the name of who may", enveloped(t, manifest, bob, alice), d.checker.Signers, "signature differs: manifest.dsse.json: "},
		{"over another manifest", enveloped(t, other, alice, alice), d.checker.Signers, "signature differs: manifest.dsse.json holds another manifest"},
		{"when nobody said who may", mine, nil, "signature not checked: the signature names key SHA256:"},
		{"of another type", bytes.Replace(mine, []byte(attestation.PayloadType), []byte("text/plain"), 1), d.checker.Signers, "signature differs: manifest.dsse.json: a DSSE envelope of"},
		{"with two signatures", bytes.Replace(mine, []byte(`"signatures":[`), []byte(`"signatures":[{"keyid":"","sig":""},`), 1), d.checker.Signers, "signature differs: manifest.dsse.json: a DSSE envelope with 2 signatures"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := *d
			d.T, d.checker.Signers = t, tt.signers
			files := maps.Clone(d.files)
			delete(files, report.SSHFile)
			files[report.DSSEFile] = tt.envelope
			d.wants(d.lay(files, nil), tt.want)
		})
	}
}
