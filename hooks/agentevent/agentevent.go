// Package agentevent answers the hooks of coding agents themselves.
//
// An agent tells what it is about to do and what it has done (package agent). That is
// noted where it happened (package session), for the commit that will carry it. A
// repository without gatekeeper keeps no notes, and the agent hears nothing.
//
// An agent is never held up or broken by its recorder: whatever goes wrong is said
// on standard error, and the exit code is 0. Only where a call to an MCP server is to
// be judged and cannot be, the answer is no: most agents take any other failure for
// leave.
//
// What it is told is hostile. No prompt, command, output or content is kept.
package agentevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// Env is what the hook is run with.
type Env struct {
	Hint    string // the agent that it was installed for, which need not be the one that calls
	Environ []string
	Dir     string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Now     func() time.Time

	// Decide judges a call to an MCP server, in the big program; nil hands over to that.
	Decide func(ctx context.Context, r *repo.Repo, environ []string, e agent.Event) (Decision, error)

	// Ancestors lists the processes above; nil asks the system.
	Ancestors func() []agent.Process
}

// A Decision about a call to an MCP server.
type Decision struct {
	Server   string // the name that the call was found to be for
	Denied   string // why it is; "" when it is not
	Approved []string
}

// Run takes one event and answers it. The code is that of the process.
func Run(ctx context.Context, env Env) (code int) {
	h := &hook{Env: env}
	defer func() {
		if p := recover(); p != nil {
			h.say("internal error: %v; please report it", p)
			code = h.undecided("gatekeeper failed")
		}
	}()
	text, err := io.ReadAll(io.LimitReader(env.Stdin, payload.MaxSize+1))
	if err != nil {
		h.say("the event was not read: %v", err)
	}
	if env.Ancestors == nil {
		h.above = agent.Ancestors()
	} else {
		h.above = env.Ancestors()
	}
	var notes []error
	h.event, notes = agent.Decode(env.Hint, text, env.Environ, h.above)
	unheard := session.OpenPlaced(h.getenv).Hear(h.event.Tool.Name, env.Now())
	places := h.places()
	if len(places) == 0 {
		return h.answer(Decision{})
	}
	if unheard != nil {
		h.say("not recorded: %v", unheard)
	}
	for _, n := range notes {
		h.say("%v", n)
	}
	if h.event.Kind == agent.MCP && h.event.Phase == agent.Before && env.Decide == nil {
		return h.handOver(ctx, text)
	}
	return h.take(ctx, places, text)
}

// hook is one event at work.
type hook struct {
	Env
	event agent.Event
	above []agent.Process
}

func (h *hook) say(format string, args ...any) {
	fmt.Fprintf(h.Stderr, "gatekeeper: "+format+"\n", args...)
}

func (h *hook) getenv(name string) string {
	for i := len(h.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(h.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// answer tells the agent. A no that cannot be written is told by the exit code.
func (h *hook) answer(d Decision) int {
	out, words, code := agent.Answer(h.event, d.Denied, d.Approved)
	if err := h.tell(out, words); err != nil && d.Denied != "" {
		return denied
	}
	return code
}

// undecided is the answer where something went wrong: no to a call that is to be judged,
// and nothing otherwise.
func (h *hook) undecided(why string) int {
	if h.event.Kind != agent.MCP || h.event.Phase != agent.Before {
		return h.answer(Decision{})
	}
	out, words, code := agent.Undecided(h.event, why)
	_ = h.tell(out, words)
	return code
}

func (h *hook) tell(out []byte, words string) error {
	if words != "" {
		fmt.Fprintln(h.Stderr, strings.TrimSuffix(words, "\n"))
	}
	_, err := h.Stdout.Write(out)
	return err
}

// A place is a work tree with gatekeeper that the event is about, and which of its files.
type place struct {
	repo  *repo.Repo
	files []agent.FileEdit // with paths from the top of the work tree
}

// places are where the event happened: the work trees of the files that it names, or
// that of its directory.
func (h *hook) places() (list []place) {
	dir := h.event.Dir
	if dir == "" {
		dir = h.Dir
	}
	if h.event.Kind != agent.Edit {
		if r := h.gatekept(dir); r != nil {
			list = append(list, place{repo: r})
		}
		return list
	}
	for _, f := range h.event.Files {
		path := real(f.Path)
		r := h.gatekept(filepath.Dir(path))
		if r == nil {
			continue
		}
		f.Path = below(r.WorkTree, path)
		if f.MovedTo != "" {
			f.MovedTo = below(r.WorkTree, real(f.MovedTo))
		}
		if f.Path == "" {
			continue
		}
		at := -1
		for i := range list {
			if list[i].repo.GitDir == r.GitDir {
				at = i
			}
		}
		if at < 0 {
			list = append(list, place{repo: r})
			at = len(list) - 1
		}
		list[at].files = append(list[at].files, f)
	}
	return list
}

// gatekept finds the repository of a directory, nil where there is none or nobody
// installed gatekeeper.
func (h *hook) gatekept(dir string) *repo.Repo {
	r, err := repo.Find(h.Environ, real(dir))
	if err != nil || r.WorkTree == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.CommonDir, "gatekeeper")); err != nil {
		return nil
	}
	return r
}

// real is a path without symbolic links, as far as it is there.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(real(dir), filepath.Base(path))
}

// below is a path from the top of a work tree, with slashes; "" where it is not in there, or
// in the git directory.
func below(top, path string) string {
	rel, err := filepath.Rel(top, path)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return ""
	}
	rel = filepath.ToSlash(rel)
	if rel == ".git" || strings.HasPrefix(rel, ".git/") {
		return ""
	}
	return rel
}

// take records the event in each of its places and answers.
func (h *hook) take(ctx context.Context, places []place, text []byte) int {
	var decision Decision
	if h.event.Kind == agent.MCP && h.event.Phase == agent.Before {
		var err error
		if decision, err = h.Decide(ctx, places[0].repo, h.Environ, h.event); err != nil {
			h.say("%v", err)
			return h.undecided(err.Error())
		}
	}
	h.recordAll(ctx, places, decision)
	if decision.Denied == "" {
		if out := h.withGitHooks(ctx, places[0].repo, text); out != nil {
			_ = h.tell(out, "")
			return 0
		}
	}
	return h.answer(decision)
}

// recordAll records the event in each of its places, as far as there is time: an agent
// waits for its answer.
func (h *hook) recordAll(ctx context.Context, places []place, d Decision) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, p := range places {
		if err := h.record(ctx, p, d); err != nil {
			h.say("not recorded: %v", err)
		}
	}
}

// handOver has the program that reads policies take the event. Where it cannot be
// started, nobody can decide.
func (h *hook) handOver(ctx context.Context, text []byte) int {
	program, err := big()
	if err != nil {
		return h.undecided(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "hook", "agent", h.Hint)
	cmd.Dir, cmd.Env = h.Dir, h.Environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), h.Stdout, h.Stderr
	err = cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended) && ended.ExitCode() == denied: // and said why
		return denied
	}
	return h.undecided(err.Error())
}

// denied is the one exit code that every agent takes for a no.
const denied = 2

var errBig = errors.New("the program gatekeeper is not beside gatekeeper-agent; run gatekeeper install")
