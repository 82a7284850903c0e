package agent

import (
	"errors"
	"fmt"
	"strings"
)

// parsePatch reads a patch of the form that OpenAI's models are taught, and
// Codex's apply_patch takes:
//
//	*** Begin Patch
//	*** Add File: new.txt
//	+its whole content
//	*** Update File: a.txt
//	*** Move to: b.txt
//	@@ a line above the place
//	 context
//	-old
//	+new
//	*** Delete File: c.txt
//	*** End Patch
//
// Paths are as written. A hunk becomes a Change with its context in both sides, an
// added file has its content in After. Lines that do not belong are passed over
// and reported once.
func parsePatch(patchText string) (files []FileEdit, err error) {
	_, body, found := strings.Cut(patchText, "*** Begin Patch")
	if !found {
		return nil, errors.New("patch without *** Begin Patch")
	}
	p := patch{}
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "*** End Patch" {
			p.endHunk()
			return p.files, p.err
		}
		p.line(line)
		if len(p.files) > maxFiles {
			return p.files, errors.Join(p.err, fmt.Errorf("patch of more than %d files", maxFiles))
		}
	}
	p.endHunk()
	return p.files, errors.Join(p.err, errors.New("patch without *** End Patch"))
}

// patch is what was read so far.
type patch struct {
	files    []FileEdit
	old, new strings.Builder // of the hunk being read
	inHunk   bool
	err      error
}

func (p *patch) line(line string) {
	switch kind, path := patchHeader(line); kind {
	case "Add File", "Update File", "Delete File":
		p.endHunk()
		p.files = append(p.files, FileEdit{Path: path, Deleted: kind == "Delete File", HasAfter: kind == "Add File"})
	case "Move to":
		if len(p.files) > 0 {
			p.files[len(p.files)-1].MovedTo = path
		}
	case "End of File", "Environment ID":
	default:
		p.content(line)
	}
}

// patchHeader takes apart a line such as "*** Update File: a.txt".
func patchHeader(line string) (kind, path string) {
	rest, ok := strings.CutPrefix(line, "*** ")
	if !ok {
		return "", ""
	}
	kind, path, _ = strings.Cut(rest, ":")
	return strings.TrimSpace(kind), strings.TrimSpace(path)
}

func (p *patch) content(line string) {
	if strings.HasPrefix(line, "@@") {
		p.endHunk()
		return
	}
	mark, rest := byte(' '), "" // an empty line is one of context whose space got lost
	if line != "" {
		mark, rest = line[0], line[1:]
	}
	if len(p.files) == 0 || mark != ' ' && mark != '+' && mark != '-' {
		if strings.TrimSpace(line) != "" && p.err == nil {
			p.err = fmt.Errorf("patch with a line that does not belong: %.40q", line)
		}
		return
	}
	p.inHunk = true
	if mark != '+' {
		p.old.WriteString(rest + "\n")
	}
	if mark != '-' {
		p.new.WriteString(rest + "\n")
	}
}

// endHunk adds what was read to its file, within the bound.
func (p *patch) endHunk() {
	if p.inHunk && len(p.files) > 0 {
		f := &p.files[len(p.files)-1]
		if f.HasAfter {
			f.After = append(f.After, p.new.String()...)
		} else if len(f.Changes) < maxChanges {
			f.Changes = append(f.Changes, Change{Old: text(&p.old), New: text(&p.new)})
		}
	}
	p.inHunk = false
	p.old.Reset()
	p.new.Reset()
}

func text(b *strings.Builder) []byte {
	if b.Len() == 0 {
		return nil
	}
	return []byte(b.String())
}
