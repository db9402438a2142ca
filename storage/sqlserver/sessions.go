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

// kept is a pool whose connections keep their state between verbs. database/sql would reset them
// each time, which takes a round trip for the session's settings and drops temporary tables.
type kept struct {
	db     *sql.DB
	slots  chan struct{} // holds an item for each connection in use
	resets bool          // reset connections between verbs after all
	mu     sync.Mutex
	idle   []idle
}

type idle struct {
	conn  *sql.Conn
	since time.Time
}

// maxIdle is how long a connection may be unused: a gateway may silently drop it after that.
const maxIdle = 4 * time.Minute

// keep opens a pool of n connections, which fail if the server sends nothing for so long.
func (a *address) keep(n int, stall time.Duration) (*kept, error) {
	db, err := a.open(n, stall)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(-1)
	return &kept{db: db, slots: make(chan struct{}, n)}, nil
}

// get returns a connection. Return it with put or discard.
func (k *kept) get(ctx context.Context) (*sql.Conn, error) {
	select {
	case k.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if conn := k.unused(); conn != nil {
		return conn, nil
	}
	conn, err := k.db.Conn(ctx)
	if err != nil {
		<-k.slots
	}
	return conn, err
}

// unused returns the connection that was used last; nil if there is none, or it may have been
// dropped.
func (k *kept) unused() *sql.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.idle)
	if n == 0 {
		return nil
	}
	last := k.idle[n-1]
	if time.Since(last.since) >= maxIdle {
		k.dropIdle() // the others have been unused for even longer
		return nil
	}
	k.idle = k.idle[:n-1]
	return last.conn
}

// resetAll makes the pool reset each connection between verbs. Babelfish for PostgreSQL 4.4 needs
// that: when the plan of a statement that the session has executed becomes invalid, it finds the
// statement's tables under wrong names.
func (k *kept) resetAll() {
	k.resets = true
	k.db.SetMaxIdleConns(cap(k.slots))
}

// put returns a connection to the pool.
func (k *kept) put(conn *sql.Conn) {
	if k.resets {
		conn.Close() // returns it to database/sql's pool; always nil
		<-k.slots
		return
	}
	k.mu.Lock()
	k.idle = append(k.idle, idle{conn, time.Now()})
	k.mu.Unlock()
	<-k.slots
}

// discard drops a connection in doubt. The server rolls back. If it broke, others probably have,
// too.
func (k *kept) discard(conn *sql.Conn, broke bool) {
	discard(conn)
	if broke {
		k.drop()
	}
	<-k.slots
}

// drop drops the unused connections.
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
	conn.Close() // always nil
}

// maxDuplicates is how often a unique index may refuse a verb's rows before this is an error and
// not a race.
const maxDuplicates = 5

// sessions returns the pool and the retry policy of a verb. A long one may wait for hours, and is
// retried even if it fails after an hour.
func (c *engine) sessions(long bool) (*kept, storage.Policy) {
	if !long {
		return c.usual, c.policy
	}
	policy := c.policy
	policy.Total = max(policy.Total, 12*time.Hour)
	return c.patient, policy
}

// Read implements sqlcatalog.Sessions. Each statement reads what is committed when it runs.
func (c *engine) Read(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	connections, policy := c.sessions(long)
	return c.retry(ctx, policy, func() error { return c.on(ctx, connections, do) })
}

// Write implements sqlcatalog.Sessions.
func (c *engine) Write(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	connections, policy := c.sessions(long)
	return c.retry(ctx, policy, func() error {
		return c.on(ctx, connections, func(t *sqlcatalog.Tx) error { return transact(t, do) })
	})
}

// retry runs attempt until it succeeds or fails for good.
func (c *engine) retry(ctx context.Context, policy storage.Policy, attempt func() error) error {
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

// on runs do on a connection, and drops the connection if it is in doubt.
func (c *engine) on(ctx context.Context, connections *kept, do func(*sqlcatalog.Tx) error) (err error) {
	conn, err := connections.get(ctx)
	if err != nil {
		return err
	}
	t := c.verbs.NewTx(ctx, conn)
	returned := false
	defer func() {
		if t.InDoubt || !returned { // do may have panicked
			connections.discard(conn, err != nil && broken(err))
			return
		}
		connections.put(conn)
	}()
	err = do(t)
	returned = true
	return err
}

// transact does not use the transactions of database/sql. When their context ends, another
// goroutine rolls them back at any time: the server would take a ROLLBACK in the middle of a bulk
// copy for a row. A connection in doubt must be closed at once, without another statement, and only
// once: the driver frees its buffer each time.
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
	if !t.InDoubt { // the error is the catalogue's own, and the connection is good
		_ = control(t, "ROLLBACK TRANSACTION")
	}
	return err
}

// control is not interrupted: the outcome of COMMIT must be known.
func control(t *sqlcatalog.Tx, statement string) error {
	_, err := t.Conn.ExecContext(context.WithoutCancel(t.Context), statement)
	return t.Doubt(err)
}

// Change implements sqlcatalog.Sessions. It queries @@ROWCOUNT, since the driver adds up all counts
// that come back, including those of other programs' triggers.
func (c *engine) Change(t *sqlcatalog.Tx, text string, args []any) (n int64, err error) {
	err = t.First(text+`; SELECT CONVERT(bigint, @@ROWCOUNT)`, args).Scan(&n)
	return n, err
}

// Insert implements sqlcatalog.Sessions. It does not use OUTPUT, which fails on a table with a
// trigger of another program (error 334).
func (c *engine) Insert(t *sqlcatalog.Tx, text string, args []any) (id int64, err error) {
	err = t.First(text+`; SELECT CONVERT(bigint, SCOPE_IDENTITY())`, args).Scan(&id)
	return id, err
}
