package receipt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// writerDir tells this test binary to be a process that writes receipts.
const writerDir = "RECEIPT_TEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		writeReceipts(dir)
		return
	}
	os.Exit(m.Run())
}

// writeReceipts writes receipts and outcomes until it has written some thousand, or is
// killed, and prints the seq of each decision that is on the disk.
func writeReceipts(dir string) {
	l := Open(dir)
	l.MaxFile = 64 << 10
	count, _ := strconv.Atoi(os.Getenv(writerDir + "_COUNT"))
	for n := range count {
		p := onto(fmt.Sprintf("refs/heads/%d-%d", os.Getpid(), n), 0, n+1, 1+n*37%600)
		h, err := p.write(context.Background(), l)
		if err == nil && n%2 == 0 {
			_, err = l.Finish(context.Background(), received, p.refs)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(h.Seq)
	}
}

// A scribe is such a process.
type scribe struct {
	cmd  *exec.Cmd
	done chan struct{}
	seqs []int64
	said strings.Builder
}

func startWriter(t *testing.T, dir string, count int) *scribe {
	t.Helper()
	w := &scribe{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), writerDir+"="+dir, fmt.Sprintf("%s_COUNT=%d", writerDir, count))
	w.cmd.Stderr = &w.said
	out, err := w.cmd.StdoutPipe()
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			seq, _ := strconv.ParseInt(s.Text(), 10, 64)
			w.seqs = append(w.seqs, seq)
		}
	}()
	return w
}

// wait returns the decisions that the process knew to be on the disk.
func (w *scribe) wait() []int64 {
	<-w.done
	w.cmd.Wait()
	return w.seqs
}

// Processes that write at once, and are killed at any moment, keep one chain, in which
// every decision that one of them was sure of stands.
func TestProcessesThatAreKilledLoseNothingTheyWereSureOf(t *testing.T) {
	t.Parallel()
	_, dir := newLog(t)
	l := Open(dir)
	var sure []int64
	for round := range 15 {
		var writers []*scribe
		for range 3 {
			writers = append(writers, startWriter(t, dir, 1_000_000))
		}
		time.Sleep(time.Duration(20+round*7) * time.Millisecond)
		for i, w := range writers {
			time.Sleep(time.Duration(i*round%5) * time.Millisecond)
			w.cmd.Process.Kill()
		}
		for _, w := range writers {
			sure = append(sure, w.wait()...)
			if w.said.Len() > 0 {
				t.Fatalf("a writer said %s", w.said.String())
			}
		}
		if v := verify(t, l); !v.Intact {
			t.Fatalf("after round %d it is broken at %s", round, v.Broken)
		}
	}
	decide(t, l, onto("refs/heads/main", 0, 1, 1))
	intact(t, l, dir)
	there := map[int64]bool{}
	for d, err := range l.Decisions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		there[d.Seq] = true
	}
	for _, seq := range sure {
		if !there[seq] {
			t.Errorf("decision %d is lost", seq)
		}
	}
	if len(sure) == 0 {
		t.Error("no writer ever wrote anything")
	}
}

func TestProcessesWriteAtOnce(t *testing.T) {
	t.Parallel()
	_, dir := newLog(t)
	const processes, each = 8, 25
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int64]int{}
	for range processes {
		w := startWriter(t, dir, each)
		wg.Go(func() {
			seqs := w.wait()
			mu.Lock()
			defer mu.Unlock()
			for _, seq := range seqs {
				seen[seq]++
			}
			if len(seqs) != each || w.said.Len() > 0 {
				t.Errorf("one wrote %d, and said %s", len(seqs), w.said.String())
			}
		})
	}
	wg.Wait()
	v := intact(t, Open(dir), dir)
	if v.Decisions != processes*each || len(seen) != processes*each || v.Outcomes != processes*(each/2+1) || v.Files < 2 {
		t.Errorf("%d decisions, and %+v", len(seen), v)
	}
	for d, err := range Open(dir).Decisions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		// Each wrote the outcome of every second push, and of no other.
		n, _ := strconv.Atoi(d.Refs[0].Name[strings.LastIndex(d.Refs[0].Name, "-")+1:])
		if (d.Outcome != nil) != (n%2 == 0) {
			t.Errorf("decision %d on %s has the outcome %+v", d.Seq, d.Refs[0].Name, d.Outcome)
		}
		if d.Cut != 0 {
			t.Errorf("decision %d cut %d bytes", d.Seq, d.Cut)
		}
	}
}

// Whoever waits for the lock stops waiting when it is time.
func TestALockThatIsHeldIsWaitedForNoLongerThanAsked(t *testing.T) {
	t.Parallel()
	_, dir := newLog(t)
	l := Open(dir)
	decide(t, l, onto("refs/heads/main", 0, 1, 1))
	unlock, err := l.volume.Lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := onto("refs/heads/main", 1, 2, 1).write(ctx, l); err == nil || !strings.Contains(err.Error(), "wait for") {
		t.Errorf("while another holds the lock: %v", err)
	}
	unlock()
	decide(t, l, onto("refs/heads/main", 1, 2, 1))
	intact(t, l, dir)
}
