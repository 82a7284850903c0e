// Package signed writes the messages of test histories as gatekeeper would have
// written them: with provenance, signed, binding exactly. It goes straight to
// the packages that know the forms, past hooks and install, so that the gate can
// be tested on ten thousand commits in seconds.
package signed

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// A Writer writes messages for gittest.History.
type Writer struct {
	Signer attestation.Signer
	Time   time.Time // of signing
	Tool   string    // TOOL/VERSION; "" signs that nothing was observed
	Model  string    // PROVIDER/MODEL

	// Digests false leaves the change digest at a constant: an exact binding
	// never reads it, and a long history is made in half the time.
	Digests bool
}

// Open is a Writer that signs with an unencrypted OpenSSH key file.
func Open(path string, now time.Time) (*Writer, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := attestation.ReadKey(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	signer, err := pubkey.NewSigner(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Writer{Signer: signer, Time: now, Digests: true}, nil
}

// Message is the message of a draft: its subject, and the trailer block.
func (w *Writer) Message(d gittest.Draft) (string, error) {
	parents, err := parse(d.Parents)
	if err != nil {
		return "", err
	}
	tree, err := change.ParseID(d.Tree)
	if err != nil {
		return "", err
	}
	a := attestation.Attestation{Time: w.Time, Bind: change.Bind(parents, tree), Change: provenance.Digest{1}}
	added := 1
	if w.Digests {
		if a.Change, added, err = digest(d, parents, tree); err != nil {
			return "", err
		}
	}
	values := w.values(added)
	if a, err = attestation.Sign(context.Background(), w.Signer, values, a); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", d.Subject)
	for _, v := range values {
		fmt.Fprintf(&b, "%s: %s\n", trailer.KeyProvenance, v)
	}
	fmt.Fprintf(&b, "%s: %s\n", trailer.KeyAttestation, a)
	return b.String(), nil
}

func (w *Writer) values(added int) []string {
	if w.Tool == "" {
		return []string{"none via=process"}
	}
	return []string{fmt.Sprintf("%s %s lines=%d/%d via=process session=unknown", w.Tool, w.Model, added, added)}
}

func digest(d gittest.Draft, parents []change.ID, tree change.ID) (sum provenance.Digest, added int, err error) {
	sum, stats, err := change.OfCommit(objects{d}, parents, tree)
	return sum, stats.Added, err
}

func parse(ids []string) (parsed []change.ID, err error) {
	for _, s := range ids {
		id, err := change.ParseID(s)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, id)
	}
	return parsed, nil
}

// objects are the trees and blobs that a draft knows.
type objects struct{ draft gittest.Draft }

func (o objects) Open(id change.ID) (change.Object, error) {
	kind, data, ok := o.draft.Object(id.String())
	if !ok {
		return change.Object{}, fmt.Errorf("object %s: %w", id, change.ErrMissing)
	}
	return change.Object{Type: kind, Size: int64(len(data)), ReadCloser: io.NopCloser(bytes.NewReader(data))}, nil
}
