package receipt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// VerifySchema names the form of a Verification in JSON.
const VerifySchema = "gatekeeper/receipts-verify/v1"

// A Verification is what reading all receipts found.
type Verification struct {
	Schema     string   `json:"schema"`
	Intact     bool     `json:"intact"`
	Broken     string   `json:"broken,omitempty"` // where it is not, and why
	Seq        int64    `json:"seq"`              // of the last line that follows from the first
	Hash       string   `json:"hash"`
	Files      int      `json:"files"`
	Decisions  int64    `json:"decisions"`
	Commits    int64    `json:"commits"`
	Outcomes   int64    `json:"outcomes"`
	Unfinished int64    `json:"unfinished"` // bytes at the end: of a push under way, or of one that was killed
	Signatures []Signed `json:"signatures"`
	Unsigned   int64    `json:"unsigned"` // decisions since the last one signed by a key that counts
}

// Signed says how many decisions a key signed, and the last of them.
type Signed struct {
	Key  string `json:"key"` // "SHA256:…"
	N    int64  `json:"decisions"`
	Last int64  `json:"last"`
}

// Verify reads all receipts and follows the chain, and checks signatures with the keys
// that they name. With keys, which are fingerprints, only those count, and the last
// decision must be signed by one of them: it stands for all before it. What is wrong
// is in the Verification; the error is for what could not be read.
func (l *Log) Verify(ctx context.Context, keys []string) (Verification, error) {
	v := Verification{Schema: VerifySchema, Intact: true, Signatures: []Signed{}}
	err := v.read(ctx, l, keys)
	if err == nil && len(keys) > 0 && v.Unsigned > 0 {
		err = &BrokenError{fmt.Sprintf("seq %d", v.Seq), fmt.Sprintf("the last %d decisions are not signed by %s", v.Unsigned, strings.Join(keys, " or "))}
	}
	var broken *BrokenError
	if errors.As(err, &broken) {
		v.Intact, v.Broken = false, broken.Error()
		return v, nil
	}
	return v, err
}

func (v *Verification) read(ctx context.Context, l *Log, keys []string) error {
	data, err := l.cache()
	if err != nil {
		return err
	}
	cached, ok := parseCoverage(data)
	covered := newCoverage()
	var decided chain
	file := ""
	for line, err := range l.Lines(ctx) {
		if err != nil {
			return err
		}
		if v.Seq, v.Hash = line.Seq, line.Hash.String(); file != line.File {
			file, v.Files = line.File, v.Files+1
		}
		switch body := line.Body.(type) {
		case *Commits:
			v.Commits += int64(len(body.IDs))
		case *Decision:
			v.Decisions, v.Unsigned, decided = v.Decisions+1, v.Unsigned+1, chain{line.Seq, line.Hash}
		case *Outcome:
			v.Outcomes++
		case *Signature:
			if err := body.verify(decided); err != nil {
				return &BrokenError{line.Place.String(), "the signature over the decision before it is not valid: " + err.Error()}
			}
			v.signed(body, line.Seq-1, keys)
		}
		if covered.take(line); ok && cached.at.Hash == line.Hash {
			if covered.at = cached.at; string(covered.format()) != string(data) {
				return &BrokenError{acceptedFile, "it does not say what the receipts say; they are intact until here, so delete it"}
			}
		}
	}
	return v.beyond(ctx, l)
}

// beyond looks at what stands behind the last whole receipt.
func (v *Verification) beyond(ctx context.Context, l *Log) error {
	e, err := l.settled(ctx)
	v.Unfinished = e.beyond
	return err
}

func (v *Verification) signed(s *Signature, decision int64, keys []string) {
	key := s.Key.Fingerprint()
	if len(keys) == 0 || slices.Contains(keys, key) {
		v.Unsigned = 0
	}
	i := slices.IndexFunc(v.Signatures, func(o Signed) bool { return o.Key == key })
	if i < 0 {
		i = len(v.Signatures)
		v.Signatures = append(v.Signatures, Signed{Key: key})
	}
	v.Signatures[i].N, v.Signatures[i].Last = v.Signatures[i].N+1, decision
}
