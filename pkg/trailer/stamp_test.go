package trailer_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

var ours = []trailer.Line{
	{Key: trailer.KeyAssistedBy, Value: "a:c"},
	{Key: trailer.KeyProvenance, Value: "a/1 b/c lines=1/2 via=hook session=unknown"},
	{Key: trailer.KeyAttestation, Value: "v1 key=SHA256:x sig=sshsig:AAAA"},
}

const (
	oursText = "Assisted-by: a:c\nAI-Provenance: a/1 b/c lines=1/2 via=hook session=unknown\n" +
		"AI-Attestation: v1 key=SHA256:x sig=sshsig:AAAA\n"
	cut = " ------------------------ >8 ------------------------\n"
)

func TestStamp(t *testing.T) {
	whitespace, strip := trailer.Buffer{}, trailer.Buffer{Strip: true}
	for _, c := range []struct {
		name          string
		buffer        trailer.Buffer
		message, want string
	}{
		{"a subject gets a paragraph", whitespace, "s\n", "s\n\n" + oursText},
		{"a message without final newline, as git merge leaves it", whitespace, "Merge branch 'x'", "Merge branch 'x'\n\n" + oursText},
		{"a block is joined", whitespace, "s\n\nb\n\nFixes: #1\n", "s\n\nb\n\nFixes: #1\n" + oursText},
		{"a block without final newline is joined", whitespace, "s\n\nFixes: #1", "s\n\nFixes: #1\n" + oursText},
		{"a block with other lines and a sign-off is joined", whitespace,
			"s\n\nFixes #1\nSigned-off-by: x\n", "s\n\nFixes #1\nSigned-off-by: x\n" + oursText},
		{"a last paragraph of prose is not joined", whitespace, "s\n\nnote: well\nprose\n", "s\n\nnote: well\nprose\n\n" + oursText},
		{"a subject like a trailer is not joined", whitespace, "fix: it\n", "fix: it\n\n" + oursText},
		{"comments at the end stay below", strip, "s\n\n# Please enter\n#\n# On branch x\n", "s\n\n" + oursText + "\n# Please enter\n#\n# On branch x\n"},
		{"comments inside the block", strip, "s\n\nA: b\n# c\nC: d\n# e\n", "s\n\nA: b\n# c\nC: d\n" + oursText + "# e\n"},
		{"the scissors line and the diff stay below", trailer.Buffer{Cut: true},
			"s\n#" + cut + "# below\ndiff --git a/x b/x\n+A: b\n", "s\n\n" + oursText + "#" + cut + "# below\ndiff --git a/x b/x\n+A: b\n"},
		{"scissors with another character", trailer.Buffer{Comment: ";", Strip: true, Cut: true},
			"s\n\n#12\n\n; c\n;" + cut + "diff\n", "s\n\n#12\n\n" + oursText + "\n; c\n;" + cut + "diff\n"},
		{"scissors with a comment string", trailer.Buffer{Comment: "//", Strip: true, Cut: true},
			"s\n\n/ text\n// c\n//" + cut + "diff\n", "s\n\n/ text\n\n" + oursText + "// c\n//" + cut + "diff\n"},
		{"lines of another comment character are content when nothing is stripped", trailer.Buffer{Comment: ";"},
			"s\n\n; note\n", "s\n\n; note\n\n" + oursText},
		{"lines of another comment character go when comments go", trailer.Buffer{Comment: ";", Strip: true},
			"s\n\n; note\n", "s\n\n" + oursText + "\n; note\n"},
		{"hash lines at the end of an unstripped message, as git does", whitespace, "s\n\nb\n\n#12\n", "s\n\nb\n\n" + oursText + "\n#12\n"},
		{"hash lines in the subject keep the subject whole", whitespace, "#12 fix\n#13 too\n", "#12 fix\n#13 too\n\n" + oursText},
		{"hash lines below the subject keep the subject whole", whitespace, "fix\n#13 too\n", "fix\n#13 too\n\n" + oursText},
		{"an old list of conflicts stays below", whitespace, "s\n\nb\n\nConflicts:\n\tx\n", "s\n\nb\n\n" + oursText + "\nConflicts:\n\tx\n"},
		{"CRLF stays, our lines are LF", trailer.Buffer{Verbatim: true}, "s\r\n\r\nb\r\n", "s\r\n\r\nb\r\n\n" + oursText},
		{"a CRLF block is joined", trailer.Buffer{Verbatim: true}, "s\r\n\r\nA: b\r\n", "s\r\n\r\nA: b\r\n" + oursText},
		{"verbatim without final newline", trailer.Buffer{Verbatim: true}, "s\n\nb", "s\n\nb\n\n" + oursText},
		{"verbatim keeps hash lines below", trailer.Buffer{Verbatim: true}, "s\n\nb\n\n# c\n", "s\n\nb\n\n" + oursText + "\n# c\n"},
		{"verbatim and commit -v", trailer.Buffer{Verbatim: true, Cut: true}, "s\n#" + cut + "diff\n", "s\n\n" + oursText + "#" + cut + "diff\n"},
		{"old lines of ours are replaced", whitespace,
			"s\n\nAI-Provenance: none via=hook\nFixes: #1\nAI-Attestation: old\n", "s\n\nFixes: #1\n" + oursText},
		{"a block of old lines alone is replaced", whitespace, "s\n\nb\n\nAI-Provenance: none via=hook\n", "s\n\nb\n\n" + oursText},
		{"a malformed line in its place is replaced", whitespace, "s\n\nb\n\nAI-Provenance: \u00e9\n", "s\n\nb\n\n" + oursText},
		{"hash lines of content below old lines", trailer.Buffer{Comment: ";", Strip: true},
			"s\n\nAI-Provenance: x\n#12\n", "s\n\n" + oursText + "#12\n"},
		{"the public trailer that is asked for goes", whitespace,
			"s\n\nAssisted-by: old\nAssisted-by: person\n", "s\n\nAssisted-by: person\n" + oursText},
		{"an empty message stays empty", whitespace, "", ""},
		{"white space stays empty", whitespace, " \n\n\t\n", " \n\n\t\n"},
		{"comments alone stay empty", strip, "\n# c\n#\n", "\n# c\n#\n"},
		{"a sign-off alone stays empty", strip, "\n\nSigned-off-by: x\n# c\n", "\n\nSigned-off-by: x\n# c\n"},
		{"a diff alone stays empty", trailer.Buffer{Cut: true}, "\n#" + cut + "diff\n", "\n#" + cut + "diff\n"},
		{"our lines alone become empty", strip, "\n" + oursText[strings.Index(oursText, "AI-"):] + "# c\n", "\n# c\n"},
		{"an empty verbatim message stays empty", trailer.Buffer{Verbatim: true}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.buffer.Stamp([]byte(c.message), []trailer.Line{{Key: "Assisted-by", Value: "old"}}, ours)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Fatalf("stamped (-want +got):\n%s", diff)
			}
			again, err := c.buffer.Stamp(got, ours[:1], ours)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("stamped twice: %v\n%s", err, cmp.Diff(string(got), string(again)))
			}
		})
	}
}

