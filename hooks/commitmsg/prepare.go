package commitmsg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// prepareCommitMsg has the arguments FILE [SOURCE [COMMIT]].
func prepareCommitMsg(ctx context.Context, h *hook, args []string) error {
	args = append(args, "", "")
	path, source, sha := h.path(args[0]), args[1], args[2]
	message, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("nothing recorded: %w", err)
	}
	// Where a person still edits and commit-msg follows, that one signs.
	if !h.editorOpens() {
		go warmUp()
	}
	now := !h.editorOpens() || !h.invocation().commitMsgRuns()
	p, err := h.workOut(ctx, message, source, sha)
	if err != nil {
		// What is wrong may be gone when commit-msg comes; post-commit has the last word.
		return h.lost(err)
	}
	if source == "template" {
		p.Template = string(p.Buffer.Clean(message))
	}
	if now {
		if err := h.becomeBig(ctx, p); err != nil {
			return err
		}
		h.failed(h.put(ctx, path, message, &p), &p)
	}
	switch {
	case p.Lost || h.editorOpens() || h.unsettled(p) || p.Unsigned || refusable(p, message):
		return h.keep(p)
	case !h.invocation().commitMsgRuns():
		return h.state.Drop()
	case p.Git == os.Getppid():
		return h.state.Stamped(p)
	}
	return h.keep(p)
}

// failed takes note that the lines of p are not in the message, or not signed.
// What is unsigned is said at once. What could not be written at all is left to the
// hooks that follow; where none does, it is said, too.
func (h *hook) failed(err error, p *session.Prepared) {
	if err == nil {
		return
	}
	p.Lost = !p.Unsigned
	if p.Unsigned || !h.postCommitRuns() {
		h.say("%v", err)
	}
}

// lost leaves word for the hooks that follow that nothing could be worked out.
func (h *hook) lost(err error) error {
	p := session.Prepared{Git: h.invocation().pid}
	h.failed(notRecorded(err), &p)
	return h.keep(p)
}

// postCommitRuns reports whether git will run post-commit, as all do that commit but
// git merge, which needs no git commit for what is clean.
func (h *hook) postCommitRuns() bool {
	if git := h.invocation(); git.known {
		return git.name != "merge"
	}
	return !h.exists("MERGE_HEAD")
}

// refusable reports whether git, left alone, refuses the message: it is empty, or
// nobody wrote anything into the template.
func refusable(p session.Prepared, message []byte) bool {
	return p.Buffer.Empty(message) || p.Buffer.Untouched([]byte(p.Template), message)
}

// keep leaves p to the hooks that follow. Without it commit-msg works
// everything out again.
func (h *hook) keep(p session.Prepared) error {
	if err := h.state.Prepare(p); err != nil {
		return fmt.Errorf("%w; commit-msg begins anew", err)
	}
	return nil
}

// unsettled reports whether post-commit has something to look at or to keep.
func (h *hook) unsettled(p session.Prepared) bool {
	return !p.Certain || len(p.Declared)+len(p.Parts) > 0
}

func isTrailerError(err error) bool {
	var ambiguous *trailer.AmbiguousError
	var malformed *trailer.MalformedError
	return errors.As(err, &ambiguous) || errors.As(err, &malformed)
}

func notRecorded(err error) error {
	if isTrailerError(err) {
		return fmt.Errorf("nothing recorded: message %w; take that line out and amend", err)
	}
	return fmt.Errorf("nothing recorded: %w", err)
}

// workOut finds everything that the commit's lines say, but the signature.
func (h *hook) workOut(ctx context.Context, message []byte, source, sha string) (session.Prepared, error) {
	at, err := h.findPlace(ctx, source, sha)
	if err != nil {
		return session.Prepared{}, err
	}
	defer at.objects.Close()
	p := session.Prepared{
		Git: h.invocation().pid, Head: at.head, Bind: at.bind,
		Buffer: h.buffer(ctx, at, message), Lift: at.squash, Certain: at.certain,
	}
	parts, err := h.parts(ctx, at, p.Buffer, message)
	if err != nil {
		return p, err
	}
	p.Parts = h.detached(ctx, at)
	var stats change.Stats
	measured := false
	told := h.follow(at)
	measure := func() (provenance.Digest, error) {
		if !measured {
			if p.Change, stats, err = at.measure(ctx, told); err != nil {
				return p.Change, err
			}
			measured = true
		}
		return p.Change, nil
	}
	declared := h.declared(ctx)
	if len(declared) == 0 {
		for _, s := range parts {
			kept, err := h.fitting(s, at, measure)
			if err != nil {
				return p, err
			}
			if kept != "" {
				p.Values, p.Attestation = s.values, kept
				h.keepPublic(ctx, &p)
				if p.Kept = at.moved && !h.editorOpens(); p.Kept {
					return p, nil
				}
				// The message may come to say more, which would be signed anew.
				_, err = measure()
				p.Added = stats.Added
				return p, err
			}
		}
	}
	if _, err := measure(); err != nil {
		return p, err
	}
	p.Added = stats.Added
	if told != nil && told.err != nil {
		h.say("which lines are an agent's is not recorded: %v", told.err)
	}
	err = h.writeAnew(ctx, &p, parts, declared, told, stats.Added)
	return p, err
}

// measure makes the change digest that the commit is to carry, and hears of each file
// what agents told.
func (p *place) measure(ctx context.Context, told *heard) (provenance.Digest, change.Stats, error) {
	var digester change.Digester
	if told != nil {
		digester.Visit = func(f change.FileChange) error {
			told.visit(ctx, f)
			return nil
		}
	}
	d, stats, err := digester.OfCommit(p.objects, p.parentTrees, p.tree)
	if err != nil {
		err = fmt.Errorf("measure the change: %w", err)
	}
	return d, stats, err
}

