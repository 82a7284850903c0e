package agents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tailscale/hujson"
)

// writer writes random JSON as people do: comments and odd white space anywhere,
// commas at the end, hooks of somebody else, empty hooks, no hooks.
type writer struct {
	r   *rand.Rand
	b   strings.Builder
	eol string
	// plain writes white space alone, tight none of it.
	plain, tight bool
	comments     int
}

func randomDocument(r *rand.Rand, events []event, grouped bool) string {
	w := &writer{r: r, eol: "\n", plain: r.IntN(3) == 0, tight: r.IntN(6) == 0}
	if r.IntN(4) == 0 {
		w.eol = "\r\n"
	}
	if r.IntN(8) == 0 {
		w.b.WriteString(byteOrderMark)
	}
	w.extra()
	names := w.names(r.IntN(4))
	if r.IntN(4) > 0 {
		names = slices.Insert(names, r.IntN(len(names)+1), hooksKey)
	}
	w.object(names, func(name string) {
		if name != hooksKey {
			w.value(3)
			return
		}
		w.hooks(events, grouped)
	})
	w.extra()
	if !w.plain && r.IntN(8) == 0 {
		w.b.WriteString("// the last line has no end")
	}
	return w.b.String()
}

func (w *writer) names(n int) (names []string) {
	for range n {
		names = append(names, fmt.Sprintf("key %d \\\"//{", len(names)))
	}
	return names
}

func (w *writer) hooks(events []event, grouped bool) {
	var names []string
	for _, e := range events {
		if w.r.IntN(2) == 0 {
			names = append(names, e.name)
		}
	}
	names = append(names, w.names(w.r.IntN(2))...)
	w.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	w.object(names, func(name string) {
		if strings.HasPrefix(name, "key") {
			w.value(2)
			return
		}
		w.list('[', ']', w.r.IntN(4), func(int) {
			switch w.r.IntN(4) {
			case 0:
				w.value(2)
			case 1:
				w.b.WriteString(`{"matcher": "*", "hooks": []}`)
			default:
				if grouped {
					w.b.WriteString(`{"matcher": "Bash", "hooks": [{"type": "command", "command": "/opt/else.sh"}]}`)
				} else {
					w.b.WriteString(`{"command": "/opt/else.sh"}`)
				}
			}
		})
	})
}

func (w *writer) object(names []string, value func(name string)) {
	w.list('{', '}', len(names), func(i int) {
		fmt.Fprintf(&w.b, `"%s"`, names[i])
		w.few()
		w.b.WriteByte(':')
		w.few()
		value(names[i])
	})
}

func (w *writer) list(open, end byte, n int, item func(i int)) {
	w.b.WriteByte(open)
	for i := range n {
		w.extra()
		item(i)
		if i < n-1 {
			w.few()
			w.b.WriteByte(',')
		}
	}
	if n > 0 && w.r.IntN(4) == 0 {
		w.few()
		w.b.WriteByte(',')
	}
	w.extra()
	w.b.WriteByte(end)
}

func (w *writer) value(depth int) {
	switch k := w.r.IntN(7); {
	case k == 0 && depth > 0:
		w.object(w.names(w.r.IntN(3)), func(string) { w.value(depth - 1) })
	case k == 1 && depth > 0:
		w.list('[', ']', w.r.IntN(3), func(int) { w.value(depth - 1) })
	case k == 2:
		w.b.WriteString(`"a \" // \u00e9 é /* \\"`)
	default:
		w.b.WriteString([]string{"true", "null", "-1.50e3", `""`, `"gatekeeper-agent"`}[w.r.IntN(5)])
	}
}

// few is extra that is mostly nothing.
func (w *writer) few() {
	if w.r.IntN(4) == 0 {
		w.extra()
	}
}

func (w *writer) extra() {
	if w.tight {
		return
	}
	for range w.r.IntN(4) {
		w.comments++
		switch k := w.r.IntN(8); {
		case k == 0 && !w.plain:
			fmt.Fprintf(&w.b, "// \"comment\" {[ %d,%s", w.comments, w.eol)
		case k == 1 && !w.plain:
			fmt.Fprintf(&w.b, "/* \"comment\" ]} %d,%s*/", w.comments, w.eol)
		case k < 4:
			w.b.WriteString(w.eol + "  ")
		default:
			w.b.WriteString([]string{" ", "\t", "   "}[w.r.IntN(3)])
		}
	}
}

