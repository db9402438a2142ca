package tdstest_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

func fail(number int32) tdstest.Action { return tdstest.Fail(tdstest.Err(number)) }

// lost reports whether err is that of a lost connection.
func lost(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn) ||
		errors.As(err, new(mssql.StreamError))
}

// TestFaultsAtStatement puts two rows in a transaction with a fault at the second, and checks the
// client's errors and the rows that are left.
func TestFaultsAtStatement(t *testing.T) {
	for _, test := range []struct {
		name   string
		at     tdstest.Point
		do     tdstest.Action
		number int32 // 0 for a lost connection
		rows   int   // after COMMIT
		broken bool  // COMMIT fails
	}{
		{"deadlock", tdstest.BeforeEffect, fail(1205), 1205, 0, true},
		{"deadlock after", tdstest.AfterEffect, fail(1205), 1205, 0, true},
		{"throttled", tdstest.BeforeEffect, fail(40501), 40501, 0, true},
		{"filegroup full", tdstest.BeforeEffect, fail(1105), 1105, 1, false},
		{"log full", tdstest.BeforeEffect, fail(9002), 9002, 1, false},
		{"denied", tdstest.BeforeEffect, fail(229), 229, 1, false},
		{"error after", tdstest.AfterEffect, fail(229), 229, 2, false},
		{"dropped", tdstest.BeforeEffect, tdstest.Drop(), 0, 0, true},
		{"dropped after", tdstest.AfterEffect, tdstest.Drop(), 0, 0, true},
		{"reset", tdstest.BeforeEffect, tdstest.Reset(), 0, 0, true},
		{"reset after", tdstest.AfterEffect, tdstest.Reset(), 0, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, db := start(t)
			count := counter(srv)
			fault := srv.Inject(tdstest.Fault{At: test.at, Match: "/* put */", Skip: 1, Do: test.do})
			tx := begin(t, db)
			exec(t, tx, "/* put */")
			_, err := tx.ExecContext(t.Context(), "/* put */")
			if number(err) != test.number || test.number == 0 && !lost(err) {
				t.Errorf("error %v", err)
			}
			if err := tx.Commit(); (err != nil) != test.broken {
				t.Errorf("COMMIT: %v", err)
			}
			if n := count(); n != test.rows || fault.Fired() != 1 {
				t.Errorf("%d rows, want %d; fired %d times", n, test.rows, fault.Fired())
			}
			exec(t, db, "/* put */") // the pool still works
		})
	}
}

// TestFaultsAtCommit checks that the effect of a COMMIT does not depend on an error after it.
func TestFaultsAtCommit(t *testing.T) {
	for _, test := range []struct {
		name   string
		at     tdstest.Point
		do     tdstest.Action
		number int32
		rows   int
	}{
		{"deadlock before", tdstest.BeforeEffect, fail(1205), 1205, 0},
		{"log full before", tdstest.BeforeEffect, fail(9002), 9002, 0},
		{"service error before", tdstest.BeforeEffect, fail(40197), 40197, 0},
		{"service error after", tdstest.AfterEffect, fail(40197), 40197, 1},
		{"plain error after", tdstest.AfterEffect, fail(3960), 3960, 1},
		{"dropped before", tdstest.BeforeEffect, tdstest.Drop(), 0, 0},
		{"dropped after", tdstest.AfterEffect, tdstest.Drop(), 0, 1},
		{"reset before", tdstest.BeforeEffect, tdstest.Reset(), 0, 0},
		{"reset after", tdstest.AfterEffect, tdstest.Reset(), 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, db := start(t)
			count := counter(srv)
			srv.Inject(tdstest.Fault{At: test.at, Match: tdstest.Commit, Do: test.do})
			tx := begin(t, db)
			exec(t, tx, "/* put */")
			err := tx.Commit()
			if err == nil || number(err) != test.number || test.number == 0 && !lost(err) {
				t.Errorf("COMMIT: %v", err)
			}
			if n := count(); n != test.rows {
				t.Errorf("%d rows, want %d", n, test.rows)
			}
			exec(t, db, "/* put */")
		})
	}
}

// TestFaultsInBulk injects faults within the data of a bulk copy.
func TestFaultsInBulk(t *testing.T) {
	for _, test := range []struct {
		name   string
		rows   int64
		bytes  int64
		do     tdstest.Action
		number int32
	}{
		{"deadlock", 300, 0, fail(1205), 1205},
		{"filegroup full", 0, 1 << 20, fail(1105), 1105},
		{"dropped", 300, 0, tdstest.Drop(), 0},
		{"reset", 0, 1 << 20, tdstest.Reset(), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, db := start(t)
			srv.CreateTable("T", "Payload varbinary(max)")
			fault := srv.Inject(tdstest.Fault{At: tdstest.InBulk, Match: "bulk load t", Rows: test.rows,
				Bytes: test.bytes, Do: test.do})
			payload := make([]byte, 10_000)
			try := func() (int64, error) {
				tx := begin(t, db)
				defer tx.Rollback()
				n, err := copyIn(tx, "T", []string{"Payload"}, 400, func(int) []any { return []any{payload} })
				if err != nil {
					return n, err
				}
				return n, tx.Commit()
			}
			if _, err := try(); number(err) != test.number || test.number == 0 && !lost(err) {
				t.Errorf("error %v", err)
			}
			if !srv.WaitIdle(patience) || len(srv.TableRows("T")) != 0 {
				t.Errorf("%d rows are left", len(srv.TableRows("T")))
			}
			if n, err := try(); n != 400 || err != nil || len(srv.TableRows("T")) != 400 || fault.Fired() != 1 {
				t.Errorf("second try: %d rows, %v; fired %d times", n, err, fault.Fired())
			}
		})
	}
}

