package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func someEvent(n int) Event {
	return Event{Time: time.Date(2026, 11, 23, 7, 0, n%60, 0, time.UTC), Kind: "edit", Phase: "after", Worktree: "/w",
		Actor: Actor{Tool: provenance.Tool{Name: "claude-code", Version: "2.1"}, Model: provenance.Model{Provider: "anthropic", Name: "claude-x"}, Session: "0123456789ab"},
		Paths: []string{fmt.Sprintf("dir/file%d.go", n)}}
}

// entry is a line of the ledger as a reader of JSON sees it.
type ledgerLine struct {
	V                        int
	Time, Tool, Model, Kind  string
	Worktree, Denied, Before string
	Paths                    []string
	More, Cut                int
}

func readLedger(t *testing.T, l Ledger) (lines []ledgerLine) {
	t.Helper()
	for _, name := range []string{l.path + ".1", l.path} {
		data, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var e ledgerLine
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			lines = append(lines, e)
		}
	}
	return lines
}

func mustAdd(t *testing.T, l Ledger, e Event) int64 {
	t.Helper()
	cut, err := l.Add(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return cut
}

func mustBeWhole(t *testing.T, l Ledger, want int) {
	t.Helper()
	n, gaps, err := l.Check()
	if err != nil || len(gaps) > 0 || n != want {
		t.Fatalf("%d lines, want %d; gaps %v, %v", n, want, gaps, err)
	}
}

func TestLedger(t *testing.T) {
	l := OpenLedger(t.TempDir())
	mustBeWhole(t, l, 0)
	for n := range 3 {
		if cut := mustAdd(t, l, someEvent(n)); cut != 0 {
			t.Errorf("cut %d bytes of a whole ledger", cut)
		}
	}
	mustBeWhole(t, l, 3)
	lines := readLedger(t, l)
	if e := lines[2]; e.V != 1 || e.Tool != "claude-code" || e.Kind != "edit" || e.Paths[0] != "dir/file2.go" || e.Time != "2026-11-23T07:00:02Z" {
		t.Errorf("%+v", e)
	}
	data, _ := os.ReadFile(l.path)
	for _, change := range [][2]string{{"file1", "file7"}, {string(data[:bytes.IndexByte(data, '\n')+1]), ""}} {
		if err := os.WriteFile(l.path, bytes.Replace(data, []byte(change[0]), []byte(change[1]), 1), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, gaps, _ := l.Check(); len(gaps) != 1 {
			t.Errorf("%.20q changed to %q: gaps %v", change[0], change[1], gaps)
		}
	}
}

// Killed at whatever byte: the next event is whole, and so is all that was before.
func TestLedgerCutAtEveryByte(t *testing.T) {
	l := OpenLedger(t.TempDir())
	for n := range 3 {
		mustAdd(t, l, someEvent(n))
	}
	data, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) + 1 {
		if err := os.WriteFile(l.path, data[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		whole := bytes.Count(data[:n], []byte{'\n'})
		torn := n - (bytes.LastIndexByte(data[:n], '\n') + 1)
		if cut := mustAdd(t, l, someEvent(9)); cut != int64(torn) {
			t.Fatalf("%d bytes: cut %d, want %d", n, cut, torn)
		}
		mustBeWhole(t, l, whole+1)
		if lines := readLedger(t, l); lines[whole].Cut != torn || lines[whole].Paths[0] != "dir/file9.go" {
			t.Fatalf("%d bytes: %+v", n, lines[whole])
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	l := OpenLedger(t.TempDir())
	e := someEvent(1)
	for n := range 2000 {
		e.Paths = append(e.Paths, fmt.Sprintf("%d/%s", n, strings.Repeat("long", 30)))
	}
	for range 3000 {
		mustAdd(t, l, e)
	}
	var size int64
	for _, name := range []string{l.path, l.path + ".1"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 2*maxLedger {
		t.Errorf("%d bytes", size)
	}
	n, gaps, err := l.Check()
	if err != nil || len(gaps) > 0 || n < 1000 {
		t.Errorf("%d lines, %v, %v", n, gaps, err)
	}
	if line := readLedger(t, l)[0]; line.More+len(line.Paths) != len(e.Paths) || line.More == 0 {
		t.Errorf("%d paths and %d more", len(line.Paths), line.More)
	}
}

// What is no ledger at all is put aside, and a new one begins.
func TestLedgerOfJunk(t *testing.T) {
	l := OpenLedger(t.TempDir())
	if err := os.MkdirAll(filepath.Dir(l.path), 0o777); err != nil {
		t.Fatal(err)
	}
	junk := bytes.Repeat([]byte("junk"), maxLedgerLine)
	if err := os.WriteFile(l.path, junk, 0o666); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, l, someEvent(1))
	mustAdd(t, l, someEvent(2))
	if aside, _ := os.ReadFile(l.path + ".1"); !bytes.Equal(aside, junk) {
		t.Error("what was there is lost")
	}
	if err := os.Remove(l.path + ".1"); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, l, 2)
}

// Agents in many work trees at once: each event is there once, and the chain holds.
func TestLedgerOfManyAtOnce(t *testing.T) {
	l := OpenLedger(t.TempDir())
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for n := range 50 {
				if _, err := l.Add(t.Context(), someEvent(100*w+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	mustBeWhole(t, l, 400)
	seen := map[string]int{}
	for _, e := range readLedger(t, l) {
		seen[e.Paths[0]]++
	}
	if len(seen) != 400 {
		t.Errorf("%d different events", len(seen))
	}
}

const killed = "GATEKEEPER_TEST_LEDGER"

// A process that is killed in the middle of its work leaves a ledger and states of files
// with which others go on.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killed); dir != "" {
		scene := newScene(t, 1)
		scene.watch.dir = filepath.Join(dir, "work")
		for n := 0; ; n++ {
			mustAdd(t, OpenLedger(dir), someEvent(n))
			scene.agentEdits("claude")
			scene.agentRuns("codex", 1)
		}
	}
	dir := t.TempDir()
	l := OpenLedger(dir)
	seen := 0
	for n := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killed+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for before, _, _ := l.Check(); ; { // until it is at work
			if now, _, _ := l.Check(); now > before+n%3 {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		mustAdd(t, l, someEvent(n))
		count, gaps, err := l.Check()
		if err != nil || len(gaps) > 0 || count == 0 {
			t.Fatalf("%d lines, %v, %v", count, gaps, err)
		}
		w := &Watch{dir: filepath.Join(dir, "work")}
		states, err := w.known()
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		seen = max(seen, len(states))
		files, _ := os.ReadDir(w.dir)
		whole := 0
		for _, f := range files {
			if len(f.Name()) == len(workName("")) {
				whole++
			}
		}
		if whole != len(states) {
			t.Fatalf("%d of %d states can be read", len(states), whole)
		}
	}
	if seen == 0 {
		t.Error("no process came to write a state")
	}
}

func FuzzLedgerLine(f *testing.F) {
	f.Add("claude-code", "a\"b\\c\n\x00\x7f", "\xff\u2028"+strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, tool, path, denied string) {
		e := Event{Actor: Actor{Tool: provenance.Tool{Name: tool}}, Paths: []string{path, path, path}, Denied: denied, Worktree: path}
		line := e.line([32]byte{}, 0)
		if len(line) > maxLedgerLine || bytes.Count(line, []byte{'\n'}) != 1 {
			t.Fatalf("%d bytes: %q", len(line), line)
		}
		var got ledgerLine
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want := strings.ToValidUTF8(tool, "\ufffd")
		if utf8.ValidString(tool) && len(tool) < maxValue/12 && got.Tool != want {
			t.Errorf("wrote %q, read %q", tool, got.Tool)
		}
		if len(got.Paths)+got.More != 3 {
			t.Errorf("%d paths, %d more", len(got.Paths), got.More)
		}
	})
}