// shapes are the two ways in which agents keep hooks.
func shapes(command string) map[string]hooksFile {
	grouped := func(matcher string) []pair {
		hook := []pair{{"type", "command"}, {"command", command}, {"timeout", 10}}
		return []pair{{"matcher", matcher}, {"hooks", []any{hook}}}
	}
	ours := func(c string) bool { return strings.HasSuffix(c, "/gatekeeper-agent test") }
	read := func(v hujson.Value) (string, bool) { return text(v, "command") }
	return map[string]hooksFile{
		"groups": {command: read, ours: ours, grouped: true, events: []event{
			{"Start", grouped("")}, {"Pre", grouped("Bash|mcp__.*")}, {"Post", grouped("*")},
		}},
		"flat": {command: read, ours: ours, base: []pair{{"version", 1}}, events: []event{
			{"before", []pair{{"command", command}}}, {"after", []pair{{"command", command}, {"failClosed", true}}},
		}},
	}
}

const (
	oneCommand     = "/opt/one/gatekeeper-agent test"
	anotherCommand = "/opt/another/bin/gatekeeper-agent test"
)

func placed(t testing.TB, h hooksFile, data string) string {
	t.Helper()
	return edited(t, data, h.place)
}

func taken(t testing.TB, h hooksFile, data string) string {
	t.Helper()
	return edited(t, data, h.take)
}

func edited(t testing.TB, data string, edit func(*document) error) string {
	t.Helper()
	d, err := parseDocument("settings.json", []byte(data))
	if err == nil {
		err = edit(d)
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return string(d.pack())
}

// FuzzPlacedAndTaken holds the promises of the package against documents of all kinds.
func FuzzPlacedAndTaken(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(checkPlacedAndTaken)
}

func TestPlacedAndTaken(t *testing.T) {
	for seed := range uint64(1000) {
		checkPlacedAndTaken(t, seed)
	}
}

func checkPlacedAndTaken(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	for name, h := range shapes(oneCommand) {
		before := randomDocument(r, h.events, h.grouped)
		after := placed(t, h, before)
		if t.Failed() {
			return
		}
		if !within(before, after) {
			t.Errorf("seed %d, %s: bytes are lost from\n%s\nin\n%s", seed, name, before, after)
		}
		if want, got := withEntries(t, h, before), decoded(t, after); !reflect.DeepEqual(want, got) {
			t.Errorf("seed %d, %s: it says\n%v\nand should say\n%v\n%s", seed, name, got, want, after)
		}
		if again := placed(t, h, after); again != after {
			t.Errorf("seed %d, %s: a second time gives\n%s\nand not\n%s", seed, name, again, after)
		}
		if back := taken(t, h, after); back != before {
			t.Errorf("seed %d, %s: taken out it is\n%q\nand was\n%q\n(with: %q)", seed, name, back, before, after)
		}
		moved := shapes(anotherCommand)[name]
		if a, b := placed(t, moved, after), placed(t, moved, before); a != b {
			t.Errorf("seed %d, %s: with the binary elsewhere it is\n%s\nand not\n%s", seed, name, a, b)
		}
		if strings.ReplaceAll(after, oneCommand, anotherCommand) != placed(t, moved, after) {
			t.Errorf("seed %d, %s: more than the command changes in\n%s", seed, name, after)
		}
	}
}

// within reports whether text holds all bytes of part, in their order.
func within(part, text string) bool {
	for i := 0; i < len(text) && part != ""; i++ {
		if text[i] == part[0] {
			part = part[1:]
		}
	}
	return part == ""
}

func decoded(t testing.TB, data string) (v map[string]any) {
	t.Helper()
	standard, err := hujson.Standardize([]byte(strings.TrimPrefix(data, byteOrderMark) + "\n"))
	if err == nil {
		err = json.Unmarshal(standard, &v)
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return v
}

// withEntries is what a document says when each event has one entry more, at its end.
func withEntries(t testing.TB, h hooksFile, data string) map[string]any {
	v := decoded(t, data)
	hooks, _ := v[hooksKey].(map[string]any)
	if hooks == nil {
		hooks = map[string]any{}
		v[hooksKey] = hooks
	}
	for _, e := range h.events {
		entry := decoded(t, style{eol: "\n"}.text(e.entry, 0))
		list, _ := hooks[e.name].([]any)
		hooks[e.name] = append(list, entry)
	}
	return v
}

// What people and agents change afterwards stays, wherever it is, when the entries go.
func TestTakenFromWhatWasChangedSince(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		for name, h := range shapes(oneCommand) {
			before := randomDocument(r, h.events, h.grouped)
			after := placed(t, h, before)
			choices := r.Uint64()
			change := func(data string) string {
				return edited(t, data, func(d *document) error { return somebodyAdds(d, lengths(t, h, before), choices) })
			}
			want := decoded(t, change(before))
			back := taken(t, h, change(after))
			got := decoded(t, back)
			dropEmpty(want)
			dropEmpty(got)
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("seed %d, %s: it says\n%v\nand should say\n%v\nfrom\n%s", seed, name, got, want, change(after))
			}
			if strings.Contains(back, oneCommand) || strings.Count(back, "comment") != strings.Count(change(before), "comment") {
				t.Fatalf("seed %d, %s: an entry stays, or a comment is lost:\n%s\nfrom\n%s", seed, name, back, change(after))
			}
			if all := taken(t, h, reformatted(after)); !reflect.DeepEqual(dropEmpty(decoded(t, all)), dropEmpty(decoded(t, before))) {
				t.Fatalf("seed %d, %s: reformatted, and then taken out of\n%s", seed, name, after)
			}
			if again := placed(t, h, reformatted(after)); again != reformatted(after) {
				t.Fatalf("seed %d, %s: reformatted, and changed once more:\n%s", seed, name, again)
			}
		}
	}
}

