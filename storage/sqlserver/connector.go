package sqlserver

import (
	"context"
	"database/sql/driver"
)

// connector ends a login with its context. During a login, go-mssqldb ignores the context and waits for
// the server's answer as long as for that to a statement.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	type result struct {
		conn driver.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := c.Connector.Connect(ctx)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
	}
	go func() { // it ends when the connection times out
		if r := <-done; r.err == nil {
			r.conn.Close() // nothing was sent on it
		}
	}()
	return nil, context.Cause(ctx)
}