// TestStallInBulk stops reading. The client's writes block until its own timeout.
func TestStallInBulk(t *testing.T) {
	srv, db := start(t, "connection timeout", "1")
	srv.CreateTable("T", "Payload varbinary(max)")
	stall := srv.Inject(tdstest.Fault{At: tdstest.InBulk, Rows: 1, Do: tdstest.Stall()})
	tx := begin(t, db)
	payload := make([]byte, 1<<20)
	_, err := copyIn(tx, "T", []string{"Payload"}, 64, func(int) []any { return []any{payload} })
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("error %v", err)
	}
	tx.Rollback()
	if srv.WaitIdle(10 * time.Millisecond) {
		t.Error("the stalled session ended before its release")
	}
	stall.Release()
	if !srv.WaitIdle(patience) || len(srv.TableRows("T")) != 0 {
		t.Errorf("%d rows are left", len(srv.TableRows("T")))
	}
}

// TestStallAtCommit checks that a COMMIT takes effect after its client has given up, unless the
// session is killed.
func TestStallAtCommit(t *testing.T) {
	for name, want := range map[string]int{"released": 1, "killed": 0} {
		t.Run(name, func(t *testing.T) {
			srv, db := start(t, "connection timeout", "1")
			count := counter(srv)
			stall := srv.Inject(tdstest.Fault{At: tdstest.BeforeEffect, Match: tdstest.Commit, Do: tdstest.Stall()})
			tx := begin(t, db)
			exec(t, tx, "/* put */")
			if err := tx.Commit(); !lost(err) {
				t.Errorf("COMMIT: %v", err)
			}
			if want == 1 {
				stall.Release()
			} else {
				srv.Kill(srv.Sessions()[0].ID)
			}
			if !srv.WaitIdle(patience) || count() != want {
				t.Errorf("%d rows, want %d", count(), want)
			}
		})
	}
}

func TestSlowAnswer(t *testing.T) {
	srv, db := start(t)
	count := counter(srv)
	srv.Inject(tdstest.Fault{At: tdstest.AfterEffect, Times: -1, Do: tdstest.Slow(50 * time.Millisecond)})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "/* put */"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	exec(t, db, "/* put */")
	if count() < 1 {
		t.Errorf("%d rows", count())
	}
}

func TestFaultInRows(t *testing.T) {
	const all = 3
	for _, before := range []int{2, all} {
		for name, do := range map[string]tdstest.Action{"deadlock": fail(1205), "dropped": tdstest.Drop(),
			"reset": tdstest.Reset()} {
			t.Run(fmt.Sprintf("%s after %d", name, before), func(t *testing.T) {
				srv, db := start(t)
				srv.Handle("/* three */", func(*tdstest.Request) (tdstest.Result, error) {
					return tdstest.Rows("n int", []any{1}, []any{2}, []any{all}), nil
				})
				srv.Inject(tdstest.Fault{At: tdstest.InRows, Rows: int64(before), Do: do})
				rows, err := db.QueryContext(t.Context(), "/* three */")
				must(t, err)
				defer rows.Close()
				count := 0
				for rows.Next() {
					count++
				}
				if err := rows.Err(); number(err) != 1205 && (name == "deadlock" || !lost(err)) {
					t.Errorf("error %v", err)
				}
				// A reset can overtake the rows that were sent before it.
				if count != before && name != "reset" {
					t.Errorf("%d rows", count)
				}
			})
		}
	}
}

// TestEveryRequest injects a fault at the first request of a job, then at the second, and so on.
func TestEveryRequest(t *testing.T) {
	for step := 0; ; step++ {
		srv, db := start(t)
		srv.CreateTable("T", "A int")
		count := counter(srv)
		fault := srv.Inject(tdstest.Fault{At: tdstest.AfterEffect, Skip: step, Do: tdstest.Reset()})
		err := job(t.Context(), db)
		if fault.Fired() == 0 {
			if err != nil || step != 7 {
				t.Errorf("without a fault: %v, at step %d", err, step)
			}
			return
		}
		want := 0
		if log := srv.Log(); log[len(log)-1].SQL == "COMMIT TRANSACTION" {
			want = 1
		}
		if err == nil && want == 0 || count() != want || len(srv.TableRows("T")) != want {
			t.Errorf("step %d: %v, %d and %d rows, want %d", step, err, count(), len(srv.TableRows("T")), want)
		}
	}
}

func job(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "/* put */"); err != nil {
		return err
	}
	if _, err := copyIn(tx, "T", []string{"A"}, 1, func(int) []any { return []any{1} }); err != nil {
		return err
	}
	return tx.Commit()
}
