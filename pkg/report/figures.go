package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// grouped writes a number with a space between thousands (ISO 80000-1, 7.3.1).
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u00a0')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// between writes a share as a range of percents that holds it: rounded away from what is
// known.
func between(s audit.Share) string {
	if s.Of == 0 {
		return "–"
	}
	least, most := percents(s)
	if least == most {
		return fmt.Sprintf("%d\u00a0%%", least)
	}
	return fmt.Sprintf("%d–%d\u00a0%%", least, most)
}

func percents(s audit.Share) (least, most int) {
	const slack = 1e-9 // 0.29 * 100 is more than 29
	return int(math.Floor(s.Least*100 + slack)), int(math.Ceil(s.Most*100 - slack))
}

// part writes how much of all something is, in whole percents that never say none of some,
// nor all of less.
func part(n, of int64) string {
	switch percent := int(math.Round(100 * float64(n) / float64(max(of, 1)))); {
	case of == 0:
		return "–"
	case percent == 0 && n > 0:
		return "<1\u00a0%"
	case percent == 100 && n < of:
		return ">99\u00a0%"
	default:
		return fmt.Sprintf("%d\u00a0%%", percent)
	}
}
