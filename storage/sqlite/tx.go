package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// Write implements sqlcatalog.Sessions. Transactions of this process wait for the connection, and
// those of other processes in BEGIN IMMEDIATE.
func (c *connections) Write(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	do = uninterrupted(long, do)
	return c.explain(c.within(ctx, c.writer, "BEGIN IMMEDIATE", func(t *sqlcatalog.Tx) error {
		if err := do(t); err != nil {
			return err
		}
		return c.inPlace()
	}))
}

// inPlace returns an error unless the open file is still the one at the catalogue's path: rows
// written to a file that was removed or renamed would be lost.
func (c *connections) inPlace() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return fmt.Errorf("the file was removed or renamed while it was in use: %w", err)
	}
	if !os.SameFile(info, c.file) {
		return errors.New("another file has replaced it while it was in use")
	}
	return nil
}

// Read implements sqlcatalog.Sessions. It reads one snapshot.
func (c *connections) Read(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	return c.explain(c.within(ctx, c.reader, "BEGIN", uninterrupted(long, do)))
}

// uninterrupted returns do for a short transaction, whose statements the end of its context does not
// interrupt once it has begun: the driver would start a goroutine for each. Loops call Tx.Err.
func uninterrupted(long bool, do func(*sqlcatalog.Tx) error) func(*sqlcatalog.Tx) error {
	if long {
		return do
	}
	return func(t *sqlcatalog.Tx) error {
		t.Context = context.WithoutCancel(t.Context)
		return do(t)
	}
}

// within does not use the transactions of database/sql: when ctx ends, another goroutine rolls
// those back, and statements that Record then executes on the raw connection would commit by
// themselves.
func (c *connections) within(ctx context.Context, db *sql.DB, text string, do func(*sqlcatalog.Tx) error) error {
	conn, err := begin(ctx, db, text)
	if err != nil {
		return err
	}
	defer conn.Close() // returns it to the pool; always nil
	finished := false
	defer func() {
		if !finished {
			rollBack(conn)
		}
	}()
	if err := do(c.catalog.NewTx(ctx, conn)); err != nil {
		return err
	}
	// A commit is not interrupted: its outcome must be known.
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return err
	}
	finished = true
	return nil
}

// begin begins a transaction on a connection of db.
func begin(ctx context.Context, db *sql.DB, text string) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, text); err != nil {
		rollBack(conn) // an interrupted BEGIN may have taken effect
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// rollBack rolls back. If that fails, the connection is not used again.
func rollBack(conn *sql.Conn) {
	_ = conn.Raw(func(raw any) error {
		// After some errors SQLite has rolled back by itself, and this ROLLBACK fails, too. That
		// case cannot be told apart here; a new connection costs little.
		_, err := raw.(driver.ExecerContext).ExecContext(context.Background(), "ROLLBACK", nil)
		if err != nil {
			return driver.ErrBadConn
		}
		return nil
	})
}

// Change implements sqlcatalog.Sessions.
func (c *connections) Change(t *sqlcatalog.Tx, text string, args []any) (int64, error) {
	result, err := t.Conn.ExecContext(t.Context, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Insert implements sqlcatalog.Sessions.
func (c *connections) Insert(t *sqlcatalog.Tx, text string, args []any) (int64, error) {
	result, err := t.Conn.ExecContext(t.Context, text, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// execute and one take SQL of this package, not of sqlcatalog.
func execute(t *sqlcatalog.Tx, text string, args ...any) error {
	_, err := t.Conn.ExecContext(t.Context, text, args...)
	return err
}

func one(t *sqlcatalog.Tx, text string, args ...any) *sql.Row {
	return t.Conn.QueryRowContext(t.Context, text, args...)
}
