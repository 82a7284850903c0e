package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

var update = flag.Bool("update", false, "write what the vectors expect")

const vectors = "../../testdata/vectors"

// A changeVector is one file of testdata/vectors/change.
type changeVector struct {
	About   string       `json:"about"`
	Old     []vectorFile `json:"old"`
	New     []vectorFile `json:"new"`
	Digest  string       `json:"digest"`
	Added   int          `json:"added"`
	Removed int          `json:"removed"`
	Files   int          `json:"files"`
	Stream  string       `json:"stream,omitempty"` // what is hashed, in hexadecimal, unless it is long
}

// A vectorFile has a text in parts, or the id of a gitlink.
type vectorFile struct {
	Path string       `json:"path"`
	Mode string       `json:"mode"`
	Text []vectorPart `json:"text,omitempty"`
	ID   string       `json:"id,omitempty"`
}

// A vectorPart is text, or bytes in hexadecimal, so many times.
type vectorPart struct {
	Text  string `json:"text,omitempty"`
	Hex   string `json:"hex,omitempty"`
	Times int    `json:"times,omitempty"` // 0 is once
}

func vectorFiles(t *testing.T, list []vectorFile) files {
	t.Helper()
	all := files{}
	for _, f := range list {
		mode, err := strconv.ParseUint(f.Mode, 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, part := range append(f.Text, vectorPart{Hex: f.ID}) {
			raw, err := hex.DecodeString(part.Hex)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(strings.Repeat(part.Text+string(raw), max(part.Times, 1)))
		}
		all[f.Path] = file{uint32(mode), b.String()}
	}
	return all
}

func TestChangeVectors(t *testing.T) {
	names, err := filepath.Glob(vectors + "/change/*.json")
	if err != nil || len(names) < 40 {
		t.Fatalf("found %d vectors, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			var v changeVector
			readJSON(t, name, &v)
			old, new := vectorFiles(t, v.Old), vectorFiles(t, v.New)
			stream, stats := streamOf(t, old, new)
			got := v
			got.Digest = provenance.Digest(sha256.Sum256(stream)).String()
			got.Added, got.Removed, got.Files = stats.Added, stats.Removed, stats.Files
			if got.Stream = hex.EncodeToString(stream); len(stream) > 1000 {
				got.Stream = ""
			}
			if *update {
				writeJSON(t, name, got)
				v = got
			}
			if diff := cmp.Diff(v, got); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(modelStream(old, new), stream) {
				t.Error("the model has another stream")
			}
			if hasGitlink(v.Old) || hasGitlink(v.New) {
				return // its id is that of a SHA-1 repository
			}
			if d := digestOf(t, true, old, new).String(); d != v.Digest {
				t.Errorf("in a SHA-256 repository: got %s, want %s", d, v.Digest)
			}
		})
	}
}

func hasGitlink(list []vectorFile) bool {
	return slices.ContainsFunc(list, func(f vectorFile) bool { return f.ID != "" })
}

// A bindVector is an element of testdata/vectors/change-bind.json. Ids are
// hexadecimal.
type bindVector struct {
	About   string   `json:"about"`
	Parents []string `json:"parents"`
	Tree    string   `json:"tree"`
	Bytes   string   `json:"bytes"`
	Bind    string   `json:"bind"`
}

func TestBindVectors(t *testing.T) {
	name := vectors + "/change-bind.json"
	var all []bindVector
	readJSON(t, name, &all)
	seen := map[string]bool{}
	for i, v := range all {
		tree := parseID(t, v.Tree)
		var parents []ID
		raw := []byte{0, 0, 0, byte(len(v.Parents))}
		for _, p := range v.Parents {
			id := parseID(t, p)
			parents = append(parents, id)
			raw = append(append(raw, 0, 0, 0, byte(len(id))), id...)
		}
		raw = append(append(raw, 0, 0, 0, byte(len(tree))), tree...)
		got := v
		got.Bytes = hex.EncodeToString(raw)
		got.Bind = Bind(parents, tree).String()
		if *update {
			all[i], v = got, got
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Error(diff)
		}
		if sum := provenance.Digest(sha256.Sum256(raw)); sum.String() != v.Bind || seen[v.Bind] {
			t.Errorf("%s: bind is not the sum of its bytes, or the same as another", v.About)
		}
		seen[v.Bind] = true
	}
	if *update {
		writeJSON(t, name, all)
	}
	if len(seen) < 8 {
		t.Errorf("%d vectors", len(seen))
	}
}

func parseID(t *testing.T, s string) ID {
	t.Helper()
	id, err := ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A commitVector is an element of testdata/vectors/commit.json: a raw object,
// its bytes as JSON shows them (\u0080 and above stand for single bytes), and what
// it says or why it is refused.
type commitVector struct {
	About string        `json:"about"`
	Raw   string        `json:"raw"`
	Want  *vectorCommit `json:"want,omitempty"`
	Line  int           `json:"line,omitempty"`
	Error string        `json:"error,omitempty"`
}

type vectorCommit struct {
	Tree      string   `json:"tree"`
	Parents   []string `json:"parents"`
	Author    []string `json:"author"` // name, address, RFC 3339
	Committer []string `json:"committer"`
	Encoding  string   `json:"encoding,omitempty"`
	Message   string   `json:"message"`
}

func TestCommitVectors(t *testing.T) {
	name := vectors + "/commit.json"
	var all []commitVector
	readJSON(t, name, &all)
	for i, v := range all {
		t.Run(v.About, func(t *testing.T) {
			got := commitVector{About: v.About, Raw: v.Raw}
			c, err := ParseCommit(latin1(v.Raw))
			if bad := (*MalformedError)(nil); errors.As(err, &bad) {
				got.Line, got.Error = bad.Line, bad.Reason
			} else if err != nil {
				t.Fatal(err)
			} else {
				got.Want = shown(c)
			}
			if *update {
				all[i], v = got, got
			}
			if diff := cmp.Diff(v, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if *update {
		writeJSON(t, name, all)
	}
	if len(all) < 50 {
		t.Errorf("%d vectors", len(all))
	}
}

func latin1(s string) []byte {
	var raw []byte
	for _, c := range s {
		raw = append(raw, byte(c))
	}
	return raw
}

func fromLatin1(raw string) string {
	var b strings.Builder
	for i := range len(raw) {
		b.WriteRune(rune(raw[i]))
	}
	return b.String()
}

func shown(c Commit) *vectorCommit {
	who := func(i Ident) []string {
		return []string{fromLatin1(i.Name), fromLatin1(i.Email), i.When.Format("2006-01-02T15:04:05Z07:00")}
	}
	v := vectorCommit{c.Tree.String(), []string{}, who(c.Author), who(c.Committer), c.Encoding, fromLatin1(string(c.Message))}
	for _, p := range c.Parents {
		v.Parents = append(v.Parents, p.String())
	}
	return &v
}

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		err = dec.Decode(into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func writeJSON(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := errors.Join(enc.Encode(v), os.WriteFile(name, b.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
}
