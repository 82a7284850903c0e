package repo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// LineCounts tells how many lines each file below a commit has, binary files left out.
func (r *Repo) LineCounts(ctx context.Context, commit change.ID, visit func(path string, lines int) error) error {
	p, err := start(ctx, r.Command(ctx, "-c", "core.bigFileThreshold="+touchSize, "diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv",
		r.ObjectID("tree", nil).String(), commit.String()), nil)
	if err != nil {
		return fmt.Errorf("count lines: %w", err)
	}
	defer p.stop()
	out := bufio.NewReaderSize(p.out, 64<<10)
	for {
		field, err := readField(out)
		if errors.Is(err, io.EOF) {
			return p.wait()
		}
		if err != nil {
			return fmt.Errorf("count lines: %w", firstError(p.reason(), err))
		}
		t, err := parseTouch(field)
		if err != nil {
			return fmt.Errorf("count lines: %w", err)
		}
		if t.Added > 0 {
			if err := visit(t.Path, t.Added); err != nil {
				return err
			}
		}
	}
}

// Blame tells how many lines of a file, as a commit has it, come from which commits, white
// space, moves and copies within a commit looked through (git blame -w -M -C).
func (r *Repo) Blame(ctx context.Context, commit change.ID, path string) (map[change.ID]int, error) {
	p, err := start(ctx, r.Command(ctx, "blame", "--incremental", "-w", "-M", "-C", commit.String(), "--", path), nil)
	if err != nil {
		return nil, fmt.Errorf("blame %q: %w", path, err)
	}
	defer p.stop()
	from := map[change.ID]int{}
	lines := bufio.NewReaderSize(p.out, 64<<10)
	for begins := true; ; { // a group: "ID LINE LINE COUNT", "name value"..., "filename NAME"
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			if err := p.wait(); err != nil {
				return nil, fmt.Errorf("blame %q: %w", path, err)
			}
			return from, nil
		}
		if err != nil {
			return nil, fmt.Errorf("blame %q: %w", path, firstError(p.reason(), err))
		}
		if !begins {
			begins = strings.HasPrefix(line, "filename ")
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return nil, fmt.Errorf("blame %q: git says %q", path, cut(line))
		}
		id, err := change.ParseID(fields[0])
		n, err2 := strconv.Atoi(fields[3])
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("blame %q: git says %q", path, cut(line))
		}
		from[id] += n
		begins = false
	}
}
