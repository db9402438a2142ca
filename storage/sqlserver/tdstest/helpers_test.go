package tdstest_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// patience is the timeout of waits, far longer than any of them takes.
const patience = 20 * time.Second

// start runs a server with a client.
func start(t *testing.T, settings ...string) (*tdstest.Server, *sql.DB) {
	t.Helper()
	srv := tdstest.Start(t)
	return srv, open(t, srv, settings...)
}

func open(t *testing.T, srv *tdstest.Server, settings ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", srv.DSN(settings...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pin(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func begin(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	must(t, err)
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

func exec(t *testing.T, on interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, query string, args ...any) {
	t.Helper()
	if _, err := on.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// number returns the number of the server's error in err, 0 if there is none.
func number(err error) int32 {
	var e mssql.Error
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func wantNumber(t *testing.T, err error, want int32) {
	t.Helper()
	if number(err) != want || want == 0 {
		t.Fatalf("error %v, want number %d", err, want)
	}
}

// counter registers "/* put */", which adds a row to a state, and returns a function that counts the
// rows.
func counter(srv *tdstest.Server) func() int {
	var rows tdstest.State[int, int]
	var last int
	srv.Handle("/* put */", func(req *tdstest.Request) (tdstest.Result, error) {
		last++
		rows.Put(req, last, last)
		return tdstest.Affected(1), nil
	})
	return func() (n int) {
		srv.Do(func() { n = rows.Len() })
		return n
	}
}
