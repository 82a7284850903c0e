package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestPlaces(t *testing.T) {
	const text = "" +
		"# comment with [table] and key = 1\n" + // 1
		"a.b.c = 1 # x\n" + // 2
		"  \"q u\" . 'r' = \"#\\\"]\"\n" + // 3
		"\n" + // 4
		"long = \"\"\"\n[x]\n\\\"\"\" y = 1 \"\"\"\"\"\n" + // 5-7
		"raw = '''\n# \\''' # \n" + // 8-9
		"[t] # [u]\r\n" + // 10
		"k = { x = [1, # one\n 2], y.z = '}' }\n" + // 11-12
		"[[r]]\n" + // 13
		"[[ r ]]\n" + // 14
		"d = 2026-01-01 10:00:00Z\n" + // 15
		"[r.s]\n" + // 16
		"e = []\n" + // 17
		"[[r.u]]\nf=1\n[[r.u]]\nf=1" // 18-21
	root := keyPath("")
	want := map[keyPath]place{
		root.key("a"):                            {2, 1},
		root.key("a").key("b"):                   {2, 3},
		root.key("a").key("b").key("c"):          {2, 5},
		root.key("q u"):                          {3, 3},
		root.key("q u").key("r"):                 {3, 11},
		root.key("long"):                         {5, 1},
		root.key("raw"):                          {8, 1},
		root.key("t"):                            {10, 2},
		root.key("t").key("k"):                   {11, 1},
		root.key("t").key("k").key("x"):          {11, 7},
		root.key("t").key("k").key("x").item(0):  {11, 12},
		root.key("t").key("k").key("x").item(1):  {12, 2},
		root.key("t").key("k").key("y"):          {12, 6},
		root.key("t").key("k").key("y").key("z"): {12, 8},
		root.key("r"):                            {13, 3},
		root.key("r").item(0):                    {13, 1},
		root.key("r").item(1):                    {14, 1},
		root.key("r").item(1).key("d"):           {15, 1},
		root.key("r").item(1).key("s"):           {16, 4},
		root.key("r").item(1).key("s").key("e"):  {17, 1},
		root.key("r").item(1).key("u"):           {18, 5},
		root.key("r").item(1).key("u").item(0):   {18, 1},
		root.key("r").item(1).key("u").item(1):   {20, 1},
	}
	for i := range 2 {
		want[root.key("r").item(1).key("u").item(i).key("f")] = place{19 + 2*i, 1}
	}
	got, err := locate(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.keys, cmp.AllowUnexported(place{})); diff != "" {
		t.Error(diff)
	}
	if got.stuck != (place{}) {
		t.Errorf("stopped at %v", got.stuck)
	}
	if at := got.values[root.key("q u").key("r")]; at != (place{3, 17}) {
		t.Errorf("value at %v", at)
	}
	agree(t, text)
}

// agree checks that the places of a text that the TOML library takes are those
// of the keys that it saw, in its order.
func agree(t *testing.T, text string) {
	t.Helper()
	places, fault := locate(text)
	if fault != nil {
		return
	}
	var root map[string]any
	md, err := func() (md toml.MetaData, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%v", r)
			}
		}()
		return toml.Decode(text, &root)
	}()
	if err != nil {
		return
	}
	if places.stuck != (place{}) {
		t.Fatalf("stopped at %v in what is TOML", places.stuck)
	}
	var want, got []string
	for _, key := range md.Keys() {
		want = append(want, fmt.Sprintf("%q", []string(key)))
	}
	for _, key := range places.order {
		var parts []string
		for _, part := range strings.Split(string(key), "\x00")[1:] {
			part, _, _ = strings.Cut(part, "\x01")
			parts = append(parts, part)
		}
		got = append(got, fmt.Sprintf("%q", parts))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("keys (-library +places):\n%s", diff)
	}
	lines := strings.Split(text, "\n")
	for key, at := range places.keys {
		line := lines[at.line-1][at.col-1:]
		name := string(key[strings.LastIndexAny(string(key), "\x00\x01")+1:])
		if strings.LastIndexByte(string(key), '\x00') > strings.LastIndexByte(string(key), '\x01') && // a key, not an item
			!strings.HasPrefix(line, name) && line[:1] != `"` && line[:1] != "'" {
			t.Fatalf("%q is not at %v: %q", name, at, line)
		}
	}
}

func FuzzPlaces(f *testing.F) {
	for _, pattern := range []string{"good/*.toml", "bad/*.toml"} {
		for _, name := range files(f, pattern) {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\x00\x01") || strings.Contains(text, `\u000`) || strings.Contains(text, `\U0000000`) || strings.Contains(text, `\x0`) ||
			notText(text) != nil {
			return // keys with the marks of a path are refused as unknown, wherever they stand
		}
		agree(t, text)
	})
}