// lengths says how many hooks there are for each event that has a list.
func lengths(t testing.TB, h hooksFile, data string) map[string]int {
	n := map[string]int{}
	hooks, _ := decoded(t, data)[hooksKey].(map[string]any)
	for _, e := range h.events {
		if list, ok := hooks[e.name].([]any); ok {
			n[e.name] = len(list)
		}
	}
	return n
}

// somebodyAdds adds hooks at random places, before and behind what is there.
func somebodyAdds(d *document, lengths map[string]int, choices uint64) error {
	for _, name := range slices.Sorted(maps.Keys(lengths)) {
		choices >>= 3
		if choices&1 == 0 {
			continue
		}
		hooks := d.object().Members[index(d.object(), hooksKey)].Value.Value.(*hujson.Object)
		a := hooks.Members[index(hooks, name)].Value.Value.(*hujson.Array)
		theirs := hujson.Value{BeforeExtra: hujson.Extra("\n /* comment on theirs */ "), Value: hujson.String("/opt/added.sh")}
		switch {
		case choices&2 == 0:
			a.Elements = slices.Insert(a.Elements, 0, theirs)
		case choices&4 == 0 && lengths[name] > 0:
			last := &a.Elements[len(a.Elements)-1]
			last.AfterExtra = slices.Concat(last.AfterExtra, hujson.Extra("/* comment before a comma */"))
			fallthrough
		default:
			a.Elements = append(a.Elements, theirs)
		}
	}
	return nil
}

// dropEmpty takes out arrays and objects of hooks that hold nothing: whether they stay
// in what somebody else has changed is a matter of taste.
func dropEmpty(v map[string]any) map[string]any {
	hooks, ok := v[hooksKey].(map[string]any)
	if !ok {
		return v
	}
	for name, list := range hooks {
		if l, ok := list.([]any); ok && len(l) == 0 {
			delete(hooks, name)
		}
	}
	if len(hooks) == 0 {
		delete(v, hooksKey)
	}
	return v
}

// reformatted is the document as an agent writes it that parses it and knows nothing
// of comments.
func reformatted(data string) string {
	standard, err := hujson.Standardize([]byte(strings.TrimPrefix(data, byteOrderMark) + "\n"))
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(standard), "", "  "); err != nil {
		panic(err)
	}
	return b.String()
}

func TestPlacedLooksLikeWhatIsThere(t *testing.T) {
	h := shapes(oneCommand)["flat"]
	h.events = h.events[:1]
	tests := []struct{ name, before, after string }{
		{"a setting in two spaces", "{\n  \"a\": 1\n}\n", `{
  "a": 1,
  "hooks": {
    "before": [
      {
        "command": "/opt/one/gatekeeper-agent test"
      }
    ]
  }
}
`},
		{"tabs, a comment at the end, and a hook", "{\n\t\"hooks\": {\n\t\t\"before\": [\n\t\t\t{\"command\": \"x\"} // mine\n\t\t]\n\t}\n}\n",
			"{\n\t\"hooks\": {\n\t\t\"before\": [\n\t\t\t{\"command\": \"x\"}, // mine\n\t\t\t{\n\t\t\t\t\"command\": \"/opt/one/gatekeeper-agent test\"\n\t\t\t}\n\t\t]\n\t}\n}\n"},
		{"one line", `{"a": 1}`, `{"a": 1, "hooks": { "before": [ { "command": "/opt/one/gatekeeper-agent test" } ] }}`},
		{"an empty object", "{}\n", `{"hooks": {
    "before": [
      {
        "command": "/opt/one/gatekeeper-agent test"
      }
    ]
  }}
`},
		{"lines that end in CRLF", "{\r\n  \"a\": 1\r\n}", "{\r\n  \"a\": 1,\r\n  \"hooks\": {\r\n    \"before\": [\r\n      {\r\n        \"command\": \"/opt/one/gatekeeper-agent test\"\r\n      }\r\n    ]\r\n  }\r\n}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := placed(t, h, tt.before); got != tt.after {
				t.Errorf("got\n%s\nwant\n%s", got, tt.after)
			}
		})
	}
}

