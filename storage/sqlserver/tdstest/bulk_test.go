package tdstest_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

const bulkColumns = `LayerId bigint NOT NULL, Ordinal int NOT NULL, Hash binary(32), Name nvarchar(40) NULL,
	Small smallint, Tiny tinyint NOT NULL, Flag bit NOT NULL, Maybe bit, Scale float, Rate real NOT NULL,
	Price decimal(12, 2), Guid uniqueidentifier, At datetime2(7) NOT NULL, Zoned datetimeoffset(3), Day date,
	Text nvarchar(max), Plain varchar(30), Payload varbinary(max) NOT NULL, Extra varbinary(16)`

var bulkTable = tdstest.Columns(bulkColumns)

var bulkNames = []string{"LayerId", "Ordinal", "Hash", "Name", "Small", "Tiny", "Flag", "Maybe", "Scale", "Rate",
	"Price", "Guid", "At", "Zoned", "Day", "Text", "Plain", "Payload", "Extra"}

// bulkRow returns a row as it is sent and as it must arrive. Every third nullable value is NULL.
func bulkRow(i int) (sent, want []any) {
	guid := mssql.UniqueIdentifier{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, byte(i >> 8)}
	wireGUID, _ := guid.Value()
	zoned := moment.Truncate(time.Millisecond).In(time.FixedZone("", 3600*(i%5)))
	at := moment.Add(time.Duration(i) * 100)
	payload := bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, i%700)
	hash := bytes.Repeat([]byte{byte(i)}, 32)
	pairs := [][2]any{
		{int64(i) << 32, int64(i) << 32}, {int64(i), int64(i)}, {hash, hash},
		{fmt.Sprintf("täg %d", i), fmt.Sprintf("täg %d", i)}, {int64(-i), int64(-i)}, {int64(i % 256), int64(i % 256)},
		{i%2 == 0, i%2 == 0}, {i%2 == 1, i%2 == 1}, {float64(i) / 3, float64(i) / 3}, {1.5, 1.5},
		{fmt.Sprintf("%d.25", i), fmt.Sprintf("%d.25", i)}, {wireGUID, tdstest.GUID(guid)}, {at, at}, {zoned, zoned},
		{moment, moment.Truncate(24 * time.Hour)}, {"", ""}, {"plain", "plain"}, {payload, payload},
		{[]byte{}, []byte{}},
	}
	for n, pair := range pairs {
		if bulkTable[n].Nullable && (i+n)%3 == 0 {
			pair = [2]any{}
		}
		sent, want = append(sent, pair[0]), append(want, pair[1])
	}
	return sent, want
}

// copyIn sends rows in a bulk copy and returns how many arrived.
func copyIn(tx *sql.Tx, table string, names []string, rows int, row func(int) []any) (int64, error) {
	stmt, err := tx.Prepare(mssql.CopyIn(table, mssql.BulkOptions{}, names...))
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	for i := range rows {
		if _, err := stmt.Exec(row(i)...); err != nil {
			return 0, err
		}
	}
	result, err := stmt.Exec()
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func TestBulk(t *testing.T) {
	srv, db := start(t)
	const rows = 10_000
	checked := 0
	srv.Handle("/* merge */", func(req *tdstest.Request) (tdstest.Result, error) {
		table, err := req.Table("#segments")
		if err != nil {
			return tdstest.Result{}, err
		}
		for i, got := range table.Rows {
			_, want := bulkRow(i)
			for n := range want {
				if !same(got[n], want[n]) {
					return tdstest.Result{}, tdstest.Errorf("row %d, %s: %v, want %v", i, bulkNames[n], got[n], want[n])
				}
			}
			checked++
		}
		return tdstest.Affected(int64(len(table.Rows))), nil
	})
	tx := begin(t, db)
	exec(t, tx, "CREATE TABLE #segments ("+bulkColumns+")")
	sent, err := copyIn(tx, "#segments", bulkNames, rows, func(i int) []any { sent, _ := bulkRow(i); return sent })
	must(t, err)
	exec(t, tx, "/* merge */")
	must(t, tx.Commit())
	if sent != rows || checked != rows {
		t.Errorf("%d rows sent, %d checked, want %d", sent, checked, rows)
	}
}

func TestBulkIntoTable(t *testing.T) {
	srv, db := start(t)
	srv.CreateTable("dbo.Atoms",
		"AtomId bigint identity, Hash binary(4) not null, Kind nvarchar(9) not null default 'x'")
	count := func() int { return len(srv.TableRows("[dbo].[atoms]")) }
	row := func(i int) []any { return []any{[]byte{1, byte(i)}} }
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, (*sql.Tx).Commit} {
		tx := begin(t, db)
		if n, err := copyIn(tx, "dbo.Atoms", []string{"Hash"}, 3, row); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if count() != 3 {
			t.Errorf("%d rows before the end", count())
		}
		must(t, end(tx))
		if count() == 3 {
			break // committed
		}
	}
	if rows := srv.TableRows("Atoms"); len(rows) != 3 || !same(rows[2], []any{nil, []byte{1, 2, 0, 0}, nil}) {
		t.Errorf("rows %v", rows)
	}
}

