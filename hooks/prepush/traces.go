package prepush

import (
	"context"
	"errors"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// addTraces puts the traces that the pushed commits name among the records that are
// sent. Those of commits that were amended or thrown away stay behind.
func (p push) addTraces(ctx context.Context) error {
	if !record.KeepsTraces(p.repo.CommonDir) {
		return nil
	}
	var include []change.ID
	for _, u := range p.updates {
		if u.New != "" {
			include = append(include, u.New)
		}
	}
	reader := p.repo.Reader()
	defer reader.Close()
	known, err := p.knownThere(ctx, reader)
	if err != nil {
		return err
	}
	byKey := map[string]map[string][]byte{}
	var sent []provenance.Digest
	for raw, err := range p.repo.Commits(ctx, include, known, maxTracedCommit) {
		if err != nil {
			return err
		}
		for _, a := range attestationsOf(raw) {
			d, named := a.Trace()
			if !named {
				continue
			}
			text, err := record.KeptTrace(p.repo.CommonDir, d)
			if err != nil {
				return err
			}
			if text != nil {
				if byKey[a.Key] == nil {
					byKey[a.Key] = map[string][]byte{}
				}
				byKey[a.Key][record.TracePath(d)] = text
				sent = append(sent, d)
			}
		}
	}
	for key, files := range byKey {
		if err := record.AddFiles(ctx, p.repo, key, files, p.hook.Now()); err != nil {
			return err
		}
	}
	var all []error
	for _, d := range sent {
		all = append(all, record.DropTrace(p.repo.CommonDir, d))
	}
	all = append(all, record.PruneTraces(p.repo.CommonDir, p.hook.Now().Add(-keep)))
	return errors.Join(all...)
}

// keep is how long a trace waits for its commit to be pushed.
const keep = 180 * 24 * time.Hour

// maxTracedCommit bounds a commit that is looked at for a trace, in bytes.
const maxTracedCommit = 1 << 20

func attestationsOf(raw change.RawCommit) (list []attestation.Attestation) {
	c, err := change.ParseCommit(raw.Data)
	if raw.TooLarge || err != nil {
		return nil
	}
	block, err := trailer.Read(c.Message)
	if err != nil {
		return nil
	}
	for _, value := range block.Attestation {
		if a, err := attestation.Parse(value); err == nil {
			list = append(list, a)
		}
	}
	return list
}
