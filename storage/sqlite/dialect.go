package sqlite

import (
	"database/sql"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// dialect is SQLite's. It stores text byte for byte, JSON as text, and times as text in UTC.
type dialect struct{ *connections }

var _ sqlcatalog.Dialect = (*dialect)(nil)

// nowMs is the database's clock, in Unix milliseconds.
const nowMs = `CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)`

// nowText is the database's clock in the form of time columns.
const nowText = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`

// Texts implements sqlcatalog.Dialect.
func (d *dialect) Texts() map[string]string { return own }

func init() {
	for _, c := range copyTables {
		c.addTexts(own)
	}
	own["referenced"], own["adopt-segment"] = referenced(), adopt
	own["hash-payload-tensor"], own["hash-payload-file"] = hashPayload.Text(true), hashPayload.Text(false)
}

// Finish implements sqlcatalog.Dialect. SQLite has no schemas.
func (d *dialect) Finish(_, text string) string { return strings.ReplaceAll(text, "dbo.", "") }

// Word implements sqlcatalog.Dialect.
func (d *dialect) Word(name string, args sqlcatalog.Args) (string, bool) { return Word(name, args) }

// Statement returns a statement of the catalogue for SQLite, with the words given: text or, if that
// is empty, SQLite's own statement of this name.
func Statement(name, text string, word func(name string, args sqlcatalog.Args) (string, bool)) string {
	return (*dialect)(nil).Finish(name, sqlcatalog.Compile(name, text, own, word))
}

// Word returns SQLite's text for a word of a shared statement.
func Word(name string, args sqlcatalog.Args) (string, bool) {
	if len(args) == 3 && name == "aturi" {
		return columnOf(args.At(1), args.At(2), "BlobUri") + " = @p" + args.At(0), true
	}
	if text, known := sqlcatalog.AtAddress(name, args, func(text string) string {
		return "COALESCE(" + text + ", '')"
	}); known {
		return text, true
	}
	switch name {
	case "now":
		return nowText, true
	case "read", "readjson", "time":
		return args.At(0), true
	case "readjsononly":
		return "CASE WHEN octet_length(" + args.At(0) + ") <= " + args.At(1) + " THEN " + args.At(0) + " END", true
	case "jsonbytes":
		return "ifnull(octet_length(" + args.At(0) + "), 0)", true
	case "notext":
		return "NULL", true
	case "cols":
		return strings.Join(args, ", "), true
	case "vals":
		return "@p" + strings.Join(args, ", @p"), true
	case "json", "jsononly":
		return "@p" + args.At(1), true
	case "set", "setjson":
		return args.Column() + " = @p" + args.At(1), true
	case "key", "keyed", "setkey", "update", "range", "committed", "top":
		return "", true
	case "same":
		return args.At(0) + " = @p" + args.At(1), true
	case "equal":
		return "COALESCE(" + args.At(0) + ", '') = COALESCE(@p" + args.At(1) + ", '')", true
	case "address":
		return addressList(func(name string) string { return sqlcatalog.Qualified(args.At(0), name) }), true
	case "addressof":
		return addressList(func(name string) string { return columnOf(args.At(0), args.At(1), name) }), true
	case "columnof":
		return columnOf(args.At(0), args.At(1), args.At(2)), true
	case "setaddress":
		return addressList(func(name string) string { return name + " = @p" + args.At(0) + name }), true
	case "notnull":
		return args.At(0) + " IS NOT NULL", true
	case "addressonly":
		return sqlcatalog.AddressOnly(args.At(0)), true
	case "setaddressonly":
		return sqlcatalog.SetAddressOnly(args), true
	case "sized": // the column is NOT NULL DEFAULT 0
		return "(ByteSize <> 0 OR ContentHash = x'" + ingest.Sum(nil).String() + "')", true
	case "nosize":
		return "0", true
	case "haspayload": // IS NOT NULL as a value would read the payload; typeof and octet_length do not
		return "(typeof(" + sqlcatalog.Qualified(args.At(0), "Payload") + ") <> 'null')", true
	case "payloadbytes":
		return "ifnull(octet_length(" + sqlcatalog.Qualified(args.At(0), "Payload") + "), 0)", true
	case "blobname":
		return sqlcatalog.BlobName(args.At(0)), true
	case "bytes":
		return "length(" + args.At(0) + ")", true
	case "small":
		return isSmall(args.At(0)), true
	case "empty":
		return "x''", true
	case "sha256":
		return "sha256_of(" + args.At(0) + ")", true
	case "count":
		return "count(*)", true
	case "sum": // total() cannot overflow, and a cast clamps
		return "CAST(total(" + args.All() + ") AS INTEGER)", true
	case "wherelisted":
		return "INDEXED BY IX_Atoms_Unreferenced WHERE ReferenceCount <= 0 AND", true
	case "limit":
		return "LIMIT " + args.At(0), true
	case "then":
		return "CROSS JOIN", true // keeps the order of the tables
	case "expires":
		return "LeaseExpiresMs", true
	case "left":
		return "(" + sqlcatalog.Qualified(args.At(0), "LeaseExpiresMs") + " - " + nowMs + ")", true
	case "until":
		return nowMs + " + " + args.At(0), true
	}
	return "", false
}

// Bind implements sqlcatalog.Encoding.
func (d *dialect) Bind(name string, argument any) []sql.NamedArg {
	switch arg := argument.(type) {
	case sqlcatalog.Text:
		return []sql.NamedArg{sql.Named(name, textOrNull(arg.Value, arg.Null))}
	case sqlcatalog.Key:
		return []sql.NamedArg{sql.Named(name, keyArgument(arg))}
	case ingest.Address:
		var all []sql.NamedArg
		for i, column := range addressColumns(arg) {
			all = append(all, sql.Named(name+sqlcatalog.AddressNames()[i], column))
		}
		return all
	}
	return nil
}

func textOrNull(text string, null bool) any {
	if text == "" && null {
		return nil
	}
	return text
}

// keyArgument is a single text itself, and the SHA-256 of several, as key_of computes it.
func keyArgument(key sqlcatalog.Key) any {
	if len(key) == 1 {
		return key[0]
	}
	return sqlcatalog.Hash(key...)
}

// Field implements sqlcatalog.Encoding. Each column may be NULL.
func (d *dialect) Field(value any) *sqlcatalog.Field {
	var text [6]sql.NullString
	field := &sqlcatalog.Field{Columns: []any{&text[0]}}
	switch value := value.(type) {
	case sqlcatalog.TextInto:
		field.Set = func() error { *value.Into = text[0].String; return nil }
	case sqlcatalog.JSONInto:
		field.Set = func() error { *value.Into = []byte(text[0].String); return nil }
	case *time.Time:
		field.Set = func() (err error) { *value, err = parseTime(text[0]); return err }
	case *ingest.Address:
		var stored []byte
		field.Columns = []any{&text[0], &text[1], &text[2], &text[3], &value.Bytes, &text[4], &text[5], &stored}
		field.Set = func() (err error) {
			value.URI, value.Container, value.Name, value.ETag = text[0].String, text[1].String, text[2].String,
				text[3].String
			value.Encoding = sqlcatalog.EncodingOf(text[5].String, stored)
			value.Modified, err = parseTime(text[4])
			return err
		}
	default:
		return nil
	}
	return field
}

// parseTime parses the value of a time column; the zero time for NULL.
func parseTime(text sql.NullString) (time.Time, error) {
	if text.String == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text.String)
}

// own are the statements that differ from SQL Server's. Several are empty: a write transaction is
// the only one at a time, so it need not lock anything, and the keys of models and jobs are columns
// with unique indexes.
var own = map[string]string{
	"fence": "", "lock-jobs": "", "lock-atoms": "", "start-job-key": "", "close-job-key": "", "drop-keys": "",

	"unfinished":   `SELECT ModelId, IngestionJobId FROM Models WHERE SourceKey = @p1 AND State = 'open'`,
	"open-key":     `UPDATE Models SET SourceKey = @p1 WHERE ModelId = @p2`,
	"twin":         `SELECT ModelId FROM Models WHERE ContentKey = @p1 AND State = 'complete'`,
	"complete-key": `UPDATE Models SET ContentKey = @p1 WHERE ModelId = @p2`,

	// Open jobs are few, and have an index of their own.
	"requested-source": sqlcatalog.LeasedColumns +
		` WHERE j.Status = 'open' AND key_of(j.PipelineName, j.SourceUri) = @p1`,

	// Nearly all atoms are ours, so a scan in key order does.
	"next-atoms": `SELECT coalesce(max(AtomId), 0)
		FROM (SELECT AtomId FROM Atoms WHERE AtomId > @p1 ORDER BY AtomId LIMIT @p2)`,

	// This and list-unreferenced name the index: the planner may prefer a range of AtomId, which has
	// all atoms. Without garbage among 8.7 million atoms, a list takes 1 ms, and took 8 s before.
	"next-listed": `SELECT coalesce(max(AtomId), 0) FROM (SELECT AtomId FROM Atoms INDEXED BY IX_Atoms_Unreferenced
		WHERE ReferenceCount <= 0 AND AtomId > @p1 ORDER BY AtomId LIMIT @p2)`,

	"release-tensors": `UPDATE Atoms SET ReferenceCount = ReferenceCount - n.Pieces FROM (` +
		sqlcatalog.TensorReferences + `) AS n WHERE Atoms.AtomId = n.AtomId`,
	"release-files": `UPDATE Atoms SET ReferenceCount = ReferenceCount - n.Pieces FROM (` +
		sqlcatalog.FileReferences + `) AS n WHERE Atoms.AtomId = n.AtomId`,

	"sees-all-keys": `SELECT 1`,

	// A key that names no columns refers to the primary key. Those of primary keys, and generated
	// columns, cannot be set to NULL.
	"foreign-keys": `SELECT 'dbo', t.name, k.seq, k."from",
			coalesce((SELECT c."notnull" = 0 AND c.pk = 0 AND c.hidden = 0
				FROM pragma_table_xinfo(t.name) AS c WHERE c.name = k."from" COLLATE NOCASE), 0),
			'dbo', k."table", coalesce(k."to",
				(SELECT c.name FROM pragma_table_xinfo(k."table") AS c WHERE c.pk = k.seq + 1), 'rowid'), k.on_delete
		FROM sqlite_schema AS t JOIN pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table'
		ORDER BY t.name, k.id, k.seq`,
}

// Findings implements sqlcatalog.Dialect with SQLite's own checks.
func (d *dialect) Findings() []sqlcatalog.Finding {
	return []sqlcatalog.Finding{
		sqlcatalog.NewFinding("foreign-keys", "row whose foreign key points nowhere",
			`SELECT rowid AS Id FROM pragma_foreign_key_check`),
		sqlcatalog.NewFinding("damage", "damage found by SQLite",
			`SELECT rowid AS Id FROM pragma_quick_check WHERE quick_check <> 'ok'`),
	}
}