func TestStampRefuses(t *testing.T) {
	for _, c := range []struct {
		name, message string
		buffer        trailer.Buffer
		line          int
	}{
		{"a reserved line in the body", "s\n\nAI-Provenance: x\n\nbody\n", trailer.Buffer{}, 3},
		{"a reserved line in another case, counted below comments", "# c\ns\n\nai-provenance: x\n\nbody\n", trailer.Buffer{Strip: true}, 4},
		{"three dashes that would hide the trailers", "s\n\nb\n---\nc\n", trailer.Buffer{}, 4},
		{"a scissors line that stays and hides all", "#" + cut + "s\n", trailer.Buffer{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.buffer.Stamp([]byte(c.message), nil, ours)
			var ambiguous *trailer.AmbiguousError
			if !errors.As(err, &ambiguous) || c.line != 0 && ambiguous.Line != c.line {
				t.Fatalf("got %q, %v, want an ambiguous line %d", got, err, c.line)
			}
		})
	}
	t.Run("a line that is no trailer", func(t *testing.T) {
		for _, l := range []trailer.Line{
			{Key: trailer.KeyProvenance, Value: "a\nb"}, {Key: trailer.KeyProvenance, Value: ""}, {Key: trailer.KeyProvenance, Value: "x;y"},
			{Key: "A b", Value: "x"}, {Key: "", Value: "x"}, {Key: "A", Value: " x"}, {Key: "A", Value: "x\ry"},
		} {
			var malformed *trailer.MalformedError
			if _, err := (trailer.Buffer{}).Stamp([]byte("s\n"), nil, []trailer.Line{l}); !errors.As(err, &malformed) {
				t.Errorf("%+v: got %v", l, err)
			}
		}
	})
}