// parts are what the message and the commits that go into this one say. The
// message comes first; its final block and what a squash left in its body are one part
// each.
func (h *hook) parts(ctx context.Context, at *place, b trailer.Buffer, message []byte) ([]said, error) {
	var parts []said
	add := func(s said) {
		if !s.empty() || s.marked() {
			parts = append(parts, s)
		}
	}
	if at.squash {
		rest, lifted := b.Lift(message)
		message = rest
		defer func() { add(saidIn(lifted)) }()
	}
	block, err := b.Read(message)
	if err != nil {
		return nil, err
	}
	add(said{values: block.Provenance, attestation: block.Attestation}) // its marks count when it is final, see put
	if at.amended != "" && len(at.parts) == 0 {
		add(h.saidOf(ctx, at.objects, at.amended))
	}
	for _, id := range at.parts {
		add(h.saidOf(ctx, at.objects, id).orUnknown())
	}
	if at.moved && len(parts) == 0 && len(at.parents) < 2 {
		add(h.saidOfOrigin(ctx, at).orUnknown())
	}
	return parts, nil
}

func saidIn(lines []trailer.Line) (s said) {
	for _, l := range lines {
		switch l.Key {
		case trailer.KeyProvenance:
			s.values = append(s.values, l.Value)
		case trailer.KeyAttestation:
			s.attestation = append(s.attestation, l.Value)
		}
	}
	return s
}

// writeAnew fills in lines that stand in for all old ones.
func (h *hook) writeAnew(ctx context.Context, p *session.Prepared, parts []said, declared []session.Declaration, told *heard, total int) error {
	var old []provenance.Provenance
	for _, s := range parts {
		records, err := s.records()
		if err != nil {
			return err
		}
		old = append(old, records)
	}
	all := h.joined(total, old, declared, told)
	p.Values = all.Values()
	if _, err := provenance.Parse(p.Values); err != nil {
		return fmt.Errorf("the records do not go together: %w", err)
	}
	if trace, ok := told.trace(all.Records, p.Values); ok {
		if err := record.KeepTrace(h.repo.CommonDir, trace); err != nil {
			h.say("lines are not traced: %v", err)
		} else {
			p.Trace = trace.Digest()
		}
	}
	for _, d := range declared {
		p.Declared = append(p.Declared, d.ID)
	}
	p.Add = trailer.Public(all, h.publicStyle(ctx))
	for _, l := range append(trailer.PublicOf(old...), p.Add...) {
		if !slices.Contains(p.Remove, l) {
			p.Remove = append(p.Remove, l)
		}
	}
	return nil
}

// keepPublic fills in the public lines of records that are kept, for a message
// that lost them, as that of `amend -m` did.
func (h *hook) keepPublic(ctx context.Context, p *session.Prepared) {
	kept, err := provenance.Parse(p.Values)
	if err != nil {
		return
	}
	p.Add = trailer.Public(kept, h.publicStyle(ctx))
	p.Remove = slices.Clone(p.Add) // so that none stands twice
}

// put signs what is not signed and writes the lines of p into the message, which
// may have them all already.
func (h *hook) put(ctx context.Context, path string, message []byte, p *session.Prepared) error {
	if refusable(*p, message) {
		return nil // git refuses it, and it must stay so
	}
	text := message
	if p.Lift {
		text, _ = p.Buffer.Lift(message)
	}
	block, err := p.Buffer.Read(text)
	if err != nil {
		if text, err = withoutOwn(p, text, err); err != nil {
			return notRecorded(err)
		}
		if block, err = p.Buffer.Read(text); err != nil {
			return notRecorded(err)
		}
	}
	if err := h.addMarks(ctx, p, block.Other); err != nil {
		return notRecorded(err)
	}
	if stands(p, block) && bytes.Equal(text, message) {
		return nil
	}
	var unsigned error
	if !p.Unsigned {
		unsigned = h.sign(ctx, p)
		p.Unsigned = unsigned != nil
	}
	stamped, err := p.Buffer.Stamp(text, p.Remove, lines(p))
	if err != nil {
		return notRecorded(err)
	}
	if !bytes.Equal(stamped, message) {
		if err := repo.WriteFileAtomic(path, stamped); err != nil {
			return fmt.Errorf("nothing recorded: %w", err)
		}
	}
	return unsigned
}

// withoutOwn takes the lines of p out of a message in which they no longer stand
// at the end, because another hook wrote something after them. Lines of anybody
// else are not touched, and the error stays.
func withoutOwn(p *session.Prepared, text []byte, err error) ([]byte, error) {
	if p.Attestation == "" {
		return nil, err
	}
	own := lines(p)
	rest, lifted := p.Buffer.Lift(text)
	for _, l := range lifted {
		if !slices.Contains(own, l) {
			return nil, err
		}
	}
	if _, err := p.Buffer.Read(rest); err != nil {
		return nil, err
	}
	return rest, nil
}

// lines are the trailers to write, in their order.
func lines(p *session.Prepared) []trailer.Line {
	all := slices.Clone(p.Add)
	for _, v := range p.Values {
		all = append(all, trailer.Line{Key: trailer.KeyProvenance, Value: v})
	}
	if p.Attestation != "" {
		all = append(all, trailer.Line{Key: trailer.KeyAttestation, Value: p.Attestation})
	}
	return all
}
