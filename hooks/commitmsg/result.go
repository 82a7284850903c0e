package commitmsg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// postCommit looks at HEAD when the hooks before it could not be certain of what
// would become of it, when they used declarations, or when a squash left
// attestations to be kept.
func postCommit(ctx context.Context, h *hook, _ []string) error {
	p, ok, err := h.state.Prepared()
	if err != nil || !ok {
		_ = h.state.Drop() // a file that cannot be read was reported by commit-msg
		return nil
	}
	head, landed, err := h.landed(ctx, p)
	if err == nil && (!landed || len(p.Parts) > 0) {
		if err := h.becomeBig(ctx, session.Prepared{}); err != nil {
			return err
		}
	}
	defer h.state.Drop()
	switch {
	case err != nil:
		return fmt.Errorf("HEAD was not looked at: %w", err)
	case landed && p.Unsigned:
		err = h.owe(session.Unsigned{Commit: head, Values: p.Values})
	case !landed:
		err = h.attest(ctx, rewritten{commit: head, known: h.knownOf(ctx, p)})
	}
	return errors.Join(err, h.keepParts(ctx, p.Parts), h.state.Use(p.Declared...))
}

// knownOf is what is known of a commit for which p was worked out, or, where that
// failed, what is seen and declared now.
func (h *hook) knownOf(ctx context.Context, p session.Prepared) said {
	if len(p.Values) > 0 || h.invocation().sequencer() {
		return said{values: p.Values}
	}
	return said{values: h.joined(0, nil, h.declared(ctx), nil).Values()}
}

// landed returns HEAD, and whether it is the commit that p was worked out for, and
// carries the lines of p, signed if they could be.
func (h *hook) landed(ctx context.Context, p session.Prepared) (head change.ID, landed bool, err error) {
	if _, head, err = h.repo.Head(ctx); err != nil || head == "" {
		return head, false, err
	}
	objects := h.repo.Objects(ctx)
	defer objects.Close()
	c, err := repo.ReadCommit(objects, head)
	if err != nil {
		return head, false, err
	}
	block, err := trailer.Read(c.Message)
	if err != nil || p.Lost || !stands(&p, block) {
		return head, false, nil
	}
	at, err := placeOf(objects, c)
	if err != nil {
		return head, false, err
	}
	return head, at.bind == p.Bind, nil
}

// applypatchMsg has the argument FILE. git runs it before it applies the patch,
// so neither tree nor change can be known here. A patch that carries its author's
// attestation keeps it, which binds where the patch applies cleanly; post-applypatch
// sees whether it did.
func applypatchMsg(_ context.Context, h *hook, args []string) error {
	message, err := os.ReadFile(h.path(args[0]))
	if err != nil {
		return fmt.Errorf("the patch was not looked at: %w", err)
	}
	if _, err := trailer.Read(message); err != nil {
		return fmt.Errorf("the patch's message %w", err)
	}
	return nil
}

// postApplypatch looks at the commit that git am made. Of a rebase that works with
// patches, post-rewrite looks at all commits together.
func postApplypatch(ctx context.Context, h *hook, _ []string) error {
	if h.exists("rebase-apply/rebasing") {
		return nil
	}
	if err := h.becomeBig(ctx, session.Prepared{}); err != nil {
		return err
	}
	_, head, err := h.repo.Head(ctx)
	if err != nil || head == "" {
		return err
	}
	return h.attest(ctx, rewritten{commit: head, known: said{values: h.joined(0, nil, nil, nil).Values()}})
}

// A rewritten commit is one that may need an attestation beside it.
type rewritten struct {
	commit change.ID
	from   []change.ID // the commits that it was made of
	known  said        // what is known of it besides
}

// postRewrite has the argument amend or rebase, and on standard input a line
//
//	OLD SP NEW [SP …]
//
// for each commit that was rewritten (githooks(5)). An amend was seen by the hooks
// of commits, and so was each pick of a rebase; but git makes those of a rebase
// with patches alone.
func postRewrite(ctx context.Context, h *hook, args []string) error {
	if args[0] != "rebase" {
		return nil
	}
	thorough := h.exists("rebase-apply")
	from := map[change.ID][]change.ID{}
	var order []change.ID
	for in := bufio.NewScanner(h.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		if len(words) < 2 {
			continue
		}
		old, err := change.ParseID(words[0])
		if err != nil {
			return fmt.Errorf("post-rewrite: %w", err)
		}
		new, err := change.ParseID(words[1])
		if err != nil {
			return fmt.Errorf("post-rewrite: %w", err)
		}
		if from[new] == nil {
			order = append(order, new)
		}
		from[new] = append(from[new], old)
	}
	var list []rewritten
	for _, id := range order {
		if thorough || !h.signed(ctx, id) {
			list = append(list, rewritten{commit: id, from: from[id]})
		}
	}
	return h.attest(ctx, list...)
}

