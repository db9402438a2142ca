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

// NewerError says that a database was changed by a newer program than this one.
type NewerError struct {
	Applied, Known int // numbers of the last steps
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has schema step %d and this program knows %d: use a newer ingest", e.Applied,
		e.Known)
}

// Report is what Apply did, or what it would do.
type Report struct {
	Server  Server
	Applied int    // number of the last step that the database had before; 0 for none
	Steps   []Step // those that it lacked, as they were or would be executed
	// Mends is set if the database has been through the steps, and somebody has removed since what they made.
	Mends bool
	// Left are the tables that are not as they should be: after Apply, which does not change what was there; or
	// now, where this is what Apply would do.
	Left []Table
}

// createSteps is executed under the lock, so no two processes do it at once.
const createSteps = `/* ingest: create-steps */
IF OBJECT_ID(N'dbo.SchemaSteps', N'U') IS NULL
CREATE TABLE dbo.SchemaSteps (
	Number    int NOT NULL,
	Name      nvarchar(200) NOT NULL,
	AppliedAt datetime2 NOT NULL CONSTRAINT DF_SchemaSteps_AppliedAt DEFAULT (SYSUTCDATETIME()),
	CONSTRAINT PK_SchemaSteps PRIMARY KEY CLUSTERED (Number)
)`

// lockSchema holds off other processes until the transaction ends. It fails after a minute (51001).
const lockSchema = `/* ingest: lock-schema */
DECLARE @got int;
EXEC @got = sp_getapplock @Resource = N'ingest:schema', @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 60000;
IF @got < 0 THROW 51001, N'another process has been changing the schema for a minute', 1;`

// Plan returns which steps the SQL Server database db lacks by its own account.
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

// applied returns the number of the last step that the database has.
func applied(ctx context.Context, db querier) (int, error) {
	var there bool
	err := db.QueryRowContext(ctx,
		`/* ingest: find-steps */ SELECT CASE WHEN OBJECT_ID(N'dbo.SchemaSteps', N'U') IS NULL THEN 0 ELSE 1 END`).Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	var last int
	err = db.QueryRowContext(ctx,
		`/* ingest: last-step */ SELECT COALESCE(MAX(Number), 0) FROM dbo.SchemaSteps`).Scan(&last)
	return last, err
}

// Preview returns what Apply would do to the SQL Server database db.
func Preview(ctx context.Context, db querier) (*Report, error) {
	r, err := Plan(ctx, db)
	if err != nil || len(r.Steps) > 0 {
		return r, err
	}
	if r.Left, err = wrong(ctx, db); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(r.Left, func(t Table) bool { return t.Missing || len(t.Lacks) > 0 }) {
		return r, nil // what is there and different is no step's to change
	}
	r.Mends = true
	r.Steps, err = r.Server.Script() // each step leaves alone what is there
	return r, err
}

// wrong returns the tables that are not as they should be.
func wrong(ctx context.Context, db querier) ([]Table, error) {
	checked, err := Check(ctx, db)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(checked.Tables, func(t Table) bool { return t.OK() }), nil
}

// Apply brings the SQL Server database db to what this program knows. Each batch of a step is one
// transaction, which locks a
// table (Sch-M) for as long as it takes and no longer; it waits for that lock for a few seconds only, as
// others queue up
// behind it, and is tried again. After an error the batches before it stand, and the report says which steps do. Each
// batch leaves alone what is there, so that Apply can be called again. What was removed since a step made
// it is made again. Two
// processes that call it at once wait for each other.
func Apply(ctx context.Context, db *sql.DB) (*Report, error) {
	r, err := Preview(ctx, db)
	if err != nil {
		return nil, err
	}
	steps, before := r.Steps, r.Left
	r.Steps, r.Left = nil, nil
	for _, step := range steps {
		done, err := applyStep(ctx, db, step, r.Mends)
		if err != nil {
			return r, fmt.Errorf("schema step %d (%s): %w", step.Number, step.Name, err)
		}
		if done {
			r.Steps = append(r.Steps, step)
		}
	}
	if r.Left, err = wrong(ctx, db); err != nil {
		return r, err
	}
	if r.Mends && reflect.DeepEqual(before, r.Left) {
		r.Steps = nil // they found nothing that they could make again
	}
	return r, nil
}

// applyStep reports whether the step was this call's to apply, and not another process's. Where it is mending, it
// executes a step that the database has been through before.
func applyStep(ctx context.Context, db *sql.DB, step Step, mending bool) (done bool, err error) {
	batches := Batches(step.SQL)
	for i := 0; i <= len(batches) && err == nil; i++ { // one more notes the step
		err = patiently(ctx, db, func(tx *sql.Tx) error {
			last, err := applied(ctx, tx)
			if err != nil || last >= step.Number && !mending {
				return err
			}
			if i < len(batches) {
				_, err = tx.ExecContext(ctx, batches[i])
				return err
			}
			if done = true; mending {
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

// waitForTable bounds the wait for a table that is in use. Whoever comes after a change that waits, waits behind it.
const waitForTable = `/* ingest: lock-timeout */ SET LOCK_TIMEOUT 3000`

// What is known of an error by its number: a lock that was not had in time, and a deadlock's victim.
const (
	lockTimeout = 1222
	deadlock    = 1205
)

// patience is how often a change is tried that did not get its table, and how long others have it in between.
var patience = struct {
	attempts int
	pause    time.Duration
}{20, 3 * time.Second}

// patiently runs do in a transaction that no other process changes the schema beside, and again if a table was in use.
func patiently(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := once(ctx, db, do)
		var refused interface{ SQLErrorNumber() int32 }
		if !errors.As(err, &refused) || refused.SQLErrorNumber() != lockTimeout &&
			refused.SQLErrorNumber() != deadlock || attempt == patience.attempts {
			return err
		}
		select {
		case <-time.After(patience.pause):
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
	defer conn.Close() // gives it back; it has nothing to report
	return within(ctx, conn, func(tx *sql.Tx) error {
		for _, query := range []string{lockSchema, createSteps, waitForTable} {
			if _, err := tx.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// within runs do in a transaction. A connection on which something failed is not used again:
// the server rolls back what it was in.
func within(ctx context.Context, conn *sql.Conn, do func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	if err = do(tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		_ = tx.Rollback() // of what may have ended already
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}
