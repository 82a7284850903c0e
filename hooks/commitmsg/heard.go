package commitmsg

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// heard is what agents' own hooks have told of the lines of one commit.
type heard struct {
	watch   *session.Watch
	live    func(session.Actor) bool
	amended func(path string) string // the blob of the commit that is replaced

	// known says that whatever an agent wrote of the commit would have been told: nothing
	// in it was written at another time, or moved here from elsewhere.
	known bool
	files []attributedFile
	hands []hand
	err   error
}

// A hand is one actor's part in the commit.
type hand struct {
	actor session.Actor
	lines int
	doubt bool // there are lines that may be its own or not
}

// An attributedFile is the added lines of a file, each with its actor.
type attributedFile struct {
	path  string
	lines []lineSource
}

// A lineSource is an index of hands, or record.Nobody or record.Unknown.
type lineSource int

// follow begins to look at what agents have told; nil where none ever told anything.
func (h *hook) follow(at *place) *heard {
	watch := session.OpenWatch(h.repo)
	if !watch.Used() {
		return nil
	}
	git := h.invocation()
	l := &heard{
		watch: watch, live: h.alive(),
		known: len(at.parents) < 2 && !at.moved && !at.squash && len(at.parts) == 0 && !git.sequencer(),
	}
	if at.amended != "" {
		l.amended = blobsOf(at.objects, at.amended)
	}
	return l
}

// alive tells of an actor whether it is at work right now, above this process.
func (h *hook) alive() func(session.Actor) bool {
	var seen []agent.Observation
	asked := false
	return func(a session.Actor) bool {
		if !asked {
			seen, asked = agent.Detect(h.Environ, h.ancestors()), true
		}
		return slices.ContainsFunc(seen, func(o agent.Observation) bool { return isOf(o, a) })
	}
}

// isOf reports whether what was seen of a process may be an actor. Not every
// agent tells its children the session.
func isOf(o agent.Observation, a session.Actor) bool {
	return o.Tool.Name == a.Tool.Name && (o.Session == "" || a.Session == "" || o.Session == a.Session)
}

// blobsOf gives the blobs of a commit by path.
func blobsOf(objects change.Objects, commit change.ID) func(string) string {
	return func(path string) string {
		id, err := repo.BlobAt(objects, commit, path)
		if err != nil {
			return ""
		}
		return hexOf(id)
	}
}

// visit takes what is known of one file. An error is kept: a commit whose lines nobody
// can tell is a commit all the same.
func (l *heard) visit(ctx context.Context, f change.FileChange) {
	if l.err != nil {
		return
	}
	got, err := l.watch.Staged(ctx, f.Path, f.Text, f.Old == "", l.live)
	if err != nil {
		l.err = err
		return
	}
	bases := []string{hexOf(f.Old)}
	if l.amended != nil {
		bases = append(bases, l.amended(f.Path))
	}
	if l.amended != nil && len(f.Added) > 0 && (got == nil || !got.Since(bases[0])) {
		l.known = false // what the commit had before may have been an agent's
	}
	file := attributedFile{path: f.Path}
	for _, span := range f.Added {
		for n := span.From; n < span.To; n++ {
			file.lines = append(file.lines, l.line(got, n))
		}
	}
	if got != nil {
		for _, a := range got.Actors(bases...) {
			l.hand(a)
		}
	}
	if len(file.lines) > 0 {
		l.files = append(l.files, file)
	}
}

func hexOf(id change.ID) string {
	if id == "" {
		return ""
	}
	return id.String()
}

// line tells whose an added line is, and counts it.
func (l *heard) line(got *session.Attributed, n int) lineSource {
	if got == nil {
		return record.Nobody
	}
	if n >= len(got.Owners) { // not followed line by line
		for _, a := range got.All() {
			l.hands[l.hand(a)].doubt = true
		}
		return record.Unknown
	}
	o := got.Owners[n]
	actor, one := got.Actor(o)
	switch {
	case o == session.Nobody:
		return record.Nobody
	case !one:
		for _, a := range got.All() {
			l.hands[l.hand(a)].doubt = true
		}
		return record.Unknown
	case o < 0:
		l.hands[l.hand(actor)].doubt = true
		return record.Unknown
	}
	at := l.hand(actor)
	l.hands[at].lines++
	return lineSource(at)
}

// hand is the index of an actor.
func (l *heard) hand(a session.Actor) int {
	at := slices.IndexFunc(l.hands, func(h hand) bool { return h.actor == a })
	if at < 0 {
		l.hands = append(l.hands, hand{actor: a})
		at = len(l.hands) - 1
	}
	return at
}

// seen are the records of what agents told, and of those that are only seen at work.
func (h *hook) seen(l *heard) []provenance.Record {
	observed := agent.Detect(h.Environ, h.ancestors())
	if l == nil {
		return processRecords(observed)
	}
	h.tellAlive(l, observed)
	notes := session.OpenNotes(h.repo.CommonDir)
	for i := range l.hands {
		resolve(&l.hands[i].actor)
	}
	l.fillVersions()
	var records []provenance.Record
	for i := range l.hands {
		hand := &l.hands[i]
		servers, err := notes.MCP(hand.actor.Session)
		if err != nil {
			h.say("MCP servers are not recorded: %v", err)
		}
		records = append(records, recordOf(hand.actor, servers))
	}
	return append(records, processRecords(slices.DeleteFunc(observed, func(o agent.Observation) bool {
		return slices.ContainsFunc(l.hands, func(h hand) bool { return isOf(o, h.actor) })
	}))...)
}

