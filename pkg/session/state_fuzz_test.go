package session

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Decoders of what gatekeeper itself left behind: a killed process may have torn it, and
// anybody may have written into it. What is read is written again as it was, or in one
// form; anything else is an error, and nothing takes more memory than its input.

func someWork() *Work {
	w := begun("dir/a \"b\"\n.go", []byte("one\ntwo\nthree\n"))
	o := w.actor(Actor{Tool: provenance.Tool{Name: "claude-code", Version: "2.1"}, Model: provenance.Model{Provider: "anthropic", Name: "claude-x"}, Session: "0123456789ab"})
	w.see([]byte("one\n2\nthree\nfour\n"), o, Typing, Head{Blob: strings.Repeat("a", 40)})
	w.see([]byte("one\n2\nthree\nfour\nfive\n"), perhaps(w.actor(Actor{Tool: provenance.Tool{Name: "codex"}, Source: "codex \"/x\" 01 \"t\""})), Typing, Head{})
	return w
}

// seedsOf are a text, what a killed process may leave of it, and the text with one thing wrong.
func seedsOf(text string, wrong ...string) []string {
	seeds := []string{"", text, text[:len(text)/2], text[:len(text)-1], text + "x", strings.Replace(text, " ", "  ", 1)}
	for i := 0; i+1 < len(wrong); i += 2 {
		seeds = append(seeds, strings.Replace(text, wrong[i], wrong[i+1], 1))
	}
	return seeds
}

