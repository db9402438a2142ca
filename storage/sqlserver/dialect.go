package sqlserver

import (
	"database/sql"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

var _ sqlcatalog.Dialect = (*engine)(nil)

// Texts implements sqlcatalog.Dialect.
func (c *engine) Texts() map[string]string { return own }

// Finish implements sqlcatalog.Dialect. A statement begins with its name, which identifies it in
// the query store and to the test double of the server.
func (c *engine) Finish(name, text string) string { return "/* ingest: " + name + " */ " + text }

// Word implements sqlcatalog.Dialect.
func (c *engine) Word(name string, args sqlcatalog.Args) (string, bool) {
	if text, known := sqlcatalog.ExactWord(name, args); known {
		return text, true
	}
	parameter := "@p" + args.At(1)
	bytes := func(text string) string { return "COALESCE(CONVERT(varbinary(max), " + text + "), 0x)" }
	if text, known := sqlcatalog.AtAddress(name, args, bytes); known {
		return text, true
	}
	switch name {
	case "readjson":
		return "CONVERT(nvarchar(max), " + args.At(0) + "), " + args.At(0) + "Exact", true
	case "readjsononly":
		text := "CONVERT(nvarchar(max), " + args.At(0) + ")"
		return "CASE WHEN DATALENGTH(" + text + ") <= " + args.At(1) + " THEN " + text + " END, NULL", true
	case "jsonbytes":
		return "COALESCE(DATALENGTH(CONVERT(nvarchar(max), " + args.At(0) + ")), 0)", true
	case "equal": // byte for byte, unlike the collation
		return sqlcatalog.EqualExact(args, bytes(args.At(0))+" = "+bytes(parameter)), true
	case "haspayload": // the column may be missing
		if !c.atomPayloads() {
			return "0", true
		}
		return "CASE WHEN " + sqlcatalog.Qualified(args.At(0), "Payload") + " IS NULL THEN 0 ELSE 1 END", true
	case "payloadbytes":
		if !c.atomPayloads() {
			return "CONVERT(bigint, 0)", true
		}
		return "COALESCE(DATALENGTH(" + sqlcatalog.Qualified(args.At(0), "Payload") + "), 0)", true
	case "json":
		return c.columns.json(args.At(0), parameter) + ", " + parameter + "x", true
	case "jsononly":
		return c.columns.json(args.At(0), parameter), true
	case "column": // of a temporary table, for a column of JSON
		return c.columns.json(args.At(0), args.Column()), true
	case "setjson":
		return args.Column() + " = " + c.columns.json(args.At(0), parameter) + ", " + args.Column() + "Exact = " +
			parameter + "x", true
	case "time":
		return args.At(0), true
	case "small": // never: FILESTREAM is bad at values under 1 MB, and a store takes them
		return "1 = 0", true
	case "bytes":
		return "COALESCE(DATALENGTH(" + args.At(0) + "), 0)", true
	case "sha256": // of values of any size since SQL Server 2016, the oldest version supported
		return "HASHBYTES('SHA2_256', " + args.At(0) + ")", true
	case "sum":
		sum := "SUM(CONVERT(decimal(38, 0), " + args.All() + "))"
		return "CONVERT(bigint, CASE WHEN " + sum + " > 9223372036854775807 THEN 9223372036854775807 ELSE COALESCE(" +
			sum + ", 0) END)", true
	case "top":
		return "TOP (" + args.At(0) + ")", true
	case "left":
		return "DATEDIFF_BIG(millisecond, SYSUTCDATETIME(), " + sqlcatalog.Qualified(args.At(0), "LeaseExpires") + ")",
			true
	case "until":
		return "DATEADD(millisecond, CONVERT(int, " + args.At(0) + "), SYSUTCDATETIME())", true
	}
	text, known := words[name]
	return text, known
}

// words are those without arguments, and locks. FORCESEEK is part of a range lock: a scan would
// lock all ranges.
var words = map[string]string{
	"now": "SYSUTCDATETIME()", "empty": "0x", "count": "COUNT_BIG(*)", "limit": "", "then": "INNER JOIN",
	"expires": "LeaseExpires", "sized": "ByteSize IS NOT NULL", "nosize": "NULL",
	"update": "WITH (UPDLOCK, ROWLOCK)", "range": "WITH (UPDLOCK, HOLDLOCK, FORCESEEK)",
	"committed": "WITH (READCOMMITTEDLOCK)", "wherelisted": "WHERE",
}

// Bind implements sqlcatalog.Encoding. Texts are nvarchar(max): the driver declares other types
// with their length, and each length would have its own plan. Each NULL has a type, which some
// engines require.
func (c *engine) Bind(name string, argument any) []sql.NamedArg {
	switch v := argument.(type) {
	case string:
		return []sql.NamedArg{sql.Named(name, mssql.NVarCharMax(clean(v)))}
	case sqlcatalog.Text:
		fitting, exact := c.fit(v)
		return []sql.NamedArg{sql.Named(name, fitting), sql.Named(name+"x", exact)}
	case sqlcatalog.Key:
		return []sql.NamedArg{sql.Named(name, sqlcatalog.Hash(v...))}
	case ingest.Address:
		return c.bindAddress(name, v)
	}
	return nil
}

func (c *engine) bindAddress(name string, address ingest.Address) (all []sql.NamedArg) {
	a := c.addressColumns(address)
	modified, known := a.modified.(time.Time)
	stored, _ := a.stored.([]byte)
	exactly, _ := a.exact.([]byte)
	columns := []any{typed(a.uri), typed(a.container), typed(a.name), typed(a.etag), a.bytes,
		sql.NullTime{Time: modified, Valid: known}, typed(a.codec), stored, exactly}
	for i, column := range sqlcatalog.ExactAddressNames() {
		all = append(all, sql.Named(name+column, columns[i]))
	}
	return all
}

// fit returns a text as its column can hold it, and all its bytes for the Exact column if they
// differ.
func (c *engine) fit(v sqlcatalog.Text) (text any, exact []byte) {
	fitting, exact := c.columns.fit(v.Column, v.Value)
	if v.Null && v.Value == "" || v.Whole && exact != nil {
		return typed(nil), exact
	}
	return mssql.NVarCharMax(fitting), exact
}

// typed returns a text or NULL as a parameter.
func typed(value any) any {
	if text, known := value.(string); known {
		return mssql.NVarCharMax(text)
	}
	return sql.NullString{}
}

// Field implements sqlcatalog.Encoding.
func (c *engine) Field(destination any) *sqlcatalog.Field {
	var read func()
	var columns []any
	switch d := destination.(type) {
	case sqlcatalog.TextInto:
		e := new(exact)
		columns, read = []any{&e.text, &e.bytes}, func() { *d.Into = e.String() }
	case sqlcatalog.JSONInto:
		e := new(exact)
		columns, read = []any{&e.text, &e.bytes}, func() { *d.Into = e.json() }
	case *time.Time:
		at := new(sql.NullTime)
		columns, read = []any{at}, func() { *d = at.Time }
	case *ingest.Address:
		a := new(scannedAddress)
		columns, read = a.fields(), func() { *d = a.address() }
	default:
		return nil
	}
	return &sqlcatalog.Field{Columns: columns, Set: func() error { read(); return nil }}
}
