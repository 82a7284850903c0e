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
	t.records = true
	if u.New == "" {
		t.verdict.refuse(rewritten("it would be deleted"))
		return nil
	}
	if !p.knows(strings.TrimPrefix(u.Ref, RecordsPrefix)) {
		t.verdict.refuse(Finding{SignerUnknown, "no signer in the policy has the key that this ref is named for",
			"an admin adds the line that `gatekeeper key show` prints"})
		return nil
	}
	commit, objectType, err := p.gate.Source.Peel(ctx, u.New)
	if err != nil {
		return err
	}
	if commit != u.New {
		if commit != "" {
			objectType = "tag"
		}
		t.verdict.refuse(Finding{RefForbidden, "records are kept in a commit, not in a " + Plain(objectType), ours})
		return nil
	}
	f, err := p.added(ctx, u)
	if f == nil && err == nil {
		f, err = p.tooMany(ctx, u.New)
	}
	if f != nil {
		t.verdict.refuse(*f)
	}
	return err
}

// knows reports whether the policy has a signer by the id of the key.
func (p *pushed) knows(id string) bool {
	if p.keys == nil {
		p.keys = map[string]bool{}
		for _, s := range p.gate.Policy.Signers().All() {
			p.keys[attestation.KeyID(s.Key.Fingerprint())] = true
		}
	}
	return p.keys[id]
}

// added says what is wrong with what an update of records adds.
func (p *pushed) added(ctx context.Context, u Update) (*Finding, error) {
	for file, err := range p.gate.Records.Added(ctx, u.Old, u.New, attestation.MaxDetached) {
		var broken *change.MalformedError
		switch {
		case errors.Is(err, change.ErrNotGrown):
			f := rewritten(Plain(err.Error()))
			return &f, nil
		case errors.As(err, &broken):
			return &Finding{CommitMalformed, Plain(err.Error()), ours}, nil
		case errors.Is(err, change.ErrTooLarge):
			return &Finding{PushTooLarge, Plain(err.Error()), ours}, nil
		case err != nil:
			return nil, err
		case p.budget.spent(max(file.Size, openCost)):
			return &Finding{PushTooLarge, "checking the records would read more than limits.read allows", "push them in smaller steps"}, nil
		}
		if f := p.recordFile(file); f != nil {
			return f, nil
		}
	}
	return nil, nil
}

// tooMany says when a key keeps more than it may.
func (p *pushed) tooMany(ctx context.Context, commit change.ID) (*Finding, error) {
	limit := p.budget.limits.Records
	_, size, err := p.gate.Records.Sizes(ctx, commit, limit)
	if err != nil || size <= limit {
		return nil, err
	}
	return &Finding{PushTooLarge, fmt.Sprintf("the records of one key have more than %d bytes", limit), "ask an admin to raise limits.records"}, nil
}

// ours is what to do about what no gatekeeper has put there.
const ours = "push what gatekeeper itself keeps there"

func rewritten(why string) Finding {
	return Finding{RecordsRewrite, "records only grow: " + why, "fetch them and add to what is there: gatekeeper install"}
}

// recordFile says what is wrong with a file of records, or a folder of them.
func (p *pushed) recordFile(file change.RawFile) *Finding {
	folder := file.Mode == 0o040000
	switch {
	case !folder && file.Mode != 0o100644 || !isRecordPath(file.Path, folder):
		return &Finding{RefForbidden, fmt.Sprintf("%s is no record", Plain(file.Path)), ours}
	case folder:
		return nil
	case file.TooLarge:
		return &Finding{PushTooLarge, fmt.Sprintf("%s has %d bytes, a record at most %d", Plain(file.Path), file.Size, attestation.MaxDetached), ours}
	case strings.HasPrefix(file.Path, "att/"):
		return p.detached(file)
	}
	if sum := sha256.Sum256(file.Data); file.Path != "trace/"+hex.EncodeToString(sum[:]) {
		return &Finding{RefForbidden, fmt.Sprintf("%s does not have the name of its content", Plain(file.Path)), ours}
	}
	return nil
}

// isRecordPath reports whether something of records may stand at a path:
// att/CHANGE/KEY/SHA256, trace/SHA256, or a folder on the way there.
func isRecordPath(path string, folder bool) bool {
	names := strings.Split(path, "/")
	digits := map[string][]int{"att": {64, 16, 64}, "trace": {64}}[names[0]]
	if names = names[1:]; path == "" || digits == nil || len(names) > len(digits) {
		return path == "" && folder
	}
	for i, name := range names {
		if len(name) != digits[i] || !isHex(name) {
			return false
		}
	}
	return folder == (len(names) < len(digits))
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
	if err := signature(d.Attestation, d.Provenance, known); err != nil {
		return invalid(err.Error())
	}
	return nil
}