// tellAlive adds the agents that are at work right now and have told that they are: one
// that commits what others wrote has a hand in it, with no line.
func (h *hook) tellAlive(l *heard, observed []agent.Observation) {
	open, err := l.watch.Open()
	if err != nil {
		h.say("agents at work are not recorded: %v", err)
	}
	for _, a := range open {
		known := slices.ContainsFunc(l.hands, func(h hand) bool {
			return h.actor.Tool.Name == a.Tool.Name && h.actor.Session == a.Session
		})
		if !known && slices.ContainsFunc(observed, func(o agent.Observation) bool { return isOf(o, a) }) {
			l.hand(a)
		}
	}
}

// fillVersions gives actors whose tool's version nobody told that of the same session,
// which has one.
func (l *heard) fillVersions() {
	for i := range l.hands {
		a := &l.hands[i].actor
		for _, other := range l.hands {
			if b := other.actor; a.Tool.Version == "" && b.Tool.Name == a.Tool.Name && b.Session == a.Session && a.Session != "" {
				a.Tool.Version = b.Tool.Version
			}
		}
	}
}

// resolve finds the model of an actor where its hook could not tell it for sure. What was
// found then stands until the agent's files tell of that very call.
func resolve(a *session.Actor) {
	if a.Source == "" {
		return
	}
	found, _ := agent.ResolveModel(a.Source)
	if found.Final || a.Model == (provenance.Model{}) {
		a.Model = found.Model
	}
	if a.Tool.Version == "" {
		a.Tool.Version = found.Version
	}
}

// recordOf is a record without lines. Servers that do not fit are left out.
func recordOf(a session.Actor, servers []string) provenance.Record {
	r := provenance.Record{Tool: a.Tool, Model: a.Model, Via: provenance.ViaHook, Session: a.Session, MCP: servers}
	slices.SortFunc(r.MCP, func(a, b string) int {
		return cmp.Compare(provenance.Escape(a, ","), provenance.Escape(b, ","))
	})
	for len(r.MCP) > 0 && provenance.CheckValue(r.String()) != nil {
		r.MCP = r.MCP[:len(r.MCP)-1]
	}
	return r
}

func processRecords(seen []agent.Observation) (records []provenance.Record) {
	for _, o := range seen {
		records = append(records, o.Record())
	}
	return records
}

// count puts the numbers of lines into the records of hooks, where they are known.
func (l *heard) count(records []provenance.Record, total int) {
	if l == nil || !l.known || l.err != nil {
		return
	}
	for i := range records {
		n, known := 0, false
		for _, h := range l.hands {
			if isRecordOf(records[i], h.actor) {
				n += h.lines
				known = !h.doubt && (known || n == h.lines)
			}
		}
		if known {
			records[i].Lines = provenance.Lines{AI: n, Total: total, Known: true}
		}
	}
}

func isRecordOf(r provenance.Record, a session.Actor) bool {
	return r.Via == provenance.ViaHook && r.Tool == a.Tool && r.Model == a.Model && r.Session == a.Session
}

// trace tells of each line which record it came from; false where that is not known, or
// no line came from any.
func (l *heard) trace(records []provenance.Record, values []string) (record.Trace, bool) {
	t := record.Trace{Records: values}
	if l == nil || !l.known || l.err != nil {
		return t, false
	}
	source := make([]int, len(l.hands))
	for i, h := range l.hands {
		source[i] = slices.IndexFunc(records, func(r provenance.Record) bool { return isRecordOf(r, h.actor) })
		if source[i] < 0 {
			source[i] = record.Unknown
		}
	}
	some := false
	for _, f := range l.files {
		traced := record.TracedFile{Path: f.path}
		for _, line := range f.lines {
			if line >= 0 {
				line = lineSource(source[line])
			}
			traced.Add(int(line))
			some = some || line != record.Nobody
		}
		t.Files = append(t.Files, traced)
	}
	slices.SortFunc(t.Files, func(a, b record.TracedFile) int { return strings.Compare(a.Path, b.Path) })
	return t, some && len(t.String()) <= record.MaxTrace
}

// noneVia is how it is known that no agent took part: by their own hooks, when those
// of each agent that this user has are in place and were heard.
func (h *hook) noneVia(l *heard) provenance.Via {
	if l == nil || l.err != nil || !l.known {
		return provenance.ViaProcess
	}
	placed, err := session.OpenPlaced(h.repo.Getenv).Agents()
	if err != nil || len(placed) == 0 {
		return provenance.ViaProcess
	}
	for _, a := range placed {
		if !a.InPlace() || !a.Alive() {
			return provenance.ViaProcess
		}
	}
	for _, name := range agent.Present(h.repo.Getenv, isThere) {
		if !slices.ContainsFunc(placed, func(a session.PlacedAgent) bool { return a.Name == name }) {
			return provenance.ViaProcess
		}
	}
	return provenance.ViaHook
}

func isThere(path string) bool {
	_, err := os.Stat(filepath.FromSlash(path))
	return err == nil
}
