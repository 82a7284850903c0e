package audit

import "time"

// A Period is from a time on and before another; a zero time is no limit.
type Period struct{ Since, Until time.Time }

// seconds are its limits in seconds since 1970.
func (p Period) seconds() (since, until int64) {
	since, until = -1<<62, 1<<63-1
	if !p.Since.IsZero() {
		since = p.Since.Unix()
	}
	if !p.Until.IsZero() {
		until = p.Until.Unix()
	}
	return since, until
}
