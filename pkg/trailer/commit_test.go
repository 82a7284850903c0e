package trailer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// commit makes a commit of a buffer as an editor leaves it, and returns the
// message that git stored.
func (g *realGit) commit(t testing.TB, b trailer.Buffer, buffer []byte) []byte {
	t.Helper()
	mode := "--cleanup=whitespace"
	switch {
	case b.Verbatim:
		mode = "--cleanup=verbatim"
	case b.Strip:
		mode = "--cleanup=strip"
	case b.Cut:
		mode = "--cleanup=scissors"
	}
	args := []string{"-c", "core.commentChar=" + b.Comment, "-c", "core.editor=cp buffer", "commit", "-q", "--allow-empty", mode}
	if b.Cut && (b.Strip || b.Verbatim) {
		args = append(args, "-v")
	}
	g.write(t, "buffer", buffer)
	g.run(t, nil, args...)
	return g.stored(t)
}

func (g *realGit) stored(t testing.TB) []byte {
	t.Helper()
	_, message, _ := bytes.Cut(g.run(t, nil, "cat-file", "commit", "HEAD"), []byte("\n\n"))
	return message
}

func TestGitStoresWhatBufferSays(t *testing.T) {
	git := newGit(t)
	r := rand.New(rand.NewPCG(5, 6))
	for done := 0; done < 60; {
		b, message := randomBuffer(r)
		if b.Comment != "#" && b.Comment != ";" || bytes.Contains(message, []byte("\x00")) {
			continue
		}
		stamped := checkStamp(t, b, message)
		if stamped == nil {
			continue
		}
		done++
		stored := git.commit(t, b, stamped)
		if diff := cmp.Diff(modelClean(b, string(stamped)), string(stored)); diff != "" {
			t.Fatalf("%+v %q: model and git (-model +git):\n%s", b, stamped, diff)
		}
		got, err := trailer.Read(stored)
		if diff := cmp.Diff(ours, lastOf(got)); err != nil || diff != "" {
			t.Fatalf("%+v %q stored as %q: %v\n%s", b, stamped, stored, err, diff)
		}
	}
}

func TestGitRefusesWhatIsEmpty(t *testing.T) {
	git := newGit(t)
	for _, c := range []struct {
		name, message string
		buffer        trailer.Buffer
		want          bool
	}{
		{"nothing", "", trailer.Buffer{}, true},
		{"white space", " \n\t\n", trailer.Buffer{}, true},
		{"comments", "# c\n", trailer.Buffer{Strip: true}, true},
		{"comments that stay", "# c\n", trailer.Buffer{}, false},
		{"a sign-off", "\nSigned-off-by: x\n", trailer.Buffer{}, true},
		{"a sign-off and more", "\nSigned-off-by: x\ny\n", trailer.Buffer{}, false},
		{"a diff", "#" + cut + "diff\n", trailer.Buffer{Cut: true}, true},
		{"a diff below white space, verbatim", "\n#" + cut + "diff\n", trailer.Buffer{Cut: true, Verbatim: true}, false},
		{"white space, verbatim", "\n", trailer.Buffer{Verbatim: true}, false},
		{"nothing, verbatim", "", trailer.Buffer{Verbatim: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.buffer.Comment = "#"
			if got := c.buffer.Empty([]byte(c.message)); got != c.want {
				t.Errorf("Empty says %v", got)
			}
			git.write(t, "buffer", []byte(c.message))
			args := []string{"-c", "core.editor=cp buffer", "commit", "-q", "--allow-empty", "--cleanup=whitespace"}
			switch {
			case c.buffer.Verbatim:
				args[len(args)-1] = "--cleanup=verbatim"
			case c.buffer.Strip:
				args[len(args)-1] = "--cleanup=strip"
			}
			if c.buffer.Cut {
				args = append(args, "-v")
			}
			if _, err := git.try(nil, args...); (err != nil) != c.want {
				t.Errorf("git says %v", err)
			}
		})
	}
}

// Where git's own writer has the same question, it gives the same answer.
func TestStampAgreesWithInterpretTrailers(t *testing.T) {
	git := newGit(t)
	r := rand.New(rand.NewPCG(7, 8))
	for done := 0; done < 150; {
		b, message := randomBuffer(r)
		if !sameQuestion(b, message) {
			continue
		}
		stamped := checkStamp(t, b, message)
		if stamped == nil {
			continue
		}
		done++
		args := []string{"-c", "core.commentChar=" + b.Comment, "interpret-trailers", "--no-divider", "--if-exists", "addIfDifferent"}
		for _, l := range ours {
			args = append(args, "--trailer", l.String())
		}
		want := git.run(t, message, args...)
		if diff := cmp.Diff(string(want), string(stamped)); diff != "" {
			t.Fatalf("%+v %q (-git +Stamp):\n%s", b, message, diff)
		}
	}
}

