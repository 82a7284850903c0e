package trailer_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// readVector is one case of testdata/vectors/trailer/read.json.
type readVector struct {
	Name                    string
	Message                 string
	Base64                  []byte
	Ambiguous, Malformed    string
	Provenance, Attestation []string
	Other                   []trailer.Line
}

func (v readVector) bytes() []byte {
	if v.Base64 != nil {
		return v.Base64
	}
	return []byte(v.Message)
}

func readVectors(t testing.TB) []readVector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", "trailer", "read.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []readVector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

func TestReadVectors(t *testing.T) {
	vectors := readVectors(t)
	var messages [][]byte
	for _, v := range vectors {
		messages = append(messages, v.bytes())
	}
	seen := newGit(t).read(t, messages)
	for i, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			got, err := trailer.Read(messages[i])
			var ambiguous *trailer.AmbiguousError
			var malformed *trailer.MalformedError
			switch {
			case v.Ambiguous != "":
				if !errors.As(err, &ambiguous) || !strings.Contains(ambiguous.Reason, v.Ambiguous) {
					t.Fatalf("got %+v, %v, want ambiguous: %s", got, err, v.Ambiguous)
				}
			case v.Malformed != "":
				if !errors.As(err, &malformed) || !strings.Contains(malformed.Reason, v.Malformed) {
					t.Fatalf("got %+v, %v, want malformed: %s", got, err, v.Malformed)
				}
			case err != nil:
				t.Fatal(err)
			default:
				want := trailer.Block{Provenance: v.Provenance, Attestation: v.Attestation, Other: v.Other}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("block (-want +got):\n%s", diff)
				}
				agree(t, messages[i], seen[i])
			}
		})
	}
}

// agree fails when a message that Read accepts reads otherwise in git.
func agree(t *testing.T, message []byte, git readings) {
	t.Helper()
	got, err := trailer.Read(message)
	if err != nil {
		return
	}
	if diff := cmp.Diff(blockOf(git.log), got); diff != "" {
		t.Fatalf("%q: git log and Read (-git +got):\n%s", message, diff)
	}
	interpret, divided := blockOf(git.interpret), blockOf(git.divided)
	if got.Provenance == nil && got.Attestation == nil {
		// Nothing reserved: git's readers may differ on other people's trailers.
		if interpret.Provenance != nil || divided.Provenance != nil || interpret.Attestation != nil || divided.Attestation != nil {
			t.Fatalf("%q: interpret-trailers sees reserved lines: %+v %+v", message, interpret, divided)
		}
		return
	}
	if diff := cmp.Diff(interpret, got); diff != "" {
		t.Fatalf("%q: interpret-trailers and Read (-git +got):\n%s", message, diff)
	}
	if git.undivided {
		return
	}
	divided.Other, got.Other = nil, nil
	if diff := cmp.Diff(divided, got); diff != "" {
		t.Fatalf("%q: interpret-trailers with divider and Read (-git +got):\n%s", message, diff)
	}
}

// fragments are lines with which messages go wrong.
var fragments = []string{
	"\n", "\n", "\n", "\n", "subject\n", "body text\n", "AI-Provenance: a/1 b/c\n", "AI-Provenance: a/1 b/c\n", "AI-Attestation: v1 x=y\n",
	"AI-Provenance : x\n", "ai-provenance: x\n", " AI-Provenance: x\n", "AI-Provenance: x", "AI-Provenance:\n", "AI-Provenance: x\r\n",
	"Fixes: #1\n", "A: b\n", "A : b \n", "A:\n", "Signed-off-by: x <x@y>\n", "Signed-off-by: x <x@y>\n", "(cherry picked from commit 01)\n",
	"  folded\n", "\tfolded\n", " \n", "\t\n", "\r\n", "# comment\n", "#\n", "#12 A: b\n", "Conflicts:\n", "\tfile\n", "Conflicts:",
	"---\n", "--- a/f\n", "---", "# ------------------------ >8 ------------------------\n", "; ------------------------ >8 ------------------------\n",
	"# ------------------------ >8 ------------------------", "\x00", "\v", "\f", "\u2028", "A: b\r\n", "A_b: c\n", ": b\n", "=\n", "\xff\n",
}

