// Package tables adds the tables of the catalogue to the test double of SQL Server, so that tests can
// run the whole program without a server.
//
// The tables are those of the embedded catalogue, with additional columns for the exact bytes of
// texts. Each statement of package sqlserver begins with a comment that has its name. The test double
// runs the statement of the embedded catalogue with that name, or one of this package where there is
// none: for temporary tables, and for payloads as files.
//
// So tests with these tables cover neither the T-SQL itself nor locks, collations, plans and types,
// and a transaction locks the whole database from its first statement on. These need a real server.
package tables

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// Tables is the database of one test double.
type Tables struct {
	Share *tdstest.Share // nil if payloads are plain varbinary(max)
	// PlainAtoms makes Atoms the edition without a column Payload.
	PlainAtoms bool

	t      testing.TB
	conn   *sql.Conn
	within bool // in a transaction
	known  map[string][]string
}

// New creates empty tables. With a folder, RawPayload is a FILESTREAM column, and the payloads whose
// paths a transaction requests are files in the folder (see tdstest.Share).
func New(t testing.TB, srv *tdstest.Server, folder string) *Tables {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	t.Cleanup(srv.Close) // runs before db.Close and rolls back open transactions
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	d := &Tables{t: t, conn: conn, known: make(map[string][]string)}
	d.make()
	if folder != "" {
		d.Share = srv.Share(folder)
	}
	srv.Handle(`^\s*/\* ingest: `, d.statement)
	for marker, answer := range map[string]tdstest.HandlerFunc{
		"session": nothing, "lock-jobs": nothing, "inspect": d.inspect, "find-steps": d.stepsThere,
		"last-step": d.lastStep, "columns": d.columns, "payload-columns": d.payloadColumns, "token": d.token,
		"containers": d.containers, "container-files": d.containerFiles, "collect": d.collect,
	} {
		srv.Handle("/* ingest: "+marker+" */", answer)
	}
	for _, table := range []string{"#ingest_batch", "#ingest_layers"} {
		srv.HandleBulk(table, func(req *tdstest.Request, columns []tdstest.Column, rows [][]any) error {
			return d.bulk(req, table, columns, rows)
		})
	}
	return d
}