func FuzzWork(f *testing.F) {
	for _, seed := range seedsOf(string(someWork().appendTo(nil)), "touch 1", "touch 3", "touch 1", "touch  1", "touch 1", "touch +1",
		"v1", "v2", "\"claude-code\"", "`claude-code`", "text\n\x00\x00\x00\x05", "text\n\xff\xff\xff\xff", "text\n", "opaque\ntext\n", "claude", `\x63laude`) {
		f.Add([]byte(seed), uint(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint) {
		w, err := parseWork(data)
		if err != nil {
			return
		}
		if again := w.appendTo(nil); !bytes.Equal(again, data) {
			t.Fatalf("read %q, wrote %q", data, again)
		}
		checkText(t, w.Now, len(w.Actors), len(data))
		for _, touch := range w.Touched {
			if _, ok := w.one(touch.Actor); !ok {
				t.Fatalf("touched by actor %d of %d", touch.Actor, len(w.Actors))
			}
		}
		if _, err := parseWork(data[:int(cut%uint(len(data)))]); err == nil {
			t.Fatalf("%d bytes of %d were taken for the whole", cut%uint(len(data)), len(data))
		}
	})
}

// checkText holds a text that was read to what others rely on.
func checkText(t *testing.T, text Text, actors, size int) {
	t.Helper()
	if n := len(text.Exact); n != len(text.Loose) || n != len(text.Owners) || 16*n > size {
		t.Fatalf("%d lines, %d and %d, from %d bytes", n, len(text.Loose), len(text.Owners), size)
	}
	for _, o := range text.Owners {
		if o != Anyone && int(max(o, -o)) > actors {
			t.Fatalf("a line of actor %d of %d", o, actors)
		}
	}
}

// FuzzWorkWritten writes states with hostile names and reads them.
func FuzzWorkWritten(f *testing.F) {
	f.Add("a.go", "claude-code", "claude-x", "src", "ab", []byte("one\ntwo\n"), []byte("one\n2\n"), true)
	f.Add("a\n\"touch 1\"\\", "\xff\u2028", "end\n", "text\n", "\x00", []byte{}, []byte("\n\r\n\t"), false)
	f.Fuzz(func(t *testing.T, path, tool, model, source, blob string, before, after []byte, sure bool) {
		w := begun(path, before)
		o := w.actor(Actor{Tool: provenance.Tool{Name: tool, Version: model}, Model: provenance.Model{Name: model}, Session: blob, Source: source})
		if !sure {
			o = perhaps(o)
		}
		w.see(after, o, Typing, Head{Blob: blob})
		got, err := parseWork(w.appendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		past := parsePast(appendPast(nil, w.newer), len(w.Actors))
		if len(past) != len(w.newer) || !slices.EqualFunc(past, w.newer, func(a, b Text) bool { return cmp.Equal(a, b) }) {
			t.Fatalf("versions before: wrote %v, read %v", w.newer, past)
		}
		want := *w
		want.stored, want.past, want.newer = nil, nil, nil
		if !want.Opaque && len(want.Now.Exact) == 0 || want.Opaque { // none is none
			want.Now, got.Now = Text{}, Text{}
		}
		if !reflect.DeepEqual(got, &want) {
			t.Fatalf("wrote %+v\nread %+v", &want, got)
		}
	})
}

func FuzzPast(f *testing.F) {
	w := someWork()
	text := string(appendPast(nil, append(w.newer, w.Now)))
	for _, seed := range append(seedsOf(text), text[:len(text)-20]+text, "\xff\xff\xff\xff"+text, "\x00\x00\x00\x08\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00") {
		f.Add([]byte(seed), 2)
	}
	f.Fuzz(func(t *testing.T, data []byte, actors int) {
		actors = max(0, min(actors, 10))
		list := parsePast(data, actors)
		for _, text := range list {
			checkText(t, text, actors, len(data))
		}
		written := appendPast(nil, list)
		if again := parsePast(written, actors); !cmp.Equal(again, list) {
			t.Fatalf("read %v, and then %v", list, again)
		}
		// Torn anywhere, what is left are the versions before it.
		cut := parsePast(written[:len(written)-min(len(written), 1+actors)], actors)
		if len(list) > 0 && (len(cut) >= len(list) || !slices.EqualFunc(cut, list[:len(cut)], func(a, b Text) bool { return cmp.Equal(a, b) })) {
			t.Fatalf("cut: %v of %v", cut, list)
		}
	})
}

func FuzzCall(f *testing.F) {
	c := openCall{Call: Call{ID: "0123456789ab", Process: "1 2 \"x\"", Background: true, Actor: someWork().Actors[1]},
		head: "0123456789012345678901234567890123456789", files: []string{"a b", "\n"}, dirty: []string{"c"}, partial: true}
	for _, seed := range seedsOf(c.String(), "file", "dirty", "head \"0", "head \"x", "partial\n", "partial \n", "v1", "v0", "end\n", "more \"x\"\nend\n") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCall(text)
		if err != nil {
			return
		}
		if again := c.String(); again != text {
			t.Fatalf("read %q, wrote %q", text, again)
		}
		for n := range len(text) {
			if _, err := parseCall(text[:n]); err == nil {
				t.Fatalf("%d bytes of %q were taken for the whole", n, text)
			}
		}
	})
}

func FuzzNotes(f *testing.F) {
	for _, seed := range seedsOf(formatNotes([]string{"github", "a \"b\"\n", "\xff"}), "mcp", "new", "github\"", "github\" \"x\"", "\"github\"", "github") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		servers := parseNotes(text)
		if again := parseNotes(formatNotes(servers)); !slices.Equal(again, servers) {
			t.Fatalf("read %q, and then %q", servers, again)
		}
		for n := range len(text) {
			if got := parseNotes(text[:n]); len(got) > 0 && !strings.HasSuffix(text[:n], "end\n") {
				t.Fatalf("%q was taken for the whole of %q", text[:n], text)
			}
		}
	})
}

