package audit

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// Limits of what is read at once, and of what is kept of one commit.
const (
	batchCommits = 2048
	batchBytes   = 8 << 20
	maxCommit    = 1 << 20 // bytes of a commit object; of a larger one only its id is kept
	maxTouches   = 10_000  // files of one commit that are kept; all are counted
	touchBytes   = 8 << 20 // of all files of a batch that are kept
)

// A batch is commits in git's order, and then what is kept of them.
type batch struct {
	raw     []change.RawCommit
	bytes   int64
	commits []Commit
	done    chan error
}

func (b *batch) add(raw change.RawCommit) {
	raw.Data = bytes.Clone(raw.Data)
	b.raw = append(b.raw, raw)
	b.bytes += int64(len(raw.Data))
}

// A judge turns batches of one repository into what is kept of them.
type judge struct {
	reader  *repo.Reader
	law     law
	form    *policy.Policy
	records gate.Records
	ref     string // for which it is judged: the default branch
	now     time.Time
	trees   *trees
	foreign func(*Commit) ([]Claim, error)                         // what other recorders say; nil when they never said anything
	receipt func(ids []change.ID) (map[change.ID]time.Time, error) // of those that a receipt speaks of; nil when there is none
}

// batch fills in b.commits: what the objects say, what the gate says of their
// provenance, what they touch.
func (j *judge) batch(ctx context.Context, b *batch) error {
	b.commits = make([]Commit, len(b.raw))
	blocks := make([]trailer.Block, len(b.raw))
	for i, raw := range b.raw {
		blocks[i] = b.commits[i].read(raw)
	}
	if err := j.received(b.commits); err != nil {
		return err
	}
	verdicts, err := j.verdicts(ctx, b.raw)
	if err != nil {
		return err
	}
	if err := j.touched(ctx, b.commits); err != nil {
		return err
	}
	for i := range b.commits {
		c := &b.commits[i]
		j.assess(c, verdicts[i])
		if j.foreign != nil {
			claims, err := j.foreign(c)
			if err != nil {
				return err
			}
			c.add(claims...)
		}
		c.add(foreignTrailers(blocks[i])...)
		c.add(inferred(c, blocks[i], message(b.raw[i]))...)
	}
	b.raw = nil
	return nil
}

// read takes over what a commit object says. One that cannot be read keeps its id alone.
func (c *Commit) read(raw change.RawCommit) (block trailer.Block) {
	c.ID, c.Added, c.Deleted, c.Own = raw.ID, -1, -1, true
	parsed, err := change.ParseCommit(raw.Data)
	if raw.TooLarge || err != nil {
		c.Problem = gate.CommitMalformed
		lenient(c, raw.Data)
		return block
	}
	c.Parents = parsed.Parents
	c.Author = Person{text(parsed.Author.Name), text(parsed.Author.Email)}
	c.Committer = Person{text(parsed.Committer.Name), text(parsed.Committer.Email)}
	c.Authored, c.Committed = parsed.Author.When, parsed.Committer.When
	c.Own = len(parsed.Parents) < 2
	c.Cites = cites(parsed.Message, len(raw.ID))
	block, _ = trailer.Read(parsed.Message) // what is ambiguous is no trailer to us
	for _, value := range block.Attestation {
		if a, err := attestation.Parse(value); err == nil {
			c.Change = a.Change
		}
	}
	return block
}

// lenient finds the parents of a commit that is not read otherwise, so that the history
// holds together.
func lenient(c *Commit, raw []byte) {
	head, _, _ := bytes.Cut(raw, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("parent "))
		if id, err := change.ParseID(string(rest)); ok && err == nil {
			c.Parents = append(c.Parents, id)
		}
	}
	c.Own = len(c.Parents) < 2
}

// text keeps a stranger's words fit for a database: valid UTF-8, without NUL, bounded.
func text(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 1<<10)], "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "")
}

func message(raw change.RawCommit) []byte {
	_, m, _ := bytes.Cut(raw.Data, []byte("\n\n"))
	return m
}