func TestBulkHandler(t *testing.T) {
	srv, db := start(t)
	srv.CreateTable("Atoms", "Hash binary(4) not null, Size int")
	var names string
	srv.HandleBulk("dbo.atoms", func(req *tdstest.Request, columns []tdstest.Column, rows [][]any) error {
		for _, column := range columns {
			names += column.Name + " " + column.Type.String() + ","
		}
		if !req.Session.InTransaction() || len(rows) != 2 || !same(rows[1], []any{int64(1), []byte{1, 2, 3, 4}}) {
			t.Errorf("rows %v", rows)
		}
		return tdstest.Err(1105)
	})
	_, err := copyIn(begin(t, db), "Atoms", []string{"Size", "Hash"}, 2,
		func(i int) []any { return []any{i, []byte{1, 2, 3, 4}} })
	wantNumber(t, err, 1105)
	if names != "Size int,Hash binary(4)," {
		t.Errorf("columns %s", names)
	}
}

// TestBulkRefused sends rows that the server refuses.
func TestBulkRefused(t *testing.T) {
	for name, test := range map[string]struct {
		table  string
		column string
		value  any
		number int32
	}{
		"no table":   {"Nothing", "A", 1, 208},
		"too long":   {"T", "C", "abc", 4815},
		"odd":        {"T", "C", []byte("abc"), 4895},
		"null":       {"T", "B", nil, 515},
		"left out":   {"T", "A", 1, 515},
		"int as utf": {"T", "C", 123, 4895},
	} {
		t.Run(name, func(t *testing.T) {
			srv, db := start(t)
			srv.CreateTable("T", "A int, B binary(2) not null, C nvarchar(2)")
			tx := begin(t, db)
			_, err := copyIn(tx, test.table, []string{test.column}, 1, func(int) []any { return []any{test.value} })
			wantNumber(t, err, test.number)
			must(t, tx.Commit())
			if n := len(srv.TableRows("T")); n != 0 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// TestBulkAbandoned checks that nothing is stored by a bulk copy that is not finished. If no row was
// sent, the next request is refused; otherwise it violates the protocol.
func TestBulkAbandoned(t *testing.T) {
	for name, rows := range map[string]int{"announced": 1, "under way": 5000} {
		t.Run(name, func(t *testing.T) {
			srv, db := start(t)
			srv.CreateTable("T", "A binary(16)")
			count := counter(srv)
			db.SetMaxOpenConns(1)
			tx := begin(t, db)
			exec(t, tx, "/* put */")
			stmt, err := tx.Prepare(mssql.CopyIn("T", mssql.BulkOptions{}, "A"))
			must(t, err)
			for range rows {
				_, err := stmt.Exec(make([]byte, 16))
				must(t, err)
			}
			must(t, stmt.Close())
			if err := tx.Rollback(); err == nil {
				t.Error("ROLLBACK was carried out")
			}
			exec(t, db, "/* put */") // on another connection, or on this one after its reset
			if n := count(); n != 1 || len(srv.TableRows("T")) != 0 {
				t.Errorf("%d rows put and %d copied, want 1 and none", n, len(srv.TableRows("T")))
			}
		})
	}
}
