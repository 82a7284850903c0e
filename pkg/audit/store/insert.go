package store

import (
	"context"
	"database/sql"
	"strings"
)

// maxArgs is what one statement may bind; SQLite takes up to 32,766.
const maxArgs = 500

// An Insert adds rows to a table, many with each statement. Its methods do nothing
// after an error, which Flush returns.
type Insert struct {
	ctx     context.Context
	tx      *sql.Tx
	head    string
	columns int
	args    []any
	err     error
}

// Into prepares rows of a table, which go in with the transaction. Flush must be called.
func Into(ctx context.Context, tx *sql.Tx, table string, columns ...string) *Insert {
	return &Insert{ctx: ctx, tx: tx, columns: len(columns),
		head: "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES "}
}

// Row adds one row, with a value for each column.
func (i *Insert) Row(values ...any) {
	i.args = append(i.args, values...)
	if len(i.args)+i.columns > maxArgs {
		i.write()
	}
}

func (i *Insert) write() {
	if i.err == nil && len(i.args) > 0 {
		row := "(?" + strings.Repeat(",?", i.columns-1) + ")"
		_, i.err = i.tx.ExecContext(i.ctx, i.head+row+strings.Repeat(","+row, len(i.args)/i.columns-1), i.args...)
	}
	i.args = i.args[:0]
}

// Flush writes what is left.
func (i *Insert) Flush() error {
	i.write()
	return i.err
}