func TestLift(t *testing.T) {
	squash := "Squashed commit of the following:\n\ncommit 01\nAuthor: A <a@b>\n\n    subject\n\n    AI-Provenance: x\n" +
		"    AI-Attestation: y\n    ai-provenance: z\n\nAI-Provenance: top\n\tAI-Provenance: bad;value\n# AI-Provenance: c\n" +
		"#" + cut + "AI-Provenance: diff\n"
	rest, lifted := trailer.Buffer{Strip: true, Cut: true}.Lift([]byte(squash))
	want := []trailer.Line{{Key: trailer.KeyProvenance, Value: "x"}, {Key: trailer.KeyAttestation, Value: "y"}, {Key: trailer.KeyProvenance, Value: "top"}}
	if diff := cmp.Diff(want, lifted); diff != "" {
		t.Errorf("lifted (-want +got):\n%s", diff)
	}
	wantRest := strings.NewReplacer("    AI-Provenance: x\n", "", "    AI-Attestation: y\n", "", "AI-Provenance: top\n", "").Replace(squash)
	if diff := cmp.Diff(wantRest, string(rest)); diff != "" {
		t.Errorf("rest (-want +got):\n%s", diff)
	}
}

func TestLiftable(t *testing.T) {
	for message, want := range map[string]bool{
		"s\n\nAI-Provenance: x\n\nbody\n":                              true,
		"s\n\n\t AI-Attestation: x\n\nbody\n":                          true,
		"s\n\nAI-Provenance: " + strings.Repeat("x", 300) + "\n\nb\n":  true,
		"AI-Provenance: x\n":                                           true,
		"s\n\n---\n\nAI-Provenance: x\n":                               true,
		"s\n\nai-provenance: x\n\nbody\n":                              false,
		"s\n\nAI-Provenance : x\n":                                     false,
		"s\n\nAI-Provenance: x;y\n\nbody\n":                            false,
		"s\n\nfoo\rAI-Provenance: x\n\nbody\n":                         false,
		"s\n\nAI-Provenance: x\n  folded\n":                            true,
		"s\n\n\u200bAI-Provenance: x\n\nbody\n":                        false,
		"s\n\nA: b\n\x00AI-Provenance: x\n":                            false,
		"s\n\n---\n\n---- text\n\nAI-Provenance: x\nAI-Attestation: y": true,
	} {
		_, err := trailer.Read([]byte(message))
		var ambiguous *trailer.AmbiguousError
		if !errors.As(err, &ambiguous) || ambiguous.Liftable() != want {
			t.Errorf("%q: %v, want liftable %v", message, err, want)
		}
		rest, _ := trailer.Buffer{Verbatim: true}.Lift([]byte(message))
		if _, err := trailer.Read(rest); (err == nil) != want {
			t.Errorf("%q without its lines: %v", message, err)
		}
	}
	if (&trailer.AmbiguousError{}).Liftable() {
		t.Error("no line is none to lift")
	}
}

// modelClean is git's cleanup, written once more, from git-stripspace(1).
func modelClean(b trailer.Buffer, message string) string {
	char := b.Comment
	if char == "" {
		char = "#"
	}
	if b.Cut {
		if i := strings.Index("\n"+message, "\n"+char+cut); i >= 0 {
			message = message[:i]
		}
	}
	if b.Verbatim {
		return message
	}
	var out []string
	for _, l := range strings.Split(message, "\n") {
		if b.Strip && strings.HasPrefix(l, char) {
			continue
		}
		l = strings.TrimRight(l, " \t\r\n")
		if l != "" || len(out) > 0 && out[len(out)-1] != "" {
			out = append(out, l)
		}
	}
	if text := strings.TrimRight(strings.Join(out, "\n"), "\n"); text != "" {
		return text + "\n"
	}
	return ""
}