// make applies the steps of the schema.
func (d *Tables) make() {
	steps, err := schema.Steps(schema.SQLite)
	if err != nil {
		d.t.Fatal(err)
	}
	all := []string{"PRAGMA foreign_keys = ON"}
	for _, step := range steps {
		all = append(all, step.SQL)
	}
	for _, table := range []string{"LayerTensorSegments", "FileSegments"} { // a row has its address beside its payload
		all = append(all, "DROP TRIGGER TR_"+table+"_Emptied", "DROP TRIGGER TR_"+table+"_Both")
	}
	for table, columns := range exactColumns {
		for _, column := range columns {
			all = append(all, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s BLOB", table, column))
		}
	}
	for _, text := range all {
		if _, err := d.conn.ExecContext(context.Background(), text); err != nil {
			d.t.Fatalf("%v: %s", err, text)
		}
	}
}

// statement answers a statement of package sqlserver.
func (d *Tables) statement(req *tdstest.Request) (tdstest.Result, error) {
	if err := d.enter(req); err != nil {
		return tdstest.Result{}, err
	}
	list, err := d.texts(req.SQL)
	if err != nil {
		return tdstest.Result{}, err
	}
	args := arguments(req.Params)
	for _, text := range list[:len(list)-1] {
		if _, err := d.conn.ExecContext(context.Background(), d.in(req, text), args...); err != nil {
			return tdstest.Result{}, refusal(err, text)
		}
	}
	text := d.in(req, list[len(list)-1])
	if text == "" { // a lock, or a key, which is a column in these tables
		return tdstest.Affected(0), nil
	}
	if strings.HasPrefix(text, "SELECT") {
		return d.query(req, text, args)
	}
	result, err := d.conn.ExecContext(context.Background(), text, args...)
	if err != nil {
		return tdstest.Result{}, refusal(err, text)
	}
	if strings.HasSuffix(req.SQL, "SCOPE_IDENTITY())") {
		id, err := result.LastInsertId()
		return tdstest.Rows("id bigint", []any{id}), err
	}
	n, err := result.RowsAffected()
	return tdstest.Affected(n), err
}

// texts returns the SQLite statements for a statement of package sqlserver.
func (d *Tables) texts(statement string) ([]string, error) {
	_, rest, _ := strings.Cut(statement, "/* ingest: ")
	name, _, _ := strings.Cut(rest, " */")
	list, known := d.known[name]
	if !known {
		var err error
		if list, err = texts(name); err != nil {
			d.t.Error(err)
			return nil, err
		}
		d.known[name] = list
	}
	if _, end, found := strings.Cut(rest, sqlcatalog.EndMark); found {
		r := strings.NewReplacer(sqlcatalog.EndMark, "", "dbo.", "", "; SELECT CONVERT(bigint, @@ROWCOUNT)", "")
		end = r.Replace(end)
		list = slices.Clone(list)
		list[len(list)-1] += end
	}
	return list, nil
}

// in makes the names of temporary tables in a statement those of the request's session.
func (d *Tables) in(req *tdstest.Request, text string) string {
	return strings.ReplaceAll(text, "[#", fmt.Sprintf("[%d#", req.Session.ID()))
}

// enter begins a transaction of SQLite for that of the request. SQLite has one at a time.
func (d *Tables) enter(req *tdstest.Request) error {
	if err := req.Lock("database", tdstest.Forever); err != nil {
		return err
	}
	if d.within {
		return nil
	}
	end := func(how string) func() {
		return func() {
			d.within = false
			if _, err := d.conn.ExecContext(context.Background(), how); err != nil {
				d.t.Errorf("%s: %v", how, err)
			}
		}
	}
	if _, err := d.conn.ExecContext(context.Background(), "BEGIN"); err != nil {
		return err
	}
	d.within = true
	req.OnRollback(end("ROLLBACK"))
	req.OnCommit(end("COMMIT"))
	return nil
}

// bulk inserts the rows of a bulk copy into a temporary table.
func (d *Tables) bulk(req *tdstest.Request, table string, columns []tdstest.Column, rows [][]any) error {
	if err := d.enter(req); err != nil {
		return err
	}
	names, marks := make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		names[i], marks[i] = column.Name, "?"
	}
	text := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", d.in(req, "["+table+"]"), strings.Join(names, ", "),
		strings.Join(marks, ", "))
	for _, row := range rows {
		for i := range row {
			row[i] = argument(row[i])
		}
		if _, err := d.conn.ExecContext(context.Background(), text, row...); err != nil {
			return refusal(err, text)
		}
	}
	return nil
}

// refusal converts an error of SQLite to the error of SQL Server.
func refusal(err error, text string) error {
	if refused, ok := errors.AsType[*sqlite.Error](err); ok {
		switch refused.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return tdstest.Err(2627)
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return tdstest.Err(547)
		}
	}
	return fmt.Errorf("%w: %s", err, text)
}

// Row reads one row of the tables with an SQLite query, while no statement runs.
func (d *Tables) Row(srv *tdstest.Server, query string, into ...any) {
	d.t.Helper()
	d.RowOf(srv, query, nil, into...)
}

// RowOf is Row for a query with parameters.
func (d *Tables) RowOf(srv *tdstest.Server, query string, args []any, into ...any) {
	d.t.Helper()
	srv.Do(func() {
		if err := d.conn.QueryRowContext(context.Background(), query, args...).Scan(into...); err != nil {
			d.t.Errorf("%s: %v", query, err)
		}
	})
}

// Exec changes the tables, in SQLite's words, while no statement runs.
func (d *Tables) Exec(srv *tdstest.Server, statement string, args ...any) {
	d.t.Helper()
	srv.Do(func() {
		if _, err := d.conn.ExecContext(context.Background(), statement, args...); err != nil {
			d.t.Errorf("%s: %v", statement, err)
		}
	})
}

// Conn calls do with the connection of the tables, in SQLite's words, while no statement runs.
func (d *Tables) Conn(srv *tdstest.Server, do func(*sql.Conn)) {
	srv.Do(func() { do(d.conn) })
}
