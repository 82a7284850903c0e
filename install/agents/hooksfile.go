package agents

import "github.com/tailscale/hujson"

// target is a file of this kind.
func (h hooksFile) target(file, command string) target {
	return target{
		file: file, mode: 0o600, text: string(hujson.String(command)),
		place: func(now []byte) ([]byte, error) {
			if now == nil {
				return h.newFile(), nil
			}
			d, err := parseDocument(file, now)
			if err != nil {
				return nil, err
			}
			err = h.place(d)
			return d.pack(), err
		},
		take: func(now []byte) (rest []byte, bare bool, err error) {
			d, err := parseDocument(file, now)
			if err != nil {
				return nil, false, err
			}
			err = h.take(d)
			return d.pack(), h.empty(d), err
		},
	}
}

// claudeLike is the shape that Claude Code began and others took over: events with
// groups of hooks, each group for the tools that its matcher names.
func claudeLike(f form, events []event) hooksFile {
	return hooksFile{
		events: events, grouped: true, ours: f.isOurs,
		command: func(v hujson.Value) (string, bool) { return text(v, "command") },
	}
}

// group is an entry of a claudeLike event. An empty matcher is left out: it is for
// events that are about no tool.
func group(matcher string, hook ...pair) []pair {
	hooks := pair{hooksKey, []any{append([]pair{{"type", "command"}}, hook...)}}
	if matcher == "" {
		return []pair{hooks}
	}
	return []pair{{"matcher", matcher}, hooks}
}
