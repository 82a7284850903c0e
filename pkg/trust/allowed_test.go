package trust

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

const p521Line = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAEl7v2sx+uyuA7yRSB9gYnFbxyFM4GYwxvgZRf8bK5KxfaZJKBhVVZWb/4CT3ZbAzSmRWyLWrX4d3GIWG2FFvXi4wEaIzuqk0jQWQ=="

func TestParseAllowedSigners(t *testing.T) {
	const file = `# people

alice@example.com ` + aliceLine + ` alice's laptop
bob@example.com,*@ops.example.com	namespaces="git,gatekeeper",valid-after="20260101Z",Valid-Before="202701010000Z"  ` + bobLine + `
"carol smith@example.com" ` + bobLine + "\r\n"
	signers, hints, err := ParseAllowedSigners("allowed_signers", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"*"}
	want := []Signer{
		{Principal: "alice@example.com", Key: key(t, aliceLine), Tools: all, Models: all, Source: "allowed_signers:3"},
		{
			Principal: "bob@example.com,*@ops.example.com", Key: key(t, bobLine), Tools: all, Models: all, Source: "allowed_signers:4",
			Namespaces:  []string{"git", "gatekeeper"},
			ValidAfter:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			ValidBefore: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		},
		{Principal: "carol smith@example.com", Key: key(t, bobLine), Tools: all, Models: all, Source: "allowed_signers:5"},
	}
	if diff := cmp.Diff(want, signers); diff != "" {
		t.Errorf("signers (-want +got):\n%s", diff)
	}
	if len(hints) != 0 {
		t.Errorf("hints: %q", hints)
	}
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", "allowed_signers", "good"))
	if err != nil {
		t.Fatal(err)
	}
	signers, hints, err := ParseAllowedSigners("good", data)
	if err != nil {
		t.Fatal(err)
	}
	if len(signers) != 4 || len(hints) != 3 {
		t.Errorf("%d signers and %d hints, want 4 and 3: %q", len(signers), len(hints), hints)
	}
}

func TestLinesThatGiveNoSigner(t *testing.T) {
	for _, tt := range []struct{ name, line, hint string }{
		{"namespaces without ours", `alice@example.com namespaces="git" ` + aliceLine, `write namespaces="git,gatekeeper"`},
		{"namespaces that exclude ours", `a namespaces="*,!gatekeeper" ` + aliceLine, "leaves out gatekeeper"},
		{"empty namespaces", `a namespaces="" ` + aliceLine, "leaves out gatekeeper"},
		{"a certificate authority", "*@example.com cert-authority " + aliceLine, "certificate authorities are not supported"},
		{"a security key", "a sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAAAABHNzaDo=", "FIDO"},
		{"P-521", "a " + p521Line, "P-521"},
		{"DSA", "a ssh-dss AAAAB3NzaC1kc3M=", "DSA"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signers, hints, err := ParseAllowedSigners("f", []byte("# first\n"+tt.line+"\n"))
			if err != nil || len(signers) != 0 {
				t.Fatalf("got %v, %v", signers, err)
			}
			if len(hints) != 1 || !strings.HasPrefix(hints[0], "line 2: ") || !strings.Contains(hints[0], tt.hint) {
				t.Errorf("hints %q, want %q", hints, tt.hint)
			}
		})
	}
}

