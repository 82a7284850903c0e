package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// Limits bound what one push may cost the server.
type Limits struct {
	Message int64 // bytes of one commit object
	Commits int   // commits judged for one push
	Refs    int   // refs in one push
	Read    int64 // bytes of file content read for change digests, for one push
	Records int64 // bytes of the records beside commits, for one key
}

// A Policy is a loaded policy. It does not change and may be shared.
type Policy struct {
	name   string
	digest string

	defaults Rule
	refs     []refEntry
	models   []modelEntry
	aliases  []aliasEntry
	tools    []toolEntry
	mcp      []mcpEntry
	override []string // principals

	keys     []trust.Signer // of [[signer]], then of allowed_signers
	signers  *trust.Set
	baseline []string
	limits   Limits

	hints []Note
}

type refEntry struct {
	entry string // "policy.toml:12"
	match glob
	rule  Rule
}

type modelEntry struct {
	entry       string
	id          glob
	denied      bool
	tools, refs []glob // none = all
	deny        []glob // paths
	from, until time.Time
	minClass    trust.Class
	reason      string
	owner       string
	dead        bool // an earlier denial leaves nothing of it
}

type aliasEntry struct {
	entry string
	match glob
	id    string
}

type toolEntry struct {
	entry    string
	id       glob
	versions versions
	denied   bool
}

type mcpEntry struct {
	entry   string
	server  glob
	url     string
	command []string
	tools   []glob
	denied  bool
}

// An Error is one fault of a policy, or of a file that it names.
type Error struct {
	File string // as it was named to Load or Parse
	Line int    // from 1; 0 when the fault has no place
	Col  int    // in bytes, from 1; 0 when not known
	Msg  string
	Hint string // what to do; may be empty
}

func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d", e.Line)
	}
	if e.Line > 0 && e.Col > 0 {
		s += fmt.Sprintf(":%d", e.Col)
	}
	s += ": " + e.Msg
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors are the faults of one policy, two or more, in the order of the file.
type Errors []*Error

// Error has a line for each fault, up to ten.
func (es Errors) Error() string {
	const most = 10
	var b strings.Builder
	for i, e := range es {
		if i == most {
			fmt.Fprintf(&b, "\nand %d more", len(es)-most)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// Unwrap lets errors.As find the first *Error.
func (es Errors) Unwrap() []error {
	list := make([]error, len(es))
	for i, e := range es {
		list[i] = e
	}
	return list
}

// Load reads the policy at path and the files beside it that it names. Links that
// lead out of its directory are not followed. What is wrong with the policy
// itself is an *Error or Errors; any other error says that it could not be read.
func Load(path string) (*Policy, error) { return LoadAs(path, path) }

// LoadAs is Load, but entries and errors name the policy otherwise.
func LoadAs(path, name string) (*Policy, error) {
	data, err := readFile(os.Open, path)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", path, err)
	}
	defer dir.Close()
	return Parse(name, data, func(name string) ([]byte, error) {
		return readFile(dir.Open, filepath.FromSlash(name))
	})
}

// maxBeside bounds a file that a policy names, in bytes.
const maxBeside = 16 << 20

// readFile reads a regular file, so that neither a pipe nor a device can hold it up for long.
func readFile(open func(string) (*os.File, error), name string) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBeside+1))
	if err == nil && len(data) > maxBeside {
		err = &os.PathError{Op: "read", Path: name, Err: fmt.Errorf("larger than %d bytes", maxBeside)}
	}
	return data, err
}

// digestOf is the digest of a policy made of files, in their order.
func digestOf(files [][]byte) string {
	h := sha256.New()
	for _, f := range files {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write(f)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Name is the policy's file name as Load or Parse was given it.
func (p *Policy) Name() string { return p.name }

// Digest identifies the policy: "sha256:" and the hex SHA-256 over its bytes and
// then those of the files that it read, each preceded by its length as eight
// bytes, big-endian.
func (p *Policy) Digest() string { return p.digest }

// Signers is everyone whose signature counts.
func (p *Policy) Signers() *trust.Set { return p.signers }

// Limits returns the limits, with defaults filled in.
func (p *Policy) Limits() Limits { return p.limits }

// Baseline returns the hex ids of commits that are never judged, with all they
// reach. The repository's own baseline file comes on top of these.
func (p *Policy) Baseline() []string { return p.baseline }

// Override returns the principals who may push past a refusal.
func (p *Policy) Override() []string { return p.override }

// Rule returns the rule for a ref, by its whole name: the first [[ref]] that
// matches, over [defaults].
func (p *Policy) Rule(ref string) Rule {
	rule := p.defaults
	if i := slices.IndexFunc(p.refs, func(r refEntry) bool { return r.match.match(ref) }); i >= 0 {
		rule = p.refs[i].rule
	}
	rule.Models = p.modelsFor(ref)
	return rule
}
