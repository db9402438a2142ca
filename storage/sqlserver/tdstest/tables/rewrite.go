package tables

import (
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// rule replaces what stands in a statement.
type rule struct {
	pattern *regexp.Regexp
	by      string
}

func rules(pairs ...string) (list []rule) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, rule{regexp.MustCompile(pairs[i]), pairs[i+1]})
	}
	return list
}

func apply(list []rule, text string) string {
	for _, r := range list {
		text = r.pattern.ReplaceAllString(text, r.by)
	}
	return text
}

// pathMark begins what stands for a path until the row is known.
const pathMark = "PathName of "

// words are what T-SQL and SQLite have different words for.
var words = rules(
	`(?s)/\*.*?\*/`, ``,
	`--[^\n]*`, ``,
	`\bdbo\.`, ``,
	`\bN'`, `'`,
	` (?:WITH|OPTION) \([A-Z, ]+\)`, ``,
	`\bCOUNT_BIG\(`, `COUNT(`,
	`\bDATALENGTH\(`, `LENGTH(`,
	`\bNEWID\(\)`, `HEX(RANDOMBLOB(16))`,
	`\bNEWSEQUENTIALID\(\)`, `'g' || HEX(RANDOMBLOB(16))`,
	`\bCONVERT\(\w+(?:\([^)]*\))?, `, `(`,
	`\bDATEADD\(millisecond, `, `LATER(`,
	`\bDATEDIFF_BIG\(millisecond, `, `MILLISECONDS(`,
	`\b0x\b`, `x''`,
	`((?:\w+\.)?)RawPayload\.PathName\(\)`, `CASE WHEN ${1}RawPayload IS NULL THEN NULL ELSE '`+pathMark+`' || ${1}PayloadRowGuid END`,
	// The table that is changed is named at its start, and what is joined to it stands alone.
	`(?s)\bUPDATE a SET (.*)\sFROM (\S+) AS a INNER JOIN (\(.*\) AS \w+)\s+ON (\w+\.\w+ = \w+\.\w+) WHERE (.*)$`, `UPDATE $2 AS a SET $1 FROM $3 WHERE $4 AND ($5)`,
	`(?s)\bUPDATE a SET (.*)\sFROM (\S+) AS a INNER JOIN (\(.*\) AS \w+)\s+ON (\w+\.\w+ = \w+\.\w+)$`, `UPDATE $2 AS a SET $1 FROM $3 WHERE $4`,
	`(?s)\bUPDATE ([ab]) SET (.*)\sFROM (\S+) AS [ab]\s+WHERE `, `UPDATE $3 AS $1 SET $2 WHERE `,
	`\bDELETE \w FROM `, `DELETE FROM `,
	`(?s)\(SELECT TOP \((@\w+)\) (.*?)\) AS n$`, `(SELECT $2 LIMIT $1) AS n`,
)

// shapes are what only definitions have.
var shapes = rules(
	`(?s)^\s*IF .*\sIS NULL\s`, ``,
	`(?s)^\s*IF NOT EXISTS .*?\sALTER TABLE`, `ALTER TABLE`,
	`(?s)^\s*IF NOT EXISTS .*?\sCREATE INDEX`, `CREATE INDEX IF NOT EXISTS`,
	`(?s)^\s*BEGIN\s(.*)\sEND\s*$`, `$1`,
	`(\w+)\s+(?:bigint|int) IDENTITY\(1,1\) NOT NULL`, `$1 INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL`,
	` COLLATE \w+`, ``,
	` ROWGUIDCOL`, ``,
	` CLUSTERED`, ``,
	`\(max\)`, `(-1)`, // as lengths are in INFORMATION_SCHEMA
	`(?s)^\s*ALTER TABLE \S+ ADD CONSTRAINT.*`, ``, // SQLite has no such thing
)

// ownKey is the primary key of a table whose rows SQLite numbers: the column says it already.
var ownKey = regexp.MustCompile(`PRIMARY KEY \(\w+\)`)