func TestBadDocumentsAreRefusedWithTheirPlace(t *testing.T) {
	h := shapes(oneCommand)["groups"]
	tests := []struct{ name, data, want string }{
		{"a comma is missing", "{\n  \"a\": 1\n  \"b\": 2\n}", `f.json:3:3: invalid character '"' after object value`},
		{"cut short", "{\n  \"a\": [", "f.json:3:1: parsing value: unexpected EOF"},
		{"nothing in it", "", "f.json:2:1: parsing value: unexpected EOF"},
		{"not an object", " [1]", "f.json:1:2: want an object"},
		{"hooks are no object", "{\"hooks\": []}", `f.json:1:11: "hooks" is not an object`},
		{"hooks twice", "{\n \"hooks\": {},\n \"hooks\": {}}", `f.json:3:2: "hooks" is here a second time`},
		{"hooks twice, once in escapes", "{\"hooks\": {}, \"h\\u006foks\": {}}", `f.json:1:15: "hooks" is here a second time`},
		{"an event is no array", "{\"hooks\":\n{\"Pre\": {}}}", `f.json:2:9: "Pre" is not an array`},
		{"an event twice", "{\"hooks\":\n{\"Pre\": [], \"Pre\": []}}", `f.json:2:13: "Pre" is here a second time`},
		{"UTF-16", "\xff\xfe{\x00}\x00", `f.json:1:1: invalid character '\xff' at start of value`},
		{"two bytes that are no UTF-8, in a comment", "{ /*\xc3\x28*/ }", "f.json:1:3: invalid UTF-8 in comment"},
		{"brackets without an end", strings.Repeat("[", 2000), "f.json:1:1001: more than 1000 brackets in each other"},
		{"too large", strings.Repeat(" ", maxFile+1), "f.json: larger than 4194304 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parseDocument("f.json", []byte(tt.data))
			if err == nil {
				err = h.place(d)
			}
			var bad *BadFile
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestBracketsInStringsAndCommentsAreNone(t *testing.T) {
	many := strings.Repeat("[", 2000)
	for _, data := range []string{`{"a": "\"` + many + `"}`, "{ //" + many + "\n}", "{ /*" + many + "*/ }", "{} // " + many, `{"a": [` + strings.Repeat("[],", 2000) + "]}"} {
		if _, err := parseDocument("f.json", []byte(data)); err != nil {
			t.Errorf("%.20s…: %v", data, err)
		}
	}
}

// A hook that somebody added to our group stays, and so does our group.
func TestAGroupThatSomebodySharesStays(t *testing.T) {
	h := shapes(oneCommand)["groups"]
	shared := strings.Replace(string(h.newFile()), `"timeout": 10
          }`, `"timeout": 10
          },
          {"type": "command", "command": "/opt/theirs.sh"}`, 1)
	if !strings.Contains(shared, "theirs") {
		t.Fatal("the test shares nothing")
	}
	if back := taken(t, h, shared); strings.Contains(back, "gatekeeper") || !strings.Contains(back, "/opt/theirs.sh") {
		t.Errorf("taken out it is\n%s", back)
	}
	if again := placed(t, h, shared); strings.Count(again, oneCommand) != 3 || !strings.Contains(again, "/opt/theirs.sh") {
		t.Errorf("placed again it is\n%s", again)
	}
}

func TestAFileOfOursIsKnown(t *testing.T) {
	for name, h := range shapes(oneCommand) {
		data := string(h.newFile())
		if again := placed(t, h, data); again != data {
			t.Errorf("%s: placed again it is\n%s", name, again)
		}
		for _, tt := range []struct {
			data  string
			empty bool
		}{{data, true}, {reformatted(data), true}, {data + "// mine\n", false}, {strings.Replace(data, "{", `{"mine": 1,`, 1), false}} {
			d, err := parseDocument("f.json", []byte(taken(t, h, tt.data)))
			if err != nil || h.empty(d) != tt.empty {
				t.Errorf("%s: %v, taken for empty: %v, of\n%s", name, err, !tt.empty, tt.data)
			}
		}
	}
}
