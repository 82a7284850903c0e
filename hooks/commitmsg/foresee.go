package commitmsg

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// A Forecast is what a commit of the index, made now and here, would say.
type Forecast struct {
	Provenance provenance.Provenance
	Seen       []agent.Observation // agents around this process that told nothing themselves
	Files      []FileForecast      // those with staged changes first
}

// A FileForecast is whose the lines are that a file adds.
type FileForecast struct {
	Path    string
	Staged  bool // against HEAD; else not staged, against the index
	Added   int  // lines
	Nobody  int  // of them, from no agent that was seen
	Unknown int  // perhaps from one
	By      []LinesBy
}

// LinesBy counts the lines of one tool, model and session.
type LinesBy struct {
	Record provenance.Record
	Lines  int
}

// Foresee works out what the hooks would write, but for the signature, and changes
// nothing. declared are the declarations that the commit would use.
func Foresee(ctx context.Context, r *repo.Repo, env Env, declared []session.Declaration) (Forecast, error) {
	h := &hook{Env: env, repo: r, state: session.Open(r.GitDir), told: map[change.ID]said{}, git: &invocation{known: true, name: "commit"}}
	defer h.close()
	at, err := h.findPlace(ctx, "", "")
	if err != nil {
		return Forecast{}, fmt.Errorf("foresee the commit: %w", err)
	}
	defer at.objects.Close()
	told := h.follow(at)
	_, stats, err := at.measure(ctx, told)
	if err == nil && told != nil {
		err = told.err
	}
	if err != nil {
		return Forecast{}, fmt.Errorf("foresee the commit: %w", err)
	}
	f := Forecast{Provenance: h.joined(stats.Added, nil, declared, told)}
	for _, o := range agent.Detect(env.Environ, h.ancestors()) {
		if told == nil || !slices.ContainsFunc(told.hands, func(h hand) bool { return isOf(o, h.actor) }) {
			f.Seen = append(f.Seen, o)
		}
	}
	if told != nil {
		f.Files = told.forecast()
		err = told.unstaged(ctx, r, &f)
	}
	return f, err
}

// forecast counts by file.
func (l *heard) forecast() (files []FileForecast) {
	for _, f := range l.files {
		counted := FileForecast{Path: f.path, Staged: true}
		for _, line := range f.lines {
			counted.add(line, l.hands)
		}
		files = append(files, counted)
	}
	return files
}

func (f *FileForecast) add(line lineSource, hands []hand) {
	f.Added++
	switch line {
	case record.Nobody:
		f.Nobody++
	case record.Unknown:
		f.Unknown++
	default:
		r := recordOf(hands[line].actor, nil)
		at := slices.IndexFunc(f.By, func(b LinesBy) bool { return isRecordOf(b.Record, hands[line].actor) })
		if at < 0 {
			f.By = append(f.By, LinesBy{Record: r})
			at = len(f.By) - 1
		}
		f.By[at].Lines++
	}
}

// unstaged adds the files whose work tree differs from the index.
func (l *heard) unstaged(ctx context.Context, r *repo.Repo, to *Forecast) error {
	dirty, err := r.Dirty(ctx)
	if err != nil {
		return err
	}
	for _, d := range dirty {
		content, err := l.watch.Content(d.Path)
		if err != nil {
			return err
		}
		staged, err := r.Staged(ctx, d.Path)
		if err != nil {
			return err
		}
		new, ok := session.LinesOf(content)
		old, before := session.LinesOf(staged)
		if !ok || !before || slices.Equal(old.Exact, new.Exact) {
			continue
		}
		got, err := l.watch.Staged(ctx, d.Path, content, staged == nil, l.live)
		if err != nil {
			return err
		}
		f := FileForecast{Path: d.Path}
		kept := make([]bool, len(new.Exact))
		matches, _ := change.Align(old.Exact, new.Exact)
		for _, m := range matches {
			for i := range m.N {
				kept[m.New+i] = true
			}
		}
		// Counting must not change what the commit of the index would say.
		apart := &heard{watch: l.watch, live: l.live}
		for n := range kept {
			if !kept[n] {
				f.add(apart.line(got, n), apart.hands)
			}
		}
		if f.Added > 0 {
			to.Files = append(to.Files, f)
		}
	}
	return nil
}
