package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/batch"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// A judge looks at one row of commits after the other, for one ref. One goroutine
// uses it.
type judge struct {
	gate    *Gate
	rule    policy.Rule
	ref     string
	names   []string // of the ref: its own, and its target's when it is symbolic
	budget  *budget
	content *content
	keys    *batch.Verifier
}

// row gives each commit its verdict. The error is for what could not be checked;
// whatever is wrong with a commit itself is a finding.
func (j *judge) row(ctx context.Context, jobs []*job) error {
	var open, paths []*job
	for _, job := range jobs {
		j.begin(job)
	}
	j.signatures(jobs)
	for _, job := range jobs {
		j.examine(ctx, job)
		switch {
		case j.asksContent(job):
			open = append(open, job) // which tells paths, too
		case len(job.parents) < 2 && job.fault == nil && j.asksPaths(job, job.said.provenance.Records): // most merges turn out to be exempt
			paths = append(paths, job)
		}
	}
	j.content.digests(ctx, j.budget, open...)
	j.content.paths(ctx, j.budget, paths...)
	for _, job := range jobs {
		v, err := j.finish(ctx, job)
		if err != nil {
			return err
		}
		job.verdict = v
		job.release()
	}
	return nil
}

// begin reads the commit, and what it claims.
func (j *judge) begin(job *job) {
	job.verdict = CommitVerdict{ID: job.id.String(), Ref: j.ref, Evidence: Unknown,
		Signers: []SignerView{}, Records: []RecordView{}, Findings: []Finding{}}
	if job.fault != nil {
		return
	}
	job.verdict.Subject = Subject(job.commit.Message)
	job.said, job.fault = read(job.commit)
	if !j.makes(job) {
		job.commit.Message = nil // up to a MiB that would wait for the others
	}
	if job.fault == nil {
		job.verdict.Records, job.verdict.None = ViewRecords(job.said.provenance.Records), string(job.said.provenance.None)
		for _, a := range job.said.attestations {
			job.claims = append(job.claims, j.claim(a))
		}
	}
}

// asksContent reports whether the change digest is needed before anything else can
// be said. What stands beside a merge is looked for only when it is not exempt.
func (j *judge) asksContent(job *job) bool {
	if slices.ContainsFunc(job.claims, func(c claim) bool { return c.open }) {
		return true
	}
	return len(job.parents) < 2 && !slices.ContainsFunc(job.claims, claim.stands) && j.mayStandBeside(job)
}

// finish settles the verdict, with the change digest where it was asked for.
func (j *judge) finish(ctx context.Context, job *job) (CommitVerdict, error) {
	v := job.verdict
	if job.fault != nil {
		return j.madeOr(ctx, job, v, *job.fault)
	}
	for i := range job.claims {
		if err := job.claims[i].close(job); err != nil {
			return v, err
		}
	}
	v.Evidence, v.Binding, v.Signers = weigh(job.said, job.claims)
	v.Trace, v.Statements = traceOf(job.claims), statements(job.claims)
	v.Change = changeOf(job.claims)
	if exempt, err := j.exempt(ctx, job, v.Evidence); err != nil {
		return v, err
	} else if exempt {
		if v = j.settle(v, j.claimed(job.said)...); !j.makes(job) {
			v = j.settle(v, j.byPusher(job.said.author)...)
		}
		if v.Verdict == Accepted {
			v.Verdict = Exempt
		}
		return v, nil
	}
	if err := j.touch(ctx, job, job.said.provenance.Records); err != nil {
		return v, err
	}
	findings := j.findings(job, job.said, job.claims, v.Evidence)
	if slices.ContainsFunc(job.claims, claim.stands) {
		return j.settle(v, findings...), nil
	}
	beside, why, err := j.beside(ctx, job)
	switch {
	case err != nil:
		return v, err
	case beside.welcome():
		return j.settle(beside.view(v)), nil
	case len(findings) == 0: // then nobody's record makes it worse
	case beside != nil:
		v, findings = beside.view(v), beside.findings
	case why != nil:
		findings = append(findings, *why)
	}
	return j.madeOr(ctx, job, v, findings...)
}

// madeOr settles a commit that nobody attested: by those that the platform made it
// of, or else with findings.
func (j *judge) madeOr(ctx context.Context, job *job, v CommitVerdict, findings ...Finding) (CommitVerdict, error) {
	made, err := j.made(ctx, job, v)
	if err != nil {
		return v, err
	}
	if made != nil {
		return *made, nil
	}
	return j.settle(v, findings...), nil
}

