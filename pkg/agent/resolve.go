package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

const (
	// maxTail is what is read of a transcript, from its end, in bytes.
	maxTail = 4 << 20
	// maxHead is what is read from its beginning, where a session describes itself.
	maxHead = 64 << 10
	// maxNames bounds the directory that is searched for a session's file.
	maxNames = 20_000
)

// Found is what an agent's own files say of an event.
type Found struct {
	Model   provenance.Model
	Version string // of the tool, "" when not told
	// Final says that the files tell of this very call: asking later gives the same.
	Final bool
}

// ErrNoModel reports that the agent's files do not name the model of the event,
// or not yet: some are written late.
var ErrNoModel = errors.New("the agent's own files do not name the model")

// ResolveModel looks up what Decode left in Event.Source. It reads at most 4 MiB
// of one file (8 MiB where a sub-agent has its own), lists at most one directory
// for each, and believes only lines about the call: matched by the call's id, by the turn, or
// by time where the agent has no ids. Words that stand for a choice of the
// agent's own are no models (CanonicalModel). With ErrNoModel, Found may still
// hold the version.
func ResolveModel(src string) (Found, error) {
	s, ok := parseSource(src)
	if !ok {
		return Found{}, fmt.Errorf("not the source of a model: %.60q", src)
	}
	var found Found
	var err error
	switch s.tool {
	case "claude-code":
		found, err = s.claudeCode()
	case "cline":
		found, err = s.cline()
	case "codex":
		found, err = s.codex()
	case "copilot-cli":
		found, err = s.copilotCLI()
	case "gemini-cli":
		found, err = s.geminiCLI()
	case "qwen-code":
		found, err = s.qwenCode()
	default:
		return Found{}, fmt.Errorf("not the source of a model: %.60q", src)
	}
	found.Version = bounded(found.Version)
	if err == nil && found.Model.Name == "" {
		err = ErrNoModel
	}
	if err != nil {
		return found, fmt.Errorf("model of a call of %s: %w", s.tool, err)
	}
	return found, nil
}

// file is the path of the source, its hole filled by the name that hashes to the session.
func (s source) file() (string, error) { return fill(s.path, sessionHole, s.session) }

func fill(path, hole, hash string) (string, error) {
	before, after, ok := strings.Cut(path, hole)
	if !ok {
		return path, nil
	}
	dir, prefix := splitDir(before)
	suffix := after
	if i := strings.IndexAny(after, `/\`); i >= 0 {
		suffix = after[:i]
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxNames)
	if err != nil && err != io.EOF {
		return "", err
	}
	for _, name := range names {
		id, ok := strings.CutPrefix(name, prefix)
		if id, ok = cutSuffix(id, suffix, ok); ok && SessionID(id) == hash {
			return strings.ReplaceAll(path, hole, id), nil
		}
	}
	return "", fmt.Errorf("no file of session %s in %s", hash, dir)
}

func cutSuffix(s, suffix string, ok bool) (string, bool) {
	s, found := strings.CutSuffix(s, suffix)
	return s, ok && found
}

// splitDir parts a path behind its last separator.
func splitDir(path string) (dir, rest string) {
	i := strings.LastIndexAny(path, `/\`) + 1
	return path[:i], path[i:]
}

// openFile opens a regular file. A pipe or a device, which a hostile payload may
// name, would hold the agent up.
func openFile(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	return f, info.Size(), err
}

// tail reads the last whole lines of a file.
func tail(path string) ([]byte, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	start := max(0, size-maxTail)
	data := make([]byte, min(size, maxTail))
	n, err := f.ReadAt(data, start)
	if err != nil && err != io.EOF {
		return nil, err
	}
	data = data[:n]
	if start > 0 {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	return data, nil
}

// head reads the first whole lines of a file.
func head(path string) ([]byte, error) {
	f, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxHead))
	if len(data) == maxHead {
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	return data, err
}

// backwards parses the lines that hold all of some words, from the last to the first, until
// one is the one. Lines that are no JSON, the torn last one included, are passed over.
func backwards(data []byte, is func(payload.Value) bool, words ...string) {
	for len(data) > 0 {
		data = bytes.TrimSuffix(data, []byte("\n"))
		i := bytes.LastIndexByte(data, '\n') + 1
		line := data[i:]
		data = data[:i]
		if !holds(line, words) {
			continue
		}
		if v, err := payload.Parse(line); err == nil && is(v) {
			return
		}
	}
}

func holds(line []byte, words []string) bool {
	for _, w := range words {
		if !bytes.Contains(line, []byte(w)) {
			return false
		}
	}
	return true
}

// notAfter reports whether a line was written no later than an event. Both must
// be times.
func notAfter(line, event string) bool {
	a, errA := time.Parse(time.RFC3339, line)
	b, errB := time.Parse(time.RFC3339, event)
	return errA == nil && errB == nil && !a.After(b)
}
