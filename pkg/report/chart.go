package report

import (
	"fmt"
	"strconv"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// Charts are geometry alone: how it is drawn is for the template. All lengths are in the
// units of its viewBox.

// A gauge is a share as a bar: what is known, and what may be beside.
type gauge struct{ Known, Maybe float64 } // of 100

func newGauge(s audit.Share) *gauge {
	return &gauge{round(s.Least * 100), round((s.Most - s.Least) * 100)}
}

// round keeps the page short, and free of what float64 adds.
func round(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 2, 64), 64)
	return r
}

// A band is one part of a bar.
type band struct {
	Class        string // which evidence
	Label        string
	X, Y, W, H   float64
	Count, Share string
}

// tierNames are the kinds of evidence for people, the best first.
var tierNames = map[audit.Evidence]string{
	audit.Attested: "attested", audit.NoneObserved: "none observed", audit.Declared: "declared", audit.Import: "imported",
	audit.Inferred: "inferred", audit.Unknown: "unknown",
}

// bands cuts a bar into kinds of evidence, from left to right.
func bands(evidence map[audit.Evidence]int64, width, height float64) (list []band) {
	of := int64(0)
	for _, n := range evidence {
		of += n
	}
	x := 0.0
	for _, e := range audit.Tiers() {
		n := evidence[e]
		if n == 0 {
			continue
		}
		w := width * float64(n) / float64(of)
		list = append(list, band{Class: string(e), Label: tierNames[e], X: round(x), W: round(w), H: height, Count: grouped(n), Share: part(n, of)})
		x += w
	}
	return list
}

// A bar is a named bar of evidence.
type bar struct {
	Name  string
	Count string
	Bands []band
}

// Columns is a chart of evidence over time.
type columns struct {
	Width, Height float64
	Left, Right   float64 // ends of the lines of the scale
	Foot          float64 // where labels stand
	Columns       []timeColumn
	Lines         []rule
	Outside       int64 // commits dated before or after what is drawn
}

// A timeColumn is a month, or more of them where there are many.
type timeColumn struct {
	X, W, Mid float64
	Label     string // "" for those between
	Name      string
	Total     string
	Bands     []band
}

// A rule is a line of the scale.
type rule struct {
	Y     float64
	Label string
}

// plot is where columns stand: below the topmost label, right of those of the scale.
const (
	plotTop, plotLeft, plotWidth, plotHeight = 12.0, 44.0, 668.0, 150.0
	maxColumns                               = 36
)

// overTime draws months up to the last one, or quarters or years where months are too many.
func overTime(months []audit.Group, last string) *columns {
	periods, outside := fold(months, monthNumber(last))
	if len(periods) == 0 {
		return nil
	}
	top := int64(1)
	for _, p := range periods {
		top = max(top, p.total())
	}
	step := niceStep(top)
	top = (top + step - 1) / step * step
	c := &columns{Outside: outside, Width: plotLeft + plotWidth + 8, Height: plotTop + plotHeight + 22,
		Left: plotLeft, Right: plotLeft + plotWidth, Foot: plotTop + plotHeight + 14}
	for y := int64(0); y <= top; y += step {
		c.Lines = append(c.Lines, rule{round(plotTop + plotHeight*(1-float64(y)/float64(top))), grouped(y)})
	}
	slot := plotWidth / float64(len(periods))
	every := (len(periods) + 11) / 12 // so many labels have room
	for i, p := range periods {
		col := timeColumn{X: round(plotLeft + slot*(float64(i)+0.14)), W: round(min(slot*0.72, 48)), Name: p.name, Total: grouped(p.total())}
		if slot*0.72 > 48 {
			col.X = round(plotLeft + slot*(float64(i)+0.5) - 24)
		}
		col.Mid = round(col.X + col.W/2)
		if i%every == 0 {
			col.Label = p.name
		}
		y := plotTop + plotHeight
		for _, e := range audit.Tiers() {
			n := p.evidence[e]
			if n == 0 {
				continue
			}
			h := plotHeight * float64(n) / float64(top)
			y -= h
			col.Bands = append(col.Bands, band{Class: string(e), Label: tierNames[e], X: col.X, Y: round(y), W: col.W, H: round(h), Count: grouped(n)})
		}
		c.Columns = append(c.Columns, col)
	}
	return c
}

// A timeSpan is commits of a month, a quarter or a year.
type timeSpan struct {
	name     string
	evidence map[audit.Evidence]int64
}

func (s timeSpan) total() (n int64) {
	for _, of := range s.evidence {
		n += of
	}
	return n
}

// fold joins months up to the last one until they are few. Those without any commit are there,
// too: a gap is to be seen. Dates are the word of whoever made a commit, so the first
// hundredth of all commits, and those of the future, do not choose what is drawn.
func fold(months []audit.Group, last int) (spans []timeSpan, outside int64) {
	all, first := int64(0), last+1
	for _, g := range months {
		all += g.Commits
	}
	before := int64(0)
	for _, g := range months {
		if before += g.Commits; before*100 > all {
			first = max(monthNumber(g.Key[0]), last-maxColumns*12+1)
			break
		}
	}
	size, name := 1, monthName
	if last-first >= maxColumns {
		size, name = 3, quarterName
	}
	if (last-first)/size >= maxColumns {
		size, name = 12, yearName
	}
	for m := first / size; m <= last/size; m++ {
		spans = append(spans, timeSpan{name(m * size), map[audit.Evidence]int64{}})
	}
	for _, g := range months {
		span := monthNumber(g.Key[0])/size - first/size
		if span < 0 || span >= len(spans) {
			outside += g.Commits
			continue
		}
		for e, n := range g.Evidence {
			spans[span].evidence[e] += n
		}
	}
	return spans, outside
}

// monthNumber counts months from the year 0; name is as usage gives it, 2026-01.
func monthNumber(name string) int {
	var year, month int
	_, _ = fmt.Sscanf(name, "%d-%d", &year, &month) // names are our own
	return year*12 + month - 1
}

func monthName(n int) string   { return fmt.Sprintf("%04d-%02d", n/12, n%12+1) }
func quarterName(n int) string { return fmt.Sprintf("%04d Q%d", n/12, n%12/3+1) }
func yearName(n int) string    { return fmt.Sprintf("%04d", n/12) }

// niceStep is 1, 2 or 5 times a power of ten, such that four steps or so reach the top.
func niceStep(top int64) int64 {
	for step := int64(1); ; step *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if step*m*4 >= top {
				return step * m
			}
		}
	}
}
