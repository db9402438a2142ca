package sqlserver

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// column is what the catalogue has to know of a column that another program may have made.
type column struct {
	json  bool // of the type json
	units int  // the most UTF-16 units that it holds; negative for max
}

// columns are those of the database, by "Table.Column".
type columns map[string]column

// readColumns reads what the columns of the database hold. Editions of a table differ in it.
func readColumns(ctx context.Context, db *sql.Conn) (columns, error) {
	rows, err := db.QueryContext(ctx, `/* ingest: columns */ SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(CHARACTER_MAXIMUM_LENGTH, -1)
		FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = N'dbo' AND (DATA_TYPE IN (N'nvarchar', N'json')
			OR TABLE_NAME = N'Atoms' AND COLUMN_NAME = N'Payload')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // its error is in rows.Err
	all := make(columns)
	for rows.Next() {
		var table, name, kind string
		var col column
		if err := rows.Scan(&table, &name, &kind, &col.units); err != nil {
			return nil, err
		}
		col.json = kind == "json"
		all[table+"."+name] = col
	}
	return all, rows.Err()
}

// json is how a parameter goes into a column of JSON. The type json has limits that nvarchar(max)
// has not: what is beyond them is NULL there, and whole in the column's Exact one.
func (c columns) json(name, parameter string) string {
	if c[name].json {
		return `TRY_CONVERT(json, ` + parameter + `)`
	}
	return parameter
}

// fit returns a text as the column holds it, and, where that is not all, its bytes for the Exact column.
func (c columns) fit(name, text string) (fitting string, exact []byte) {
	col, known := c[name]
	if !known {
		col.units = -1
	}
	fitting = cut(clean(text), col.units)
	if fitting != text || col.json {
		exact = []byte(text)
	}
	return fitting, exact
}

// clean returns text as nvarchar can hold it on any engine: without what is not UTF-8, and without NUL.
func clean(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// cut returns as much of text as fits into so many UTF-16 units; a negative number is no limit.
func cut(text string, units int) string {
	if units < 0 || len(text) <= units { // no character takes more units than bytes
		return text
	}
	for i, r := range text {
		if units--; r > 0xFFFF {
			units--
		}
		if units < 0 {
			return text[:i]
		}
	}
	return text
}

// exact is a text that is read from a column and its Exact one.
type exact struct {
	text  sql.NullString
	bytes []byte
}

// String returns the text as it was written. Another program that changed the column since, and
// knows nothing of the other one, is believed, unless what it wrote is how the text begins.
func (e *exact) String() string {
	if e.bytes == nil || !begins(e.bytes, e.text.String) {
		return e.text.String
	}
	return string(e.bytes)
}

// begins reports whether a column holds as much of what was written as fits.
func begins(written []byte, column string) bool {
	return strings.HasPrefix(clean(string(written)), column)
}

// json is String for a column of JSON, where the type json writes the same in other words.
func (e *exact) json() []byte {
	if e.bytes == nil || e.text.Valid && !sameJSON([]byte(clean(string(e.bytes))), []byte(e.text.String)) {
		return []byte(e.text.String)
	}
	return e.bytes
}

// sameJSON reports whether two texts are the same, or say the same in JSON.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
