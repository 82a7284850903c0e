package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// Trust is what Codex says of our hooks.
type Trust struct {
	Hooks   int // of ours that Codex reads
	Trusted int // of these, trusted as they stand
}

// All reports whether Codex runs all of them.
func (t Trust) All() bool { return t.Hooks > 0 && t.Trusted == t.Hooks }

// A codexHook is one that Codex knows of, as hooks/list tells it.
type codexHook struct {
	Key         string `json:"key"`
	Command     string `json:"command"`
	SourcePath  string `json:"sourcePath"`
	CurrentHash string `json:"currentHash"`
	TrustStatus string `json:"trustStatus"`
	Enabled     bool   `json:"enabled"`
}

func (h codexHook) runs() bool { return h.TrustStatus == "trusted" && h.Enabled }

// ourCodexHooks asks Codex for those of its hooks that are ours.
func (w World) ourCodexHooks(s *appServer) (ours []codexHook, err error) {
	var list struct {
		Data []struct {
			Hooks []codexHook `json:"hooks"`
		} `json:"data"`
	}
	if err := s.call("hooks/list", map[string]any{"cwds": []string{w.home()}}, &list); err != nil {
		return nil, err
	}
	file, isOurs := codexHooks(codexDir(w)), codexForm().isOurs
	for _, d := range list.Data {
		for _, h := range d.Hooks {
			if isOurs(h.Command) && sameFile(h.SourcePath, file) && h.CurrentHash != "" {
				ours = append(ours, h)
			}
		}
	}
	return ours, nil
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// AskCodex asks Codex itself whether it runs our hooks. It starts `codex app-server`
// and changes no setting.
func (w World) AskCodex(ctx context.Context) (Trust, error) {
	s, err := w.startCodex(ctx)
	if err != nil {
		return Trust{}, err
	}
	defer s.end()
	hooks, err := w.ourCodexHooks(s)
	return trustOf(hooks), err
}

func trustOf(hooks []codexHook) Trust {
	t := Trust{Hooks: len(hooks)}
	for _, h := range hooks {
		if h.runs() {
			t.Trusted++
		}
	}
	return t
}

// TrustCodex makes Codex trust our hooks as they stand, in the place of the user, who
// would otherwise look at them in /hooks. Codex writes that into its config.toml. The
// caller holds the lock.
func (w World) TrustCodex(ctx context.Context) (Trust, error) {
	s, err := w.startCodex(ctx)
	if err != nil {
		return Trust{}, err
	}
	defer s.end()
	hooks, err := w.ourCodexHooks(s)
	if err != nil || len(hooks) == 0 || trustOf(hooks).All() {
		return trustOf(hooks), err
	}
	r, err := w.readRecord("codex")
	if err != nil {
		return Trust{}, err
	}
	// A second time the copy is of what was before, if nobody has changed more since.
	exact := len(r.trust) == 0 || r.unchanged()
	config, err := w.rememberConfig(r)
	if err != nil {
		return Trust{}, err
	}
	state := map[string]any{}
	var trust [][2]string
	for _, h := range hooks {
		state[h.Key] = map[string]any{"trusted_hash": h.CurrentHash, "enabled": true}
		trust = append(trust, [2]string{h.Key, h.CurrentHash})
	}
	if err := s.writeConfig(edits{{"hooks.state", state, "upsert"}}); err != nil {
		return Trust{}, err
	}
	if hooks, err = w.ourCodexHooks(s); err != nil {
		return Trust{}, err
	}
	r.trust, r.image = trust, [2]string{}
	if data, err := os.ReadFile(config); err == nil && exact {
		r.image = [2]string{config, digest(data)}
	}
	return trustOf(hooks), w.writeRecord("codex", r)
}

// An edit of Codex's configuration: where, what, and whether beside what is there.
type edits []struct {
	KeyPath       string `json:"keyPath"`
	Value         any    `json:"value"`
	MergeStrategy string `json:"mergeStrategy"`
}

func (s *appServer) writeConfig(e edits) error {
	var answer struct {
		Status string `json:"status"`
	}
	if err := s.call("config/batchWrite", map[string]any{"edits": e}, &answer); err != nil {
		return err
	}
	if answer.Status != "ok" {
		return fmt.Errorf("codex app-server: config/batchWrite: %.100q", answer.Status)
	}
	return nil
}

// rememberConfig keeps a copy of config.toml as it is before Codex writes to it for us.
func (w World) rememberConfig(r *record) (path string, err error) {
	path = filepath.Join(codexDir(w), "config.toml")
	f, err := readFile(path)
	if err != nil || len(r.trust) > 0 {
		return path, err
	}
	if f.data == nil {
		r.made = with(r.made, path)
		return path, nil
	}
	copied, made, err := backupOf(f)
	if err != nil {
		return path, err
	}
	r.backups = with(r.backups, copied)
	if made {
		err = writeFile(copied, f.data, f.mode)
	}
	return path, err
}

// WithdrawTrust takes back what TrustCodex had Codex write. Where nothing else has
// changed in config.toml since, taking out the entries does that itself and Codex is
// not asked.
func (w World) WithdrawTrust(ctx context.Context) error {
	r, err := w.readRecord("codex")
	if err != nil || len(r.trust) == 0 || r.unchanged() {
		return err
	}
	s, err := w.startCodex(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	hooks, err := w.ourCodexHooks(s)
	if err != nil {
		return err
	}
	var e edits
	for _, t := range r.trust {
		is := func(h codexHook) bool { return h.Key == t[0] && h.CurrentHash == t[1] }
		if slices.ContainsFunc(hooks, is) {
			e = append(e, edits{{"hooks.state." + strconv.Quote(t[0]), nil, "replace"}}...)
		}
	}
	if len(e) > 0 {
		if err := s.writeConfig(e); err != nil {
			return err
		}
	}
	r.forget(r.image[0])
	r.trust, r.image = nil, [2]string{}
	return w.writeRecord("codex", r)
}

// unchanged reports whether config.toml is as Codex left it when it noted the trust.
func (r *record) unchanged() bool {
	data, err := os.ReadFile(r.image[0])
	return r.image[0] != "" && err == nil && digest(data) == r.image[1]
}

// takeTrust puts config.toml back as it was before, where it is as Codex left it.
func (c *Change) takeTrust(ac *agentChange) error {
	path := ac.had.image[0]
	if !ac.had.unchanged() {
		return nil
	}
	f, err := readFile(path)
	if err != nil {
		return err
	}
	e := edit{agent: len(c.agents) - 1, file: f, mode: f.mode}
	if !slices.Contains(ac.had.made, path) {
		copied := slices.IndexFunc(ac.had.backups, func(b string) bool { return isCopyOf(b, path) })
		if copied < 0 {
			return nil
		}
		if e.after, err = os.ReadFile(ac.had.backups[copied]); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if e.after == nil {
			e.after = []byte{}
		}
	}
	if !bytes.Equal(e.after, f.data) || e.after == nil {
		c.edits = append(c.edits, e)
	}
	ac.record.trust, ac.record.image = nil, [2]string{}
	ac.record.forget(path)
	return nil
}

// codexConfig is what matters of config.toml.
type codexConfig struct {
	Hooks map[string]any `toml:"hooks"`
}

// readCodexConfig reads config.toml; one that is not there or not TOML says nothing.
func (w World) readCodexConfig() (c codexConfig) {
	_, _ = toml.DecodeFile(filepath.Join(codexDir(w), "config.toml"), &c)
	return c
}

// TwoCodexForms reports whether config.toml has hooks, too, which Codex warns of.
func (w World) TwoCodexForms() bool {
	for name := range w.readCodexConfig().Hooks {
		if name != "state" {
			return true
		}
	}
	return false
}

// NotedTrust is what config.toml says of our hooks: whether somebody has trusted each
// of them, in this or an earlier form. Codex is not asked.
func (w World) NotedTrust() (t Trust) {
	dir := codexDir(w)
	file := codexHooks(dir)
	f, err := readFile(file)
	if err != nil || f.data == nil {
		return t
	}
	d, err := parseDocument(file, f.data)
	if err != nil {
		return t
	}
	a, _ := known("codex")
	state, _ := w.readCodexConfig().Hooks["state"].(map[string]any)
	for _, p := range a.targets(w, dir)[0].hooks.positions(d) {
		t.Hooks++
		key := fmt.Sprintf("%s:%s:%d:%d", file, snake(p.event), p.group, p.hook)
		noted, _ := state[key].(map[string]any)
		if hash, _ := noted["trusted_hash"].(string); hash != "" && noted["enabled"] != false {
			t.Trusted++
		}
	}
	return t
}

// snake writes PreToolUse as pre_tool_use.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
