package receipt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func digestOf(n int) provenance.Digest { return sha256.Sum256(fmt.Append(nil, "statement ", n)) }

// receive writes a decision at a time about a commit with some statements.
func receive(t *testing.T, l *Log, at time.Time, verdict string, statements ...int) {
	t.Helper()
	d, err := l.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var digests []provenance.Digest
	for _, n := range statements {
		digests = append(digests, digestOf(n))
	}
	if err := d.Commit("refs/heads/main", id(1), attested, digests...); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decide(t.Context(), Decision{Time: at, Verdict: verdict}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasReceivedBeforeIsKnown(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	l.MaxFile = 2000 // it may be in an older file
	hour := func(n int) time.Time { return received.Add(time.Duration(n) * time.Hour) }
	receive(t, l, hour(0), Accepted, 0)
	receive(t, l, hour(1), Refused, 10, 11)
	receive(t, l, hour(2), Warned)
	receive(t, l, hour(3), Accepted, 30, 0)
	receive(t, l, hour(1), Accepted, 40) // after the clock was set back
	for n := range 3 * saidInLine / 100 {
		var many []int
		for i := range 100 {
			many = append(many, 1000+100*n+i)
		}
		receive(t, l, hour(5), Accepted, many...)
	}
	intact(t, l, dir)
	for _, c := range []struct {
		before time.Time
		n      int
		want   bool
	}{
		{hour(0), 0, false}, {hour(1), 0, true}, {hour(9), 0, true},
		{hour(1), 10, false}, {hour(2), 10, true}, {hour(2), 11, true},
		{hour(3), 30, false}, {hour(4), 30, true},
		{hour(2), 40, false}, {hour(3), 40, false}, {hour(4), 40, true},
		{hour(5), 1000, false}, {hour(6), 1000, true}, {hour(6), 1000 + 3*saidInLine/100*100 - 1, true},
		{hour(9), 77, false},
	} {
		r, err := l.ReceivedBefore(t.Context(), c.before)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Has(digestOf(c.n)); got != c.want {
			t.Errorf("statement %d before %s: %v", c.n, c.before.Format(time.TimeOnly), got)
		}
	}
}

func TestStatementsOfOneCommitMayBeMany(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	many := make([]int, 40*saidInLine)
	for i := range many {
		many[i] = i
	}
	for from := 0; from < len(many); from += saidInLine - 1 {
		receive(t, l, received, Accepted, many[from:min(len(many), from+saidInLine-1)]...)
	}
	intact(t, l, dir)
	r, err := l.ReceivedBefore(t.Context(), received.Add(time.Hour))
	if err != nil || !r.Has(digestOf(0)) || !r.Has(digestOf(len(many)-1)) {
		t.Errorf("not all are known: %v", err)
	}
}

func TestChangedReceiptsSayNothingOfWhatWasReceived(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	receive(t, l, received.Add(time.Hour), Accepted, 1)
	receive(t, l, received.Add(time.Hour), Accepted, 2)
	text := strings.Replace(string(read(t, first(dir))), received.Add(time.Hour).Format(timeLayout), received.Format(timeLayout), 1)
	write(t, []byte(text), first(dir))
	if _, err := l.ReceivedBefore(t.Context(), received.Add(time.Hour)); !errors.As(err, new(*BrokenError)) {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(first(dir)); err != nil {
		t.Fatal(err)
	}
	if r, err := l.ReceivedBefore(t.Context(), received.Add(2*time.Hour)); err != nil || r.Has(digestOf(1)) {
		t.Errorf("receipts that are not there: %v", err)
	}
}