func TestLinesThatAreErrors(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"principals alone", "alice@example.com", "a key is missing"},
		{"no key after the options", `a namespaces="git"`, "no space after the options"},
		{"a word alone after the principals", `a cert-authority`, "a key is missing"},
		{"an unknown option", `a no-touch-required ` + aliceLine, "neither an option nor a kind of key"},
		{"an option without quotes", "a namespaces=git " + aliceLine, "in quotes"},
		{"an option without value", "a namespaces " + aliceLine, "in quotes"},
		{"an open quote", `a namespaces="git ` + aliceLine, "closing quote is missing"},
		{"an option twice", `a namespaces="git",namespaces="gatekeeper" ` + aliceLine, "twice"},
		{"a comma at the end", `a namespaces="git", ` + aliceLine, "neither an option"},
		{"text after a quote", `a namespaces="git"x ` + aliceLine, "no space after the options"},
		{"open principals", `"alice ` + aliceLine, "no closing quote"},
		{"text after quoted principals", `"alice"x ` + aliceLine, "no space"},
		{"empty principals", `"" ` + aliceLine, "empty"},
		{"a quote in principals", `al"ice ` + aliceLine, "quote inside"},
		{"endless principals", strings.Repeat("a", 1000) + " " + aliceLine, "longer"},
		{"a damaged key", "a " + aliceLine[:len(aliceLine)-4], "damaged"},
		{"a key that is not base64", "a ssh-ed25519 AAAA*", "not base64"},
		{"a type without key", "a ssh-ed25519", "TYPE BASE64"},
		{"a key that anybody can sign for", "a ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "small order"},
		{"a time of another form", `a valid-after="2026-01-01" ` + aliceLine, "not a time"},
		{"the 30th of February", `a valid-after="20260230Z" ` + aliceLine, "not a time"},
		{"an hour alone", `a valid-after="2026010112Z" ` + aliceLine, "not a time"},
		{"the epoch", `a valid-after="19700101Z" ` + aliceLine, "not a time"},
		{"times the wrong way round", `a valid-after="20270101Z",valid-before="20260101Z" ` + aliceLine, "not later"},
		{"a NUL", "a\x00b " + aliceLine, "invisible"},
		{"a CR in the middle", "a\rb " + aliceLine, "invisible"},
		{"a right-to-left mark", "a\u202eb " + aliceLine, "invisible character U+202E"},
		{"another encoding", "a\xff " + aliceLine, "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signers, _, err := ParseAllowedSigners("allowed_signers", []byte("# first\n"+tt.line+"\n"))
			if err == nil || !strings.HasPrefix(err.Error(), "allowed_signers:2: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want %q", signers, err, tt.want)
			}
		})
	}
}

func TestTimesWithoutZoneAreLocalAndSaySo(t *testing.T) {
	signers, hints, err := parseAllowed("f", []byte(`a valid-after="20260101" `+aliceLine), time.FixedZone("", 2*60*60))
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2025, 12, 31, 22, 0, 0, 0, time.UTC); !signers[0].ValidAfter.Equal(want) {
		t.Errorf("valid after %v, want %v", signers[0].ValidAfter, want)
	}
	if len(hints) != 1 || !strings.Contains(hints[0], `"20260101Z" means the same everywhere`) {
		t.Errorf("hints %q", hints)
	}
}

// opensshJudge asks ssh-keygen whether a signature by alice's key in our
// namespace counts.
type opensshJudge struct {
	t                 *testing.T
	dir, public, sig  string
	allowed, timeZone string
}

