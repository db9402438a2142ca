package tdstest_test

import (
	"context"
	"database/sql"
	"reflect"
	"runtime"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

func TestStatements(t *testing.T) {
	srv, db := start(t)
	srv.Handle("^select.*from atoms", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("n int", []any{1}, []any{2}).And("s nvarchar(9)", []any{"x"}), nil
	})
	srv.Handle("/* ingest: count */", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Affected(tdstest.Get[int64](req, "rows")), nil
	})
	result, err := db.ExecContext(t.Context(), "\n/* ingest: count */ UPDATE x", sql.Named("rows", 7))
	must(t, err)
	if n, _ := result.RowsAffected(); n != 7 {
		t.Errorf("%d rows affected", n)
	}
	rows, err := db.QueryContext(t.Context(), "SELECT n\nFROM Atoms")
	must(t, err)
	defer rows.Close()
	var got []any
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			var v any
			must(t, rows.Scan(&v))
			got = append(got, v)
		}
	}
	must(t, rows.Err())
	if !reflect.DeepEqual(got, []any{int64(1), int64(2), "x"}) {
		t.Errorf("rows %v", got)
	}
	_, err = db.ExecContext(t.Context(), "/* nobody */ SELECT 1")
	wantNumber(t, err, 50000)
}

func TestProcedure(t *testing.T) {
	srv, db := start(t)
	srv.Handle("^dbo.Claim$", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Result{Status: -1, Output: map[string]any{"owner": req.Param("name"), "at": nil}}, nil
	})
	var status mssql.ReturnStatus
	owner, at := "", int64(5)
	exec(t, db, "dbo.Claim", sql.Named("name", "job"), sql.Named("owner", sql.Out{Dest: &owner}),
		sql.Named("unset", sql.Out{Dest: &at}), &status)
	if owner != "job" || status != -1 || at != 5 {
		t.Errorf("owner %q, status %d, at %d", owner, status, at)
	}
}

func TestErrors(t *testing.T) {
	srv, db := start(t)
	want := tdstest.Error{Number: 547, State: 3, Class: 16, Message: "a conflict", Procedure: "dbo.p", Line: 12}
	srv.Handle("/* fail */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("n int", []any{1}), &want
	})
	for name, args := range map[string][]any{"batch": nil, "call": {1}} {
		t.Run(name, func(t *testing.T) {
			rows, err := db.QueryContext(t.Context(), "/* fail */ x", args...)
			must(t, err)
			defer rows.Close()
			count := 0
			for rows.Next() {
				count++
			}
			e, ok := rows.Err().(mssql.Error)
			got := tdstest.Error{Number: e.Number, State: e.State, Class: e.Class, Message: e.Message,
				Procedure: e.ProcName, Line: e.LineNo}
			if !ok || got != want || count != 1 {
				t.Errorf("%d rows and %+v, want 1 and %+v", count, got, want)
			}
		})
	}
}

// TestReset checks the state of a session after its connection is reused.
func TestReset(t *testing.T) {
	srv, db := start(t)
	db.SetMaxOpenConns(1)
	srv.Handle("/* note */", func(req *tdstest.Request) (tdstest.Result, error) {
		req.Session.Set("note", 1)
		return tdstest.Result{}, nil
	})
	srv.Handle("/* look */", func(req *tdstest.Request) (tdstest.Result, error) {
		if req.Session.Value("note") != nil || req.Session.Isolation() != tdstest.ReadCommitted {
			return tdstest.Result{}, tdstest.Errorf("the session was not reset")
		}
		return tdstest.Result{}, nil
	})
	exec(t, db, "/* note */ SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TABLE #t (a int)")
	if info := srv.Sessions(); len(info) != 1 || len(info[0].Tables) != 1 || info[0].Isolation != tdstest.Serializable {
		t.Errorf("before: %+v", info)
	}
	exec(t, db, "/* look */")
	if info := srv.Sessions(); len(info) != 1 || len(info[0].Tables) != 0 {
		t.Errorf("after: %+v", info)
	}
}

func TestTemporaryTables(t *testing.T) {
	srv, db := start(t)
	conn := pin(t, db)
	seen := 0
	srv.Handle("/* fill */", func(req *tdstest.Request) (tdstest.Result, error) {
		table, err := req.Table("tempdb..#t")
		if err != nil {
			return tdstest.Result{}, err
		}
		seen = len(table.Rows)
		return tdstest.Affected(1), req.Insert(table, []any{int64(1), nil})
	})
	exec(t, conn, "/* fill */ CREATE TABLE #t (a int NOT NULL, b nvarchar(max) -- don't\n, PRIMARY KEY (a))")
	exec(t, conn, "/* fill */ DROP TABLE #t") // dropped once filled
	_, err := conn.ExecContext(t.Context(), "/* fill */")
	wantNumber(t, err, 208)
	exec(t, conn, "IF OBJECT_ID('tempdb..#t') IS NULL CREATE TABLE [#t] (a int)")
	exec(t, conn, "IF OBJECT_ID('tempdb..#t') IS NULL CREATE TABLE [#t] (a int)")
	_, err = conn.ExecContext(t.Context(), "CREATE TABLE #t (a int)")
	wantNumber(t, err, 2714)
	exec(t, conn, "DROP TABLE IF EXISTS #t; DROP TABLE IF EXISTS #t")
	exec(t, conn, "/* fill */ CREATE TABLE #t (a int, b int) select @p1", 1)
	if seen != 0 {
		t.Errorf("%d rows in a new table", seen)
	}
	// The table was dropped at the end of the call.
	_, err = conn.ExecContext(t.Context(), "TRUNCATE TABLE #t")
	wantNumber(t, err, 4701)
}

func TestCancel(t *testing.T) {
	srv, db := start(t)
	count := counter(srv)
	conn := pin(t, db)
	slow := srv.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* put */", Do: tdstest.Slow(time.Hour)})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-slow.Struck()
		cancel()
	}()
	if _, err := conn.ExecContext(ctx, "/* put */"); err != context.Canceled {
		t.Errorf("error %v", err)
	}
	exec(t, conn, "/* put */")
	if n := count(); n != 1 {
		t.Errorf("%d rows, want the second one alone", n)
	}
}

// TestCancelAnswer cancels a query within many rows.
func TestCancelAnswer(t *testing.T) {
	srv, db := start(t)
	srv.Handle("/* many */", func(*tdstest.Request) (tdstest.Result, error) {
		rows := make([][]any, 20_000)
		for i := range rows {
			rows[i] = []any{i}
		}
		return tdstest.Rows("n int not null", rows...), nil
	})
	conn := pin(t, db)
	for range 5 {
		rows, err := conn.QueryContext(t.Context(), "/* many */")
		must(t, err)
		rows.Next()
		must(t, rows.Close())
		must(t, conn.PingContext(t.Context()))
	}
}

// TestNothingStays checks that a server with a stalled session leaves no goroutines.
func TestNothingStays(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("server", func(t *testing.T) {
		srv, db := start(t)
		count := counter(srv)
		stall := srv.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: "/* put */", Do: tdstest.Stall()})
		go db.Exec("/* put */")
		<-stall.Struck()
		must(t, db.PingContext(t.Context()))
		if count() != 0 {
			t.Error("a stalled statement took effect")
		}
		srv.Close()
	})
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, before there were %d:\n%s", runtime.NumGoroutine(), before,
				stacks[:runtime.Stack(stacks, true)])
		}
	}
}
