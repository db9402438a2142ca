package schema

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// NewerError is returned for a database that a newer program has changed.
type NewerError struct {
	Applied, Known int // numbers of the last steps
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has schema step %d, but this program knows %d: use a newer ingest",
		e.Applied, e.Known)
}

// Report is what Apply did, or would do.
type Report struct {
	Server  Server
	Applied int    // number of the last step that the database had before; 0 for none
	Steps   []Step // steps that were or would be executed
	// Repairs is set if the database has all steps but lacks something that they made.
	Repairs bool
	// Left are the tables that still differ after Apply, which does not change what exists. In a
	// preview, they are the tables that differ now.
	Left []Table
}

// createSteps runs under the lock: two processes never run it at once.
const createSteps = `/* ingest: create-steps */
IF OBJECT_ID(N'dbo.SchemaSteps', N'U') IS NULL
CREATE TABLE dbo.SchemaSteps (
	Number    int NOT NULL,
	Name      nvarchar(200) NOT NULL,
	AppliedAt datetime2 NOT NULL CONSTRAINT DF_SchemaSteps_AppliedAt DEFAULT (SYSUTCDATETIME()),
	CONSTRAINT PK_SchemaSteps PRIMARY KEY CLUSTERED (Number)
)`

// lockSchema makes other processes wait until the transaction ends. It fails after a minute
// (51001).
const lockSchema = `/* ingest: lock-schema */
DECLARE @got int;
EXEC @got = sp_getapplock @Resource = N'ingest:schema', @LockMode = N'Exclusive', @LockOwner = N'Transaction',
	@LockTimeout = 60000;
IF @got < 0 THROW 51001, N'another process has been changing the schema for a minute', 1;`

// Plan returns the steps that SchemaSteps of the SQL Server database db lacks.
func Plan(ctx context.Context, db querier) (*Report, error) {
	r := &Report{}
	var err error
	if r.Server, err = Inspect(ctx, db); err != nil {
		return nil, err
	}
	steps, err := r.Server.Script()
	if err != nil {
		return nil, err
	}
	if r.Applied, err = applied(ctx, db); err != nil {
		return nil, err
	}
	if r.Applied > len(steps) {
		return nil, &NewerError{Applied: r.Applied, Known: len(steps)}
	}
	r.Steps = steps[r.Applied:]
	return r, nil
}

// applied returns the number of the last step that the database has. It reads the answers to their end: sql.Row
// may lose an error after the row, such as a deadlock.
func applied(ctx context.Context, db querier) (int, error) {
	var exists bool
	err := each(ctx, db, func(row *sql.Rows) error { return row.Scan(&exists) }, `/* ingest: find-steps */
SELECT CASE WHEN OBJECT_ID(N'dbo.SchemaSteps', N'U') IS NULL THEN 0 ELSE 1 END`)
	if err != nil || !exists {
		return 0, err
	}
	var last int
	err = each(ctx, db, func(row *sql.Rows) error { return row.Scan(&last) },
		`/* ingest: last-step */ SELECT COALESCE(MAX(Number), 0) FROM dbo.SchemaSteps`)
	return last, err
}

// Preview returns what Apply would do to the SQL Server database db.
func Preview(ctx context.Context, db querier) (*Report, error) {
	r, err := Plan(ctx, db)
	if err != nil || len(r.Steps) > 0 {
		return r, err
	}
	if r.Left, err = differing(ctx, db); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(r.Left, func(t Table) bool { return t.Missing || len(t.Lacks) > 0 }) {
		return r, nil // no step changes what exists but differs
	}
	r.Repairs = true
	r.Steps, err = r.Server.Script() // a step skips what exists
	return r, err
}

// differing returns the tables that are not as they should be.
func differing(ctx context.Context, db querier) ([]Table, error) {
	checked, err := Check(ctx, db)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(checked.Tables, func(t Table) bool { return t.OK() }), nil
}

// Apply applies the missing steps to the SQL Server database db. Each batch of a step is one
// transaction. It locks a table (Sch-M) for as long as the batch takes; it waits for that lock for
// a few seconds only, since others queue up behind it, and then retries. After an error, earlier
// batches stay applied, and the report lists the completed steps. A batch skips what exists, so
// Apply may be repeated, and makes again what was dropped. Two processes that call Apply at once
// wait for each other.
func Apply(ctx context.Context, db *sql.DB) (*Report, error) {
	r, err := Preview(ctx, db)
	if err != nil {
		return nil, err
	}
	steps, before := r.Steps, r.Left
	r.Steps, r.Left = nil, nil
	for _, step := range steps {
		done, err := applyStep(ctx, db, step, r.Repairs)
		if err != nil {
			return r, fmt.Errorf("schema step %d (%s): %w", step.Number, step.Name, err)
		}
		if done {
			r.Steps = append(r.Steps, step)
		}
	}
	if r.Left, err = differing(ctx, db); err != nil {
		return r, err
	}
	if r.Repairs && reflect.DeepEqual(before, r.Left) {
		r.Steps = nil // they repaired nothing
	}
	return r, nil
}

// applyStep reports whether this call, and not another process, applied the step. With repair, it
// executes a step that the database already has.
func applyStep(ctx context.Context, db *sql.DB, step Step, repair bool) (done bool, err error) {
	batches := Batches(step.SQL)
	for i := 0; i <= len(batches) && err == nil; i++ { // the last iteration records the step
		err = withRetry(ctx, db, func(tx *sql.Tx) error {
			last, err := applied(ctx, tx)
			if err != nil || last >= step.Number && !repair {
				return err
			}
			if i < len(batches) {
				_, err = tx.ExecContext(ctx, batches[i])
				return err
			}
			if done = true; repair {
				return nil
			}
			_, err = tx.ExecContext(ctx,
				`/* ingest: note-step */ INSERT INTO dbo.SchemaSteps (Number, Name) VALUES (@p1, @p2)`, step.Number,
				step.Name)
			return err
		})
	}
	return done && err == nil, err
}

// waitForTable bounds the wait for a table lock: while a schema change waits, all others wait
// behind it.
const waitForTable = `/* ingest: lock-timeout */ SET LOCK_TIMEOUT 3000`

// SQL Server's error numbers of a lock timeout and of a deadlock's victim.
const (
	lockTimeout = 1222
	deadlock    = 1205
)

// attempts bounds the attempts of a change that did not get its lock. Others use the table during
// the pauses.
const (
	attempts = 20
	pause    = 3 * time.Second
)

// withRetry runs do in a transaction under lockSchema, and again if a table was locked.
func withRetry(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := once(ctx, db, do)
		var refused interface{ SQLErrorNumber() int32 }
		if !errors.As(err, &refused) || refused.SQLErrorNumber() != lockTimeout &&
			refused.SQLErrorNumber() != deadlock || attempt == attempts {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func once(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // returns it to the pool; always nil
	return within(ctx, conn, func(tx *sql.Tx) error {
		for _, query := range []string{lockSchema, createSteps, waitForTable} {
			if _, err := tx.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// within runs do in a transaction. After an error the connection is not used again: the server
// rolls back its transaction.
func within(ctx context.Context, conn *sql.Conn, do func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	if err = do(tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		_ = tx.Rollback() // may have ended already
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}
