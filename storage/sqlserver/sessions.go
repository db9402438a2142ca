package sqlserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// kept are connections that stay as they are between verbs. A pool's own would be reset each time: that
// takes a round trip,
// for the settings of the session, and drops its temporary tables.
type kept struct {
	db     *sql.DB
	slots  chan struct{} // one for each connection that is in use
	resets bool          // the connections are reset between verbs all the same
	mu     sync.Mutex
	idle   []idle
}

type idle struct {
	conn  *sql.Conn
	since time.Time
}

// maxIdle is how long a connection may be unused: a gateway may drop such a one without a word.
const maxIdle = 4 * time.Minute

// keep opens at most n connections, which are given up when the server is silent for so long.
func (a *address) keep(n int, silence time.Duration) (*kept, error) {
	db, err := a.open(n, silence)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(-1)
	return &kept{db: db, slots: make(chan struct{}, n)}, nil
}

// get returns a connection, which put takes back.
func (k *kept) get(ctx context.Context) (*sql.Conn, error) {
	select {
	case k.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.idle); n > 0 {
		last := k.idle[n-1]
		if k.idle = k.idle[:n-1]; time.Since(last.since) < maxIdle {
			return last.conn, nil
		}
		k.idle = append(k.idle, last)
		k.dropIdle() // the others are unused for longer
	}
	conn, err := k.db.Conn(ctx)
	if err != nil {
		<-k.slots
	}
	return conn, err
}

// resetAll has each connection reset between verbs. Babelfish for PostgreSQL 4.4 needs that: when the plan
// of a statement that a
// session has executed before becomes invalid, it finds the statement's tables under wrong names.
func (k *kept) resetAll() {
	k.resets = true
	k.db.SetMaxIdleConns(cap(k.slots))
}

// put takes a connection back.
func (k *kept) put(conn *sql.Conn) {
	if k.resets {
		conn.Close() // gives it back to the pool; it has nothing to report
		<-k.slots
		return
	}
	k.mu.Lock()
	k.idle = append(k.idle, idle{conn, time.Now()})
	k.mu.Unlock()
	<-k.slots
}

// discard closes a connection that is in doubt. The server rolls back what it was in. If it broke, so have others.
func (k *kept) discard(conn *sql.Conn, broke bool) {
	discard(conn)
	if broke {
		k.drop()
	}
	<-k.slots
}

// drop closes the connections that nobody uses.
func (k *kept) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropIdle()
}

func (k *kept) dropIdle() {
	for _, i := range k.idle {
		discard(i.conn)
	}
	k.idle = nil
}

func (k *kept) close() error {
	k.drop()
	return k.db.Close()
}

func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close() // it has nothing to report
}

// maxDuplicates is how often a unique index may refuse a verb's rows before that is taken for
// what it is: a contradiction, and not a race.
const maxDuplicates = 5

// sessions returns the connections of a verb, and how often it is tried. One that is long may wait for
// hours for what it counts,
// and what fails after an hour is tried again as well.
func (c *engine) sessions(long bool) (*kept, storage.Policy) {
	if !long {
		return c.usual, c.policy
	}
	policy := c.policy
	policy.Total = max(policy.Total, 12*time.Hour)
	return c.patient, policy
}

// Read implements sqlcatalog.Dialect. Each statement sees what is committed when it runs.
func (c *engine) Read(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	connections, policy := c.sessions(long)
	return c.again(ctx, policy, func() error { return c.on(ctx, connections, do) })
}

// Write implements sqlcatalog.Dialect.
func (c *engine) Write(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	connections, policy := c.sessions(long)
	return c.again(ctx, policy, func() error {
		return c.on(ctx, connections, func(t *sqlcatalog.Tx) error { return transact(t, do) })
	})
}

// again runs attempt until it succeeds or fails for good.
func (c *engine) again(ctx context.Context, policy storage.Policy, attempt func() error) error {
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

// on runs do on a connection, which is closed if anything fails on it.
func (c *engine) on(ctx context.Context, connections *kept, do func(*sqlcatalog.Tx) error) (err error) {
	conn, err := connections.get(ctx)
	if err != nil {
		return err
	}
	t := c.verbs.NewTx(ctx, conn)
	returned := false
	defer func() {
		if t.InDoubt || !returned { // do may have panicked, in the midst of anything
			connections.discard(conn, err != nil && broken(err))
			return
		}
		connections.put(conn)
	}()
	err = do(t)
	returned = true
	return err
}

// transact does not use database/sql's own transactions. Those are rolled back by another
// goroutine when their context ends, and whatever else happened before: a ROLLBACK in the midst
// of a bulk copy is taken for a row. A connection in doubt is to be closed, without another word,
// and once only: the driver gives its buffer back each time.
func transact(t *sqlcatalog.Tx, do func(*sqlcatalog.Tx) error) error {
	if err := control(t, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	err := do(t)
	if err == nil {
		err = t.Context.Err()
	}
	if err == nil {
		return control(t, "COMMIT TRANSACTION")
	}
	if !t.InDoubt { // only the catalogue's own rules were broken, and the connection is good
		_ = control(t, "ROLLBACK TRANSACTION")
	}
	return err
}

// control is not interrupted: the answer of a COMMIT is worth more than the time.
func control(t *sqlcatalog.Tx, statement string) error {
	_, err := t.Conn.ExecContext(context.WithoutCancel(t.Context), statement)
	return t.Doubt(err)
}

// Change implements sqlcatalog.Dialect. The server is asked for the number of rows: the driver adds up all numbers that
// come back, those of other programs' triggers among them.
func (c *engine) Change(t *sqlcatalog.Tx, text string, args []any) (n int64, err error) {
	err = t.Conn.QueryRowContext(t.Context, text+`; SELECT CONVERT(bigint, @@ROWCOUNT)`, args...).Scan(&n)
	return n, err
}

// Insert implements sqlcatalog.Dialect. The number is not had through OUTPUT, which a table with a trigger
// of another program's refuses (error 334).
func (c *engine) Insert(t *sqlcatalog.Tx, text string, args []any) (id int64, err error) {
	err = t.Conn.QueryRowContext(t.Context, text+`; SELECT CONVERT(bigint, SCOPE_IDENTITY())`, args...).Scan(&id)
	return id, err
}