// A session remembers so many servers, whatever stands in its notes.
func TestNotesAreBounded(t *testing.T) {
	notes := OpenNotes(t.TempDir())
	for n := range 2 * maxServers {
		if err := notes.UsedMCP("s", strings.Repeat("x", n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := notes.MCP("s"); err != nil || len(got) != maxServers {
		t.Fatalf("%d servers, %v", len(got), err)
	}
	more := formatNotes(make([]string, 2*maxServers))
	if err := os.WriteFile(notes.path("s"), []byte(more), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := notes.UsedMCP("s", "one more"); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(notes.path("s")); err != nil || string(now) != more {
		t.Fatalf("%d bytes became %d, %v", len(more), len(now), err)
	}
}

func FuzzPlaced(f *testing.F) {
	for _, seed := range seedsOf(formatPlaced([]Entry{{"/home/dev/.claude/settings.json", "\"agent\"\n\t"}, {"", "\xff"}}), "entry", "exit", "\" \"", "\"") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries := parsePlaced(text)
		if again := parsePlaced(formatPlaced(entries)); !slices.Equal(again, entries) {
			t.Fatalf("read %q, and then %q", entries, again)
		}
		if n := len(text) - 1; n > 0 && len(entries) > 0 && len(parsePlaced(text[:n])) > 0 {
			t.Fatalf("%d bytes of %q were taken for the whole", n, text)
		}
		n := 0
		for _, e := range entries {
			n += len(e.File) + len(e.Text)
		}
		if n > 3*len(text) { // a byte that is no text is read as a character of three
			t.Fatalf("%d bytes from %d", n, len(text))
		}
	})
}

// FuzzLedgerBehind adds to whatever stands in the place of a ledger: whole lines stay, what
// is torn is cut and counted, and the chain goes on from there.
func FuzzLedgerBehind(f *testing.F) {
	line := string(someEvent(1).line([32]byte{}, 0))
	for _, seed := range append(seedsOf(line+line), "\n", "\n\n", "x", strings.Repeat("x", 3*maxLedgerLine), strings.Repeat("x", 3*maxLedgerLine)+"\n",
		strings.Repeat("x\n", maxLedgerLine)+"torn") {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		l := OpenLedger(dir)
		if err := os.MkdirAll(filepath.Dir(l.path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		e := someEvent(2)
		e.Call = "0123456789ab"
		cut := mustAdd(t, l, e)
		now, err := os.ReadFile(l.path)
		if err != nil {
			t.Fatal(err)
		}
		aside, _ := os.ReadFile(l.path + ".1")
		whole := data[:bytes.LastIndexByte(data, '\n')+1]
		switch {
		case aside != nil && !bytes.Equal(aside, data):
			t.Fatalf("put aside: %q of %q", aside, data)
		case aside == nil && (cut != int64(len(data)-len(whole)) || !bytes.HasPrefix(now, whole)):
			t.Fatalf("cut %d; %q became %q", cut, data, now)
		}
		if aside != nil {
			whole = nil
		}
		if told := bytes.Equal(now, whole) && bytes.Contains(data, []byte(e.Call)); told {
			return
		}
		last := now[len(whole):]
		if bytes.Count(last, []byte{'\n'}) != 1 || !bytes.HasPrefix(last, []byte(`{"v":1,`)) {
			t.Fatalf("added %q", last)
		}
		if _, _, err := l.Check(); err != nil {
			t.Fatal(err)
		}
		if again := mustAdd(t, l, e); again != 0 {
			t.Fatalf("cut %d bytes of what was just written", again)
		}
		if twice, _ := os.ReadFile(l.path); !bytes.Equal(twice, now) {
			t.Fatal("told again, it was written again")
		}
		mustAdd(t, l, someEvent(3))
		n := bytes.Count(whole, []byte{'\n'})
		_, gaps, err := l.Check()
		if err != nil {
			t.Fatal(err)
		}
		for _, gap := range gaps {
			if strings.HasPrefix(gap.Error(), l.path+":") && n < 8 && strings.Contains(gap.Error(), ":"+string(rune('0'+n+2))+":") {
				t.Fatalf("our second line does not follow the first: %v", gap)
			}
		}
	})
}
