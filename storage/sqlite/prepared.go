package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// conn is a connection that keeps its prepared statements: to parse them takes a third of the
// processor time of a small transaction.
type conn struct {
	driverConn
	kept map[string]driver.Stmt // by text; those that are not in use
}

// driverConn is what database/sql calls on a connection of the driver.
type driverConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.SessionResetter
	driver.Validator
}

// maxKept bounds the memory of statements. The texts of some contain the names of other programs'
// tables.
const maxKept = 100

func newConn(c driver.Conn) *conn { return &conn{c.(driverConn), make(map[string]driver.Stmt)} }

// take returns a prepared statement, to be given back with keep.
func (c *conn) take(ctx context.Context, query string) (driver.Stmt, error) {
	if stmt, there := c.kept[query]; there {
		delete(c.kept, query)
		return stmt, nil
	}
	return c.PrepareContext(ctx, query)
}

// keep takes a statement back after its use, which returned err. It closes a failed one, and a
// PRAGMA, which may take effect when it is prepared.
func (c *conn) keep(query string, stmt driver.Stmt, err error) error {
	if _, there := c.kept[query]; err != nil || there || len(c.kept) == maxKept || strings.HasPrefix(query, "PRAGMA") {
		return errors.Join(err, stmt.Close())
	}
	c.kept[query] = stmt
	return nil
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	return result, c.keep(query, stmt, err)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, c.keep(query, stmt, err)
	}
	return &keptRows{rows, func(err error) error { return c.keep(query, stmt, err) }}, nil
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	var failed []error
	for _, stmt := range c.kept {
		failed = append(failed, stmt.Close())
	}
	return errors.Join(append(failed, c.driverConn.Close())...)
}

// keptRows gives its statement back when it is closed.
type keptRows struct {
	driver.Rows
	keep func(error) error
}

// Close implements driver.Rows.
func (r *keptRows) Close() error { return r.keep(r.Rows.Close()) }
