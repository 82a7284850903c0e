package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// sessionOf is the session of a record for an agent's own id: the first 12 digits of its
// SHA-256. "" stays.
func sessionOf(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])[:12]
}

// entireLines reads Entire-Attribution: "73% agent (146/200 lines)".
func entireLines(value string) (ai, total *int) {
	_, rest, ok := strings.Cut(value, "(")
	counts, ok2 := strings.CutSuffix(rest, " lines)")
	a, t, ok3 := strings.Cut(counts, "/")
	n, err1 := strconv.ParseUint(a, 10, 31)
	m, err2 := strconv.ParseUint(t, 10, 31)
	if !ok || !ok2 || !ok3 || err1 != nil || err2 != nil || n > m {
		return nil, nil
	}
	x, y := int(n), int(m)
	return &x, &y
}
