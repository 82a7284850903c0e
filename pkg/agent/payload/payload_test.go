package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestValue(t *testing.T) {
	v, err := Parse([]byte(` {"a": {"b": "x\n\u00e9\ud83d\ude00", "n": null}, "list": ["p", "q"], "mixed": ["p", 1], "yes": true, "n": -12, "a b": 1.5,
		"twice": 1, "twice": 2, "Upper": "u", "\u006bey": "escaped name"} `))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"a string in an object", v.At("a", "b").String(), "x\né😀"},
		{"nothing at a path that leads nowhere", v.At("a", "b", "c").Exists(), false},
		{"null is there", v.At("a", "n").Exists() && v.At("a", "n").IsNull(), true},
		{"true", v.At("yes").IsTrue(), true},
		{"a number is no string", v.At("n").String(), ""},
		{"of two members the last counts", string(v.At("twice").Text()), "2"},
		{"names match exactly", v.At("upper").Exists(), false},
		{"names may be escaped", v.At("key").String(), "escaped name"},
		{"an object is one", v.IsObject() && v.At("a").IsObject() && !v.At("list").IsObject(), true},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for name, want := range map[string][]string{"list": {"p", "q"}, "none": nil} {
		if got, ok := v.At(name).Strings(); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"a", "n", "yes", "mixed", "a b"} {
		if got, ok := v.At(name).Strings(); ok || got != nil {
			t.Errorf("%s passes for strings: %q", name, got)
		}
	}
	if n, ok := v.At("n").Int(); n != -12 || !ok {
		t.Errorf("number: got %d %v", n, ok)
	}
	if _, ok := v.At("a b").Int(); ok {
		t.Error("a fraction passes for a whole number")
	}
}