// received finds out when the server received the commits.
func (j *judge) received(commits []Commit) error {
	if j.receipt == nil {
		return nil
	}
	ids := make([]change.ID, len(commits))
	for i := range commits {
		ids[i] = commits[i].ID
	}
	times, err := j.receipt(ids)
	for i := range commits {
		commits[i].Received = times[commits[i].ID]
	}
	return err
}

// verdicts asks the gate about form, signatures and bindings of some commits.
func (j *judge) verdicts(ctx context.Context, raw []change.RawCommit) ([]gate.CommitVerdict, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	g := &gate.Gate{Policy: j.form, Source: source{j.reader, raw, j.trees}, Records: j.records, Now: j.now, Workers: 1, FormOnly: true}
	v, err := g.Check(ctx, gate.Range{Ref: j.ref, Include: []change.ID{raw[0].ID}}, gate.KeepAll)
	if err != nil {
		return nil, err
	}
	if len(v.Commits) != len(raw) {
		return nil, fmt.Errorf("judge commits: %d of %d have a verdict", len(v.Commits), len(raw))
	}
	return v.Commits, nil
}

// assess takes over what the gate found, as far as it counted at the time of the commit.
func (j *judge) assess(c *Commit, v gate.CommitVerdict) {
	jd := &c.Judgement
	jd.Evidence, jd.None, jd.Beside, jd.Trace = Evidence(v.Evidence), v.None, v.Beside, v.Trace
	if len(v.Findings) > 0 {
		jd.Problem = v.Findings[0].Rule
	}
	for _, r := range v.Records {
		jd.Claims = append(jd.Claims, recorded(r))
	}
	if jd.Evidence != Attested && jd.Evidence != NoneObserved {
		return
	}
	if v.Binding != nil {
		jd.Binding = string(*v.Binding)
	}
	jd.Signers, jd.Class, jd.Problem = j.signers(v.Signers, c)
	if len(jd.Signers) == 0 {
		jd.Evidence, jd.Binding, jd.Trace, jd.Class = Declared, "", "", ""
	}
}

// signers are those of a verdict who counted at the time of the commit, the class of
// the best, and why none did. Without a policy nobody is known, and every valid
// signature is one of an unknown class.
func (j *judge) signers(views []gate.SignerView, c *Commit) (list []Signer, class, problem string) {
	p := j.law.at(c.At())
	best := trust.Class(-1)
	seen := map[string]bool{}
	for _, v := range views {
		if seen[v.Key] {
			continue
		}
		seen[v.Key] = true
		signed, _ := time.Parse(time.RFC3339, v.Time)
		if p == nil {
			list = append(list, Signer{v.Key, provenance.Unknown, provenance.Unknown, signed})
			continue
		}
		valid, rule := signers(p, v.Key, c.At(), !c.Received.IsZero())
		if len(valid) == 0 {
			problem = rule
		}
		for _, s := range valid {
			best = max(best, s.Class)
			list = append(list, Signer{v.Key, text(s.Principal), s.Class.String(), signed})
		}
	}
	switch {
	case len(list) == 0:
		return nil, "", problem
	case p == nil:
		return list, provenance.Unknown, ""
	}
	return list, best.String(), ""
}

// recorded is a record of a commit as a claim.
func recorded(r gate.RecordView) Claim {
	provider, name, _ := strings.Cut(r.Model, "/")
	c := Claim{Session: known(r.Session), MCP: r.MCP, Use: Use{Source: FromRecord,
		Tool:  provenance.Tool{Name: known(r.Tool), Version: known(r.Version)},
		Model: provenance.Model{Provider: known(provider), Name: known(name)}, Via: provenance.Via(r.Via)}}
	if r.Lines != nil {
		c.AI = r.Lines.AI
		total := r.Lines.Added
		c.Total = &total
	}
	return c
}

func known(s string) string {
	if s == provenance.Unknown {
		return ""
	}
	return s
}

// add adds claims of weaker sources: those that say more than is there already. The
// evidence follows where there was none.
func (c *Commit) add(claims ...Claim) {
	for _, claim := range claims {
		if slices.ContainsFunc(c.Claims, claim.saidBy) {
			continue
		}
		c.Claims = append(c.Claims, claim)
		if c.Evidence == Unknown {
			c.Evidence = claim.tier(c.Evidence)
		}
	}
}

