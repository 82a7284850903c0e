package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A Ledger is what agents told of themselves in a repository, in the order in which they
// told it: one line of JSON an event, each with the digest of the line before it. So
// lines that are taken out or changed later leave a gap that Check finds.
//
// It holds no text of prompts or files, no output of commands and no environment, and
// sessions only as agent.SessionID writes them. It stands in the common git
// directory as gatekeeper/ledger, and what was written before it as ledger.1. Nothing is
// decided from it.
type Ledger struct{ path string }

// OpenLedger names the ledger of the repository with this common git directory.
func OpenLedger(commonDir string) Ledger {
	return Ledger{filepath.Join(commonDir, "gatekeeper", "ledger")}
}

// Bounds of a ledger, in bytes. A line is shorter than a page, so that the end of the file
// is read at once.
const (
	maxLedger     = 4 << 20 // and as much again in ledger.1
	maxLedgerLine = 4 << 10
)

// An Event is what a line of the ledger tells. Empty fields are left out.
type Event struct {
	Time     time.Time // to the second
	Actor    Actor
	Kind     string   // edit, shell, mcp, prompt, session, …
	Phase    string   // before or after
	Call     string   // the agent's own id of the call; told again, it is not written again
	Worktree string   // the top of the work tree
	Paths    []string // from there; those that do not fit on the line are counted
	Server   string   // of MCP
	Denied   string   // why the agent was told no
}

// Add appends an event. A line that a killed process left unfinished is cut away, and
// cut says how many bytes that were; the new line tells of it, too.
func (l Ledger) Add(ctx context.Context, e Event) (cut int64, err error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o777); err != nil {
		return 0, fmt.Errorf("write the ledger: %w", err)
	}
	unlock, err := repo.Lock(ctx, l.path+".lock")
	if err != nil {
		return 0, fmt.Errorf("write the ledger: %w", err)
	}
	defer unlock()
	if cut, err = l.add(e); err != nil {
		return cut, fmt.Errorf("write the ledger: %w", err)
	}
	return cut, nil
}

func (l Ledger) add(e Event) (cut int64, err error) {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, last, err := tail(f)
	if err != nil {
		return 0, err
	}
	torn := last[bytes.LastIndexByte(last, '\n')+1:]
	last = last[:len(last)-len(torn)]
	whole := size - int64(len(torn))
	cut = int64(len(torn))
	if cut == 0 && e.told(last) {
		return 0, nil
	}
	line := e.line(before(last), cut)
	// What has no end of a line for that long was never a ledger: it is put aside, too.
	if whole+int64(len(line)) > maxLedger || len(last) == 0 && whole > 0 {
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return cut, err
		}
		return cut, os.WriteFile(l.path, line, 0o666)
	}
	if cut > 0 {
		if err := f.Truncate(whole); err != nil {
			return cut, err
		}
	}
	_, err = f.WriteAt(line, whole)
	return cut, err
}

// told reports whether one of the last events is this one: two configurations of an agent
// may both name us.
func (e Event) told(last []byte) bool {
	if e.Call == "" {
		return false
	}
	return bytes.Contains(last, []byte(`,"phase":`+quotedShort(e.Phase)+`,"call":`+quotedShort(e.Call)+`,`))
}

// tail reads the end of the ledger: at least the last line, if it is one of ours.
func tail(f *os.File) (size int64, last []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	size = info.Size()
	last = make([]byte, min(size, 2*maxLedgerLine))
	_, err = f.ReadAt(last, size-int64(len(last)))
	if err == io.EOF {
		err = nil
	}
	return size, last, err
}

// before is the digest of the last whole line; of nothing where there is none.
func before(last []byte) [sha256.Size]byte {
	last = bytes.TrimSuffix(last, []byte{'\n'})
	if len(last) == 0 {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(last[bytes.LastIndexByte(last, '\n')+1:])
}

// line writes an event as JSON, in one form only.
func (e Event) line(before [sha256.Size]byte, cut int64) []byte {
	b := []byte(`{"v":1`)
	put := func(key, value string) {
		if value != "" {
			b = append(b, `,"`+key+`":`+quotedShort(value)...)
		}
	}
	put("time", e.Time.UTC().Format(time.RFC3339))
	put("tool", e.Actor.Tool.Name)
	put("version", e.Actor.Tool.Version)
	put("provider", e.Actor.Model.Provider)
	put("model", e.Actor.Model.Name)
	put("session", e.Actor.Session)
	put("kind", e.Kind)
	put("phase", e.Phase)
	put("call", e.Call)
	put("worktree", e.Worktree)
	put("mcp", e.Server)
	put("denied", e.Denied)
	if cut > 0 {
		b = append(b, `,"cut":`+strconv.FormatInt(cut, 10)...)
	}
	b = e.putPaths(b)
	b = append(b, `,"before":"`+hex.EncodeToString(before[:])+"\"}\n"...)
	return b
}

// putPaths writes as many paths as fit, and how many more there are.
func (e Event) putPaths(b []byte) []byte {
	if len(e.Paths) == 0 {
		return b
	}
	const rest = 120 // bytes for what comes behind the paths
	b = append(b, `,"paths":[`...)
	for i, p := range e.Paths {
		one := quotedShort(p)
		if len(b)+len(one)+rest > maxLedgerLine {
			b = append(b, `],"more":`+strconv.Itoa(len(e.Paths)-i)...)
			return b
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, one...)
	}
	return append(b, ']')
}

// maxValue bounds a value as it is written, in bytes; a dozen of them fit on a line.
const maxValue = 200

// quotedShort writes a string as JSON, the beginning of one that is too long.
func quotedShort(s string) string {
	q := payload.Quote(s)
	for len(q) > maxValue {
		s = strings.ToValidUTF8(s[:min(len(s), maxValue)*2/3], "")
		q = payload.Quote(s + "…")
	}
	return q
}

// Check reads the ledger from its first line to its last and reports each place at which
// the chain is broken, up to ten. lines counts those that are whole.
func (l Ledger) Check() (lines int, gaps []error, err error) {
	var prev []byte
	for _, name := range []string{l.path + ".1", l.path} {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return lines, gaps, fmt.Errorf("check the ledger: %w", err)
		}
		n := 0
		for line := range bytes.Lines(data) {
			n++
			whole, ended := bytes.CutSuffix(line, []byte{'\n'})
			want := before(prev)
			_, said, _ := strings.Cut(string(whole), `,"before":"`)
			switch {
			case !ended:
				gaps = append(gaps, fmt.Errorf("%s:%d: %d bytes of a line that was not finished", name, n, len(line)))
			case said != hex.EncodeToString(want[:])+`"}` && !(prev == nil && name != l.path):
				gaps = append(gaps, fmt.Errorf("%s:%d: the line before it is not the one that was written", name, n))
			}
			if ended {
				lines++
			}
			if prev = line; len(gaps) == 10 {
				return lines, gaps, nil
			}
		}
	}
	return lines, gaps, nil
}
