package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/BurntSushi/toml"
)

// maxTOML and maxBrackets bound what the library sees, which recurses into brackets.
const (
	maxTOML     = 1 << 20 // bytes
	maxBrackets = 20_000
)

// toml reads the servers in one table of TOML files.
func (r *reader) toml(table string, paths ...string) {
	for _, path := range paths {
		r.tomlText(table, path, r.read(path))
	}
}

func (r *reader) tomlText(table, path string, data []byte) {
	if len(data) > maxTOML || bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxBrackets {
		r.note(path, errors.New("too large, or nested too deep"))
		return
	}
	var file map[string]any
	if _, err := toml.Decode(string(data), &file); err != nil {
		r.note(path, err)
		return
	}
	servers, ok := file[table].(map[string]any)
	if file[table] != nil && !ok {
		r.note(path, fmt.Errorf("%s is no table", table))
	}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		s, err := tomlServer(servers[name])
		if err != nil {
			r.note(path, fmt.Errorf("server %.60q: %w", name, err))
		}
		s.Name, s.File = name, path
		r.add(s)
	}
}

func tomlServer(v any) (s Server, err error) {
	table, ok := v.(map[string]any)
	if !ok {
		return s, errors.New("it is no table")
	}
	s.URL, _ = table["url"].(string)
	program, _ := table["command"].(string)
	if program == "" {
		return s, nil
	}
	command := []string{program}
	args, ok := table["args"].([]any)
	if table["args"] != nil && !ok {
		return s, errors.New("its args are no list of strings")
	}
	for _, a := range args {
		text, ok := a.(string)
		if !ok {
			return s, errors.New("its args are no list of strings")
		}
		command = append(command, text)
	}
	s.Command = command
	return s, nil
}