// tier is the evidence for one claim of a commit with a given evidence.
func (u Use) tier(e Evidence) Evidence {
	switch u.Source {
	case FromRecord:
		return e
	case FromMark:
		return Inferred
	}
	return Import
}

// saidBy reports whether another claim says as much: the same tool, and the same model
// unless one of the two names none.
func (c Claim) saidBy(other Claim) bool {
	return alike(c.Tool.Name, other.Tool.Name) && (c.Model.Name == "" || other.Model.Name == "" || c.Model.Name == other.Model.Name)
}

// touched counts what the commits touch.
func (j *judge) touched(ctx context.Context, commits []Commit) error {
	at := make(map[change.ID]*Commit, len(commits))
	left := touchBytes
	var plain, merges []change.ID
	for i := range commits {
		c := &commits[i]
		at[c.ID] = c
		if len(c.Parents) > 1 {
			merges = append(merges, c.ID)
			continue
		}
		plain = append(plain, c.ID)
		c.Added, c.Deleted = 0, 0
	}
	if err := j.reader.Touched(ctx, plain, func(id change.ID, t repo.Touch) error {
		at[id].touch(t, &left)
		return nil
	}); err != nil {
		return err
	}
	return j.reader.Mixed(ctx, merges, func(id change.ID, path string) error {
		at[id].Own = true
		at[id].touch(repo.Touch{Path: path, Added: -1, Deleted: -1}, &left)
		return nil
	})
}

// touch takes in a file. It is kept as long as the batch has bytes left for it.
func (c *Commit) touch(t repo.Touch, left *int) {
	t.Path = text4k(t.Path)
	if size := len(t.Path) + 64; c.Files < maxTouches && *left >= size {
		*left -= size
		c.Touches = append(c.Touches, t)
	}
	c.Files++
	if len(c.Parents) > 1 {
		return
	}
	c.Added += max(t.Added, 0)
	c.Deleted += max(t.Deleted, 0)
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q %d %d", c.Shape, t.Path, t.Added, t.Deleted)
	c.Shape = int64(h.Sum64())
}

// text4k is text for paths, which may be longer.
func text4k(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 4<<10)], "\uFFFD"), "\x00", "")
}

// source shows the gate some commits of a repository. Merges are not made again for
// it: what they touch says whether they bring something.
type source struct {
	*repo.Reader
	commits []change.RawCommit
	trees   *trees
}

// Commits yields the commits of the source, whatever is asked for.
func (s source) Commits(context.Context, []change.ID, []change.ID, int64) iter.Seq2[change.RawCommit, error] {
	return func(yield func(change.RawCommit, error) bool) {
		for _, c := range s.commits {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// TreeOf asks git only for what no batch lately held.
func (s source) TreeOf(ctx context.Context, commit change.ID) (change.ID, error) {
	if tree, ok := s.trees.get(commit); ok {
		return tree, nil
	}
	return s.Reader.TreeOf(ctx, commit)
}

// MergeTree makes no merge.
func (s source) MergeTree(context.Context, change.ID, change.ID) (change.ID, bool, error) {
	return "", false, change.ErrNoMergeTree
}

// Contents is that of the reader.
func (s source) Contents(ctx context.Context) (change.ObjectReader, error) {
	return s.Reader.Contents(ctx)
}

// cites finds the commits that a message says it reverts or was picked from.
func cites(message []byte, idSize int) (list []Cite) {
	for _, form := range []struct{ kind, before, after string }{
		{Reverts, "This reverts commit ", ".,"}, {Picks, "(cherry picked from commit ", ")"},
	} {
		rest := message
		for len(list) < maxCites {
			i := bytes.Index(rest, []byte(form.before))
			if i < 0 {
				break
			}
			start := i == 0 || rest[i-1] == '\n'
			rest = rest[i+len(form.before):]
			n := 2 * idSize
			if !start || len(rest) <= n || !strings.ContainsRune(form.after, rune(rest[n])) {
				continue
			}
			if id, err := change.ParseID(string(rest[:n])); err == nil && id != "" {
				list = append(list, Cite{form.kind, id})
			}
		}
	}
	return list
}

// maxCites bounds what one message may cite.
const maxCites = 64

var _ gate.Source = source{}