func newOpenSSHJudge(t *testing.T) *opensshJudge {
	t.Helper()
	j := &opensshJudge{t: t, dir: t.TempDir(), timeZone: "UTC"}
	j.must("", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", filepath.Join(j.dir, "key"))
	public, err := os.ReadFile(filepath.Join(j.dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	j.public = strings.TrimSpace(string(public))
	sig := j.must("message", "-Y", "sign", "-q", "-n", "gatekeeper", "-f", filepath.Join(j.dir, "key"))
	j.sig = j.write("sig", sig)
	return j
}

func (j *opensshJudge) write(name, text string) string {
	j.t.Helper()
	path := filepath.Join(j.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		j.t.Fatal(err)
	}
	return path
}

func (j *opensshJudge) run(stdin string, args ...string) (string, error) {
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.dir, "TZ=" + j.timeZone}
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = errors.New(err.Error() + ": " + stderr.String())
	}
	return string(out), err
}

func (j *opensshJudge) must(stdin string, args ...string) string {
	j.t.Helper()
	out, err := j.run(stdin, args...)
	if err != nil {
		j.t.Fatal(err)
	}
	return out
}

func (j *opensshJudge) verifies(identity string, at time.Time) error {
	_, err := j.run("message", "-Y", "verify", "-n", "gatekeeper", "-f", j.allowed, "-I", identity, "-s", j.sig,
		"-O", "verify-time="+at.UTC().Format("20060102150405Z"))
	return err
}

// ours judges the same file, identity and time.
func (j *opensshJudge) ours(text, identity string, at time.Time, zone *time.Location) error {
	signers, hints, err := parseAllowed("allowed", []byte(text), zone)
	if err != nil {
		return err
	}
	err = errors.New("no signer; " + strings.Join(hints, ", "))
	for _, s := range NewSet(signers).Find(key(j.t, j.public).Fingerprint()) {
		if !s.Is(identity) {
			continue
		}
		if err = s.Valid(at); err == nil {
			return nil
		}
	}
	return err
}

func TestAgreesWithSSHKeygen(t *testing.T) {
	j := newOpenSSHJudge(t)
	day := time.Date(2026, 6, 15, 12, 30, 45, 0, time.UTC)
	zones := map[string]*time.Location{ // named as POSIX does, which needs no data base of zones
		"UTC": time.UTC, "MST7": time.FixedZone("", -7*60*60), "LINT-14": time.FixedZone("", 14*60*60),
	}
	type row struct {
		file, identity string
		at             time.Time
		zone           string
		want           bool
	}
	const alice = "alice@example.com"
	rows := []row{
		{"alice@example.com KEY", alice, day, "UTC", true},
		{"alice@example.com KEY a comment", alice, day, "UTC", true},
		{"\t alice@example.com \t KEY", alice, day, "UTC", true},
		{"alice@example.com KEY\r", alice, day, "UTC", true},
		{"# alice@example.com KEY", alice, day, "UTC", false},
		{"alice@example.com KEY", "Alice@example.com", day, "UTC", false},
		{"ALICE@example.com KEY", alice, day, "UTC", false},
		{`"alice@example.com" KEY`, alice, day, "UTC", true},
		{`"alice smith,bob" KEY`, "alice smith", day, "UTC", true},
		{"bob,alice@example.com KEY", alice, day, "UTC", true},
		{"bob KEY\nalice@example.com KEY", alice, day, "UTC", true},
		{"*@example.com KEY", alice, day, "UTC", true},
		{"a?ice@example.com KEY", alice, day, "UTC", true},
		{"*@example.com KEY", "alice@example.org", day, "UTC", false},
		{"!alice@example.com,* KEY", alice, day, "UTC", false},
		{"*,!alice@example.com KEY", alice, day, "UTC", false},
		{"!bob,* KEY", alice, day, "UTC", true},
		{"!bob KEY", alice, day, "UTC", false},
		{"!alice@example.com,* KEY\nalice@example.com KEY", alice, day, "UTC", true},
		{`* namespaces="gatekeeper" KEY`, alice, day, "UTC", true},
		{`* NameSpaces="gatekeeper" KEY`, alice, day, "UTC", true},
		{`* namespaces="git" KEY`, alice, day, "UTC", false},
		{`* namespaces="git,gatekeeper" KEY`, alice, day, "UTC", true},
		{`* namespaces="gate*" KEY`, alice, day, "UTC", true},
		{`* namespaces="Gatekeeper" KEY`, alice, day, "UTC", false},
		{`* namespaces="*,!gatekeeper" KEY`, alice, day, "UTC", false},
		{`* namespaces="!git,*" KEY`, alice, day, "UTC", true},
		{`* namespaces="git, gatekeeper" KEY`, alice, day, "UTC", false},
		{`* namespaces="a\",gatekeeper" KEY`, alice, day, "UTC", true},
		{`* namespaces="" KEY`, alice, day, "UTC", false},
		{`* cert-authority KEY`, alice, day, "UTC", false},
		{`* valid-after="20260615Z" KEY`, alice, day, "UTC", true},
		{`* valid-after="202606151230Z" KEY`, alice, day, "UTC", true},
		{`* valid-after="202606151231Z" KEY`, alice, day, "UTC", false},
		{`* valid-after="20260615123045Z" KEY`, alice, day, "UTC", true},
		{`* valid-after="20260615123046Z" KEY`, alice, day, "UTC", false},
		{`* valid-before="20260615123045Z" KEY`, alice, day, "UTC", true},
		{`* valid-before="20260615123044Z" KEY`, alice, day, "UTC", false},
		{`* valid-after="20260101Z",valid-before="20270101Z",namespaces="gatekeeper" KEY`, alice, day, "UTC", true},
		{`* valid-after="20270101Z",valid-before="20260101Z" KEY`, alice, day, "UTC", false},
		{`* valid-after="20260615123045" KEY`, alice, day, "UTC", true},
		{`* valid-after="20260615123045" KEY`, alice, day, "MST7", false},
		{`* valid-after="20260615053045" KEY`, alice, day, "MST7", true},
		{`* valid-after="20260615053046" KEY`, alice, day, "MST7", false},
		{`* valid-before="20260615053045" KEY`, alice, day, "MST7", true},
		{`* valid-before="20260615" KEY`, alice, day, "LINT-14", false},
		{`* valid-before="20260616" KEY`, alice, day, "LINT-14", false},
		{`* valid-before="20260617" KEY`, alice, day, "LINT-14", true},
		{`* valid-after="20260615123045Z" KEY`, alice, day, "MST7", true},
		{`* valid-after="2026" KEY`, alice, day, "UTC", false},
		{`* valid-after="19700101Z" KEY`, alice, day, "UTC", false},
		{`* valid-after=20260101Z KEY`, alice, day, "UTC", false},
		{`* namespaces=gatekeeper KEY`, alice, day, "UTC", false},
		{`* namespaces="gatekeeper",namespaces="gatekeeper" KEY`, alice, day, "UTC", false},
		{`* namespaces="gatekeeper", KEY`, alice, day, "UTC", false},
		{`* namespaces="gatekeeper"x KEY`, alice, day, "UTC", false},
		{`* restrict KEY`, alice, day, "UTC", false},
		{`* KE`, alice, day, "UTC", false},
	}
	for _, r := range rows {
		t.Run(r.zone+" "+r.file+" for "+r.identity, func(t *testing.T) {
			j := *j
			j.t, j.timeZone = t, r.zone
			text := strings.ReplaceAll(r.file, "KEY", j.public) + "\n"
			j.allowed = j.write("allowed", text)
			theirs, ours := j.verifies(r.identity, r.at), j.ours(text, r.identity, r.at, zones[r.zone])
			if (theirs == nil) != r.want {
				t.Errorf("ssh-keygen: %v; want accepted %v", theirs, r.want)
			}
			if (ours == nil) != r.want {
				t.Errorf("gatekeeper: %v; want accepted %v", ours, r.want)
			}
		})
	}
}

// Lines that ssh-keygen reads in a way that nobody would expect are errors here.
func TestStricterThanSSHKeygen(t *testing.T) {
	j := newOpenSSHJudge(t)
	at := time.Date(2026, 6, 15, 12, 30, 45, 0, time.UTC)
	for _, line := range []string{
		`ali"ce"KEY`,                      // the principal is alice, and the quote ends it
		`* valid-after="20260230Z" KEY`,   // the 2nd of March
		`* valid-after="20260101UTC" KEY`, // another spelling of Z, and not in the manual
	} {
		text := strings.ReplaceAll(line, "KEY", j.public) + "\n"
		j.allowed = j.write("allowed", text)
		if err := j.verifies("alice", at); err != nil {
			t.Errorf("%s: ssh-keygen: %v", line, err)
		}
		if err := j.ours(text, "alice", at, time.UTC); err == nil {
			t.Errorf("%s: accepted", line)
		}
	}
}

// The manual says the system time zone, and here that is what its clocks show.
// OpenSSH 9.2 takes every local time for one of winter.
func TestLocalSummerTimeIsWhatClocksShow(t *testing.T) {
	j := newOpenSSHJudge(t)
	j.timeZone = "EST5EDT,M3.2.0,M11.1.0"
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 15, 8, 30, 0, 0, zone)
	text := `* valid-after="202606150830" ` + j.public + "\n"
	j.allowed = j.write("allowed", text)
	if err := j.ours(text, "alice", at, zone); err != nil {
		t.Error(err)
	}
	if err := j.ours(text, "alice", at.Add(-time.Second), zone); err == nil {
		t.Error("accepted a second early")
	}
	if err := j.verifies("alice", at.Add(time.Hour)); err != nil {
		t.Errorf("ssh-keygen: %v", err)
	}
}

