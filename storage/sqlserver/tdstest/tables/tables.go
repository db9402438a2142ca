// Package tables gives the double of SQL Server the tables of the catalogue, so that the whole program can be
// run against it, in tests and without a server.
//
// The tables are made by the steps of package schema, and the statements are those of package sqlserver: both are put into
// the words of SQLite, which carries them out. That is far from T-SQL as a whole. What the rewriting does not know,
// SQLite refuses, and the program under test fails with what it said.
//
// It says nothing of locks: a transaction has the whole database for itself, from its first statement on. And nothing
// of collations, plans or types: for these, and for the words of T-SQL, there is no way around a real server.
package tables

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// Tables are those of one double.
type Tables struct {
	Share *tdstest.Share // nil: payloads are plain varbinary(max)

	t      testing.TB
	conn   *sql.Conn
	within bool // a transaction
	known  map[string]rewritten
}

// New makes the tables, empty. With a folder, RawPayload is FILESTREAM, and the payloads that a
// transaction asks for are files in it (see tdstest.Share).
func New(t testing.TB, srv *tdstest.Server, folder string) *Tables {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	t.Cleanup(srv.Close) // which comes first, and rolls back what is open
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	d := &Tables{t: t, conn: conn, known: make(map[string]rewritten)}
	d.make()
	if folder != "" {
		d.Share = srv.Share(folder)
	}
	srv.Handle(`^\s*/\* ingest: `, d.statement)
	for marker, answer := range map[string]tdstest.HandlerFunc{
		"session": nothing, "lock-jobs": nothing, "inspect": d.inspect, "find-steps": d.stepsThere, "last-step": d.lastStep,
		"columns": d.columns, "payload-columns": d.payloadColumns, "token": d.token,
		"other-references": otherReferences,
	} {
		srv.Handle("/* ingest: "+marker+" */", answer)
	}
	for _, table := range []string{"#ingest_batch", "#ingest_layers", "#ingest_digests"} {
		srv.HandleBulk(table, func(req *tdstest.Request, columns []tdstest.Column, rows [][]any) error {
			return d.bulk(req, table, columns, rows)
		})
	}
	return d
}

// make applies the steps of the schema.
func (d *Tables) make() {
	steps, err := schema.Server{}.Script()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, step := range steps {
		for _, batch := range schema.Batches(step.SQL) {
			_, err := d.conn.ExecContext(context.Background(), definition(batch))
			if err != nil && !strings.Contains(err.Error(), "duplicate column name") { // one that is there already
				d.t.Fatalf("%v: %s", err, definition(batch))
			}
		}
	}
	if _, err := d.conn.ExecContext(context.Background(), "PRAGMA foreign_keys = ON"); err != nil {
		d.t.Fatal(err)
	}
}

// statement carries out a statement of package sqlserver.
func (d *Tables) statement(req *tdstest.Request) (tdstest.Result, error) {
	if err := d.enter(req); err != nil {
		return tdstest.Result{}, err
	}
	known, ok := d.known[req.SQL]
	if !ok {
		known = rewrite(req.SQL)
		d.known[req.SQL] = known
	}
	text := known.in(req.Session.ID())
	args := arguments(req.Params)
	if word, _, _ := strings.Cut(text, " "); strings.EqualFold(word, "SELECT") {
		return d.query(req, text, args)
	}
	result, err := d.conn.ExecContext(context.Background(), text, args...)
	if err != nil {
		return tdstest.Result{}, refusal(err, text)
	}
	if known.numbered {
		id, err := result.LastInsertId()
		return tdstest.Rows("id bigint", []any{id}), err
	}
	n, err := result.RowsAffected()
	return tdstest.Affected(n), err
}

// enter has the transaction of a request be SQLite's, which has one at a time.
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

// bulk takes the rows of a bulk copy into a temporary table.
func (d *Tables) bulk(req *tdstest.Request, table string, columns []tdstest.Column, rows [][]any) error {
	if err := d.enter(req); err != nil {
		return err
	}
	names, marks := make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		names[i], marks[i] = column.Name, "?"
	}
	text := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", temporary(table, req.Session.ID()), strings.Join(names, ", "), strings.Join(marks, ", "))
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

// refusal is an error of SQLite's as the server would have it.
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

// Row reads one row of the tables, in SQLite's words, while no statement runs.
func (d *Tables) Row(srv *tdstest.Server, query string, into ...any) {
	d.t.Helper()
	srv.Do(func() {
		if err := d.conn.QueryRowContext(context.Background(), query).Scan(into...); err != nil {
			d.t.Errorf("%s: %v", query, err)
		}
	})
}