func randomMessage(r *rand.Rand) []byte {
	var m []byte
	if r.IntN(3) > 0 {
		m = append(m, "subject\n\n"...)
	}
	for range r.IntN(9) {
		m = append(m, fragments[r.IntN(len(fragments))]...)
	}
	if r.IntN(3) > 0 {
		m = append(m, "\nAI-Provenance: a/1 b/c\n"...)
	}
	return append(m, fragments[r.IntN(len(fragments))]...)
}

func TestReadAgreesWithGit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var messages [][]byte
	for range 3000 {
		messages = append(messages, randomMessage(r))
	}
	accepted := 0
	for i, git := range newGit(t).read(t, messages) {
		agree(t, messages[i], git)
		if b, err := trailer.Read(messages[i]); err == nil && b.Provenance != nil {
			accepted++
		}
	}
	if accepted < 300 {
		t.Errorf("only %d of %d messages were accepted with a record", accepted, len(messages))
	}
}

func FuzzReadAgreesWithGit(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.bytes())
	}
	git := newGit(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		agree(t, message, git.read(t, [][]byte{message})[0])
	})
}

// suspicious is the rule of the package comment, written once more.
var suspicious = regexp.MustCompile(`(?i)(?:^|[\n\r\x00\v\f\x1c-\x1e\x{85}\x{2028}\x{2029}])` +
	`[\x00-\x20\x7f-\x{a0}\p{Z}\p{Cf}]*AI-(?:Provenance|Attestation)[\x00-\x09\x0b-\x20\x7f-\x{a0}\p{Z}\p{Cf}]*[:=#]`)

// What Read accepts holds as many suspicious places as lines were returned, and
// these stand in the message whole.
func FuzzRead(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.bytes())
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		text := string(message)
		got, err := trailer.Read(message)
		n := len(suspicious.FindAllString(asciiFold(text), -1))
		if n == 0 && err == nil && len(got.Provenance)+len(got.Attestation) == 0 {
			return
		}
		if err != nil {
			if n == 0 && strings.ToValidUTF8(text, "") == text {
				t.Fatalf("refused without a reserved line: %v", err)
			}
			return
		}
		if m := len(got.Provenance) + len(got.Attestation); m < n {
			t.Fatalf("%d lines could be taken for reserved ones, %d were read", n, m)
		}
		for _, l := range append(reserved(trailer.KeyProvenance, got.Provenance), reserved(trailer.KeyAttestation, got.Attestation)...) {
			if !strings.Contains("\n"+text+"\n", "\n"+l.String()+"\n") {
				t.Fatalf("%q does not stand in the message as a line", l)
			}
		}
	})
}

// asciiFold takes away the letters that Unicode, but no reader, folds to ASCII.
func asciiFold(s string) string { return strings.NewReplacer("\u017f", "?", "\u212a", "?").Replace(s) }

func reserved(key string, values []string) []trailer.Line {
	var out []trailer.Line
	for _, v := range values {
		out = append(out, trailer.Line{Key: key, Value: v})
	}
	return out
}

func TestErrorsNameTheLine(t *testing.T) {
	_, err := trailer.Read([]byte("s\n\nbody\nai-provenance: x\n\nmore\n"))
	const want = `line 4: "ai-provenance: x": AI-Provenance stands outside the final trailer block`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCheckEncoding(t *testing.T) {
	for _, c := range []struct {
		encoding string
		ok       bool
	}{
		{"", true}, {"UTF-8", true}, {"ISO-8859-1", true}, {"latin1", true}, {"CP1252", true}, {"Shift_JIS", true}, {"EUC-JP", true},
		{"UTF-7", false}, {"UTF-16", false}, {"ISO-2022-JP", false}, {"IBM037", false}, {"nonsense", false},
	} {
		if err := trailer.CheckEncoding(c.encoding); (err == nil) != c.ok {
			t.Errorf("%q: got %v", c.encoding, err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	message := []byte("subject\n\n" + strings.Repeat("A body line of usual length, more-or-less.\n", 40) +
		"\nSigned-off-by: x <x@y>\nAI-Provenance: claude-code/2.1 anthropic/sonnet lines=1/2 via=hook session=unknown\nAI-Attestation: v1 " +
		strings.Repeat("x", 600) + "\n")
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		if _, err := trailer.Read(message); err != nil {
			b.Fatal(err)
		}
	}
}
