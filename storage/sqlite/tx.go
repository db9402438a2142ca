package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"time"
)

// tx is a transaction: one that writes, or one that reads a single state of things.
type tx struct {
	ctx  context.Context
	conn *sql.Conn
}

// write runs do in a transaction, which commits if do returns nil, and does
// nothing otherwise. Transactions of this process wait for each other here, and
// those of other processes in BEGIN IMMEDIATE.
func (c *Catalog) write(ctx context.Context, do func(*tx) error) error {
	return c.explain(c.transact(ctx, func(tx *tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return c.inPlace()
	}))
}

// inPlace makes sure that the file that is written to is still the one at the catalogue's path: rows that went
// into one that was removed or renamed would be found by nobody.
func (c *Catalog) inPlace() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return fmt.Errorf("the file was removed or renamed while it was in use: %w", err)
	}
	if !os.SameFile(info, c.file) {
		return errors.New("another file has taken its place while it was in use")
	}
	return nil
}

func (c *Catalog) transact(ctx context.Context, do func(*tx) error) error {
	return within(ctx, c.writer, "BEGIN IMMEDIATE", do)
}

// read runs do on one state of the database, whatever is committed meanwhile.
func (c *Catalog) read(ctx context.Context, do func(*tx) error) error {
	return c.explain(within(ctx, c.reader, "BEGIN", do))
}

// within does not use database/sql's own transactions: those are rolled back
// by another goroutine when ctx ends, and what Record then executed next on
// the bare connection would commit by itself.
func within(ctx context.Context, db *sql.DB, begin string, do func(*tx) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // gives it back to the pool; it has nothing to report
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		discard(conn) // an interrupted BEGIN may have taken effect
		return err
	}
	finished := false
	defer func() {
		if !finished {
			discard(conn)
		}
	}()
	if err := do(&tx{ctx, conn}); err != nil {
		return err
	}
	// A commit is not interrupted: its answer is worth more than the time.
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return err
	}
	finished = true
	return nil
}

// discard rolls back; a connection where even that fails is not used again.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(raw any) error {
		// After some errors SQLite has rolled back by itself, and says that there is
		// no transaction. The two cases cannot be told apart here; a new
		// connection costs little.
		_, err := raw.(driver.ExecerContext).ExecContext(context.Background(), "ROLLBACK", nil)
		if err != nil {
			return driver.ErrBadConn
		}
		return nil
	})
}

func (t *tx) exec(query string, args ...any) (int64, error) {
	result, err := t.conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert returns the new row's ID.
func (t *tx) insert(query string, args ...any) (int64, error) {
	result, err := t.conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// all executes the queries in turn, each with the same arguments.
func (t *tx) all(queries []string, args ...any) error {
	for _, query := range queries {
		if _, err := t.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) one(query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.ctx, query, args...)
}

// each calls row for each row, which scans it. row may not use the transaction.
func (t *tx) each(row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// nowMs is the database's clock, in Unix milliseconds.
const nowMs = `CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)`

// nowText is the database's clock as the columns of times have it.
const nowText = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`

// parseTime reads a column of a time; the zero time for NULL.
func parseTime(text sql.NullString) (time.Time, error) {
	if text.String == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text.String)
}
