package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/hooks/prereceive"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func (p process) receiptsCommand() *cli.Command {
	server := &cli.StringFlag{Name: "server", Usage: "the server's repository `DIR`, instead of the one here"}
	return &cli.Command{Name: "receipts", Usage: "what a server decided about pushes, and proof that nobody changed it",
		Subcommands: []*cli.Command{
			{Name: "verify", Usage: "follow the chain through all receipts, and check signatures",
				Flags: []cli.Flag{server,
					&cli.StringSliceFlag{Name: "key", Usage: "a `FINGERPRINT` (SHA256:…) that must have signed the last decision; again for others"},
					jsonFlag},
				Action: p.receiptsVerify},
			{Name: "head", Usage: "print the end of the chain, to be kept elsewhere", Flags: []cli.Flag{server, jsonFlag},
				Action: p.receiptsHead},
			{Name: "show", Usage: "show decisions and what became of them", ArgsUsage: "[SEQ]",
				Flags: []cli.Flag{server,
					&cli.StringFlag{Name: "ref", Usage: "only those about `REF`"},
					&cli.StringFlag{Name: "since", Usage: "only those from `TIME` on"},
					jsonFlag},
				Action: p.receiptsShow},
			{Name: "vsa", Usage: "issue a SLSA source verification summary for the value of a ref", ArgsUsage: "[REF]",
				Description: `Writes a DSSE envelope for the value that REF, or the default branch, has now. It is
signed with the PEM file or key service that git config ` + prereceive.KeySetting + ` names.`,
				Flags: []cli.Flag{server,
					&cli.StringFlag{Name: "uri", Usage: "where people fetch the repository, `URI` (default: git config " + resourceSetting + ")"}},
				Action: p.receiptsVSA},
		},
		Action: func(c *cli.Context) error {
			return usage("want one of: gatekeeper receipts verify, receipts head, receipts show, receipts vsa")
		}}
}

// resourceSetting is the git config key for the address of a repository.
const resourceSetting = "gatekeeper.resourceURI"

// receipts opens the receipts of the repository that a command is about.
func (p process) receipts(c *cli.Context) (*repo.Repo, *receipt.Log, error) {
	if dir := c.String("server"); dir != "" {
		p.Dir = p.path(dir)
	}
	r, err := p.open(c.Context)
	if err != nil {
		return nil, nil, err
	}
	return r, receipt.Open(receipt.In(r.CommonDir)), nil
}

// broken tells where receipts are not as they were written. That is an answer, and
// the exit code is that of a refusal.
func (p process) broken(err error) error {
	var broken *receipt.BrokenError
	if !errors.As(err, &broken) {
		return err
	}
	p.say("broken at %s", gate.Plain(broken.Error()))
	return exit(exitRefused)
}

