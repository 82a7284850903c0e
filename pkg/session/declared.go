package session

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

const declaredFile = "declared"

// A Declaration is a person's word that a tool took part in what will be
// committed next.
type Declaration struct {
	ID    string    // 16 hex digits, given by Declare
	Time  time.Time // UTC, to the second
	Tool  provenance.Tool
	Model provenance.Model
	Paths []string // what it is about; none means everything
}

// Record is the declaration as a record of a commit.
func (d Declaration) Record() provenance.Record {
	return provenance.Record{Tool: d.Tool, Model: d.Model, Via: provenance.ViaDeclared}
}

// entry is one line of the file: a declaration, or the mark that one was used.
type entry struct {
	Declaration
	used bool
}

// String writes the line without its newline. It ends in " ." so that a line cut
// short by a full disk is seen as such.
func (e entry) String() string {
	if e.used {
		return "used " + e.ID + " ."
	}
	words := []string{"declared", e.ID, e.Time.UTC().Format(time.RFC3339),
		pair(e.Tool.Name, e.Tool.Version), pair(e.Model.Provider, e.Model.Name)}
	for _, p := range e.Paths {
		words = append(words, "path="+provenance.Escape(p, ""))
	}
	return strings.Join(append(words, "."), " ")
}

// pair writes two parts that may be unknown, which here is the empty string.
func pair(a, b string) string {
	return provenance.Escape(a, "/") + "/" + provenance.Escape(b, "")
}

// parseEntry accepts exactly what String writes.
func parseEntry(line string) (entry, error) {
	words := strings.Split(line, " ")
	if words[len(words)-1] != "." {
		return entry{}, fmt.Errorf("the line is cut short: %.60q", line)
	}
	var e entry
	switch {
	case words[0] == "used" && len(words) == 3:
		e = entry{Declaration{ID: words[1]}, true}
	case words[0] == "declared" && len(words) >= 6:
		d, err := parseDeclaration(words[1 : len(words)-1])
		if err != nil {
			return entry{}, err
		}
		e = entry{Declaration: d}
	}
	if e.ID == "" || e.String() != line {
		return entry{}, fmt.Errorf("not a line of this file: %.60q", line)
	}
	return e, nil
}

func parseDeclaration(words []string) (d Declaration, err error) {
	d.ID = words[0]
	if d.Time, err = time.Parse(time.RFC3339, words[1]); err != nil {
		return d, err
	}
	if d.Tool.Name, d.Tool.Version, err = parsePair(words[2]); err != nil {
		return d, err
	}
	if d.Model.Provider, d.Model.Name, err = parsePair(words[3]); err != nil {
		return d, err
	}
	for _, w := range words[4:] {
		p, ok := strings.CutPrefix(w, "path=")
		if !ok {
			return d, fmt.Errorf("want path= where %.60q stands", w)
		}
		if p, err = provenance.Unescape(p, ""); err != nil {
			return d, err
		}
		d.Paths = append(d.Paths, p)
	}
	return d, nil
}

func parsePair(word string) (a, b string, err error) {
	x, y, ok := strings.Cut(word, "/")
	if !ok {
		return "", "", fmt.Errorf("want two parts and a slash where %.60q stands", word)
	}
	if a, err = provenance.Unescape(x, "/"); err != nil {
		return "", "", err
	}
	b, err = provenance.Unescape(y, "")
	return a, b, err
}

// Declare adds a declaration, gives it an id, and returns it. It is refused when
// its record would not fit into a trailer.
func (s *State) Declare(d Declaration) (Declaration, error) {
	if d.Tool.Name == "" {
		return d, fmt.Errorf("declare the use of a tool: the tool has no name")
	}
	if err := provenance.CheckValue(d.Record().String()); err != nil {
		return d, fmt.Errorf("declare the use of %s: %w", d.Tool.Name, err)
	}
	var id [8]byte
	rand.Read(id[:]) // never fails, see crypto/rand
	d.ID = hex.EncodeToString(id[:])
	d.Time = d.Time.UTC().Truncate(time.Second)
	if err := s.append(entry{Declaration: d}); err != nil {
		return d, fmt.Errorf("declare the use of %s: %w", d.Tool.Name, err)
	}
	return d, nil
}

// append writes entries in one go. When the file was moved away meanwhile (see
// compact), whoever moved it may have looked before we wrote: write them again, the
// id tells that they are the same.
func (s *State) append(entries ...entry) error {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	for {
		same, err := s.appendOnce(b.String())
		if same || err != nil {
			return err
		}
	}
}

func (s *State) appendOnce(text string) (same bool, err error) {
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return false, err
	}
	f, err := os.OpenFile(s.path(declaredFile), os.O_APPEND|os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if torn(f, info.Size()) {
		text = "\n" + text
	}
	if _, err := f.WriteString(text); err != nil {
		return false, err
	}
	now, err := os.Stat(s.path(declaredFile))
	return err == nil && os.SameFile(info, now), nil
}

// torn reports whether the last line lacks its newline.
func torn(f *os.File, size int64) bool {
	var last [1]byte
	if size == 0 {
		return false
	}
	_, err := f.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

// Pending lists the declarations that no commit has used, in the order in which
// they were made. Lines that cannot be read come back as broken, and the rest counts.
func (s *State) Pending() (pending []Declaration, broken []error, err error) {
	data, err := s.read(declaredFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read what was declared: %w", err)
	}
	pending, broken = parseDeclared(s.path(declaredFile), data)
	return pending, broken, nil
}

func parseDeclared(name string, data []byte) (pending []Declaration, broken []error) {
	if len(data) == 0 {
		return nil, nil
	}
	var all []Declaration
	done := make(map[string]bool) // used, or already taken
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		e, err := parseEntry(line)
		switch {
		case err != nil:
			broken = append(broken, fmt.Errorf("%s:%d: %w", name, n, err))
		case e.used:
			done[e.ID] = true
		default:
			all = append(all, e.Declaration)
		}
	}
	for _, d := range all {
		if !done[d.ID] {
			done[d.ID] = true
			pending = append(pending, d)
		}
	}
	return pending, broken
}

// Use marks declarations as used: a commit carries them, attested. When none is
// left the file goes away.
func (s *State) Use(ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	var marks []entry
	for _, id := range ids {
		marks = append(marks, entry{Declaration{ID: id}, true})
	}
	if err := s.append(marks...); err != nil {
		return fmt.Errorf("mark declarations as used: %w", err)
	}
	pending, broken, err := s.Pending()
	if err != nil || len(pending)+len(broken) > 0 {
		return err
	}
	return s.compact()
}

// compact takes the file away and puts back what somebody declared at the last moment.
func (s *State) compact() error {
	old := fmt.Sprintf("%s.%d", declaredFile, os.Getpid())
	if err := os.Rename(s.path(declaredFile), s.path(old)); err != nil {
		if os.IsNotExist(err) {
			return nil // somebody else just did
		}
		return fmt.Errorf("put away what was used: %w", err)
	}
	data, err := s.read(old)
	if err != nil {
		return fmt.Errorf("put away what was used: %w", err)
	}
	pending, _ := parseDeclared(old, data)
	var late []entry
	for _, d := range pending {
		late = append(late, entry{Declaration: d})
	}
	if len(late) > 0 {
		if err := s.append(late...); err != nil {
			return fmt.Errorf("put away what was used: %w", err)
		}
	}
	return s.remove(old)
}