// settle adds findings to a commit's verdict and settles it by the mode of the ref.
func (j *judge) settle(v CommitVerdict, findings ...Finding) CommitVerdict {
	v.Findings = append(v.Findings, findings...)
	v.Verdict = Accepted
	if len(v.Findings) > 0 {
		v.Verdict = j.gate.comesTo(v.Findings, j.rule.Mode)
	}
	return v
}

// said is what a commit's message says, in exact form and nothing yet believed.
type said struct {
	values       []string // of AI-Provenance, as written
	provenance   provenance.Provenance
	attestations []attestation.Attestation
	signs        []sign // of tools, in the commit itself
	author       string // the address of the commit's author, who may be anybody
}

func (s said) silent() bool { return len(s.values) == 0 }

// read takes the reserved trailers out of a commit. Whatever two readers could
// see differently is a finding.
func read(c change.Commit) (said, *Finding) {
	if err := trailer.CheckEncoding(c.Encoding); err != nil { // git shows the message converted
		return said{}, &Finding{TrailerAmbiguous, Plain(err.Error()), reencode}
	}
	block, err := trailer.Read(c.Message)
	if err != nil {
		return said{}, trailerFault(err)
	}
	s := said{values: block.Provenance, signs: signs(c, block.Other), author: c.Author.Email}
	if len(block.Provenance)+len(block.Attestation) == 0 {
		return s, nil
	}
	if !trailer.UTF8(c.Encoding) {
		return said{}, &Finding{CommitMalformed, "provenance in a message encoded as " + Plain(c.Encoding),
			reencode}
	}
	if s.provenance, err = provenance.Parse(block.Provenance); err != nil {
		return said{}, malformed(err)
	}
	signers := map[string]bool{}
	for _, value := range block.Attestation {
		a, err := attestation.Parse(value)
		if err != nil {
			return said{}, malformed(err)
		}
		if signers[a.Key] {
			return said{}, malformed(fmt.Errorf("two attestations of the key %s", a.Key))
		}
		signers[a.Key] = true
		s.attestations = append(s.attestations, a)
	}
	if s.silent() {
		return said{}, malformed(errors.New("an attestation without provenance"))
	}
	return s, nil
}

const (
	restamp  = "stamp it again: gatekeeper repair"
	reencode = "commit with i18n.commitEncoding=UTF-8"
)

func trailerFault(err error) *Finding {
	var ambiguous *trailer.AmbiguousError
	if !errors.As(err, &ambiguous) {
		return malformed(err)
	}
	hint := "take that line out, or put > in front of it: git rebase -i"
	if ambiguous.Liftable() {
		hint = restamp
	}
	return &Finding{TrailerAmbiguous, Plain(err.Error()), hint}
}

func malformed(err error) *Finding { return &Finding{TrailerMalformed, Plain(err.Error()), restamp} }

// A claim is one attestation after it was held against the commit: either it
// stands, with those who speak through it, or problem says why not.
type claim struct {
	attestation attestation.Attestation
	known       []trust.Signer // all that have its key
	signers     []trust.Signer // those of them whose word counts
	binding     Binding
	open        bool // only the change digest can tell how it binds
	problem     *Finding
	forged      bool              // the signature itself is wrong
	err         error             // what could not be found out about it
	statement   provenance.Digest // zero when the signature is not known to be valid
}

func (c claim) stands() bool { return c.problem == nil }

func (j *judge) claim(a attestation.Attestation) claim {
	return claim{attestation: a, known: j.gate.Policy.Signers().Find(a.Key)}
}

// signatures checks those of all jobs: most of them together, which is much cheaper,
// and one by one those of other kinds and those that are not whole.
func (j *judge) signatures(jobs []*job) {
	var open []*claim
	var all []attestation.Ed25519Signature
	for _, job := range jobs {
		for i := range job.claims {
			c := &job.claims[i]
			if s, ok := c.open25519(job.said.values); ok {
				open, all = append(open, c), append(all, s)
			} else {
				c.check(job.said.values)
			}
		}
	}
	for i, good := range j.keys.Verify(all) {
		if !good {
			open[i].forge(attestation.ErrSignature)
		}
	}
}

// open25519 takes a claim's signature apart, where its key is a signer's.
func (c *claim) open25519(values []string) (attestation.Ed25519Signature, bool) {
	if len(c.known) == 0 {
		return attestation.Ed25519Signature{}, false
	}
	s, ok := attestation.OpenEd25519(values, c.attestation, c.known[0].Key)
	if ok {
		c.statement = sha256.Sum256(s.Statement)
	}
	return s, ok
}

