package sqlserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// tx is a transaction that writes, or a connection on which a verb reads.
type tx struct {
	ctx    context.Context
	c      *Catalog
	conn   *sql.Conn
	failed bool // something failed on the connection: it is in doubt
}

// maxDuplicates is how often a unique index may refuse a verb's rows before that is taken for
// what it is: a contradiction, and not a race.
const maxDuplicates = 5

// write runs do in a transaction that commits if do returns nil, and does nothing
// otherwise. It is called again after an error that may pass, also when the commit happened
// and its answer was lost: do finds then what it did.
func (c *Catalog) write(ctx context.Context, do func(*tx) error) error {
	return c.again(ctx, c.policy, func() error { return c.transact(ctx, c.db, do) })
}

// again runs attempt, a transaction, until it succeeds or fails for good.
func (c *Catalog) again(ctx context.Context, policy storage.Policy, attempt func() error) error {
	duplicates := 0
	return storage.Do(ctx, policy, func() error {
		err := c.explain(attempt())
		if err != nil && duplicate(err) {
			if duplicates++; duplicates > maxDuplicates {
				return &fault{name: c.name, err: errors.Unwrap(err)}
			}
		}
		return err
	})
}

// writeUnder is write for a verb under a lease, which must hold at the commit.
func (c *Catalog) writeUnder(ctx context.Context, lease ingest.Lease, do func(*tx) error) error {
	return c.write(ctx, under(lease, do))
}

// writeLong is long for a verb under a lease.
func (c *Catalog) writeLong(ctx context.Context, lease ingest.Lease, do func(*tx) error) error {
	return c.long(ctx, under(lease, do))
}

// long is write for a transaction that may count or remove very many rows: the server is silent meanwhile, and what fails
// after an hour is tried again as well.
func (c *Catalog) long(ctx context.Context, do func(*tx) error) error {
	policy := c.policy
	policy.Total = max(policy.Total, 12*time.Hour)
	return c.again(ctx, policy, func() error { return c.transact(ctx, c.patient, do) })
}

func under(lease ingest.Lease, do func(*tx) error) func(*tx) error {
	return func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
		if err := do(tx); err != nil {
			return err
		}
		return tx.fence(lease)
	}
}

// read runs do on one connection. Each of its statements sees what is committed when it runs.
func (c *Catalog) read(ctx context.Context, do func(*tx) error) error {
	return storage.Do(ctx, c.policy, func() error {
		return c.explain(c.on(ctx, c.db, do))
	})
}

// on runs do on a connection, which is thrown away if anything fails on it.
func (c *Catalog) on(ctx context.Context, db *sql.DB, do func(*tx) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, c: c, conn: conn}
	returned := false
	defer func() {
		if t.failed || !returned { // do may have panicked, in the midst of anything
			discard(conn)
		}
		conn.Close() // gives it back to the pool; it has nothing to report
	}()
	err = do(t)
	returned = true
	return err
}

// transact does not use database/sql's own transactions. Those are rolled back by another
// goroutine when their context ends, and whatever else happened before: a ROLLBACK in the midst
// of a bulk copy is taken for a row. A connection in doubt is to be closed, without another word,
// and once only: the driver gives its buffer back each time.
func (c *Catalog) transact(ctx context.Context, db *sql.DB, do func(*tx) error) error {
	return c.on(ctx, db, func(t *tx) error {
		if err := t.control("BEGIN TRANSACTION"); err != nil {
			return err
		}
		err := do(t)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			return t.control("COMMIT TRANSACTION")
		}
		if !t.failed { // only the catalogue's own rules were broken, and the connection is good
			_ = t.control("ROLLBACK TRANSACTION")
		}
		return err
	})
}

// control is not interrupted: the answer of a COMMIT is worth more than the time.
func (t *tx) control(statement string) error {
	_, err := t.conn.ExecContext(context.WithoutCancel(t.ctx), statement)
	return t.doubt(err)
}

// discard closes a connection instead of giving it back. The server rolls back what it was in.
func discard(conn *sql.Conn) { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }

// doubt notes that something failed on the connection, and returns what it was.
func (t *tx) doubt(err error) error {
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.failed = true
	}
	return err
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.conn.ExecContext(t.ctx, query, args...)
	return t.doubt(err)
}

// change executes a statement and returns how many rows it changed. The server is asked for that: the
// driver adds up all numbers that come back, those of other programs' triggers among them.
func (t *tx) change(query string, args ...any) (n int64, err error) {
	err = t.one(query+`; SELECT CONVERT(bigint, @@ROWCOUNT)`, args...).Scan(&n)
	return n, err
}

// insert returns the new row's ID. It is not had through OUTPUT, which a table with a trigger
// of another program's refuses (error 334).
func (t *tx) insert(query string, args ...any) (int64, error) {
	var id int64
	err := t.one(query+`; SELECT CONVERT(bigint, SCOPE_IDENTITY())`, args...).Scan(&id)
	return id, err
}

// do executes queries in turn, each with the same arguments.
func (t *tx) do(queries []string, args ...any) error {
	for _, query := range queries {
		if err := t.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

// row is a row that notes when reading it fails.
type row struct {
	*sql.Row
	t *tx
}

// Scan is that of *sql.Row.
func (r row) Scan(dest ...any) error { return r.t.doubt(r.Row.Scan(dest...)) }

func (t *tx) one(query string, args ...any) row {
	return row{t.conn.QueryRowContext(t.ctx, query, args...), t}
}

// each calls row for each row, which scans it. row may not use the connection.
func (t *tx) each(row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err != nil {
		return t.doubt(err)
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		if err := row(rows); err != nil {
			return t.doubt(err)
		}
	}
	return t.doubt(rows.Err())
}

// hold makes sure, at the start of a transaction, that lease has not been taken over. One that
// lapsed and that nobody wanted still holds: whoever takes it changes the token.
func (t *tx) hold(lease ingest.Lease) error {
	var held bool
	err := t.one(`/* ingest: hold */ SELECT CASE WHEN LeaseExpires IS NULL THEN 0 ELSE 1 END FROM dbo.IngestionJobs
		WHERE IngestionJobId = @p1 AND LeaseToken = @p2`, lease.Job, lease.Token).Scan(&held)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !held {
		return fmt.Errorf("job %d: %w", lease.Job, ingest.ErrLeaseLost)
	}
	return err
}

// fence makes sure of it once more, as the last statement of the transaction. It changes
// nothing, and locks the row of the job (X) until the commit: who wants to take the lease over
// waits for that, or was first, and then nothing commits here. Being last, it makes the batches of
// one job wait for each other's commit and for nothing else.
func (t *tx) fence(lease ingest.Lease) error {
	n, err := t.change(`/* ingest: fence */ UPDATE dbo.IngestionJobs SET LeaseToken = LeaseToken
		WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND LeaseExpires IS NOT NULL`, lease.Job, lease.Token)
	if err == nil && n == 0 {
		return fmt.Errorf("job %d: %w", lease.Job, ingest.ErrLeaseLost)
	}
	return err
}
