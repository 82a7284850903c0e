package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// RecordsPrefix is where the refs of records are: one for each key, named by
// attestation.KeyID.
const RecordsPrefix = "refs/gatekeeper/records/"

// isRecords reports whether a ref is one of records.
func isRecords(ref string) bool {
	id, ok := strings.CutPrefix(ref, RecordsPrefix)
	return ok && len(id) == 16 && isHex(id)
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// records judges the update of a ref of records. Such refs only grow, by files that
// prove what they are; no mode lets anything else in.
func (p *pushed) records(ctx context.Context, t *target, u Update) error {
	g, limit := p.gate, p.budget.limits.Records
	if u.New == "" {
		t.verdict.refuse(rewritten("it would be deleted"))
		return nil
	}
	if commit, objectType, err := g.Source.Peel(ctx, u.New); err != nil || commit != u.New {
		if err == nil {
			t.verdict.refuse(Finding{RefForbidden, "records are kept in a commit, not in a " + Plain(objectType), "push what gatekeeper itself keeps there"})
		}
		return err
	}
	for file, err := range g.Records.Added(ctx, u.Old, u.New, attestation.MaxDetached) {
		if errors.Is(err, change.ErrNotGrown) {
			t.verdict.refuse(rewritten(Plain(err.Error())))
			return nil
		}
		if err != nil {
			return err
		}
		if p.budget.read.Add(max(file.Size, openCost)) > p.budget.limits.Read {
			t.verdict.refuse(Finding{PushTooLarge, "checking the records would read more than limits.read allows", "push them in smaller steps"})
			return nil
		}
		if f := p.recordFile(file); f != nil {
			t.verdict.refuse(*f)
			return nil
		}
	}
	_, size, err := g.Records.Sizes(ctx, u.New, limit)
	if err == nil && size > limit {
		t.verdict.refuse(Finding{PushTooLarge, fmt.Sprintf("the records of one key have more than %d bytes", limit),
			"ask an admin to raise limits.records"})
	}
	return err
}

func rewritten(why string) Finding {
	return Finding{RecordsRewrite, "records only grow: " + why, "fetch them and add to what is there: gatekeeper install"}
}

// recordFile says what is wrong with a file of records.
func (p *pushed) recordFile(file change.RawFile) *Finding {
	const hint = "push what gatekeeper itself keeps there"
	folder, _, _ := strings.Cut(file.Path, "/")
	switch {
	case file.Mode != 0o100644 || folder != "att" && folder != "trace":
		return &Finding{RefForbidden, fmt.Sprintf("%s is no record", Plain(file.Path)), hint}
	case file.TooLarge:
		return &Finding{PushTooLarge, fmt.Sprintf("%s has %d bytes, a record at most %d", Plain(file.Path), file.Size, attestation.MaxDetached), hint}
	case folder == "trace":
		if sum := sha256.Sum256(file.Data); file.Path != "trace/"+hex.EncodeToString(sum[:]) {
			return &Finding{RefForbidden, fmt.Sprintf("%s does not have the name of its content", Plain(file.Path)), hint}
		}
		return nil
	}
	return p.detached(file)
}

// detached checks an attestation that stands beside a commit: that it has the name
// of what it says, and a signature of somebody whom the policy knows. Whether it
// counts for a commit is asked when the commit comes.
func (p *pushed) detached(file change.RawFile) *Finding {
	const hint = "let gatekeeper make it anew: gatekeeper repair"
	invalid := func(why string) *Finding {
		return &Finding{AttestationInvalid, fmt.Sprintf("%.24s…: %s", Plain(file.Path), Plain(why)), hint}
	}
	d, err := attestation.ParseDetached(file.Data)
	if err != nil {
		return invalid(err.Error())
	}
	if d.Path() != file.Path {
		return invalid("it does not have the name of what it says")
	}
	if _, err := provenance.Parse(d.Provenance); err != nil {
		return invalid(err.Error())
	}
	known := p.gate.Policy.Signers().Find(d.Attestation.Key)
	if len(known) == 0 {
		return &Finding{SignerUnknown, "no signer in the policy has the key " + d.Attestation.Key,
			"an admin adds the line that `gatekeeper key show` prints"}
	}
	if f := signature(d.Attestation, d.Provenance, known); f != nil {
		return invalid(f.Detail)
	}
	return nil
}
