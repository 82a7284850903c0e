package agents

import "github.com/tailscale/hujson"

// target is a file of this kind.
func (h hooksFile) target(file, command string) target {
	return target{file: file, text: string(hujson.String(command)), hooks: &h}
}

// placed is the file with our entries in it; now is nil where there is none.
func (h hooksFile) placed(file string, now []byte) ([]byte, error) {
	if now == nil {
		return h.newFile(), nil
	}
	d, err := parseDocument(file, now)
	if err != nil {
		return nil, err
	}
	if err := h.place(d); err != nil {
		return nil, err
	}
	return d.pack(), nil
}

// taken is the file without our entries. bare says that what is left is no more than
// what we put into a file of ours beside them.
func (h hooksFile) taken(file string, now []byte) (rest []byte, bare bool, err error) {
	d, err := parseDocument(file, now)
	if err != nil {
		return nil, false, err
	}
	if err := h.take(d); err != nil {
		return nil, false, err
	}
	return d.pack(), h.empty(d), nil
}

// claudeLike is the shape that Claude Code began and others took over: events with
// groups of hooks, each group for the tools that its matcher names.
func claudeLike(f form, events []event) hooksFile {
	return hooksFile{events: events, grouped: true, ours: f.isOurs, command: flatCommand}
}

func flatCommand(v hujson.Value) (string, bool) { return text(v, "command") }

// group is an entry of a claudeLike event. An empty matcher is left out: it is for
// events that are about no tool.
func group(matcher string, hook ...pair) []pair {
	hooks := pair{hooksKey, []any{append([]pair{{"type", "command"}}, hook...)}}
	if matcher == "" {
		return []pair{hooks}
	}
	return []pair{{"matcher", matcher}, hooks}
}
