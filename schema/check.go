package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Table is the result of Check for one table.
type Table struct {
	Name      string
	Missing   bool
	Lacks     []string // missing columns, indexes and foreign keys
	Different []string // columns and foreign keys that differ, and how
}

// OK reports whether the table is as it should be.
func (t *Table) OK() bool { return !t.Missing && len(t.Lacks) == 0 && len(t.Different) == 0 }

// Checked is the result of Check.
type Checked struct {
	Server  Server
	Applied int // last step of the database
	Known   int // last step of this program
	Tables  []Table
}

// OK reports whether the schema is complete and up to date.
func (c *Checked) OK() bool {
	return c.Applied == c.Known && !slices.ContainsFunc(c.Tables, func(t Table) bool { return !t.OK() })
}

// Check compares the SQL Server database db with what Apply makes, and changes nothing. It ignores
// other columns, tables and indexes. It identifies indexes, keys and defaults by what they do:
// another program may have given them other names.
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

// compare returns how a table differs from what is expected.
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
		if want.table == name && !found.index(want) {
			t.Lacks = append(t.Lacks, pick(want.unique, "unique index", "index")+" on ("+
				strings.Join(want.columns, ", ")+")")
		}
	}
	for _, want := range e.keys {
		if want.table != name {
			continue
		}
		if have := found.key(want); have == nil {
			t.Lacks = append(t.Lacks, want.describe())
		} else if difference := want.differs(*have); difference != "" {
			t.Different = append(t.Different, want.describe()+" "+difference)
		}
	}
	return t
}

// differs returns how got differs from the wanted column. It ignores the differences between
// editions of the Hartonomous database.
func (want column) differs(got column) string {
	sameKind := want.kind == got.kind &&
		(want.length == got.length || want.name == "PayloadLocator" && got.length >= 500)
	switch {
	case !sameKind && !(want.holdsJSON() && got.holdsJSON()):
		return fmt.Sprintf("is %s, want %s", got.describe(), want.describe())
	case want.null && !got.null:
		return "is NOT NULL, want NULL"
	case want.fallback && !got.fallback && !slices.Contains(alwaysGiven, want.name):
		return "has no default"
	}
	return ""
}

// alwaysGiven are columns that need no default although the steps make one: every INSERT of ingest
// sets them.
var alwaysGiven = []string{"RawPayload", "WasDuplicate"}

// holdsJSON reports whether $(json) may stand for the column's type on any server.
func (c column) holdsJSON() bool { return c.kind == "json" || c.kind == "nvarchar" && c.length == -1 }

func (c column) describe() string {
	switch {
	case c.length < 0:
		return c.kind + "(max)"
	case c.length > 0:
		return fmt.Sprintf("%s(%d)", c.kind, c.length)
	}
	return c.kind
}

// differs returns how got differs from the wanted foreign key.
func (want foreignKey) differs(got foreignKey) string {
	switch {
	case got.off:
		return "is disabled"
	case got.deletes != want.deletes:
		return fmt.Sprintf("has ON DELETE %s, want %s", got.deletes, want.deletes)
	}
	return ""
}

func (k foreignKey) describe() string {
	return fmt.Sprintf("foreign key (%s) to %s", strings.Join(k.columns, ", "), k.to)
}
