package install

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A record is what one installation put in place, so that it can be taken out
// again. Its file has a line for each thing: a word, then values quoted as Go
// strings, because paths and settings may hold any byte.
//
//	gatekeeper-install v1 client
//	hooks "hooks"                       where the shims stand, below the common git directory; "hooks/*.d" in directories there
//	dir "gatekeeper"                    a directory that we made
//	file "hooks/commit-msg" "SHA256"    a file that we wrote, and the hex SHA-256 of what we wrote
//	back "policy.toml" "policy.toml.1"  what stood in a file's place, and where it waits
//	config "core.hooksPath" "NEW" "OLD"…  a local setting of ours, and its values before
//	image "SHA256"                      of the config file as we left it; config.before is exact while it matches
//	ref "refs/gatekeeper/policy" "ID"   a ref that we made, and its value before, if any
type record struct {
	role   string // client | server
	hooks  string // relative to the common directory, slash-separated, as are all paths here
	dirs   []string
	files  []recordedFile
	backs  []recordedBack
	config []recordedConfig
	image  string
	refs   []recordedRef
}

// isHook reports whether a file stands where the record says that shims do.
func (r *record) isHook(path string) bool {
	if dir, nested := strings.CutSuffix(r.hooks, "/*"+nestedEnd); nested {
		return strings.HasSuffix(parent(path), nestedEnd) && parent(parent(path)) == dir
	}
	return parent(path) == r.hooks
}

type recordedFile struct{ path, sum string }

type recordedBack struct{ path, waits string }

type recordedConfig struct {
	key, value string
	before     []string
}

type recordedRef struct{ name, before string }

const recordHead = "gatekeeper-install v1 "

func (r *record) format() []byte {
	var b bytes.Buffer
	b.WriteString(recordHead + r.role + "\n")
	line := func(word string, values ...string) {
		b.WriteString(word)
		for _, v := range values {
			b.WriteString(" " + strconv.Quote(v))
		}
		b.WriteByte('\n')
	}
	if r.hooks != "" {
		line("hooks", r.hooks)
	}
	for _, d := range r.dirs {
		line("dir", d)
	}
	for _, f := range r.files {
		line("file", f.path, f.sum)
	}
	for _, k := range r.backs {
		line("back", k.path, k.waits)
	}
	for _, c := range r.config {
		line("config", append([]string{c.key, c.value}, c.before...)...)
	}
	if r.image != "" {
		line("image", r.image)
	}
	for _, f := range r.refs {
		line("ref", f.name, f.before)
	}
	return b.Bytes()
}

// parseRecord reads the file that format writes, and nothing else: a record that
// was edited or cut short must not make uninstall guess.
func parseRecord(data []byte) (*record, error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), recordHead) {
		return nil, fmt.Errorf("line 1: not a record of %q", strings.TrimSpace(recordHead))
	}
	r := &record{role: strings.TrimPrefix(lines.Text(), recordHead)}
	if r.role != client && r.role != server {
		return nil, fmt.Errorf("line 1: unknown role %q", r.role)
	}
	for n := 2; lines.Scan(); n++ {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		values, err := unquoteAll(rest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := r.add(word, values); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.format(), data) {
		return nil, fmt.Errorf("not in the form that install writes")
	}
	return r, nil
}

func (r *record) add(word string, v []string) error {
	wants := map[string]int{"hooks": 1, "dir": 1, "file": 2, "back": 2, "image": 1, "ref": 2}
	if n, ok := wants[word]; ok && len(v) != n || word == "config" && len(v) < 2 {
		return fmt.Errorf("%s has %d values", word, len(v))
	}
	switch word {
	case "hooks":
		r.hooks = v[0]
	case "dir":
		r.dirs = append(r.dirs, v[0])
	case "file":
		r.files = append(r.files, recordedFile{v[0], v[1]})
	case "back":
		r.backs = append(r.backs, recordedBack{v[0], v[1]})
	case "config":
		r.config = append(r.config, recordedConfig{v[0], v[1], v[2:]})
	case "image":
		r.image = v[0]
	case "ref":
		r.refs = append(r.refs, recordedRef{v[0], v[1]})
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

func unquoteAll(s string) ([]string, error) {
	var values []string
	for s != "" {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil || quoted[0] != '"' {
			return nil, fmt.Errorf("a value is not quoted: %s", s)
		}
		v, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		s = strings.TrimPrefix(s[len(quoted):], " ")
	}
	return values, nil
}

// sum is what the record says of a file's bytes; "" when we did not write it.
func (r *record) sum(path string) string {
	for _, f := range r.files {
		if f.path == path {
			return f.sum
		}
	}
	return ""
}

func (r *record) setFile(path, sum string) {
	i := slices.IndexFunc(r.files, func(f recordedFile) bool { return f.path == path })
	if i < 0 {
		r.files = append(r.files, recordedFile{path, sum})
		return
	}
	r.files[i].sum = sum
}

func (r *record) dropFile(path string) {
	r.files = slices.DeleteFunc(r.files, func(f recordedFile) bool { return f.path == path })
}

func (r *record) setting(key string) *recordedConfig {
	for i := range r.config {
		if r.config[i].key == key {
			return &r.config[i]
		}
	}
	return nil
}

func (r *record) clone() *record {
	c := *r
	c.dirs = slices.Clone(r.dirs)
	c.files = slices.Clone(r.files)
	c.backs = slices.Clone(r.backs)
	c.config = slices.Clone(r.config)
	c.refs = slices.Clone(r.refs)
	return &c
}
