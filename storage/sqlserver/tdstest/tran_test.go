package tdstest_test

import (
	"context"
	"database/sql"
	"net"
	"reflect"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

func TestCommitAndRollback(t *testing.T) {
	srv, db := start(t)
	count := counter(srv)
	tx := begin(t, db)
	exec(t, tx, "/* put */")
	exec(t, tx, "/* put */")
	must(t, tx.Rollback())
	if n := count(); n != 0 {
		t.Errorf("%d rows after ROLLBACK", n)
	}
	tx = begin(t, db)
	exec(t, tx, "/* put */")
	must(t, tx.Commit())
	exec(t, db, "/* put */")
	if n := count(); n != 2 {
		t.Errorf("%d rows after COMMIT and a statement alone", n)
	}
	var texts []string
	for _, entry := range srv.Log() {
		texts = append(texts, entry.SQL)
	}
	want := []string{"BEGIN TRANSACTION", "/* put */", "/* put */", "ROLLBACK TRANSACTION",
		"BEGIN TRANSACTION", "/* put */", "COMMIT TRANSACTION", "/* put */"}
	if !reflect.DeepEqual(texts, want) {
		t.Errorf("log %q, want %q", texts, want)
	}
}

func TestIsolation(t *testing.T) {
	srv, db := start(t)
	counter(srv)
	for level, want := range map[sql.IsolationLevel]tdstest.Isolation{
		sql.LevelDefault:         tdstest.ReadCommitted,
		sql.LevelReadUncommitted: tdstest.ReadUncommitted,
		sql.LevelReadCommitted:   tdstest.ReadCommitted,
		sql.LevelRepeatableRead:  tdstest.RepeatableRead,
		sql.LevelSerializable:    tdstest.Serializable,
		sql.LevelSnapshot:        tdstest.Snapshot,
	} {
		t.Run(level.String(), func(t *testing.T) {
			tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
			must(t, err)
			exec(t, tx, "/* put */")
			log := srv.Log()
			if last := log[len(log)-1]; last.Isolation != want || !last.InTransaction {
				t.Errorf("%+v, want %s", last, want)
			}
			must(t, tx.Rollback())
		})
	}
}

// failing registers "/* fail */", which puts a row and then fails.
func failing(srv *tdstest.Server, err error) func() int {
	var rows tdstest.State[string, bool]
	put := func(key string, err error) tdstest.HandlerFunc {
		return func(req *tdstest.Request) (tdstest.Result, error) {
			rows.Put(req, key, true)
			return tdstest.Affected(1), err
		}
	}
	srv.Handle("/* good */", put("good", nil))
	srv.Handle("/* fail */", put("fail", err))
	return func() (n int) {
		srv.Do(func() { n = rows.Len() })
		return n
	}
}

func TestFailedStatement(t *testing.T) {
	for _, test := range []struct {
		name  string
		first string
		err   *tdstest.Error
		args  []any
		ends  bool // the transaction
	}{
		{name: "the statement alone", err: tdstest.Err(2627)},
		{name: "XACT_ABORT", first: "SET XACT_ABORT ON; ", err: tdstest.Err(2627), ends: true},
		{name: "XACT_ABORT in a call", first: "SET XACT_ABORT ON; ", err: tdstest.Err(2627), args: []any{1},
			ends: true},
		{name: "deadlock", err: tdstest.Err(1205), ends: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, db := start(t)
			count := failing(srv, test.err)
			tx := begin(t, db)
			exec(t, tx, "/* good */")
			_, err := tx.ExecContext(t.Context(), "/* fail */ "+test.first, test.args...)
			wantNumber(t, err, test.err.Number)
			want := 1
			if test.ends {
				want = 0
			}
			if n := count(); n != want {
				t.Errorf("%d rows, want %d", n, want)
			}
			if err := tx.Commit(); (err != nil) != test.ends {
				t.Errorf("COMMIT: %v", err)
			}
			if n := count(); n != want {
				t.Errorf("%d rows in the end, want %d", n, want)
			}
		})
	}
}

func TestTransactionInText(t *testing.T) {
	srv, db := start(t)
	count := counter(srv)
	conn := pin(t, db)
	exec(t, conn, "BEGIN TRAN")
	exec(t, conn, "/* put */")
	exec(t, conn, "rollback transaction;")
	exec(t, conn, "begin transaction")
	exec(t, conn, "/* put */")
	exec(t, conn, "Commit")
	_, err := conn.ExecContext(t.Context(), "COMMIT")
	wantNumber(t, err, 3902)
	if n := count(); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// wire is a dialer that keeps its connections, so that a test can close them.
type wire struct{ conns []net.Conn }

func (w *wire) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	w.conns = append(w.conns, conn)
	return conn, err
}

// TestLostClient checks that the transaction of a lost client is rolled back.
func TestLostClient(t *testing.T) {
	srv := tdstest.Start(t)
	count := counter(srv)
	connector, err := mssql.NewConnector(srv.DSN())
	must(t, err)
	dialer := new(wire)
	connector.Dialer = dialer
	db := sql.OpenDB(connector)
	defer db.Close()
	tx := begin(t, db)
	exec(t, tx, "/* put */")
	if !srv.Sessions()[0].InTransaction {
		t.Error("no transaction is open")
	}
	must(t, dialer.conns[0].Close())
	if !srv.WaitIdle(patience) || count() != 0 {
		t.Errorf("%d rows are left", count())
	}
}

func TestLocks(t *testing.T) {
	srv, db := start(t)
	srv.Handle("^/\\* lock", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Result{}, req.Lock(tdstest.Get[string](req, "p1"), time.Duration(tdstest.Get[int64](req, "p2")))
	})
	const lock = "/* lock */"
	first, second := begin(t, db), begin(t, db)
	exec(t, first, lock, "a", tdstest.Forever)
	exec(t, second, lock, "b", tdstest.Forever)
	_, err := second.ExecContext(t.Context(), lock, "a", time.Millisecond)
	wantNumber(t, err, 1222)

	// A statement that waits can be cancelled. (After a deadline the driver would close the
	// connection.)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := second.ExecContext(ctx, lock, "a", tdstest.Forever); err != context.Canceled {
		t.Errorf("error %v", err)
	}

	waiting := make(chan error)
	go func() {
		_, err := first.ExecContext(t.Context(), lock, "b", tdstest.Forever)
		waiting <- err
	}()
	// The one that waits last gets the deadlock, so either side may be the victim.
	_, err = second.ExecContext(t.Context(), lock, "a", tdstest.Forever)
	other := <-waiting
	if victims := []int32{number(err), number(other)}; !reflect.DeepEqual(victims, []int32{1205, 0}) &&
		!reflect.DeepEqual(victims, []int32{0, 1205}) {
		t.Errorf("errors %v and %v, want one victim", err, other)
	}
}
