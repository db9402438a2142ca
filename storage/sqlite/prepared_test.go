package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// keptBy returns how many statements the connection keeps.
func keptBy(t *testing.T, c *sql.Conn) (n int) {
	t.Helper()
	if err := c.Raw(func(raw any) error { n = len(raw.(*conn).kept); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// connection returns a connection that has prepared nothing, and a function that executes a query
// on it and returns its numbers.
func connection(t *testing.T) (*sql.Conn, func(query string, each func()) []int) {
	t.Helper()
	db := pool(filepath.Join(t.TempDir(), "test.db"), nil, 1)
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, func(query string, each func()) (numbers []int) {
		t.Helper()
		rows, err := c.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
			each()
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return numbers
	}
}

// A statement whose rows are being read is not used for a second query.
func TestKeptStatementInUse(t *testing.T) {
	c, query := connection(t)
	const text = `SELECT 1 UNION ALL SELECT 2`
	want := []int{1, 2}
	got := query(text, func() {
		if inner := query(text, func() {}); !slices.Equal(inner, want) {
			t.Errorf("the second query returns %v", inner)
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("the first query returns %v", got)
	}
	if n := keptBy(t, c); n != 1 {
		t.Errorf("%d statements are kept", n)
	}
}

func TestWhichStatementsAreKept(t *testing.T) {
	c, query := connection(t)
	exec := func(text string) error { _, err := c.ExecContext(t.Context(), text); return err }
	if err := exec(`CREATE TABLE X (A INTEGER PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	before := keptBy(t, c)
	const insert = `INSERT INTO X VALUES (1)`
	for _, kept := range []int{1, 0} { // the second one is a duplicate
		if err := exec(insert); (err == nil) != (kept == 1) {
			t.Errorf("error is %v", err)
		}
		if n := keptBy(t, c) - before; n != kept {
			t.Errorf("%d statements are kept, want %d", n, kept)
		}
	}
	query(`PRAGMA cache_size`, func() {})
	if n := keptBy(t, c); n != before {
		t.Errorf("%d statements are kept after a PRAGMA, want %d", n, before)
	}
	for i := range maxKept * 2 {
		query(fmt.Sprint("SELECT ", i), func() {})
	}
	if n := keptBy(t, c); n != maxKept {
		t.Errorf("%d statements are kept, want %d", n, maxKept)
	}
}

// A kept statement sees tables as another connection has changed them.
func TestKeptStatementAfterAChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	a, b := pool(path, nil, 1), pool(path, nil, 1)
	defer a.Close()
	defer b.Close()
	for i, change := range []string{`CREATE TABLE X AS SELECT 1 AS A`, `ALTER TABLE X ADD B`} {
		if _, err := b.Exec(change); err != nil {
			t.Fatal(err)
		}
		rows, err := a.Query(`SELECT * FROM X`)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil || len(columns) != i+1 {
			t.Errorf("columns are %v: %v", columns, err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
}
