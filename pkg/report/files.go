package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
)

// Names of files that every report has, beside a CSV file for each table.
const (
	PageFile     = "report.html"
	DataFile     = "report.json"
	ManifestFile = "manifest.json"
	SSHFile      = "manifest.json.sig"  // the signature as ssh-keygen -Y verify reads it
	DSSEFile     = "manifest.dsse.json" // or the manifest in an envelope
)

// Files draws a report: content by name. The same report gives the same bytes.
func (r *Report) Files() (map[string][]byte, error) {
	chapters := r.chapters()
	page, err := r.html(chapters)
	if err != nil {
		return nil, err
	}
	data, err := spell(r)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{PageFile: page, DataFile: data}
	for _, t := range tables(chapters) {
		name := t.name + ".csv"
		if files[name] != nil {
			return nil, fmt.Errorf("two tables are called %s", name)
		}
		if files[name], err = t.csv(); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// spell writes a value as JSON for people and programs, in which every character that is
// not to be seen is a number.
func spell(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, r := range string(data) { // it is UTF-8: Marshal sees to that
		if unicode.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