// check checks the signature of one claim by itself.
func (c *claim) check(values []string) {
	if err := signature(c.attestation, values, c.known); err != nil {
		c.forge(err)
		return
	}
	if len(c.known) > 0 {
		c.statement = sha256.Sum256(attestation.Statement(values, c.attestation))
	}
}

func (c *claim) forge(err error) {
	c.forged, c.statement = true, provenance.Digest{}
	c.problem = &Finding{AttestationInvalid, Plain(err.Error()), restamp}
}

// examine holds each attestation whose signature is good against the commit: trust
// and time. The content of files is left for when all else holds.
func (j *judge) examine(ctx context.Context, job *job) {
	for i := range job.claims {
		j.hold(ctx, &job.claims[i], job)
	}
}

func (j *judge) hold(ctx context.Context, c *claim, job *job) {
	if c.forged {
		return
	}
	c.known, c.err = j.received(ctx, c.statement, c.known)
	if c.signers, c.problem = j.trusted(c.attestation, c.known); c.problem != nil {
		return
	}
	if c.attestation.Time.After(j.gate.Now.Add(j.rule.Skew)) {
		c.problem = &Finding{TimeSkew, fmt.Sprintf("signed at %s, which the server's clock has not reached", stamp(c.attestation.Time)),
			"set the clock of the machine that signed, then " + restamp}
		return
	}
	j.bind(c, job)
}

// signature checks a with the key of a known signer or, to tell a forgery from a
// stranger, with the key that the signature brings along. DSSE brings none.
func signature(a attestation.Attestation, values []string, known []trust.Signer) error {
	if len(known) > 0 {
		return attestation.Verify(values, a, known[0].Key)
	}
	if a.Scheme != attestation.SSHSIG {
		return nil
	}
	key, err := pubkey.Embedded(a)
	if err != nil {
		return err
	}
	return attestation.Verify(values, a, key)
}

// received clears those signers of a compromise that came after the server had received
// what they say.
func (j *judge) received(ctx context.Context, statement provenance.Digest, known []trust.Signer) ([]trust.Signer, error) {
	if j.gate.Receipts == nil || j.gate.FormOnly || !slices.ContainsFunc(known, j.compromised) {
		return known, nil
	}
	known = slices.Clone(known)
	for i := range known {
		if !j.compromised(known[i]) {
			continue
		}
		before, err := j.gate.Receipts.Received(ctx, statement, known[i].CompromisedSince)
		if err != nil {
			return known, fmt.Errorf("ask when it was received: %w", err)
		}
		if before {
			known[i].CompromisedSince = time.Time{}
		}
	}
	return known, nil
}

func (j *judge) compromised(s trust.Signer) bool {
	var revoked *trust.Revoked
	return errors.As(s.Valid(j.gate.Now), &revoked)
}

// trusted returns those signers whose word counts now.
func (j *judge) trusted(a attestation.Attestation, known []trust.Signer) ([]trust.Signer, *Finding) {
	if j.gate.FormOnly && (len(known) > 0 || a.Scheme == attestation.SSHSIG) {
		return known, nil
	}
	if len(known) == 0 {
		return nil, &Finding{SignerUnknown, "no signer in the policy has the key " + a.Key,
			"an admin adds the line that `gatekeeper key show` prints"}
	}
	var valid []trust.Signer
	var why error
	rule := SignerNotAllowed
	for _, s := range known {
		err := s.Valid(j.gate.Now)
		var revoked *trust.Revoked
		switch {
		case err == nil:
			valid = append(valid, s)
		case errors.As(err, &revoked):
			rule, why = SignerRevoked, err
		case why == nil:
			why = err
		}
	}
	// A key that one entry calls compromised is compromised for all of them.
	if len(valid) > 0 && rule != SignerRevoked {
		return valid, nil
	}
	return nil, &Finding{rule, Plain(why.Error()), "sign with a key that is valid now: gatekeeper key new; for history that was accepted before, an admin rebaselines"}
}

// bind finds the strongest binding of a claim to the commit, or leaves it open.
func (j *judge) bind(c *claim, job *job) {
	switch {
	case change.Bind(job.parents, job.commit.Tree) == c.attestation.Bind:
		c.binding = Exact
	case len(job.parents) != 1:
		c.problem = stale("it was signed for other content, or on other parents")
	case j.rule.Binding == policy.Exact:
		c.problem = stale("it was signed on another parent, and this ref asks for exact binding")
	default:
		c.open = true
	}
}

