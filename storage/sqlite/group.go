package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// Concurrent calls of Write share transactions, as most of a small transaction's time is the sync
// of its commit. The calls take turns in the order in which they came. One that finds no open
// transaction begins it, the next ones join it, and the last one commits: when no call waits, or the
// transaction has reached one of these limits. A call that comes during the commit waits for the
// next transaction. If one fails, which is rare, the transaction is rolled back, and the others run
// again, each alone. Savepoints would undo only one, but they copy every page that a call changes:
// with 20 KB of payload in each, that took half of the time.
const groupCalls = 100

var groupTime = 20 * time.Millisecond // replaced by tests

// group is a transaction that calls share.
type group struct {
	conn    *sql.Conn
	began   time.Time
	members []*call // have succeeded and wait for the commit
	closed  bool    // no further call may join
	lost    bool    // a call failed
}

// call is a call of Write.
type call struct {
	alone   bool
	turn    chan *group // receives the group to join; nil to begin one
	outcome chan error  // receives the outcome of the group
}

func newCall(alone bool) *call {
	return &call{alone, make(chan *group, 1), make(chan error, 1)}
}

// turns are the turns of calls on the connection.
type turns struct {
	mu      sync.Mutex
	taken   bool
	waiting []*call
}

// take waits for the turn of w. It returns the group to join; nil to begin one.
func (q *turns) take(ctx context.Context, w *call) (*group, error) {
	q.mu.Lock()
	if !q.taken {
		q.taken = true
		q.mu.Unlock()
		return nil, nil
	}
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()
	select {
	case g := <-w.turn:
		return g, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, w); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return nil, ctx.Err()
	}
	return <-w.turn, nil // its turn came at the same time
}

// pass gives the turn to the first of the waiting calls, which joins g. It returns false if there
// is none or it must not join g. A g of nil is never refused.
func (q *turns) pass(g *group) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.taken = g != nil
		return g == nil
	}
	if g != nil && q.waiting[0].alone {
		return false
	}
	q.waiting[0].turn <- g
	q.waiting = slices.Delete(q.waiting, 0, 1)
	return true
}

// errUndone is the outcome of a call whose changes were rolled back because of another call.
var errUndone = errors.New("another call's error rolled back the transaction")

// Write implements sqlcatalog.Sessions. It returns after the commit. Transactions of other
// processes wait in BEGIN IMMEDIATE.
func (c *connections) Write(ctx context.Context, long bool, do func(*sqlcatalog.Tx) error) error {
	return c.write(ctx, false, uninterrupted(long, do))
}

// write runs do in a transaction, which is not shared if alone is set. If another call's error
// rolls back the transaction, it runs do again, alone: that cannot happen twice.
func (c *connections) write(ctx context.Context, alone bool, do func(*sqlcatalog.Tx) error) error {
	err := c.share(ctx, newCall(alone), do)
	if errors.Is(err, errUndone) {
		err = c.share(ctx, newCall(true), do)
	}
	return c.explain(err)
}

// share runs do in a group and returns after the group's commit.
func (c *connections) share(ctx context.Context, w *call, do func(*sqlcatalog.Tx) error) error {
	g, err := c.turns.take(ctx, w)
	if err != nil {
		return err
	}
	if g == nil {
		conn, err := begin(ctx, c.writer, "BEGIN IMMEDIATE")
		if err != nil {
			c.turns.pass(nil)
			return err
		}
		g = &group{conn: conn, began: time.Now(), closed: w.alone}
	}
	if err := c.join(ctx, g, w, do); err != nil {
		return err
	}
	return <-w.outcome
}

// join runs do in g, and then passes the turn or commits.
func (c *connections) join(ctx context.Context, g *group, w *call, do func(*sqlcatalog.Tx) error) error {
	defer c.leave(g) // do may panic
	if err := ctx.Err(); err != nil {
		g.lost = len(g.members) == 0
		return err
	}
	g.lost = true // until do has succeeded
	t := c.catalog.NewTx(ctx, g.conn)
	err := do(t)
	if (err != nil || t.InDoubt) && len(g.members) > 0 && ctx.Err() == nil {
		return errUndone // alone, it may succeed, as on a full disk, and its commit has its own outcome
	}
	if err != nil {
		return err
	}
	g.lost = false
	g.closed = g.closed || t.InDoubt // perhaps do ignored an error that rolled back the transaction: the commit tells
	g.members = append(g.members, w)
	return nil
}

// leave passes the turn to a call that joins g. If there is none, it commits.
func (c *connections) leave(g *group) {
	g.closed = g.closed || g.lost || len(g.members) >= groupCalls || time.Since(g.began) > groupTime
	if !g.closed && c.turns.pass(g) {
		return
	}
	err := errUndone
	if !g.lost {
		err = c.commit(g)
	}
	if err != nil {
		rollBack(g.conn)
	}
	_ = g.conn.Close() // returns it to the pool; always nil
	for _, w := range g.members {
		w.outcome <- err
	}
	c.turns.pass(nil)
}

func (c *connections) commit(g *group) error {
	if err := c.inPlace(); err != nil {
		return err
	}
	err := g.exec("COMMIT")
	if len(g.members) > 1 && c.Refused(err) { // by a deferred key of another program's table: alone, each
		return errUndone // call gets its own outcome
	}
	return err
}

// exec is not interrupted: its outcome must be known.
func (g *group) exec(text string) error {
	_, err := g.conn.ExecContext(context.Background(), text)
	return err
}