func (p process) receiptsVerify(c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	_, log, err := p.receipts(c)
	if err != nil {
		return err
	}
	v, err := log.Verify(c.Context, c.StringSlice("key"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = p.printJSON(v)
	} else {
		p.tellReceipts(v)
	}
	if err == nil && !v.Intact {
		return exit(exitRefused)
	}
	return err
}

func (p process) tellReceipts(v receipt.Verification) {
	word := "intact"
	if !v.Intact {
		word = "intact only before that"
		p.say("broken at %s", gate.Plain(v.Broken))
	}
	fmt.Fprintf(p.Stdout, "%s: lines %d, files %d, decisions %d, commits %d, outcomes %d\n", word, v.Seq, v.Files, v.Decisions, v.Commits, v.Outcomes)
	fmt.Fprintf(p.Stdout, "head %d %s\n", v.Seq, v.Hash)
	for _, s := range v.Signatures {
		fmt.Fprintf(p.Stdout, "signed by %s: decisions %d, the last of them %d\n", s.Key, s.N, s.Last)
	}
	if len(v.Signatures) > 0 && v.Unsigned > 0 {
		fmt.Fprintf(p.Stdout, "not signed: the last %d decisions\n", v.Unsigned)
	}
	if v.Unfinished > 0 {
		p.say("%d bytes at the end are no receipt: a push is under way, or one was killed", v.Unfinished)
	}
}

// headView is the head of the receipts as JSON.
type headView struct {
	Schema string  `json:"schema"`
	Seq    int64   `json:"seq"`
	Hash   string  `json:"hash"`
	Time   *string `json:"time"` // of the last decision or outcome
}

func (p process) receiptsHead(c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	_, log, err := p.receipts(c)
	if err != nil {
		return err
	}
	head, err := log.Last(c.Context)
	if err != nil {
		return p.broken(err)
	}
	v := headView{Schema: "gatekeeper/receipts-head/v1", Seq: head.Seq, Hash: head.Hash.String()}
	if head.Seq > 0 {
		at := head.Time.Format(time.RFC3339)
		v.Time = &at
	}
	if c.Bool("json") {
		return p.printJSON(v)
	}
	if v.Time == nil {
		p.say("there are no receipts yet")
		return nil
	}
	fmt.Fprintf(p.Stdout, "%d %s %s\n", v.Seq, v.Hash, *v.Time)
	return nil
}

// A wanted says which decisions to show.
type wanted struct {
	seq   int64 // 0 for all
	ref   string
	since time.Time
}

func (p process) wanted(c *cli.Context) (w wanted, err error) {
	word, err := atMostOne(c, "")
	if err != nil {
		return w, err
	}
	if word != "" {
		if w.seq, err = strconv.ParseInt(word, 10, 64); err != nil || w.seq < 1 {
			return w, usage("%q is not the number of a decision; see: %s", word, manual(c))
		}
	}
	if w.ref = c.String("ref"); wholeRef(w.ref) != nil {
		return w, wholeRef(w.ref)
	}
	if since := c.String("since"); since != "" {
		w.since, err = p.at(since)
	}
	return w, err
}

func (w wanted) is(d *receipt.Decided) bool {
	if w.seq != 0 && d.Seq != w.seq || d.Time.Before(w.since) {
		return false
	}
	for _, r := range d.Refs {
		if r.Name == w.ref {
			return true
		}
	}
	return w.ref == ""
}

func (p process) receiptsShow(c *cli.Context) error {
	w, err := p.wanted(c)
	if err != nil {
		return err
	}
	_, log, err := p.receipts(c)
	if err != nil {
		return err
	}
	var out shower = textShower{p.Stdout}
	if c.Bool("json") {
		out = &jsonShower{w: p.Stdout}
	}
	shown := 0
	for d, err := range log.Decisions(c.Context) {
		if err != nil {
			return p.broken(errors.Join(err, out.end()))
		}
		if !w.is(d) {
			continue
		}
		var commits []*receipt.Commits
		if w.seq != 0 {
			if commits, err = log.CommitsOf(c.Context, d); err != nil {
				return p.broken(err)
			}
		}
		if err := out.show(d, commits); err != nil {
			return err
		}
		if shown++; w.seq != 0 {
			break
		}
	}
	if w.seq != 0 && shown == 0 {
		return usage("no decision shown has the number %d", w.seq)
	}
	return out.end()
}

// A shower writes decisions one by one.
type shower interface {
	show(d *receipt.Decided, commits []*receipt.Commits) error
	end() error
}

// jsonShower writes one JSON document, however many decisions there are.
type jsonShower struct {
	w     io.Writer
	began bool
}

// decidedView is a decision as JSON: what the lines of the receipts say, but for their
// place in the chain, which Seq and Hash give.
type decidedView struct {
	Seq       int64             `json:"seq"`
	Hash      string            `json:"hash"`
	Fate      string            `json:"fate"`
	Decision  json.RawMessage   `json:"decision"`
	Outcome   json.RawMessage   `json:"outcome"`   // null when none was written
	Signature json.RawMessage   `json:"signature"` // null when it is not signed
	Commits   []json.RawMessage `json:"commits,omitempty"`
}

const showHead = `{"schema":"gatekeeper/receipts-show/v1","decisions":[`

func (s *jsonShower) show(d *receipt.Decided, commits []*receipt.Commits) error {
	v := decidedView{Seq: d.Seq, Hash: d.Hash.String(), Fate: fate(d), Decision: receipt.JSON(&d.Decision)}
	if d.Outcome != nil {
		v.Outcome = receipt.JSON(d.Outcome)
	}
	if d.Signature != nil {
		v.Signature = receipt.JSON(d.Signature)
	}
	for _, c := range commits {
		v.Commits = append(v.Commits, receipt.JSON(c))
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	lead := ",\n"
	if !s.began {
		s.began, lead = true, showHead+"\n"
	}
	_, err = s.w.Write(append([]byte(lead), data...))
	return err
}

func (s *jsonShower) end() error {
	lead := "\n"
	if !s.began {
		lead = showHead
	}
	_, err := io.WriteString(s.w, lead+"]}\n")
	return err
}

// fate says in a word what became of a decision.
func fate(d *receipt.Decided) string {
	switch happened := len(d.Happened()); {
	case d.Verdict == receipt.Refused || d.Verdict == receipt.Unchecked:
		return d.Verdict
	case d.Outcome == nil:
		return "unfinished"
	case happened == len(d.Refs):
		return "happened"
	}
	return "partly"
}

// pushedBy names a pusher, and how that was known.
func pushedBy(p receipt.Pusher) string {
	name, how := gate.Plain(p.Name), gate.Plain(p.Source)
	if p.Key != "" {
		how += " " + gate.Plain(p.Key)
	}
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("%s (%s)", name, how)
}

// textShower writes decisions for people.
type textShower struct{ w io.Writer }

func (s textShower) end() error { return nil }

func (s textShower) show(d *receipt.Decided, commits []*receipt.Commits) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d  %s  %s\n", d.Seq, d.Time.Format(time.RFC3339), headline(d))
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "    %-9s %s\n", label, fmt.Sprintf(format, args...))
	}
	if d.Pusher != nil {
		row("pusher", "%s", pushedBy(*d.Pusher))
	}
	if d.Override != "" {
		row("override", "%s", gate.Plain(d.Override))
	}
	if d.Reason != "" {
		row("because", "%s", gate.Plain(d.Reason))
	}
	s.findings(row, d.Findings)
	happened := map[string]bool{}
	for _, r := range d.Happened() {
		happened[r.Name] = true
	}
	for _, r := range d.Refs {
		row("ref", "%s", refLine(r))
		if d.Outcome != nil && !happened[r.Name] {
			row("", "this did not happen")
		}
		s.findings(row, r.Findings)
	}
	if d.Omitted > 0 {
		row("ref", "… and %d more", d.Omitted)
	}
	if commits != nil || d.Cut > 0 || d.Signature != nil {
		s.details(row, d, commits)
	}
	_, err := io.WriteString(s.w, b.String())
	return err
}

