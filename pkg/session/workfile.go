package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// The state of a file is a file of the same name as all of it, hashed: what is known now. Beside
// it, in one that ends in .past, stand the versions before, the latest last; that grows at
// its end, and mostly nobody reads it.

const (
	workHead = "gatekeeper work v1\n"
	pastEnd  = ".past"
	// maxPastFile is the size in bytes at which the versions that no longer count are left out.
	maxPastFile = 1 << 20
)

// workName is the name of a file's state.
func workName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16])
}

func (w *Watch) load(path string) (*Work, error) {
	f, err := w.read(workName(path))
	if err != nil || f != nil && f.Path != path {
		return nil, err
	}
	return f, nil
}

// read reads a state by its name; nil where there is none, or none that can be read: that
// is as good as lost, and what is new is nobody's that is known.
func (w *Watch) read(name string) (*Work, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := parseWork(data)
	if err != nil {
		return nil, nil
	}
	actors := len(f.Actors)
	f.stored = func() []Text { return readPast(filepath.Join(w.dir, name+pastEnd), actors) }
	return f, nil
}

// save writes a state. The versions before go first: without the state nobody reads them.
func (w *Watch) save(f *Work) error {
	path := filepath.Join(w.dir, workName(f.Path))
	if err := f.savePast(path + pastEnd); err != nil {
		return err
	}
	return w.put(path, string(f.appendTo(nil)))
}

func (w *Work) savePast(path string) error {
	if w.stored == nil && len(w.past) == 0 { // it begins here
		if err := remove(path); err != nil {
			return err
		}
	}
	if len(w.newer) == 0 {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxPastFile {
		list := w.before()
		slices.Reverse(list)
		return repo.WriteFileAtomic(path, appendPast(nil, list))
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = file.Write(appendPast(nil, w.newer))
	return errors.Join(err, file.Close())
}

// appendPast writes versions, each behind its length in bytes, in four.
func appendPast(b []byte, list []Text) []byte {
	for _, t := range list {
		at := len(b)
		b = t.appendTo(binary.BigEndian.AppendUint32(b, 0))
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return b
}

// readPast reads the versions before, the latest first.
func readPast(path string, actors int) []Text {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	list := parsePast(data, actors)
	slices.Reverse(list)
	return list
}

// parsePast reads what appendPast wrote. What a killed process left unfinished hides
// what was written behind it.
func parsePast(data []byte, actors int) (list []Text) {
	for len(data) >= 4 {
		n := int(binary.BigEndian.Uint32(data))
		if n > len(data)-4 {
			break
		}
		p := workParser{rest: data[4 : 4+n], actors: actors}
		t, err := p.text()
		if err != nil || len(p.rest) > 0 {
			break
		}
		list, data = append(list, t), data[4+n:]
	}
	return list
}

// appendTo writes the form of a state: a head in text, then Now in binary.
//
//	gatekeeper work v1
//	path "PATH"
//	actor "TOOL" "VERSION" "PROVIDER" "MODEL" "SESSION" "SOURCE"   one a line, in their order
//	touch ACTOR BASE
//	head BLOB
//	opaque
//	text
//
// and for the text: the number of lines, four bytes; sixteen bytes a line; the number of
// runs of owners, four bytes; and for each run its length and owner, four bytes each. All
// numbers are big-endian. The file ends in "end\n".
func (w *Work) appendTo(b []byte) []byte {
	b = append(b, workHead...)
	b = fmt.Appendf(b, "path %q\n", w.Path)
	for _, a := range w.Actors {
		b = fmt.Appendf(b, "actor %q %q %q %q %q %q\n", a.Tool.Name, a.Tool.Version, a.Model.Provider, a.Model.Name, a.Session, a.Source)
	}
	for _, t := range w.Touched {
		b = fmt.Appendf(b, "touch %d %q\n", t.Actor, t.Base)
	}
	for _, blob := range w.Heads {
		b = fmt.Appendf(b, "head %q\n", blob)
	}
	if w.Opaque {
		b = append(b, "opaque\n"...)
	}
	b = append(b, "text\n"...)
	b = w.Now.appendTo(b)
	return append(b, "end\n"...)
}

func (t Text) appendTo(b []byte) []byte {
	b = slices.Grow(b, 16*len(t.Exact)+16)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.Exact)))
	for i, l := range t.Exact {
		b = binary.BigEndian.AppendUint64(b, l)
		b = binary.BigEndian.AppendUint64(b, t.Loose[i])
	}
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	runs := uint32(0)
	for i := 0; i < len(t.Owners); runs++ {
		n := i
		for n < len(t.Owners) && t.Owners[n] == t.Owners[i] {
			n++
		}
		b = binary.BigEndian.AppendUint32(b, uint32(n-i))
		b = binary.BigEndian.AppendUint32(b, uint32(t.Owners[i]))
		i = n
	}
	binary.BigEndian.PutUint32(b[at:], runs)
	return b
}

