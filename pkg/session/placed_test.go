package session

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPlaced(t *testing.T) {
	home := t.TempDir()
	p := OpenPlaced(func(name string) string { return map[string]string{"XDG_STATE_HOME": home}[name] })
	config := filepath.Join(home, "settings.json")
	if err := os.WriteFile(config, []byte(`{"hooks": ["\"/bin/agent\" claude-code"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	one := func() PlacedAgent {
		t.Helper()
		list, err := p.Agents()
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v %v", list, err)
		}
		return list[0]
	}
	if list, err := p.Agents(); len(list) > 0 || err != nil {
		t.Fatalf("%v %v before anything was placed", list, err)
	}
	entries := []Entry{{config, `"\"/bin/agent\" claude-code"`}}
	if err := p.Place("claude-code", entries); err != nil {
		t.Fatal(err)
	}
	if a := one(); a.Name != "claude-code" || !a.InPlace() || a.Alive() {
		t.Errorf("%+v after Place", a)
	}
	heard := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	for range 2 {
		if err := p.Hear("claude-code", heard); err != nil {
			t.Fatal(err)
		}
	}
	if a := one(); !a.Alive() || !a.Heard.Equal(heard) {
		t.Errorf("%+v after Hear", a)
	}
	if err := p.Place("claude-code", entries); err != nil || !one().Alive() {
		t.Errorf("placed again without a change: %v, alive %v", err, one().Alive())
	}
	if err := p.Place("claude-code", append(entries, Entry{config, "hooks"})); err != nil || one().Alive() || !one().InPlace() {
		t.Errorf("placed anew: %v %+v", err, one())
	}
	if err := os.WriteFile(config, []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if one().InPlace() {
		t.Error("the entry is gone, and said to be in place")
	}
	if err := os.WriteFile(filepath.Join(home, "gatekeeper/agents/codex"), []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	if list, err := p.Agents(); err != nil || len(list) != 2 || list[1].InPlace() {
		t.Errorf("a broken note: %+v %v", list, err)
	}
	for _, name := range []string{"codex", "claude-code", "never"} {
		if err := p.Forget(name); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(home, "gatekeeper/agents")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPlacedWithoutAHome(t *testing.T) {
	p := OpenPlaced(func(string) string { return "" })
	if list, err := p.Agents(); len(list) > 0 || err != nil {
		t.Errorf("%v %v", list, err)
	}
	if err := p.Hear("codex", time.Now()); err != nil {
		t.Error(err)
	}
	if err := p.Place("codex", nil); err == nil {
		t.Error("placed nowhere")
	}
}
