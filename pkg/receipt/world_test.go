package receipt

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var received = time.Date(2026, 11, 23, 7, 12, 45, 0, time.UTC)

// id is the id of a made-up object.
func id(n int) change.ID {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return change.ID(sum[:20])
}

// signer signs with the Ed25519 key of a seed.
func signer(t testing.TB, seed byte) attestation.Signer {
	t.Helper()
	s, err := pubkey.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A push is what a test writes a receipt of.
type push struct {
	verdict string
	refs    []Ref
	commits int
	ruling  Ruling
	key     attestation.Signer
}

// attested is what is said of most commits.
var attested = Ruling{Verdict: Accepted, Evidence: "attested", Binding: "exact"}

// onto is an accepted push of n commits to a ref.
func onto(ref string, old, new, n int) push {
	r := Ref{Name: ref, New: id(new), Mode: "enforce", Evidence: "attested", Via: "any", Binding: "change",
		Verdict: Accepted, Judged: int64(n)}
	if old != 0 {
		r.Old = id(old)
	}
	return push{verdict: Accepted, refs: []Ref{r}, commits: n, ruling: attested}
}

func (p push) write(ctx context.Context, l *Log) (Head, error) {
	d, err := l.Begin()
	if err != nil {
		return Head{}, err
	}
	defer d.Close()
	for n := range p.commits {
		if err := d.Commit(p.refs[0].Name, id(1000+n), p.ruling); err != nil {
			return Head{}, err
		}
	}
	return d.Decide(ctx, Decision{Time: received, Policy: "sha256:00", Verdict: p.verdict, Refs: p.refs}, p.key)
}

// decide writes the receipt of a push that must succeed, and returns its seq.
func decide(t testing.TB, l *Log, p push) int64 {
	t.Helper()
	h, err := p.write(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if p.key != nil {
		return h.Seq - 1
	}
	return h.Seq
}

func finish(t testing.TB, l *Log, refs ...Ref) int64 {
	t.Helper()
	decision, err := l.Finish(t.Context(), received, refs)
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

func newLog(t testing.TB) (*Log, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gatekeeper", "receipts")
	l := Open(dir)
	l.volume = unsynced{l.volume}
	return l, dir
}

func verify(t testing.TB, l *Log, keys ...string) Verification {
	t.Helper()
	v, err := l.Verify(context.Background(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// intact verifies what must be whole, also by a reader that knows nothing of this package.
func intact(t testing.TB, l *Log, dir string) Verification {
	t.Helper()
	v := verify(t, l)
	if !v.Intact {
		t.Fatalf("broken at %s", v.Broken)
	}
	if v.Unfinished > 0 {
		return v
	}
	if seq, head := follow(t, dir); seq != v.Seq || head != v.Hash && seq != 0 {
		t.Fatalf("the head is %d %s, another reader finds %d %s", v.Seq, v.Hash, seq, head)
	}
	return v
}

// follow follows the chain as the format says: each line is JSON, counts on, and holds
// the hash of the line before. It stops at what is no whole line.
func follow(t testing.TB, dir string) (seq int64, head string) {
	t.Helper()
	head = strings.Repeat("0", 64)
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var l struct {
				Schema, Prev string
				Seq          int64
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%s: %v: %q", file, err, line)
			}
			if l.Schema != "gatekeeper/receipt/v1" || l.Seq != seq+1 || l.Prev != head || line[len(line)-1] != '\n' {
				t.Fatalf("%s: after %d %s stands %q", file, seq, head, line)
			}
			sum := sha256.Sum256(line)
			seq, head = l.Seq, hex.EncodeToString(sum[:])
		}
	}
	return seq, head
}

func read(t testing.TB, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, data []byte, parts ...string) {
	t.Helper()
	name := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	// Some file systems wait for the disk when a file was emptied before.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Truncate(int64(len(data))), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func first(dir string) string { return filepath.Join(dir, "000001.jsonl") }