func TestAgreesWithFindPrincipals(t *testing.T) {
	j := newOpenSSHJudge(t)
	text := strings.ReplaceAll("bob,alice KEY\n*@example.com namespaces=\"gatekeeper\" KEY\n\"a b\" KEY\n", "KEY", j.public)
	j.allowed = j.write("allowed", text)
	out := j.must("", "-Y", "find-principals", "-f", j.allowed, "-s", j.sig)
	signers, _, err := ParseAllowedSigners("allowed", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	// OpenSSH 9.2 prints the first line that holds the key, a principal a line.
	got := NewSet(signers).Find(key(t, j.public).Fingerprint())[0].Principal
	if strings.ReplaceAll(got, ",", "\n") != strings.TrimSpace(out) {
		t.Errorf("principal %q, ssh-keygen says %q", got, out)
	}
}

func TestAllowedSignerLineIsReadBySSHKeygen(t *testing.T) {
	j := newOpenSSHJudge(t)
	at := time.Date(2026, 6, 15, 12, 30, 45, 0, time.UTC)
	s := Signer{
		Principal: "# alice smith", Key: key(t, j.public), Namespaces: []string{`x"y`, "gatekeeper"},
		ValidAfter: at, ValidBefore: at.Add(time.Second), Class: Platform,
	}
	text := s.AllowedSigner() + "\n"
	j.allowed = j.write("allowed", text)
	if err := j.verifies("# alice smith", at); err != nil {
		t.Errorf("%s%v", text, err)
	}
	if err := j.ours(text, "# alice smith", at, time.UTC); err != nil {
		t.Errorf("%s%v", text, err)
	}
	if err := j.verifies("# alice smith", at.Add(2*time.Second)); err == nil {
		t.Error("ssh-keygen accepts an expired signer")
	}
}

func FuzzParseAllowedSigners(f *testing.F) {
	corpus, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", "allowed_signers", "good"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(corpus)
	for line := range bytes.Lines(corpus) {
		f.Add(line)
	}
	f.Add([]byte(`"a b",c namespaces="\\",gatekeeper",valid-before="20270101" ` + aliceLine))
	zone := time.FixedZone("", -5*60*60)
	f.Fuzz(func(t *testing.T, data []byte) {
		signers, _, err := parseAllowed("f", data, zone)
		if err != nil {
			return
		}
		for _, s := range signers {
			if len(s.Namespaces) > 0 && !MatchList(s.Namespaces, attestation.Namespace) {
				t.Errorf("%s counts for namespaces %q", s.Source, s.Namespaces)
			}
			again, hints, err := parseAllowed("f", []byte(s.AllowedSigner()+"\n"), zone)
			if err != nil || len(again) != 1 || len(hints) != 0 {
				t.Fatalf("%q writes %q, which reads as %v, %q, %v", data, s.AllowedSigner(), again, hints, err)
			}
			again[0].Source = s.Source
			if diff := cmp.Diff(s, again[0]); diff != "" {
				t.Errorf("%q writes %q, another signer:\n%s", data, s.AllowedSigner(), diff)
			}
		}
	})
}