// signed reports whether a commit carries an attestation of its own, or is a merge,
// which may go without.
func (h *hook) signed(ctx context.Context, id change.ID) bool {
	objects := h.repo.Objects(ctx)
	defer objects.Close()
	c, err := repo.ReadCommit(objects, id)
	return err == nil && (len(c.Parents) > 1 || len(saidByMessage(c.Message).attestation) > 0)
}

// attest signs what is known of commits beside them, where nothing that fits covers
// them yet. What cannot be signed here is left to pre-push.
func (h *hook) attest(ctx context.Context, list ...rewritten) error {
	objects := h.repo.Objects(ctx)
	defer objects.Close()
	var made []attestation.Detached
	var owed []session.Unsigned
	for _, w := range list {
		p, err := h.uncovered(ctx, objects, w)
		if err != nil {
			return fmt.Errorf("commit %.7s is not covered: %w", w.commit, err)
		}
		if p == nil {
			continue
		}
		if h.sign(ctx, p) != nil {
			owed = append(owed, session.Unsigned{Commit: w.commit, Values: p.Values})
			continue
		}
		a, err := attestation.Parse(p.Attestation)
		if err != nil {
			return err
		}
		made = append(made, attestation.Detached{Provenance: p.Values, Attestation: a})
	}
	return errors.Join(h.add(ctx, made), h.owe(owed...))
}

// uncovered works out what is to be signed beside a commit, nil when it is covered.
func (h *hook) uncovered(ctx context.Context, objects *repo.Objects, w rewritten) (*session.Prepared, error) {
	c, err := repo.ReadCommit(objects, w.commit)
	if err != nil {
		return nil, err
	}
	block, err := trailer.Read(c.Message)
	if err != nil {
		return nil, fmt.Errorf("its message %w; take that line out: git commit --amend", err)
	}
	at, err := placeOf(objects, c)
	if err != nil {
		return nil, err
	}
	about, stats, err := at.measure(ctx, nil)
	if err != nil {
		return nil, err
	}
	own := saidBy(block)
	kept, err := h.fitting(own, at, func() (provenance.Digest, error) { return about, nil })
	if err != nil || kept != "" || !h.saidBeside(ctx, at).empty() {
		return nil, err
	}
	marks := own.other
	own.other = nil
	sources := []said{own, w.known}
	for _, id := range w.from {
		sources = append(sources, h.saidOf(ctx, objects, id))
	}
	values, err := known(stats.Added, sources, marks)
	return &session.Prepared{Bind: at.bind, Change: about, Values: values}, err
}

// known joins what sources say of one commit, and then what agents say of themselves among
// its trailers. When nothing says anything, not even that nothing was seen, nobody knows.
func known(total int, sources []said, trailers []trailer.Line) ([]string, error) {
	var sets []provenance.Provenance
	none := false
	for _, s := range sources {
		records, err := s.records()
		if err != nil {
			return nil, err
		}
		sets = append(sets, records)
		none = none || len(s.values) > 0
	}
	all, _ := withMarks(provenance.Union(total, sets...), total, trailers)
	switch {
	case len(all.Records) > 0:
	case none:
		all.None = provenance.ViaProcess
	default:
		all.Records = []provenance.Record{{Lines: provenance.Lines{Total: total}}}
	}
	values := all.Values()
	_, err := provenance.Parse(values)
	return values, err
}

// keepParts puts the attestations of a squash's parts beside it.
func (h *hook) keepParts(ctx context.Context, parts []string) error {
	var list []attestation.Detached
	for _, text := range parts {
		if d, err := attestation.ParseDetached([]byte(text)); err == nil {
			list = append(list, d)
		}
	}
	return h.add(ctx, list)
}

// add keeps attestations in the ref of this clone's key.
func (h *hook) add(ctx context.Context, list []attestation.Detached) error {
	if len(list) == 0 {
		return nil
	}
	signer, _, err := h.signer(ctx)
	if err != nil {
		return fmt.Errorf("the records are not kept: %w", err)
	}
	return record.Add(ctx, h.repo, signer.PublicKey().Fingerprint(), list, h.Now())
}

// owe leaves commits to be signed by pre-push, from whichever work tree that comes.
func (h *hook) owe(list ...session.Unsigned) error {
	return session.Open(h.repo.CommonDir).Owe(list...)
}
