package sqlserver

import (
	"database/sql"
	"strconv"
	"strings"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

var _ sqlcatalog.Dialect = (*engine)(nil)

// word is what stands for a word of a statement.
func (c *engine) word(name string, args []string) string {
	if text, known := sqlcatalog.ExactWord(name, args); known {
		return text
	}
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	column := arg(0)[strings.LastIndexByte(arg(0), '.')+1:]
	switch name {
	case "now":
		return "SYSUTCDATETIME()"
	case "time":
		return arg(0)
	case "readjson":
		return "CONVERT(nvarchar(max), " + arg(0) + "), " + arg(0) + "Exact"
	case "json":
		return c.columns.json(arg(0), "@p"+arg(1)) + ", @p" + arg(1) + "x"
	case "jsononly":
		return c.columns.json(arg(0), "@p"+arg(1))
	case "column": // of a temporary table, for a column of JSON
		return c.columns.json(arg(0), column)
	case "setjson":
		return column + " = " + c.columns.json(arg(0), "@p"+arg(1)) + ", " + column + "Exact = @p" + arg(1) + "x"
	case "bytes":
		return "COALESCE(DATALENGTH(" + arg(0) + "), 0)"
	case "empty":
		return "0x"
	case "count":
		return "COUNT_BIG(*)"
	case "top":
		return "TOP (" + arg(0) + ")"
	case "limit":
		return ""
	case "then":
		return "INNER JOIN"
	case "update":
		return "WITH (UPDLOCK, ROWLOCK)"
	case "range":
		return "WITH (UPDLOCK, HOLDLOCK, FORCESEEK)"
	case "committed":
		return "WITH (READCOMMITTEDLOCK)"
	case "expires":
		return "LeaseExpires"
	case "left":
		return "DATEDIFF_BIG(millisecond, SYSUTCDATETIME(), " + sqlcatalog.Qualified(arg(0), "LeaseExpires") + ")"
	case "until":
		return "DATEADD(millisecond, CONVERT(int, " + arg(0) + "), SYSUTCDATETIME())"
	case "digests":
		return sqlcatalog.Digests()
	}
	panic("no word " + name) // of a statement that no test has executed
}

// Text implements sqlcatalog.Dialect. A statement begins with its name, by which it is found in the query store, and by
// which the double of the server answers it.
func (c *engine) Text(name, text string) string {
	if text == "" {
		var known bool
		if text, known = own[name]; !known {
			panic("no statement " + name)
		}
		if text == "" {
			return ""
		}
	}
	return "/* ingest: " + name + " */ " + sqlcatalog.Render(text, c.word)
}

// Bind implements sqlcatalog.Encoding. The driver declares a text by its length, and each length would have a plan of its
// own: so texts are nvarchar(max). Each NULL has the type of what it stands for: not every engine takes one that has none.
func (c *engine) Bind(args []any) []any {
	bound := make([]any, 0, len(args)+8)
	for i, arg := range args {
		name := "p" + strconv.Itoa(i+1)
		switch v := arg.(type) {
		case string:
			bound = append(bound, sql.Named(name, mssql.NVarCharMax(clean(v))))
		case sqlcatalog.Text:
			text, exact := c.fit(v)
			bound = append(bound, sql.Named(name, text), sql.Named(name+"x", exact))
		case sqlcatalog.Key:
			bound = append(bound, sql.Named(name, sqlcatalog.Hash(v...)))
		case ingest.Address:
			a := c.addressColumns(v)
			modified, known := a.modified.(time.Time)
			exactly, _ := a.exact.([]byte)
			for j, value := range []any{typed(a.uri), typed(a.container), typed(a.name), typed(a.etag), a.bytes, sql.NullTime{Time: modified, Valid: known}, exactly} {
				bound = append(bound, sql.Named(name+sqlcatalog.AddressNames()[j], value))
			}
		default:
			bound = append(bound, sql.Named(name, arg))
		}
	}
	return bound
}

// fit returns a text as its column holds it, and its bytes for the Exact column where that is not all.
func (c *engine) fit(v sqlcatalog.Text) (text any, exact []byte) {
	fitting, exact := c.columns.fit(v.Column, v.Value)
	if v.Null && v.Value == "" || v.Whole && exact != nil {
		return typed(nil), exact
	}
	return mssql.NVarCharMax(fitting), exact
}

// typed is a text or NULL as a parameter.
func typed(value any) any {
	if text, known := value.(string); known {
		return mssql.NVarCharMax(text)
	}
	return sql.NullString{}
}

// field is a value of one column, or of several.
type field struct {
	columns []any
	set     func()
}

// Columns implements sqlcatalog.Field.
func (f *field) Columns() []any { return f.columns }

// Set implements sqlcatalog.Field.
func (f *field) Set() error { f.set(); return nil }

// Field implements sqlcatalog.Encoding.
func (c *engine) Field(into any) sqlcatalog.Field {
	switch into := into.(type) {
	case sqlcatalog.TextInto:
		e := new(exact)
		return &field{[]any{&e.text, &e.bytes}, func() { *into.Into = e.String() }}
	case sqlcatalog.JSONInto:
		e := new(exact)
		return &field{[]any{&e.text, &e.bytes}, func() { *into.Into = e.json() }}
	case *time.Time:
		at := new(sql.NullTime)
		return &field{[]any{at}, func() { *into = at.Time }}
	case *ingest.Address:
		a := new(scannedAddress)
		return &field{a.fields(), func() { *into = a.address() }}
	}
	return nil
}
