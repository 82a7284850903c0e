package change

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var someID = ID(strings.Repeat("\x01", 20))

func TestParseTree(t *testing.T) {
	entry := func(mode, name string) string { return mode + " " + name + "\x00" + string(someID) }
	for _, tt := range []struct {
		name string
		raw  string
		want string // error, or names
	}{
		{"nothing", "", ""},
		{"files and directories in git's order", entry("100644", "a") + entry("100644", "a.b") + entry("40000", "ab") + entry("100644", "ab0"), "a a.b ab ab0"},
		{"a directory sorts as if it ended in a slash", entry("100644", "a.b") + entry("40000", "a") + entry("100644", "a0"), "a.b a a0"},
		{"modes of old histories", entry("100664", "a") + entry("040000", "b") + entry("0100644", "c"), "a b c"},
		{"names that git warns of", entry("100644", ".") + entry("100644", "..") + entry("40000", ".git"), ". .. .git"},
		{"names of any bytes", entry("100644", "\x01\xff\n"), "\x01\xff\n"},
		{"a directory out of order", entry("40000", "a") + entry("100644", "a.b"), `entry 2: name "a.b" is out of order`},
		{"out of order", entry("100644", "b") + entry("100644", "a"), `entry 2: name "a" is out of order`},
		{"a file twice", entry("100644", "a") + entry("100644", "a"), `entry 2: name "a" is out of order`},
		{"a directory twice", entry("40000", "a") + entry("40000", "a"), `entry 2: name "a" is out of order`},
		{"a file and a directory of one name", entry("100644", "a") + entry("40000", "a"), `entry 2: name "a" comes twice`},
		{"and others between them", entry("100644", "a") + entry("100644", "a!") + entry("100644", "a.") + entry("100644", "a.b") + entry("40000", "a"), `entry 5: name "a" comes twice`},
		{"a file and a directory of longer names between", entry("100644", "a") + entry("100644", "a.") + entry("40000", "a."), `entry 3: name "a." comes twice`},
		{"a slash in a name", entry("100644", "a/b"), "entry 1: name \"a/b\" is empty or has a slash"},
		{"an empty name", entry("100644", ""), "entry 1: name \"\" is empty or has a slash"},
		{"no mode", entry("", "a"), "entry 1: want an octal mode and a space"},
		{"a mode that is not octal", entry("100684", "a"), "entry 1: want an octal mode and a space"},
		{"a mode that is too large", entry("200000", "a"), "entry 1: want an octal mode and a space"},
		{"a mode that is too long", entry("00100644", "a"), "entry 1: want an octal mode and a space"},
		{"a mode alone", "100644", "entry 1: want an octal mode and a space"},
		{"no name", "100644 ", "entry 1: breaks off"},
		{"no id", "100644 a", "entry 1: breaks off"},
		{"half an id", entry("100644", "a")[:20], "entry 1: breaks off"},
		{"half an entry", entry("100644", "a") + "1", "entry 2: want an octal mode and a space"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := ParseTree([]byte(tt.raw), 20)
			var names []string
			for _, e := range entries {
				names = append(names, e.Name)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "malformed tree, ")
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseTreeKeepsModesAndIDs(t *testing.T) {
	want := []Entry{{0o100664, "a", someID}, {0o40000, "b", someID[:19] + "\x00"}, {0o160000, "c", someID[:19] + "\n"}}
	got, err := ParseTree(rawTree(want), 20)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseTreeReadsWhatGitWrites(t *testing.T) {
	r := newGitRepo(t)
	r.git(randomHistory(10), "fast-import", "--quiet")
	trees := 0
	for _, line := range strings.Split(strings.TrimSpace(r.git("", "cat-file", "--batch-all-objects", "--batch-check")), "\n") {
		id, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(rest, "tree") {
			continue
		}
		trees++
		entries, err := ParseTree([]byte(r.git("", "cat-file", "tree", id)), 20)
		if err != nil {
			t.Fatal(err)
		}
		var listed []string
		for _, e := range entries {
			listed = append(listed, e.ID.String()+"\t"+e.Name)
		}
		want := strings.FieldsFunc(r.git("", "ls-tree", "-z", "--format=%(objectname)%x09%(path)", id), func(c rune) bool { return c == 0 })
		if diff := cmp.Diff(want, listed); diff != "" {
			t.Error(diff)
		}
	}
	if trees < 10 {
		t.Errorf("%d trees", trees)
	}
}

// FuzzParseTree: what is accepted has one reading, and writing it again gives the
// same bytes, but for zeros before modes.
func FuzzParseTree(f *testing.F) {
	f.Add(rawTree([]Entry{{0o100644, "a", someID}, {0o40000, "b", someID}}), false)
	f.Add(rawTree([]Entry{{0o100644, "a.b", someID}, {0o40000, "a", someID}}), false)
	f.Add(rawTree([]Entry{{0o100644, "a", someID + someID[:12]}}), true)
	f.Add([]byte("0100644 a\x00aaaaaaaaaaaaaaaaaaaa"), false)
	f.Fuzz(func(t *testing.T, raw []byte, sha256 bool) {
		size := 20
		if sha256 {
			size = 32
		}
		entries, err := ParseTree(raw, size)
		if bad := (*MalformedError)(nil); err != nil {
			if !errors.As(err, &bad) || len(err.Error()) > 400 {
				t.Fatalf("error %v", err)
			}
			return
		}
		names := map[string]bool{}
		for _, e := range entries {
			if names[e.Name] || len(e.ID) != size {
				t.Fatalf("%q: entry %+v", raw, e)
			}
			names[e.Name] = true
		}
		again := formatTree(entries)
		if !bytes.Equal(again, withoutZeros(raw, size)) {
			t.Fatalf("%q becomes %q", raw, again)
		}
	})
}

// withoutZeros takes the zeros before modes out of a tree that is well formed.
func withoutZeros(raw []byte, size int) []byte {
	var out []byte
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, 0) + 1 + size
		mode, rest, _ := bytes.Cut(raw[:end], []byte{' '})
		mode = bytes.TrimLeft(mode, "0")
		if len(mode) == 0 {
			mode = []byte("0")
		}
		out = append(append(append(out, mode...), ' '), rest...)
		raw = raw[end:]
	}
	return out
}