// close settles what was left open, by the change digest of the commit. The error
// says what could not be found out for no fault of the commit's.
func (c *claim) close(job *job) error {
	if c.err != nil || !c.open {
		return c.err
	}
	c.open = false
	var err error
	switch {
	case job.digestErr != nil:
		c.problem, err = undigested(job.digestErr)
	case job.digest != c.attestation.Change:
		c.problem = stale("it was signed for another change")
	default:
		c.binding = Change
	}
	return err
}

func stale(why string) *Finding { return &Finding{AttestationStale, why, restamp} }

// exempt reports whether the commit needs no evidence: a merge that brings nothing
// of its own. What is attested is judged like any other, and a forgery is never
// passed over. Where binding is exact no merge is exempt: an old commit, made again
// with its own signature, could be merged to undo a fix; unless the platform itself
// merges, whose button not everybody may press.
func (j *judge) exempt(ctx context.Context, job *job, e Evidence) (bool, error) {
	if j.rule.Binding == policy.Exact && !j.makes(job) || e == Attested || e == NoneObserved || slices.ContainsFunc(job.claims, func(c claim) bool { return c.forged }) {
		return false, nil
	}
	return j.replay(ctx, job)
}

// replay reports whether the commit's tree is git's own merge of two parents.
func (j *judge) replay(ctx context.Context, job *job) (bool, error) {
	if len(job.commit.Parents) != 2 {
		return false, nil
	}
	tree, clean, err := j.gate.Source.MergeTree(ctx, job.commit.Parents[0], job.commit.Parents[1])
	if errors.Is(err, change.ErrNoMergeTree) {
		return false, nil
	}
	return clean && tree == job.commit.Tree, err
}

// weigh sums up the claims that stand.
func weigh(s said, claims []claim) (Evidence, *Binding, []SignerView) {
	signers := []SignerView{}
	if s.silent() && len(s.signs) > 0 {
		return Inferred, nil, signers
	}
	if s.silent() {
		return Unknown, nil, signers
	}
	best := Declared
	var binding *Binding
	for _, c := range claims {
		if !c.stands() {
			continue
		}
		best = Attested
		if s.provenance.None != "" {
			best = NoneObserved
		}
		if binding == nil || c.binding == Exact {
			binding = &c.binding
		}
		if len(c.signers) == 0 { // only form was asked for, so the key may be anybody's
			signers = append(signers, SignerView{provenance.Unknown, provenance.Unknown, c.attestation.Key, stamp(c.attestation.Time)})
		}
		for _, signer := range c.signers {
			signers = append(signers, SignerView{signer.Principal, signer.Class.String(), c.attestation.Key, stamp(c.attestation.Time)})
		}
	}
	return best, binding, signers
}

// traceOf is the trace that the first claim that stands names, "" when none does.
func traceOf(claims []claim) string {
	for _, c := range claims {
		if d, ok := c.attestation.Trace(); ok && c.stands() {
			return d.String()
		}
	}
	return ""
}

// statements are those that somebody signed, stand they or not.
func statements(claims []claim) (list []provenance.Digest) {
	for _, c := range claims {
		if !c.statement.IsZero() {
			list = append(list, c.statement)
		}
	}
	return list
}

// changeOf is the change that a signer said the commit makes, zero when nobody did. It
// is good enough to know one again; whether it binds is another question.
func changeOf(claims []claim) (change provenance.Digest) {
	if i := slices.IndexFunc(claims, func(c claim) bool { return !c.statement.IsZero() }); i >= 0 {
		change = claims[i].attestation.Change
	}
	return change
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Subject is the first line of a message, fit to be shown.
func Subject(message []byte) string {
	message = bytes.TrimLeft(message, "\n")
	line, _, _ := bytes.Cut(message[:min(len(message), 4*MaxShown)], []byte("\n"))
	return Plain(string(line))
}

// ViewRecords shows records, parts that nobody knows as such.
func ViewRecords(records []provenance.Record) []RecordView {
	views := []RecordView{}
	for _, r := range records {
		v := RecordView{Tool: known(r.Tool.Name), Version: known(r.Tool.Version), Model: r.Model.ID(),
			Via: string(r.Via), Session: known(r.Session), MCP: r.MCP, Lines: &LinesView{Added: r.Lines.Total}}
		if r.Lines.Known {
			v.Lines.AI = &r.Lines.AI
		}
		if v.MCP == nil {
			v.MCP = []string{}
		}
		views = append(views, v)
	}
	return views
}

func known(s string) string {
	if s == "" {
		return provenance.Unknown
	}
	return s
}