func randomBuffer(r *rand.Rand) (trailer.Buffer, []byte) {
	b := trailer.Buffer{Comment: []string{"", "#", ";", "//"}[r.IntN(4)], Strip: r.IntN(2) == 0, Cut: r.IntN(3) == 0}
	b.Verbatim = !b.Strip && r.IntN(3) == 0
	var m []byte
	if r.IntN(3) > 0 {
		m = append(m, "subject\n\n"...)
	}
	for range r.IntN(8) {
		f := fragments[r.IntN(len(fragments))]
		switch r.IntN(8) {
		case 0:
			f = "; c\n"
		case 1:
			f = "// c\n"
		}
		if !strings.Contains(strings.ToLower(f), "ai-") && f != "\x00" && f != "\xff\n" {
			m = append(m, f...)
		}
	}
	if b.Cut {
		m = append(m, b.Comment+cut+"diff\n"...)
	}
	return b, m
}

// checkStamp holds Stamp to its promises for one buffer.
func checkStamp(t *testing.T, b trailer.Buffer, message []byte) (stamped []byte) {
	t.Helper()
	stamped, err := b.Stamp(message, nil, ours)
	if err != nil {
		var ambiguous *trailer.AmbiguousError
		if !errors.As(err, &ambiguous) {
			t.Fatalf("%+v %q: %v", b, message, err)
		}
		return nil
	}
	if b.Empty(message) {
		if !bytes.Equal(stamped, message) {
			t.Fatalf("%+v: the empty %q became %q", b, message, stamped)
		}
		return nil
	}
	at := bytes.Index(stamped, []byte(oursText))
	if at < 0 {
		t.Fatalf("%+v %q: our lines do not stand together in %q", b, message, stamped)
	}
	before, after := stamped[:at], stamped[at+len(oursText):]
	restored := false
	for range 3 { // the newline that was missing, and the empty line
		restored = restored || bytes.Equal(slices.Concat(before, after), message)
		before = bytes.TrimSuffix(before, []byte("\n"))
	}
	if !restored {
		t.Fatalf("%+v: %q became %q", b, message, stamped)
	}
	got, err := trailer.Read([]byte(modelClean(b, string(stamped))))
	if err != nil {
		t.Fatalf("%+v %q, cleaned from %q: %v", b, stamped, message, err)
	}
	if diff := cmp.Diff(ours, [](trailer.Line)(lastOf(got))); diff != "" {
		t.Fatalf("%+v %q (-want +got):\n%s", b, stamped, diff)
	}
	again, err := b.Stamp(stamped, ours[:1], ours)
	if err != nil || !bytes.Equal(again, stamped) {
		t.Fatalf("%+v: stamped twice, %q became %q: %v", b, stamped, again, err)
	}
	return stamped
}

// lastOf gives the last other trailer, and all reserved ones.
func lastOf(b trailer.Block) []trailer.Line {
	out := b.Other[max(0, len(b.Other)-1):]
	out = append(slices.Clone(out), reserved(trailer.KeyProvenance, b.Provenance)...)
	return append(out, reserved(trailer.KeyAttestation, b.Attestation)...)
}

func TestStampKeepsItsPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	stamped := 0
	for range 10000 {
		if b, message := randomBuffer(r); checkStamp(t, b, message) != nil {
			stamped++
		}
	}
	if stamped < 4000 {
		t.Errorf("only %d of 10000 buffers were stamped", stamped)
	}
}

func FuzzStamp(f *testing.F) {
	f.Add("#", true, false, false, []byte("s\n\nA: b\n# c\n"))
	f.Add(";", false, true, false, []byte("s\r\n\r\nA: b\r\n;"+cut+"diff"))
	f.Add("", false, false, true, []byte("s\n\n#12"))
	f.Fuzz(func(t *testing.T, comment string, strip, cut, verbatim bool, message []byte) {
		if strings.ContainsAny(comment, "\n\x00") || bytes.Contains(bytes.ToLower(message), []byte("ai-")) || bytes.Contains(message, []byte("Assisted-by: a:c")) {
			return
		}
		checkStamp(t, trailer.Buffer{Comment: comment, Strip: strip && !verbatim, Cut: cut, Verbatim: verbatim}, message)
	})
}

func BenchmarkStamp(b *testing.B) {
	message := []byte("subject\n\n" + strings.Repeat("A body line of usual length, more-or-less.\n", 40) + "\n# Please enter\n# On branch main\n")
	buffer := trailer.Buffer{Strip: true}
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		if _, err := buffer.Stamp(message, nil, ours); err != nil {
			b.Fatal(err)
		}
	}
}