// headline is the verdict and what came of it.
func headline(d *receipt.Decided) string {
	switch f := fate(d); f {
	case receipt.Refused, receipt.Unchecked:
		return f
	case "happened":
		return gate.Plain(d.Verdict) + ", and happened"
	case "partly":
		return gate.Plain(d.Verdict) + ", and happened in part"
	}
	return gate.Plain(d.Verdict) + "; no outcome: it never happened, or the server died"
}

func refLine(r receipt.Ref) string {
	line := fmt.Sprintf("%s %.10s..%.10s", gate.Plain(r.Name), short(r.Old), short(r.New))
	if r.Target != "" {
		line += " (to " + gate.Plain(r.Target) + ")"
	}
	if r.Verdict == "" {
		return line
	}
	return fmt.Sprintf("%s %s (%s): %d of %d commits with findings", line, gate.Plain(r.Verdict), gate.Plain(r.Mode), r.Faulty, r.Judged)
}

func short(id change.ID) string {
	if id == "" {
		return "none"
	}
	return id.String()
}

func (s textShower) findings(row func(string, string, ...any), findings []receipt.Finding) {
	for _, f := range findings {
		row("", "%s [%s]", gate.Plain(f.Detail), gate.Plain(f.Rule))
	}
}

// details are what is told of a decision that was asked for by its number.
func (s textShower) details(row func(string, string, ...any), d *receipt.Decided, commits []*receipt.Commits) {
	if commits != nil {
		row("policy", "%s", gate.Plain(d.Policy))
		row("hash", "%s", d.Hash)
	}
	if d.Signature != nil {
		row("signed", "by %s", d.Signature.Key.Fingerprint())
	}
	if d.Cut > 0 {
		row("cut", "%d bytes of a receipt that was never finished stood here", d.Cut)
	}
	for _, c := range commits {
		row("commits", "%s: %s, %s%s", gate.Plain(c.Ref), gate.Plain(c.Verdict), gate.Plain(c.Evidence), and(c))
		for _, id := range c.IDs {
			row("", "%s", id)
		}
	}
}