// TestFaults reads what is broken: what came before the fault is kept.
func TestFaults(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for name, c := range map[string]struct{ text, error string }{
		"nothing":                    {"", "breaks off"},
		"breaks off in a string":     {`{"tool":"x","input":{"content":"abc`, "in a string"},
		"breaks off behind a comma":  {`{"tool":"x",`, "want a name"},
		"breaks off in an array":     {`{"tool":"x","a":[1`, "breaks off"},
		"two values":                 {`{"tool":"x"}{}`, "more text"},
		"single quotes":              {`{"tool":"x",'a':1}`, "name in quotes"},
		"a wrong escape":             {`{"tool":"x","a":"\x"}`, "escape"},
		"half an escape":             {`{"tool":"x","a":"\u12"}`, "escape"},
		"no colon":                   {`{"tool":"x","a" 1}`, "colon"},
		"a bare word":                {`{"tool":"x","a":NaN}`, "want a value"},
		"a number with leading zero": {`{"tool":"x","a":01}`, "comma"},
		"a bare minus":               {`{"tool":"x","a":-}`, "digits"},
		"a fraction without digits":  {`{"tool":"x","a":1.}`, "digits"},
		"an exponent without digits": {`{"tool":"x","a":1e}`, "digits"},
		"nested too deep":            {`{"tool":"x","a":` + deep, "deeper"},
		"too many members":           {`{"tool":"x"` + strings.Repeat(`,"a":1`, maxMembers) + `}`, "members"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("got %v, want %q in it", err, c.error)
			}
			if got := v.At("tool").String(); strings.Contains(c.text, "tool") && got != "x" {
				t.Errorf("the member before the fault: got %q", got)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	text := []byte(`{"tool":"x","content":"` + strings.Repeat("a", MaxSize) + `"}`)
	v, err := Parse(text)
	if !errors.Is(err, ErrTooLarge) || v.At("tool").String() != "x" {
		t.Errorf("got %v and %q", err, v.At("tool").String())
	}
}

func TestControlCharactersInStrings(t *testing.T) {
	v, err := Parse([]byte("{\"a\":\"one\ntwo\x01\ttab\"}"))
	if got := v.At("a").String(); err != nil || got != "one\ntwo\x01\ttab" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEncodings(t *testing.T) {
	const text = `{"a":"é😀"}`
	utf16le := func(s string) (out []byte) {
		for _, u := range utf16.Encode([]rune(s)) {
			out = append(out, byte(u), byte(u>>8))
		}
		return out
	}
	swap := func(b []byte) []byte {
		out := bytes.Clone(b)
		for i := 0; i+1 < len(out); i += 2 {
			out[i], out[i+1] = out[i+1], out[i]
		}
		return out
	}
	for name, data := range map[string][]byte{
		"UTF-8":                           []byte(text),
		"UTF-8 with a mark":               []byte("\ufeff" + text),
		"UTF-16 little end":               utf16le("\ufeff" + text),
		"UTF-16 big end":                  swap(utf16le("\ufeff" + text)),
		"UTF-16 little end, without mark": utf16le(text),
		"UTF-16 big end, without mark":    swap(utf16le(text)),
	} {
		v, err := Parse(data)
		if got := v.At("a").String(); err != nil || got != "é😀" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := Parse(append(utf16le("\ufeff"+text), 'x')); err != nil {
		t.Errorf("an odd byte behind UTF-16: %v", err)
	}
	if _, err := Parse([]byte{0xFF, 0xFE, '{', 0, 0x00, 0xD8}); err == nil {
		t.Error("half a surrogate passes for JSON")
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:                            `{"a":1}`,
		"{\n// c\n\"a\": 1, /* x\ny */ }":    `{"a":1}`,
		`{"a":"// no /* comment */ ,}",}`:    `{"a":"// no /* comment */ ,}"}`,
		`[1,2, // last` + "\n]":              `[1,2]`,
		`{"a":"\"//","b":[{},],}`:            `{"a":"\"//","b":[{}]}`,
		`{"a":1 /* open`:                     ``,
		`{"a":1, "b"`:                        ``,
		"\"unclosed // x":                    ``,
		"// first\r\n{\"a\":1}\n// the last": `{"a":1}`,
	} {
		plain := Plain([]byte(in))
		if len(plain) != len(in) {
			t.Errorf("%q: length changed from %d to %d", in, len(in), len(plain))
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, plain); err != nil && want != "" || err == nil && compact.String() != want {
			t.Errorf("%q: got %q, want %q (%v)", in, compact.String(), want, err)
		}
	}
}

// FuzzParse holds Parse to encoding/json, which knows nothing of it: the same
// texts are JSON, but for control characters in strings and the limits, and
// they say the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"b":["x",1,true,null]},"a":2}`, `"\ud800"`, `[1e5,-0,0.1]`, `{"a":"\u0000"}`, `[[[[]]]]`, `01`, `{"a":1,}`, "{\"a\":\"\n\"}", `"\ud83d\ude00"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		_ = Plain(data)
		if !utf8.Valid(data) || len(data) > 1 && (data[0] == 0 || data[1] == 0) || bytes.HasPrefix(data, []byte("\ufeff")) {
			return
		}
		if json.Valid(data) {
			if err != nil && !strings.Contains(err.Error(), "deeper") {
				t.Fatalf("refused: %v", err)
			}
			if err == nil {
				var want any
				if err := json.Unmarshal(data, &want); err != nil {
					return // a number out of range
				}
				if diff := cmp.Diff(want, whole(t, v)); diff != "" {
					t.Fatal(diff)
				}
			}
			return
		}
		if err == nil && !bytes.ContainsFunc(data, func(r rune) bool { return r < 0x20 }) {
			t.Fatal("accepted what is no JSON")
		}
	})
}

// whole reads a value into what encoding/json makes of it.
func whole(t *testing.T, v Value) any {
	switch {
	case v.IsObject():
		m := map[string]any{}
		for name, value := range v.Members() {
			m[name] = whole(t, value)
			if got, want := v.At(name).Text(), last(v, name).Text(); !bytes.Equal(got, want) {
				t.Fatalf("%q: got %q, want %q", name, got, want)
			}
		}
		return m
	case v.Text()[0] == '[':
		list := []any{}
		for item := range v.Items() {
			list = append(list, whole(t, item))
		}
		return list
	case v.Text()[0] == '"':
		return v.String()
	}
	var scalar any
	if err := json.Unmarshal(v.Text(), &scalar); err != nil {
		t.Fatalf("%q: %v", v.Text(), err)
	}
	return scalar
}

func last(v Value, name string) (found Value) {
	for n, value := range v.Members() {
		if n == name {
			found = value
		}
	}
	return found
}

func FuzzQuote(f *testing.F) {
	f.Add("a\"\\\n\x00é😀\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		quoted := Quote(text)
		v, err := Parse([]byte(quoted))
		var other string
		if jsonErr := json.Unmarshal([]byte(quoted), &other); err != nil || jsonErr != nil {
			t.Fatalf("%s is no JSON: %v, %v", quoted, err, jsonErr)
		}
		if want := string([]rune(text)); v.String() != want || other != want {
			t.Fatalf("got %q and %q, want %q", v.String(), other, want)
		}
		if strings.ContainsFunc(quoted, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is more than printable ASCII", quoted)
		}
	})
}

func TestCompact(t *testing.T) {
	v, err := Parse([]byte("{ \"a b\" : [ 1 ,\n\t\"x  y\\\" z\" ] , \"c\": { } }"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(v.Compact()), `{"a b":[1,"x  y\" z"],"c":{}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
