package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// outside is a transaction of another program. Statements are in T-SQL. After an error, the later
// ones do nothing.
type outside struct {
	tx   *sql.Tx
	tsql bool
	err  error
}

// inSQLite replaces the words of T-SQL that SQLite does not have.
var inSQLite = strings.NewReplacer("dbo.", "", "@p", "?", "N'", "'", "bigint IDENTITY(1,1)", "INTEGER",
	"SYSUTCDATETIME()", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", "LEN(", "length(")

func (o *outside) words(statement string) string {
	if o.tsql {
		return statement
	}
	return inSQLite.Replace(statement)
}

func (o *outside) failed(statement string, err error) {
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%w: %s", err, statement)
	}
}

// exec returns the number of rows that changed.
func (o *outside) exec(statement string, args ...any) (changed int64) {
	if o.err != nil {
		return 0
	}
	result, err := o.tx.Exec(o.words(statement), args...)
	if err == nil {
		changed, err = result.RowsAffected()
	}
	o.failed(statement, err)
	return changed
}

// number returns the number that a query selects; 0 for NULL and for no row.
func (o *outside) number(query string, args ...any) int64 {
	if o.err != nil {
		return 0
	}
	var n sql.NullInt64
	if err := o.tx.QueryRow(o.words(query), args...).Scan(&n); !errors.Is(err, sql.ErrNoRows) {
		o.failed(query, err)
	}
	return n.Int64
}

// each calls row with the values of each row of a query.
func (o *outside) each(row func(values []any), query string, args ...any) {
	if o.err != nil {
		return
	}
	rows, err := o.tx.Query(o.words(query), args...)
	if err != nil {
		o.failed(query, err)
		return
	}
	defer rows.Close()
	columns, err := rows.Columns()
	for err == nil && rows.Next() {
		values, fields := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			fields[i] = &values[i]
		}
		if err = rows.Scan(fields...); err == nil {
			row(values)
		}
	}
	o.failed(query, errors.Join(err, rows.Err()))
}

// within runs do in a transaction on a connection.
func within(ctx context.Context, conn *sql.Conn, tsql bool, do func(*outside)) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	o := &outside{tx: tx, tsql: tsql}
	if do(o); o.err != nil {
		return errors.Join(o.err, tx.Rollback())
	}
	return tx.Commit()
}

func (f file) outside(ctx context.Context, do func(*outside)) error {
	db, err := sql.Open("sqlite", "file:"+string(f)+
		"?_pragma=busy_timeout(60000)&_pragma=foreign_keys(1)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return within(ctx, conn, false, do)
}

func (s *server) outside(ctx context.Context, do func(*outside)) error {
	conn, err := s.own.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return within(ctx, conn, true, do)
}

// outside runs do as another program, which must succeed.
func (b box) outside(do func(*outside)) {
	b.Helper()
	if err := b.database().outside(context.Background(), do); err != nil {
		b.Fatal(err)
	}
}

// exec executes one statement as another program.
func (b box) exec(statement string, args ...any) {
	b.Helper()
	b.outside(func(o *outside) { o.exec(statement, args...) })
}

// The values of a row, as SQLite and SQL Server return them.

func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	}
	return fmt.Sprint(value)
}

func digestIn(value any) (d ingest.Digest) {
	bytes, _ := value.([]byte)
	copy(d[:], bytes)
	return d
}

func numberOf(value any) int64 {
	switch v := value.(type) {
	case int64:
		return v
	case bool:
		if v {
			return 1
		}
	}
	return 0
}