// definition puts a batch of the schema's into the words of SQLite.
func definition(batch string) string {
	text := apply(shapes, apply(words, batch))
	if strings.Contains(text, "AUTOINCREMENT") {
		text = ownKey.ReplaceAllString(text, "CHECK (1)")
	}
	return text
}

var (
	changed  = regexp.MustCompile(`; SELECT \(@@ROWCOUNT\)\s*$`) // the double adds that answer by itself
	identity = regexp.MustCompile(`; SELECT \(SCOPE_IDENTITY\(\)\)\s*$`)
	top      = regexp.MustCompile(`^\s*SELECT TOP \((@?\w+)\)`)
	variable = regexp.MustCompile(`(?s)^\s*DECLARE (@\w+) \w+ = (.*?);`)
	scratch  = regexp.MustCompile(`#\w+`)
)

// rewritten is a statement in the words of SQLite.
type rewritten struct {
	text     string
	numbered bool // the number of the new row is asked for
}

func rewrite(text string) rewritten {
	var r rewritten
	text = apply(words, text)
	if found := variable.FindStringSubmatch(text); found != nil {
		text = strings.ReplaceAll(text[len(found[0]):], found[1], "("+found[2]+")")
	}
	text = changed.ReplaceAllString(text, "")
	if at := identity.FindStringIndex(text); at != nil {
		text, r.numbered = text[:at[0]], true
	}
	if found := top.FindStringSubmatch(text); found != nil {
		text = "SELECT" + text[len(found[0]):] + " LIMIT " + found[1]
	}
	if strings.Contains(text, "CREATE TABLE #") {
		text = strings.ReplaceAll(apply(shapes, text), "CREATE TABLE #", "CREATE TEMP TABLE #")
	}
	r.text = strings.TrimSpace(text)
	return r
}

// in is the statement with the temporary tables of a session.
func (r rewritten) in(session int) string {
	return scratch.ReplaceAllStringFunc(r.text, func(name string) string { return temporary(name, session) })
}

// temporary is the name of a session's own table.
func temporary(name string, session int) string { return fmt.Sprintf("[%s of %d]", name, session) }

func arguments(params []tdstest.Param) []any {
	args := make([]any, len(params))
	for i, p := range params {
		args[i] = sql.Named(p.Name, argument(p.Value))
	}
	return args
}

func argument(value any) any {
	if at, ok := value.(time.Time); ok {
		return at.UTC().Format(timeFormat)
	}
	return value
}

// timeFormat is how a time is kept: so that texts compare as times do.
const timeFormat = "2006-01-02 15:04:05.0000000"

func parseTime(value any) any {
	if text, ok := value.(string); ok {
		if at, err := time.Parse(timeFormat, text); err == nil {
			return at
		}
	}
	return value
}

// kindOf is the type of a column of an answer.
func kindOf(rows [][]any, i int) string {
	for _, row := range rows {
		switch row[i].(type) {
		case int64:
			return "bigint"
		case float64:
			return "float"
		case []byte:
			return "varbinary(max)"
		case time.Time:
			return "datetime2"
		case string:
			return "nvarchar(max)"
		}
	}
	return "int"
}

// Functions of T-SQL that SQLite lacks, or has with other arguments.
func init() {
	sqlite.MustRegisterScalarFunction("SYSUTCDATETIME", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return time.Now().UTC().Format(timeFormat), nil
	})
	sqlite.MustRegisterScalarFunction("LATER", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		at, err := time.Parse(timeFormat, fmt.Sprint(args[1]))
		return at.Add(time.Duration(args[0].(int64)) * time.Millisecond).Format(timeFormat), err
	})
	sqlite.MustRegisterScalarFunction("MILLISECONDS", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if args[0] == nil || args[1] == nil {
			return nil, nil
		}
		from, err := time.Parse(timeFormat, fmt.Sprint(args[0]))
		if err != nil {
			return nil, err
		}
		to, err := time.Parse(timeFormat, fmt.Sprint(args[1]))
		return to.Sub(from).Milliseconds(), err
	})
	sqlite.MustRegisterScalarFunction("HASHBYTES", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		payload, _ := args[1].([]byte)
		sum := sha256.Sum256(payload)
		return sum[:], nil
	})
}
