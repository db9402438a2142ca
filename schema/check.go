package schema

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Table is what Check found of one table.
type Table struct {
	Name      string
	Missing   bool     // the table itself
	Lacks     []string // columns, indexes and foreign keys that are not there
	Different []string // columns that are not as they should be, and how
}

// OK reports whether all is as it should be.
func (t *Table) OK() bool { return !t.Missing && len(t.Lacks) == 0 && len(t.Different) == 0 }

// Checked is what Check found.
type Checked struct {
	Server  Server
	Applied int // number of the last step that the database has
	Known   int // number of the last one that there is
	Tables  []Table
}

// OK reports whether the database is what this program needs.
func (c *Checked) OK() bool {
	return c.Applied == c.Known && !slices.ContainsFunc(c.Tables, func(t Table) bool { return !t.OK() })
}

// Check compares the SQL Server database db with what Apply makes of it. Columns, tables and indexes
// beyond that are nobody's concern here, and names of indexes neither.
func Check(ctx context.Context, db querier) (*Checked, error) {
	server, err := Inspect(ctx, db)
	if err != nil {
		return nil, err
	}
	steps, err := server.Script()
	if err != nil {
		return nil, err
	}
	c := &Checked{Server: server, Known: len(steps)}
	if c.Applied, err = applied(ctx, db); err != nil {
		return nil, err
	}
	if c.Applied > c.Known {
		return nil, &NewerError{Applied: c.Applied, Known: c.Known}
	}
	found, err := find(ctx, db)
	if err != nil {
		return nil, err
	}
	e := expect(steps)
	for _, name := range e.tables {
		c.Tables = append(c.Tables, e.compare(name, found))
	}
	return c, nil
}

// compare says how a table that was found differs from what is expected.
func (e *expectation) compare(name string, found *findings) Table {
	t := Table{Name: name}
	have := found.columns[strings.ToLower(name)]
	if have == nil {
		t.Missing = true
		return t
	}
	for _, want := range e.columns[name] {
		i := slices.IndexFunc(have, func(c column) bool { return c.name == want.name })
		if i < 0 {
			t.Lacks = append(t.Lacks, "column "+want.name)
		} else if difference := want.differs(have[i]); difference != "" {
			t.Different = append(t.Different, "column "+want.name+" "+difference)
		}
	}
	for _, want := range e.indexes {
		if want.table == name && !found.hasIndex(want) {
			t.Lacks = append(t.Lacks, pick(want.unique, "unique index", "index")+" on ("+strings.Join(want.columns, ", ")+")")
		}
	}
	for _, want := range e.keys {
		if want.table == name && !found.keys[strings.ToLower(want.name)] {
			t.Lacks = append(t.Lacks, "foreign key "+want.name)
		}
	}
	return t
}

// differs says how a column that was found is not the one wanted, and nothing for the differences
// between the editions of the database that exist.
func (want column) differs(got column) string {
	if want.kind == "json" || got.kind == "json" || want.kind == "geometry" {
		if got.kind == "json" || got.kind == "nvarchar" && got.length == -1 || want.kind == got.kind {
			return ""
		}
	}
	if want.kind != got.kind || want.length != got.length && !(want.name == "PayloadLocator" && got.length >= 500) {
		return fmt.Sprintf("is %s, want %s", got.describe(), want.describe())
	}
	if want.null && !got.null {
		return "is NOT NULL, want NULL"
	}
	return ""
}

func (c column) describe() string {
	switch {
	case c.length < 0:
		return c.kind + "(max)"
	case c.length > 0:
		return fmt.Sprintf("%s(%d)", c.kind, c.length)
	}
	return c.kind
}

// findings are what a database has, by names in lower case: not every engine keeps their capitals.
type findings struct {
	columns map[string][]column
	indexes map[string][][]string // the key columns of each index, by table; "!" before them if it is unique
	keys    map[string]bool
}

func (f *findings) hasIndex(want index) bool {
	return slices.ContainsFunc(f.indexes[strings.ToLower(want.table)], func(have []string) bool {
		unique, columns := have[0] == "!", have[1:]
		return (unique || !want.unique) && len(columns) >= len(want.columns) && (!want.unique || len(columns) == len(want.columns)) &&
			slices.EqualFunc(columns[:len(want.columns)], want.columns, strings.EqualFold)
	})
}

func find(ctx context.Context, db querier) (*findings, error) {
	f := &findings{columns: map[string][]column{}, indexes: map[string][][]string{}, keys: map[string]bool{}}
	err := each(ctx, db, func(rows *sql.Rows) error {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.kind, &c.length, &c.null); err != nil {
			return err
		}
		if c.kind != "nvarchar" && c.kind != "binary" && c.kind != "varbinary" {
			c.length = 0
		}
		f.columns[strings.ToLower(table)] = append(f.columns[strings.ToLower(table)], c)
		return nil
	}, `/* ingest: find-columns */ SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), CASE WHEN IS_NULLABLE = 'YES' THEN 1 ELSE 0 END
		FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = N'dbo'`)
	if err != nil {
		return nil, err
	}
	last := ""
	err = each(ctx, db, func(rows *sql.Rows) error {
		var table, column string
		var id, number int
		var unique bool
		if err := rows.Scan(&table, &id, &number, &unique, &column); err != nil {
			return err
		}
		table = strings.ToLower(table)
		if this := fmt.Sprint(table, number); this != last {
			last = this
			f.indexes[table] = append(f.indexes[table], []string{pick(unique, "!", "")})
		}
		list := f.indexes[table]
		list[len(list)-1] = append(list[len(list)-1], column)
		return nil
	}, `/* ingest: find-indexes */ SELECT t.name, i.object_id, i.index_id, i.is_unique, c.name FROM sys.tables AS t
		INNER JOIN sys.indexes AS i ON i.object_id = t.object_id
		INNER JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
		INNER JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
		WHERE ic.key_ordinal > 0 AND t.schema_id = SCHEMA_ID(N'dbo') ORDER BY t.name, i.object_id, i.index_id, ic.key_ordinal`)
	if err != nil {
		return nil, err
	}
	return f, each(ctx, db, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		f.keys[strings.ToLower(name)] = true
		return err
	}, `/* ingest: find-keys */ SELECT name FROM sys.foreign_keys`)
}

func each(ctx context.Context, db querier, row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
