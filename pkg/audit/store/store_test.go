package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
)

func TestStore(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	file := filepath.Join(dir, "an index? #1%.db")
	t.Run("what is not there cannot be asked", func(t *testing.T) {
		if _, err := store.Open(ctx, file); !errors.Is(err, store.ErrNoIndex) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file of any name is made, and opened again", func(t *testing.T) {
		for range 2 {
			s, err := store.Create(ctx, file)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := store.Open(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var n int
		if err := s.QueryRow("SELECT count(*) FROM run").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d runs: %v", n, err)
		}
	})
	t.Run("a transaction that fails leaves nothing", func(t *testing.T) {
		s, err := store.Create(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		failed := errors.New("failed")
		err = s.Do(ctx, func(tx *sql.Tx) error {
			rows := store.Into(ctx, tx, "run", "id", "began", "program")
			for i := range 400 {
				rows.Row(i, 1, "test")
			}
			return errors.Join(rows.Flush(), failed)
		})
		if !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		var n int
		if err := s.QueryRow("SELECT count(*) FROM run").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d runs are left: %v", n, err)
		}
	})
	t.Run("rows of many statements go in whole", func(t *testing.T) {
		s, err := store.Create(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Do(ctx, func(tx *sql.Tx) error {
			rows := store.Into(ctx, tx, "run", "id", "began", "program")
			for i := range 1001 {
				rows.Row(i, i, "test")
			}
			return rows.Flush()
		}); err != nil {
			t.Fatal(err)
		}
		var n, sum int
		if err := s.QueryRow("SELECT count(*), sum(began) FROM run").Scan(&n, &sum); err != nil || n != 1001 || sum != 500500 {
			t.Errorf("%d rows that add up to %d: %v", n, sum, err)
		}
	})
	t.Run("what is something else is left alone", func(t *testing.T) {
		other := filepath.Join(dir, "other.db")
		if err := os.WriteFile(other, []byte("schema = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		foreign := filepath.Join(dir, "foreign.db")
		db, err := sql.Open("sqlite", foreign)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("CREATE TABLE mine (x)"); err != nil {
			t.Fatal(err)
		}
		db.Close()
		for _, name := range []string{other, foreign} {
			before, _ := os.ReadFile(name)
			for _, open := range []func(context.Context, string) (*store.Store, error){store.Create, store.Open} {
				if _, err := open(ctx, name); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%s: got %v", name, err)
				}
			}
			if after, _ := os.ReadFile(name); string(after) != string(before) {
				t.Errorf("%s was changed", name)
			}
		}
	})
	t.Run("an index of a later version is refused", func(t *testing.T) {
		later := filepath.Join(dir, "later.db")
		s, err := store.Create(ctx, later)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Exec("PRAGMA user_version = 9"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if _, err := store.Open(ctx, later); err == nil || !strings.Contains(err.Error(), "it has version 9") {
			t.Errorf("got %v", err)
		}
	})
}
