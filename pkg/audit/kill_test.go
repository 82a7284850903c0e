package audit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// TestMain lets the test binary index in a process of its own, which can be killed.
func TestMain(m *testing.M) {
	if db := os.Getenv("AUDIT_TEST_INDEX"); db != "" {
		if err := indexHere(db, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func indexHere(db string, dirs []string) error {
	ctx := context.Background()
	s, err := store.Create(ctx, db)
	if err != nil {
		return err
	}
	defer s.Close()
	var repos []*repo.Repo
	for _, dir := range dirs {
		r, err := repo.Open(ctx, dir, os.Environ())
		if err != nil {
			return err
		}
		repos = append(repos, r)
	}
	_, err = audit.Index(ctx, s, repos, audit.Options{Program: "test", Now: now, Batch: 7})
	return err
}

func TestKilled(t *testing.T) {
	a, b := past.New(t, "a", "--bare"), past.New(t, "b", "--bare")
	a.Random(5, 60)
	b.Random(6, 60)
	whole := filepath.Join(t.TempDir(), "whole.db")
	index(t, whole, now, nil, a, b)
	want := indexed(t, ask(t, whole))

	killed := filepath.Join(t.TempDir(), "killed.db")
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], a.Dir, b.Dir)
		cmd.Env = append(append([]string{}, a.Env...), "AUDIT_TEST_INDEX="+killed)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	// Longer and longer lives, so that some are killed early, and some late.
	kills, finished := 0, false
	for life := 5 * time.Millisecond; !finished; life = life * 3 / 2 {
		cmd := start()
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			finished = true
		case <-time.After(life):
			_ = cmd.Process.Kill()
			<-done
			kills++
		}
	}
	s := ask(t, killed)
	if diff := cmp.Diff(want, indexed(t, s)); diff != "" {
		t.Errorf("after %d kills: want -, got +\n%s", kills, diff)
	}
	var entries, ended, runs int
	if err := s.QueryRow("SELECT (SELECT sum(entries) FROM strip), (SELECT count(*) FROM run_end), (SELECT count(*) FROM run)").Scan(&entries, &ended, &runs); err != nil {
		t.Fatal(err)
	}
	if entries != len(want) || ended != runs {
		t.Errorf("after %d kills the ledger has %d entries for %d commits, and %d of %d runs have ended", kills, entries, len(want), ended, runs)
	}
	if kills == 0 {
		t.Error("nothing was killed")
	}
	var problem string
	if err := s.QueryRow("PRAGMA integrity_check").Scan(&problem); err != nil || !strings.EqualFold(problem, "ok") {
		t.Errorf("integrity: %v %s", err, problem)
	}
}
