package sqlcatalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/hartonomous/ingest/ingest"
)

// Tx is a write transaction, or the connection on which a verb reads.
type Tx struct {
	Context context.Context
	Conn    *sql.Conn
	// InDoubt is set when a statement fails: the state of the connection is then unknown.
	InDoubt bool
	caller  context.Context
	c       *Catalog
}

// Err returns an error if the caller's context has ended. Context may not end with it.
func (t *Tx) Err() error { return t.caller.Err() }

// NewTx returns a Tx for a dialect, which keeps conn for it while it is in use.
func (c *Catalog) NewTx(ctx context.Context, conn *sql.Conn) *Tx {
	return &Tx{Context: ctx, Conn: conn, caller: ctx, c: c}
}

// Doubt sets InDoubt if err is an error of a statement, and returns err.
func (t *Tx) Doubt(err error) error {
	if err != nil && !noRows(err) {
		t.InDoubt = true
	}
	return err
}

// bind converts arguments for the driver. They are named p1 and so on, as one may become several
// parameters.
func (t *Tx) bind(args []any) []any {
	bound := make([]any, 0, len(args)+8)
	for i, arg := range args {
		name := "p" + strconv.Itoa(i+1)
		parameters := t.c.dialect.Bind(name, arg)
		for _, p := range parameters {
			bound = append(bound, p)
		}
		if parameters == nil {
			bound = append(bound, sql.Named(name, arg))
		}
	}
	return bound
}

// Exec executes a statement; nothing if its text is empty.
func (t *Tx) Exec(s *Statement, args ...any) error {
	text := t.c.text(s)
	if text == "" {
		return nil
	}
	_, err := t.Conn.ExecContext(t.Context, text, t.bind(args)...)
	return t.Doubt(err)
}

// Change executes a statement and returns how many rows it changed.
func (t *Tx) Change(s *Statement, args ...any) (int64, error) {
	text := t.c.text(s)
	if text == "" {
		return 1, nil
	}
	n, err := t.c.dialect.Change(t, text, t.bind(args))
	return n, t.Doubt(err)
}

// insert executes a statement that inserts one row, and returns its number.
func (t *Tx) insert(s *Statement, args ...any) (int64, error) {
	id, err := t.c.dialect.Insert(t, t.c.text(s), t.bind(args))
	return id, t.Doubt(err)
}

// Scanner is a row. Its targets may be those of [Encoding].Field.
type Scanner interface{ Scan(dest ...any) error }

// row scans with the fields of the dialect.
type row struct {
	t    *Tx
	from Scanner
}

// Scan implements Scanner.
func (r row) Scan(dest ...any) error {
	columns := make([]any, 0, len(dest)+8)
	var fields []*Field
	for _, d := range dest {
		if f := r.t.c.dialect.Field(d); f != nil {
			fields = append(fields, f)
			columns = append(columns, f.Columns...)
			continue
		}
		columns = append(columns, d)
	}
	if err := r.from.Scan(columns...); err != nil {
		return r.t.Doubt(err)
	}
	for _, f := range fields {
		if f.Set == nil {
			continue
		}
		if err := f.Set(); err != nil {
			return err
		}
	}
	return nil
}

// One executes a query for one row. Without one, Scan returns sql.ErrNoRows.
func (t *Tx) One(s *Statement, args ...any) Scanner {
	return row{t, t.First(t.c.text(s), t.bind(args))}
}

// First executes a query for one row, with a text and arguments for the driver. The caller reports
// its error with Doubt.
func (t *Tx) First(text string, args []any) Scanner {
	rows, err := t.Conn.QueryContext(t.Context, text, args...)
	return first{rows, err}
}

// first is like [sql.Row], but reads the answer to its end. [sql.Row] cancels what follows the row.
// An error there may be lost, and a cancelled batch may roll back its transaction: the next
// statements would be executed outside of one.
type first struct {
	rows *sql.Rows
	err  error // instead of rows
}

// Scan implements Scanner.
func (f first) Scan(dest ...any) error {
	if f.err != nil {
		return f.err
	}
	defer f.rows.Close() // for a failed Scan: Next closes rows at their end
	if !f.rows.Next() {
		return cmp.Or(f.rows.Err(), sql.ErrNoRows)
	}
	if err := f.rows.Scan(dest...); err != nil {
		return err
	}
	for f.rows.Next() || f.rows.NextResultSet() { // those of other programs' triggers
	}
	return f.rows.Err()
}

// Each calls do for each row. do must not use the transaction.
func (t *Tx) Each(do func(Scanner) error, s *Statement, args ...any) error {
	rows, err := t.Conn.QueryContext(t.Context, t.c.text(s), t.bind(args)...)
	if err != nil {
		return t.Doubt(err)
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		if err := do(row{t, rows}); err != nil {
			return t.Doubt(err)
		}
	}
	return t.Doubt(rows.Err())
}

// found scans one row and reports whether there is one.
func (t *Tx) found(from Scanner, dest ...any) (bool, error) {
	err := from.Scan(dest...)
	if noRows(err) {
		return false, nil
	}
	return err == nil, err
}

var hold = shared("hold", `SELECT CASE WHEN {expires} IS NULL THEN 0 ELSE 1 END FROM dbo.IngestionJobs
	WHERE IngestionJobId = @p1 AND LeaseToken = @p2`)

// Hold returns an error if lease was taken over. An expired lease that nobody took over still
// holds: a takeover changes the token.
func (t *Tx) Hold(lease ingest.Lease) error {
	var held bool
	there, err := t.found(t.One(hold, lease.Job, lease.Token), &held)
	if err == nil && !(there && held) {
		return lost(lease)
	}
	return err
}

// fence is Hold as the last statement of a transaction. It changes nothing, but locks the row of
// the job (X) until the commit: a takeover waits for the commit, or came first, and then this
// transaction fails. As it comes last, batches of one job wait only for each other's commits. An
// engine with a single writer needs no lock.
var fence = differs("fence")

// Fence returns an error at the end of a transaction if lease no longer holds.
func (t *Tx) Fence(lease ingest.Lease) error {
	n, err := t.Change(fence, lease.Job, lease.Token)
	if err == nil && n == 0 {
		return lost(lease)
	}
	return err
}

func lost(lease ingest.Lease) error { return fmt.Errorf("job %d: %w", lease.Job, ingest.ErrLeaseLost) }

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
