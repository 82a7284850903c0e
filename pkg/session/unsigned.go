package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

const unsignedFile = "unsigned"

// An Unsigned is a commit whose records nobody could sign when it was made: the
// agent was locked, the key away. Another hook signs them later, beside it.
type Unsigned struct {
	Commit change.ID
	Values []string // of AI-Provenance, as they are to be signed
}

// String is the entry's text in the file. It ends in a line of its own, so that an
// entry cut short is seen as such.
func (u Unsigned) String() string {
	var b strings.Builder
	b.WriteString("unsigned " + u.Commit.String() + "\n")
	for _, v := range u.Values {
		b.WriteString("value " + v + "\n")
	}
	b.WriteString("end\n")
	return b.String()
}

// Owe adds commits whose records are still to be signed.
func (s *State) Owe(list ...Unsigned) error {
	if len(list) == 0 {
		return nil
	}
	var b strings.Builder
	for _, u := range list {
		b.WriteString(u.String())
	}
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return fmt.Errorf("keep what is to be signed: %w", err)
	}
	f, err := os.OpenFile(s.path(unsignedFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("keep what is to be signed: %w", err)
	}
	_, err = f.WriteString(b.String())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep what is to be signed: %w", err)
	}
	return nil
}

// Waiting lists what is still to be signed, and leaves it there.
func (s *State) Waiting() ([]Unsigned, error) {
	data, err := s.read(unsignedFile)
	if err != nil {
		return nil, fmt.Errorf("read what is to be signed: %w", err)
	}
	return parseUnsigned(string(data)), nil
}

// Owed takes what is still to be signed out of the state; whoever cannot sign it
// puts it back with Owe. Entries that cannot be read are passed over.
func (s *State) Owed() ([]Unsigned, error) {
	taken := fmt.Sprintf("%s.%d", unsignedFile, os.Getpid())
	err := os.Rename(s.path(unsignedFile), s.path(taken))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is to be signed: %w", err)
	}
	data, err := s.read(taken)
	if err != nil {
		return nil, fmt.Errorf("read what is to be signed: %w", err)
	}
	return parseUnsigned(string(data)), s.remove(taken)
}

func parseUnsigned(text string) (list []Unsigned) {
	var u Unsigned
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "unsigned":
			u = Unsigned{}
			u.Commit, _ = change.ParseID(value)
		case "value":
			u.Values = append(u.Values, value)
		case "end":
			if u.Commit != "" && len(u.Values) > 0 {
				list = append(list, u)
			}
			u = Unsigned{}
		}
	}
	return list
}
