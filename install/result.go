package install

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Schema names the form of a Result in JSON.
const Schema = "gatekeeper/install/v1"

// A UsageError is a wrong use, or a policy or setting that somebody must mend
// first. Nothing was changed. The command exits 2 on it; on other errors 3.
type UsageError struct {
	Msg  string
	Hint string // what to do; may be empty
	Err  error  // what Msg is about, for errors.As; may be nil
}

func (e *UsageError) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

func (e *UsageError) Unwrap() error { return e.Err }

// What was done to a thing.
const (
	Wrote     = "wrote"
	Moved     = "moved" // a hook, which now runs before ours
	Kept      = "kept"  // it was as it should be
	Set       = "set"
	MadeKey   = "made"
	Fetched   = "fetched"
	Published = "published"
	Skipped   = "skipped"
	Removed   = "removed"
	Restored  = "restored"
	Left      = "left"    // not as we left it, so not touched
	Refused   = "refused" // cannot be changed as it stands, so not touched
)

// The kinds of things.
const (
	Hook     = "hook"
	Config   = "config"
	Key      = "key"
	Policy   = "policy"
	Baseline = "baseline"
	Records  = "records"
	Agent    = "agent"
	State    = "state" // what gatekeeper keeps for itself
)

// An Action is one thing done, or found to need nothing.
type Action struct {
	Done   string `json:"done"`             // one of Wrote, Moved, Kept, …
	What   string `json:"what"`             // one of Hook, Config, …
	Name   string `json:"name"`             // the hook's name, the config key, or a path or ref
	Detail string `json:"detail,omitempty"` // why, from where, how many
}

// A Result is what an installation or its removal did.
type Result struct {
	Schema    string   `json:"schema"`
	Command   string   `json:"command"` // install | uninstall
	Role      string   `json:"role"`    // client | server
	GitDir    string   `json:"git_dir"` // the common git directory; "" for agents alone
	Changed   bool     `json:"changed"` // false: everything was in place already
	Actions   []Action `json:"actions"`
	Principal string   `json:"principal,omitempty"` // whose signatures the key makes
	// AllowedSigners is the line that the admin puts into the policy's
	// allowed_signers file, so that this clone's commits are accepted.
	AllowedSigners string   `json:"allowed_signers,omitempty"`
	Notes          []string `json:"notes"` // for people: what to do next, what to know
}

func (r *Result) did(done, what, name, detail string) {
	if done != Kept && done != Skipped && done != Left && done != Refused {
		r.Changed = true
	}
	r.Actions = append(r.Actions, Action{done, what, name, detail})
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Complete reports whether nothing was left as it is because of what stands there.
func (r Result) Complete() bool {
	return !slices.ContainsFunc(r.Actions, func(a Action) bool { return a.Done == Left || a.Done == Refused })
}

// WriteText writes the result for people: a line for each kind of thing, then the
// notes, then the admin's line.
func (r Result) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.headline())
	if r.GitDir != "" {
		fmt.Fprintf(&b, " in %s", r.GitDir)
	}
	b.WriteByte('\n')
	for _, line := range r.grouped() {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n", note)
	}
	if r.AllowedSigners != "" {
		fmt.Fprintf(&b, "the admin adds this line to allowed_signers, beside the policy:\n%s\n", r.AllowedSigners)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) headline() string {
	switch {
	case r.Command == "install" && r.Changed:
		return r.Role + " installed"
	case r.Command == "install":
		return r.Role + " already installed, nothing changed"
	case r.Changed:
		return r.Role + " uninstalled"
	default:
		return r.Role + " not installed, nothing to do"
	}
}

// grouped joins the names of actions that say the same into one line, in the
// order of their first.
func (r Result) grouped() []string {
	var keys []Action
	names := map[Action][]string{}
	for _, a := range r.Actions {
		name := a.Name
		a.Name = ""
		if len(names[a]) == 0 {
			keys = append(keys, a)
		}
		names[a] = append(names[a], name)
	}
	var lines []string
	for _, k := range keys {
		line := fmt.Sprintf("%s %s: %s", k.Done, k.What, strings.Join(names[k], " "))
		if k.Detail != "" {
			line += " (" + k.Detail + ")"
		}
		lines = append(lines, line)
	}
	return lines
}
