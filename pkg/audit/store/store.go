// Package store keeps the audit's index in one SQLite file: it knows how such a file is
// made, opened, locked and written to, and is the only one that links SQLite.
//
// The tables stand in schema.sql beside this file, with what their columns mean. It
// promises that no row is ever changed or taken away, that a process which is killed
// leaves whole transactions behind and nothing else, and that one process writes at a
// time. What the rows say is for package audit. A distributed engine can stand in its
// place: what it must offer is what database/sql does.
package store

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // registers the driver; its own start opens nothing

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

//go:embed schema.sql
var schema string

// version is that of the schema, in the file's user_version. applicationID tells our
// files from others; it spells "gkau".
const (
	version       = 2
	applicationID = 0x676b6175
)

// ErrNoIndex reports a file that is not there.
var ErrNoIndex = errors.New("there is no index")

// A Store is an open index. It may be used by several goroutines.
type Store struct {
	*sql.DB
	File   string
	unlock func()
}

// Create opens the index at a path for writing, and makes it when it is not there. It
// waits for another process that writes.
func Create(ctx context.Context, file string) (*Store, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if err := ours(file); err != nil && !errors.Is(err, ErrNoIndex) {
		return nil, fmt.Errorf("open index %s: %w", file, err)
	}
	unlock, err := repo.Lock(ctx, file+".lock")
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	s := &Store{File: file, unlock: unlock}
	if err := s.open(ctx, "rwc"); err != nil {
		s.Close()
		return nil, fmt.Errorf("open index %s: %w", file, err)
	}
	return s, nil
}

// Open opens an index that is there, for questions. The error wraps ErrNoIndex when it
// is not. Questions may be asked while another process writes.
func Open(ctx context.Context, file string) (*Store, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if err := ours(file); err != nil {
		return nil, fmt.Errorf("open index %s: %w", file, err)
	}
	s := &Store{File: file, unlock: func() {}}
	if err := s.open(ctx, "rw"); err != nil {
		s.Close()
		return nil, fmt.Errorf("open index %s: %w", file, err)
	}
	return s, nil
}

// ours refuses a file that is something else before SQLite touches it, by its header
// (https://www.sqlite.org/fileformat2.html#the_database_header). One that a killed
// process had only begun has no application id yet: it is a single page, or the rest of it
// stands in the log beside it.
func ours(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoIndex
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, 100)
	switch n, _ := io.ReadFull(f, head); {
	case n == 0:
		return nil
	case n < len(head) || string(head[:16]) != "SQLite format 3\x00":
		return errForeign
	}
	_, err = os.Stat(file + "-wal")
	begun := err == nil || info.Size() == int64(binary.BigEndian.Uint16(head[16:]))
	if id := binary.BigEndian.Uint32(head[68:]); id != applicationID && (id != 0 || !begun) {
		return errForeign
	}
	return nil
}

var errForeign = errors.New("this is no index of gatekeeper; name another file with --db")

// pragmas: a killed process loses nothing that was committed; a power cut may lose the
// last transactions, which the next run reads again.
var pragmas = []string{"busy_timeout(60000)", "journal_mode(WAL)", "synchronous(NORMAL)", "temp_store(MEMORY)"}

// What of pages is kept in memory for each connection: whoever writes comes back to them,
// and a question reads most of them once.
const (
	pagesToWrite = "cache_size(-32768)"
	pagesToAsk   = "cache_size(-8192)"
)

// mapped lets whoever only asks read the file without copying: up to a gigabyte of it,
// wherever rows are looked up, not one after the other.
const mapped = "mmap_size(1073741824)"

func (s *Store) open(ctx context.Context, mode string) error {
	pages := []string{pagesToAsk, mapped}
	if mode == "rwc" {
		pages = []string{pagesToWrite}
	}
	q := url.Values{"mode": {mode}, "_pragma": append(slices.Clone(pragmas), pages...), "_txlock": {"immediate"}}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(s.File), RawQuery: q.Encode()}
	if !strings.HasPrefix(name.Path, "/") { // a drive letter
		name.Path = "/" + name.Path
	}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return err
	}
	s.DB = db
	db.SetMaxOpenConns(4)
	if mode == "rwc" {
		db.SetMaxOpenConns(8) // one that writes, and those that look something up meanwhile
	}
	return s.begin(ctx, mode == "rwc")
}

// begin makes the tables of a new file and refuses one of another kind or time.
func (s *Store) begin(ctx context.Context, write bool) error {
	var id, v int
	if err := s.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := s.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	switch {
	case id == applicationID && v == version:
		return nil
	case id == applicationID:
		return fmt.Errorf("it has version %d, and this gatekeeper writes %d: index anew into another file", v, version)
	case id != 0 || v != 0:
		return errForeign
	case !write:
		return ErrNoIndex
	}
	var tables int
	if err := s.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return errForeign
	}
	return s.Do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("%s;PRAGMA application_id = %d; PRAGMA user_version = %d", schema, applicationID, version))
		return err
	})
}

// Do runs one transaction: all of it, or nothing when f fails.
func (s *Store) Do(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Close closes the file, and lets others write.
func (s *Store) Close() error {
	defer s.unlock()
	if s.DB == nil {
		return nil
	}
	return s.DB.Close()
}