func and(c *receipt.Commits) string {
	said := ""
	if c.Binding != "" {
		said += ", " + gate.Plain(c.Binding)
	}
	for _, rule := range c.Rules {
		said += " [" + gate.Plain(rule) + "]"
	}
	return said
}

func (p process) receiptsVSA(c *cli.Context) error {
	ref, err := atMostOne(c, "")
	if err != nil {
		return err
	}
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		return usage("%q: want a whole name, such as refs/heads/%s", ref, ref)
	}
	r, log, err := p.receipts(c)
	if err != nil {
		return err
	}
	settings, err := r.Settings(c.Context)
	if err != nil {
		return err
	}
	resource, err := resourceOf(c.String("uri"), settings.Value(resourceSetting))
	if err != nil {
		return err
	}
	spec := settings.Value(prereceive.KeySetting)
	if !kms.Names(spec) {
		return usage("git config %s = %q: want a PEM file (*.pem, *.key) or the URI of a key service, which sign as DSSE", prereceive.KeySetting, spec)
	}
	key, err := p.openSigner(c.Context, spec)
	if err != nil {
		return err
	}
	summary, err := p.summarize(c.Context, r, log, resource, ref)
	if err != nil {
		return p.broken(err)
	}
	statement, err := summary.Statement()
	if err != nil {
		return err
	}
	sealed, err := kms.Seal(c.Context, key, statement)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "%s\n", sealed)
	return err
}

// resourceOf is the address of a repository in the form that SPDX gives to downloads.
func resourceOf(flag, setting string) (string, error) {
	uri := flag
	if uri == "" {
		uri = setting
	}
	if !strings.Contains(uri, "://") || strings.ContainsAny(uri, " \t\n") {
		return "", usage("%q is not the address of a repository; say --uri https://HOST/PATH, or set git config %s", uri, resourceSetting)
	}
	return "git+" + strings.TrimPrefix(uri, "git+"), nil
}

// summarize finds out what the receipts say of the value that a ref has now.
func (p process) summarize(ctx context.Context, r *repo.Repo, log *receipt.Log, resource, ref string) (s receipt.Summary, err error) {
	if ref == "" {
		if ref, _, err = r.Head(ctx); err != nil {
			return s, err
		}
	}
	value, err := r.Ref(ctx, ref)
	if errors.Is(err, repo.ErrNoRef) || err == nil && value == "" {
		return s, usage("there is no ref %q", ref)
	}
	if err != nil {
		return s, err
	}
	reader := r.Reader()
	defer reader.Close()
	commit, _, err := reader.Peel(ctx, value)
	if err != nil {
		return s, err
	}
	covered, err := log.Accepted(ctx)
	if err != nil {
		return s, err
	}
	standing, ok := covered.Of(ref, value)
	if !ok {
		p.say("nothing to certify: receipts do not show that all of %s", gate.Plain(ref))
		p.say("at %.10s was accepted in enforce mode", value)
		return s, exit(exitRefused)
	}
	return log.Summarize(ctx, resource, ref, commit, standing)
}
