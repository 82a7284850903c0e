package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// A table is figures in rows. The page draws it, and a file holds it as CSV.
type table struct {
	name    string // of the file, without .csv
	title   string // on the page
	lead    string // what to know before reading it
	columns []column
	rows    [][]any // values as the kinds of the columns say
	empty   string  // what the page says where there are no rows
	shown   int     // rows that the page has; the file has all
	hidden  bool    // from the page, where a chart says it
}

// shown is how many rows of most tables the page has.
const shown = 40

// A column of a table.
type column struct {
	name string // in the file
	head string // on the page; "" keeps it out of there
	kind kind
}

type kind int

const (
	text  kind = iota // string or []string
	count             // int or int64
	share             // audit.Share: a range, and three columns in the file
	id                // of a commit: a string that the page shortens

	sparse kind = 1 << 8 // beside one of these: the page leaves the column out where it says nothing
)

// csv writes the table as RFC 4180 has it, with line feeds alone.
func (t *table) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	var heads []string
	for _, c := range t.columns {
		heads = append(heads, c.name)
		if c.kind&^sparse == share {
			heads = append(heads, c.name+"_unknown", c.name+"_of")
		}
	}
	if err := w.Write(heads); err != nil {
		return nil, err
	}
	for _, row := range t.rows {
		var line []string
		for _, value := range row {
			line = append(line, cells(value)...)
		}
		if err := w.Write(line); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// cells writes one value for programs. What a stranger wrote is no formula in anybody's
// spreadsheet, and holds no character that a terminal obeys.
func cells(value any) []string {
	switch v := value.(type) {
	case audit.Share:
		return []string{fmt.Sprint(v.Known), fmt.Sprint(v.Unknown), fmt.Sprint(v.Of)}
	case []string:
		return []string{audit.Cell(visible(strings.Join(v, " "), ""))}
	case string:
		return []string{audit.Cell(visible(v, ""))}
	}
	return []string{fmt.Sprint(value)}
}

// A cell as the page draws it.
type cell struct {
	Text  string
	Class string // n: a number, r: a range, k: to be kept on one line, w: may be broken anywhere, bad: calls for a look
	Range *gauge // of a share
}

// A drawn table is what the template takes.
type drawn struct {
	Title, Lead, Empty string
	Heads              []cell
	Rows               [][]cell
	More               string // rows that the file has beside
}

func (t *table) draw() *drawn {
	d := &drawn{Title: t.title, Lead: t.lead, Empty: t.empty}
	rows := t.rows
	if len(rows) > t.shown {
		d.More = more(len(rows)-t.shown) + " in " + t.name + ".csv."
		rows = rows[:t.shown]
	}
	d.Rows = make([][]cell, len(rows))
	for i, c := range t.columns {
		if c.head == "" || c.kind&sparse != 0 && idle(rows, i) {
			continue
		}
		head := cell{Text: c.head}
		if c.kind&^sparse == count {
			head.Class = "n"
		}
		d.Heads = append(d.Heads, head)
		for n, row := range rows {
			drawn := drawCell(row[i], c.kind&^sparse)
			if drawn.Text == "" && c.kind&sparse == 0 {
				drawn.Text = "–"
			}
			d.Rows[n] = append(d.Rows[n], drawn)
		}
	}
	return d
}

// more counts rows that are not drawn.
func more(n int) string {
	if n == 1 {
		return "1 more row is"
	}
	return grouped(int64(n)) + " more rows are"
}

// idle reports whether a column says nothing.
func idle(rows [][]any, column int) bool {
	for _, row := range rows {
		switch v := row[column].(type) {
		case string:
			if v != "" {
				return false
			}
		case []string:
			if len(v) > 0 {
				return false
			}
		case int:
			if v != 0 {
				return false
			}
		case int64:
			if v != 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func drawCell(value any, k kind) cell {
	switch v := value.(type) {
	case audit.Share:
		return cell{Text: between(v), Class: "r", Range: newGauge(v)}
	case int:
		return cell{Text: grouped(int64(v)), Class: "n"}
	case int64:
		return cell{Text: grouped(v), Class: "n"}
	case []string:
		return textCell(strings.Join(v, ", "))
	case string:
		switch {
		case k == id && len(v) > 12:
			return cell{Text: v[:12], Class: "k id"}
		case k == count:
			return cell{Text: v, Class: "n"}
		}
		return textCell(v)
	}
	return textCell(fmt.Sprint(value))
}

// alarming are values that call for a look.
var alarming = map[string]bool{"unsanctioned": true, "no": true, "no receipts": true, "mixed": true, "warn": true, "off": true}

// textCell keeps short words whole, and lets long ones be broken.
func textCell(s string) cell {
	c := cell{Text: s}
	switch longest := longestWord(s); {
	case len(s) <= 20:
		c.Class = "k"
	case longest > 24:
		c.Class = "w"
	}
	if alarming[s] {
		c.Class += " bad"
	}
	return c
}

func longestWord(s string) (n int) {
	for word := range strings.FieldsSeq(s) {
		n = max(n, len(word))
	}
	return n
}