var errWork = errors.New("not a whole file of this version")

// parseWork reads what appendTo wrote, and nothing else.
func parseWork(data []byte) (*Work, error) {
	rest, ok := bytes.CutPrefix(data, []byte(workHead))
	if !ok {
		return nil, errWork
	}
	p := workParser{work: &Work{}}
	for {
		line, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			return nil, errWork
		}
		rest = after
		word, values, _ := strings.Cut(string(line), " ")
		if word == "text" {
			break
		}
		if err := p.line(word, values); err != nil {
			return nil, err
		}
	}
	p.rest, p.actors = rest, len(p.work.Actors)
	var err error
	if p.work.Now, err = p.text(); err != nil {
		return nil, err
	}
	if string(p.rest) != "end\n" || !bytes.Equal(p.work.appendTo(nil), data) {
		return nil, errWork
	}
	return p.work, nil
}

type workParser struct {
	rest   []byte
	actors int // that a text may name
	work   *Work
}

func (p *workParser) line(word, rest string) error {
	values, err := quoted(rest)
	if err != nil {
		return err
	}
	w := p.work
	switch {
	case word == "path" && len(values) == 1:
		w.Path = values[0]
	case word == "actor" && len(values) == 6:
		w.Actors = append(w.Actors, Actor{
			Tool:  provenance.Tool{Name: values[0], Version: values[1]},
			Model: provenance.Model{Provider: values[2], Name: values[3]}, Session: values[4], Source: values[5]})
	case word == "touch" && len(values) == 2:
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 1 || n > len(w.Actors) {
			return errWork
		}
		w.Touched = append(w.Touched, Touch{Owner(n), values[1]})
	case word == "head" && len(values) == 1:
		w.Heads = append(w.Heads, values[0])
	case word == "opaque" && len(values) == 0:
		w.Opaque = true
	default:
		return errWork
	}
	return nil
}

// quoted reads values parted by single spaces; those that begin with a quote are Go
// strings.
func quoted(rest string) (values []string, err error) {
	for rest != "" {
		word := rest
		if rest[0] == '"' {
			if word, err = strconv.QuotedPrefix(rest); err != nil {
				return nil, errWork
			}
		} else {
			word, _, _ = strings.Cut(rest, " ")
		}
		rest = strings.TrimPrefix(rest[len(word):], " ")
		if word == "" {
			return nil, errWork
		}
		if word[0] == '"' {
			if word, err = strconv.Unquote(word); err != nil {
				return nil, errWork
			}
		}
		values = append(values, word)
	}
	return values, nil
}

func (p *workParser) number() (uint32, error) {
	if len(p.rest) < 4 {
		return 0, errWork
	}
	n := binary.BigEndian.Uint32(p.rest)
	p.rest = p.rest[4:]
	return n, nil
}

func (p *workParser) text() (t Text, err error) {
	n, err := p.number()
	if err != nil || int(n) > maxLines || len(p.rest) < 16*int(n) {
		return t, errWork
	}
	t.Exact, t.Loose, t.Owners = make([]uint64, n), make([]uint64, n), make([]Owner, 0, n)
	for i := range t.Exact {
		t.Exact[i] = binary.BigEndian.Uint64(p.rest[16*i:])
		t.Loose[i] = binary.BigEndian.Uint64(p.rest[16*i+8:])
	}
	p.rest = p.rest[16*n:]
	runs, err := p.number()
	if err != nil {
		return t, err
	}
	for range runs {
		length, err := p.number()
		if err != nil {
			return t, err
		}
		owner, err := p.number()
		if err != nil || int(length) > int(n)-len(t.Owners) || !p.known(Owner(owner)) {
			return t, errWork
		}
		for range length {
			t.Owners = append(t.Owners, Owner(owner))
		}
	}
	if len(t.Owners) != int(n) {
		return t, errWork
	}
	return t, nil
}

func (p *workParser) known(o Owner) bool {
	n := Owner(p.actors)
	return o == Anyone || -n <= o && o <= n
}
