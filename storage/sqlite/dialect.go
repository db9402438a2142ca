package sqlite

import (
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// dialect is SQLite's. Text is kept byte for byte, JSON is text, and times are text in UTC.
type dialect struct{ *connections }

var _ sqlcatalog.Dialect = (*dialect)(nil)

// nowMs is the database's clock, in Unix milliseconds.
const nowMs = `CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)`

// nowText is the database's clock as the columns of times have it.
const nowText = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`

// Word is what stands for a word of a shared statement.
func Word(name string, args []string) string {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	address := sqlcatalog.AddressNames()[:6] // they hold all of it
	switch name {
	case "now":
		return nowText
	case "read", "readjson", "time":
		return arg(0)
	case "notext":
		return "NULL"
	case "cols":
		return strings.Join(args, ", ")
	case "vals":
		return "@p" + strings.Join(args, ", @p")
	case "json", "jsononly":
		return "@p" + arg(1)
	case "set", "setjson":
		return arg(0)[strings.LastIndexByte(arg(0), '.')+1:] + " = @p" + arg(1)
	case "key", "keyed", "setkey", "update", "range", "committed", "ifwhole", "top":
		return ""
	case "same":
		return arg(0) + " = @p" + arg(1)
	case "address":
		return sqlcatalog.Join(address, func(name string) string { return sqlcatalog.Qualified(arg(0), name) })
	case "setaddress":
		return sqlcatalog.Join(address, func(name string) string { return name + " = @p" + arg(0) + name })
	case "blobname":
		return "ifnull(" + sqlcatalog.Qualified(arg(0), "BlobName") + ", '')"
	case "bytes":
		return "length(" + arg(0) + ")"
	case "empty":
		return "x''"
	case "count":
		return "count(*)"
	case "limit":
		return "LIMIT " + arg(0)
	case "then":
		return "CROSS JOIN" // keeps the order of the tables
	case "expires":
		return "LeaseExpiresMs"
	case "left":
		return "(" + sqlcatalog.Qualified(arg(0), "LeaseExpiresMs") + " - " + nowMs + ")"
	case "until":
		return nowMs + " + " + arg(0)
	case "digests":
		return sqlcatalog.Digests()
	}
	panic("no word " + name) // of a statement that no test has executed
}

// Text implements sqlcatalog.Dialect.
func (d *dialect) Text(name, text string) string { return Text(name, text, Word) }

// Text is a statement in SQLite's words, or in those of a variant of it.
func Text(name, text string, word func(name string, args []string) string) string {
	if text == "" {
		var known bool
		if text, known = own[name]; !known {
			panic("no statement " + name)
		}
	}
	return strings.ReplaceAll(sqlcatalog.Render(text, word), "dbo.", "")
}

// Bind implements sqlcatalog.Encoding. Arguments have names, as one may stand for several.
func (d *dialect) Bind(args []any) []any {
	bound := make([]any, 0, len(args)+8)
	for i, arg := range args {
		name := "p" + strconv.Itoa(i+1)
		switch v := arg.(type) {
		case sqlcatalog.Text:
			bound = append(bound, sql.Named(name, textOrNull(v.Value, v.Null)))
		case sqlcatalog.Key:
			bound = append(bound, sql.Named(name, keyArgument(v)))
		case ingest.Address:
			for j, column := range addressColumns(v) {
				bound = append(bound, sql.Named(name+sqlcatalog.AddressNames()[j], column))
			}
		default:
			bound = append(bound, sql.Named(name, arg))
		}
	}
	return bound
}

func textOrNull(text string, null bool) any {
	if text == "" && null {
		return nil
	}
	return text
}

// keyArgument is one text itself, as rows are found by it, and the SHA-256 of several, as key_of computes it.
func keyArgument(key sqlcatalog.Key) any {
	if len(key) == 1 {
		return key[0]
	}
	return sqlcatalog.Hash(key...)
}

// field is a value of one column, or of several.
type field struct {
	columns []any
	set     func() error
}

func (f *field) Columns() []any { return f.columns }

func (f *field) Set() error { return f.set() }

// Field implements sqlcatalog.Encoding.
func (d *dialect) Field(into any) sqlcatalog.Field {
	switch into := into.(type) {
	case sqlcatalog.TextInto:
		text := new(sql.NullString)
		return &field{[]any{text}, func() error { *into.Into = text.String; return nil }}
	case sqlcatalog.JSONInto:
		text := new(sql.NullString)
		return &field{[]any{text}, func() error { *into.Into = []byte(text.String); return nil }}
	case *time.Time:
		text := new(sql.NullString)
		return &field{[]any{text}, func() (err error) { *into, err = parseTime(*text); return err }}
	case *ingest.Address:
		var texts [5]sql.NullString
		return &field{[]any{&texts[0], &texts[1], &texts[2], &texts[3], &into.Bytes, &texts[4]}, func() (err error) {
			into.URI, into.Container, into.Name, into.ETag = texts[0].String, texts[1].String, texts[2].String, texts[3].String
			into.Modified, err = parseTime(texts[4])
			return err
		}}
	}
	return nil
}

// parseTime reads a column of a time; the zero time for NULL.
func parseTime(text sql.NullString) (time.Time, error) {
	if text.String == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text.String)
}
