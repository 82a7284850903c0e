package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzPatch writes a patch of three files and reads it again.
func FuzzPatch(f *testing.F) {
	f.Add("new.txt", "a\nb\n", "old.go", "moved.go", " one\n-two\n+TWO\n", "-x\n", true)
	f.Add("a b/é.txt", "", "c", "", "+only\n", " \n", false)
	f.Fuzz(func(t *testing.T, added, content, updated, moved, hunk, second string, crlf bool) {
		for _, path := range []string{added, updated, moved} {
			if path != strings.TrimSpace(path) || strings.ContainsAny(path, "\n\r") {
				return
			}
		}
		if strings.ContainsRune(content+hunk+second, '\r') || added == "" || updated == "" {
			return
		}
		want := []FileEdit{
			{Path: added, HasAfter: true, After: []byte(wholeLines(content))},
			{Path: updated, MovedTo: moved},
			{Path: "gone.txt", Deleted: true},
		}
		var b strings.Builder
		b.WriteString("*** Begin Patch\n*** Add File: " + added + "\n")
		for line := range strings.Lines(wholeLines(content)) {
			b.WriteString("+" + line)
		}
		b.WriteString("*** Update File: " + updated + "\n")
		if moved != "" {
			b.WriteString("*** Move to: " + moved + "\n")
		}
		for _, h := range []string{hunk, second} {
			b.WriteString("@@ def f():\n")
			if c, ok := writeHunk(&b, h); ok {
				want[1].Changes = append(want[1].Changes, c)
			}
		}
		b.WriteString("*** End of File\n*** Delete File: gone.txt\n*** End Patch\nand more\n")
		text := b.String()
		if crlf {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		got, err := parsePatch(text)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%q: %v %s", text, err, diff)
		}
	})
}

// wholeLines ends the last line, as a patch does.
func wholeLines(s string) string {
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}

// writeHunk writes the lines that have a mark in front, and says what they change.
func writeHunk(b *strings.Builder, lines string) (c Change, some bool) {
	for line := range strings.Lines(wholeLines(lines)) {
		if !strings.ContainsAny(line[:1], " +-") {
			continue
		}
		b.WriteString(line)
		some = true
		if line[0] != '+' {
			c.Old = append(c.Old, line[1:]...)
		}
		if line[0] != '-' {
			c.New = append(c.New, line[1:]...)
		}
	}
	return c, some
}

func TestBrokenPatches(t *testing.T) {
	for name, c := range map[string]struct {
		text, note string
		files      int
	}{
		"no patch":            {"echo hi", "without *** Begin Patch", 0},
		"nothing in it":       {"*** Begin Patch\n*** End Patch", "", 0},
		"without end":         {"*** Begin Patch\n*** Delete File: a", "without *** End Patch", 1},
		"content of no file":  {"*** Begin Patch\n+a\n*** End Patch", "does not belong", 0},
		"a move of no file":   {"*** Begin Patch\n*** Move to: a\n*** End Patch", "", 0},
		"an unknown header":   {"*** Begin Patch\n*** Rename File: a\n*** End Patch", "does not belong", 0},
		"more than are taken": {"*** Begin Patch\n" + strings.Repeat("*** Delete File: a\n", 2*maxFiles), "more than 10000 files", maxFiles + 1},
	} {
		files, err := parsePatch(c.text)
		if len(files) != c.files || (err == nil) != (c.note == "") || err != nil && !strings.Contains(err.Error(), c.note) {
			t.Errorf("%s: got %d files, %v", name, len(files), err)
		}
	}
}