// sameQuestion leaves out what git's writer cannot know: that its cleanup will
// change the lines (white space, comments that go or stay), and that a subject
// may start with '#'. It also rewrites "A : b" and folded trailers, drops
// comments inside the block, and puts trailers (2.39) right below a last line
// without newline.
func sameQuestion(b trailer.Buffer, message []byte) bool {
	if b.Comment != "#" || b.Cut || b.Strip && bytes.Contains(message, []byte(cut)) {
		return false
	}
	title, _, _ := strings.Cut(string(message), "\n\n")
	if strings.Contains(title, "#") || title == "" || strings.HasPrefix(title, "Conflicts:") {
		return false
	}
	if commentAbove.Match(message) {
		return false
	}
	for l := range strings.SplitSeq(string(message), "\n") {
		if l != strings.TrimRight(l, " \t\r") || strings.HasPrefix(l, " ") || strings.HasPrefix(l, "\t") {
			return false
		}
	}
	for _, odd := range []string{"A : b", "A:\n", "\n\n\n", "Conflicts:", "=", "---"} {
		if bytes.Contains(message, []byte(odd)) {
			return false
		}
	}
	return bytes.HasSuffix(message, []byte("\n")) && !bytes.HasPrefix(message, []byte("\n"))
}

var commentAbove = regexp.MustCompile(`(?m)^#.*\n[^#\n]`)

func TestConfigurationChangesNothing(t *testing.T) {
	message := []byte("s\n\nb\n\nReviewed-by: r\n")
	want := "s\n\nb\n\nReviewed-by: r\n" + oursText
	for _, config := range [][]string{
		{"trailer.where=start"}, {"trailer.ifexists=replace"}, {"trailer.ifexists=doNothing"}, {"trailer.ifmissing=doNothing"},
		{"trailer.separators=:="}, {"trailer.ai-provenance.key=AI-Provenance"},
		{"trailer.ai-provenance.where=before"}, {"trailer.r.key=Reviewed-by", "trailer.r.command=echo x"},
	} {
		t.Run(strings.Join(config, " "), func(t *testing.T) {
			git := newGit(t)
			for _, kv := range config {
				key, value, _ := strings.Cut(kv, "=")
				git.run(t, nil, "config", key, value)
			}
			stamped, err := trailer.Buffer{}.Stamp(message, nil, ours)
			if err != nil || string(stamped) != want {
				t.Fatalf("got %q, %v", stamped, err)
			}
			stored := git.commit(t, trailer.Buffer{Comment: "#"}, stamped)
			got, err := trailer.Read(stored)
			if diff := cmp.Diff(ours, lastOf(got)); err != nil || diff != "" {
				t.Fatalf("%v\n%s", err, diff)
			}
			seen := lines(string(git.run(t, nil, "log", "-1", "--format=%(trailers:only,unfold)")))
			for _, l := range ours {
				if !slices.Contains(seen, l) {
					t.Errorf("git log does not see %q in %q", l, seen)
				}
			}
		})
	}
}

// The characters that git chooses are read back from what git writes.
func TestCommentAuto(t *testing.T) {
	for _, c := range []struct {
		name, message, want string
		args                []string
	}{
		{"a plain message", "s\n\nb\n", "#", nil},
		{"a line with #", "s\n\n#12\n", ";", nil},
		{"a subject with #", "#12 s\n", ";", nil},
		{"a # that starts no line", "s #12\n", "#", nil},
		{"lines with # and ;", "s\n\n#12\n;x\n", "@", nil},
		{"nine characters taken", "#\n;\n@\n!\n$\n%\n^\n&\n|\n", ":", nil},
		{"the last line starts with #", "s\n#", ";", nil},
		{"a diff below scissors", "s\n\n#12\n", ";", []string{"-v"}},
		{"scissors", "s\n\n#12\n", ";", []string{"--cleanup=scissors"}},
		{"hash lines of content at the end, another comment below", "s\n\n#\n# x\n", ";", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			git := newGit(t)
			git.write(t, "message", []byte(c.message))
			args := append([]string{"-c", "core.commentChar=auto", "-c", "core.editor=cp .git/COMMIT_EDITMSG seen; true",
				"commit", "--allow-empty", "-e", "-F", "message"}, c.args...)
			git.run(t, nil, args...)
			seen := git.run(t, nil, "hash-object", "-w", "--no-filters", "seen")
			buffer := git.run(t, nil, "cat-file", "blob", strings.TrimSpace(string(seen)))
			if got := trailer.Comment("auto", buffer); got != c.want {
				t.Errorf("got %q, want %q for\n%s", got, c.want, buffer)
			}
			// Without an editor there is no comment, and none must be found
			// unless it looks like one.
			if c.args == nil && !strings.Contains(c.message, "#\n# x") {
				b := trailer.Buffer{Comment: trailer.Comment("auto", []byte(c.message)), Strip: true}
				if rest := modelClean(b, c.message); rest != modelClean(trailer.Buffer{}, c.message) {
					t.Errorf("with %q as comment only %q is left", b.Comment, rest)
				}
			}
		})
	}
	t.Run("comments of the user's own", func(t *testing.T) {
		buffer := fmt.Sprintf("s\n\n#12\n; mine\n\n%s", "; Please enter\n;\n; On branch main\n;\n")
		if got := trailer.Comment("auto", []byte(buffer)); got != ";" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no configuration", func(t *testing.T) {
		if got := trailer.Comment("", []byte("#\n")) + trailer.Comment("//", nil); got != "#//" {
			t.Errorf("got %q", got)
		}
	})
}
