package sqlite

import (
	"database/sql"
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

// Texts and the next two fill in statements.
func (d *dialect) Texts() map[string]string { return own }

// Finish implements sqlcatalog.Dialect. There are no schemas here.
func (d *dialect) Finish(_, text string) string { return strings.ReplaceAll(text, "dbo.", "") }

// Word is Word, below.
func (d *dialect) Word(name string, args sqlcatalog.Args) (string, bool) { return Word(name, args) }

// Statement is a statement of the catalogue in SQLite's words, or in a variant of them: that of a text
// that is shared, or
// SQLite's own of this name.
func Statement(name, text string, word func(name string, args sqlcatalog.Args) (string, bool)) string {
	return (*dialect)(nil).Finish(name, sqlcatalog.Compile(name, text, own, word))
}

// Word is what stands for a word of a shared statement.
func Word(name string, args sqlcatalog.Args) (string, bool) {
	address := sqlcatalog.AddressNames()[:6] // they hold all of it
	switch name {
	case "now":
		return nowText, true
	case "read", "readjson", "readjsononly", "time":
		return args.At(0), true
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
	case "key", "keyed", "setkey", "update", "range", "committed", "ifwhole", "top":
		return "", true
	case "same":
		return args.At(0) + " = @p" + args.At(1), true
	case "address":
		return sqlcatalog.Join(address, func(name string) string { return sqlcatalog.Qualified(args.At(0), name) }),
			true
	case "setaddress":
		return sqlcatalog.Join(address, func(name string) string { return name + " = @p" + args.At(0) + name }), true
	case "notnull":
		return args.At(0) + " IS NOT NULL", true
	case "addressonly":
		return sqlcatalog.AddressOnly(args.At(0)), true
	case "setaddressonly":
		return sqlcatalog.SetAddressOnly(args), true
	case "haspayload":
		return "(" + sqlcatalog.Qualified(args.At(0), "Payload") + " IS NOT NULL)", true
	case "payloadbytes":
		return "ifnull(length(" + sqlcatalog.Qualified(args.At(0), "Payload") + "), 0)", true
	case "blobname":
		return "ifnull(" + sqlcatalog.Qualified(args.At(0), "BlobName") + ", '')", true
	case "bytes":
		return "length(" + args.At(0) + ")", true
	case "empty":
		return "x''", true
	case "sha256":
		return "sha256_of(" + args.At(0) + ")", true
	case "count":
		return "count(*)", true
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

// Bind implements sqlcatalog.Dialect.
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

// keyArgument is one text itself, as rows are found by it, and the SHA-256 of several, as key_of computes it.
func keyArgument(key sqlcatalog.Key) any {
	if len(key) == 1 {
		return key[0]
	}
	return sqlcatalog.Hash(key...)
}

// Field reads texts, all of which may be NULL.
func (d *dialect) Field(value any) *sqlcatalog.Field {
	var text [5]sql.NullString
	field := &sqlcatalog.Field{Columns: []any{&text[0]}}
	switch value := value.(type) {
	case sqlcatalog.TextInto:
		field.Set = func() error { *value.Into = text[0].String; return nil }
	case sqlcatalog.JSONInto:
		field.Set = func() error { *value.Into = []byte(text[0].String); return nil }
	case *time.Time:
		field.Set = func() (err error) { *value, err = parseTime(text[0]); return err }
	case *ingest.Address:
		field.Columns = []any{&text[0], &text[1], &text[2], &text[3], &value.Bytes, &text[4]}
		field.Set = func() (err error) {
			value.URI, value.Container, value.Name, value.ETag = text[0].String, text[1].String, text[2].String,
				text[3].String
			value.Modified, err = parseTime(text[4])
			return err
		}
	default:
		return nil
	}
	return field
}

// parseTime reads a column of a time; the zero time for NULL.
func parseTime(text sql.NullString) (time.Time, error) {
	if text.String == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text.String)
}

// own are the statements that SQL Server has others for. Several are empty: a transaction that writes is
// the only one that
// does, so that it need not lock anything; and the keys of models and jobs are columns of theirs with unique indexes.
var own = map[string]string{
	"fence": "", "lock-jobs": "", "lock-atoms": "", "start-job-key": "", "close-job-key": "", "drop-keys": "",

	"unfinished":   `SELECT ModelId, IngestionJobId FROM Models WHERE SourceKey = @p1 AND State = 'open'`,
	"open-key":     `UPDATE Models SET SourceKey = @p1 WHERE ModelId = @p2`,
	"twin":         `SELECT ModelId FROM Models WHERE ContentKey = @p1 AND State = 'complete'`,
	"complete-key": `UPDATE Models SET ContentKey = @p1 WHERE ModelId = @p2`,

	// Open jobs are few, and an index holds them alone.
	"requested-source": sqlcatalog.LeasedColumns +
		` WHERE j.Status = 'open' AND key_of(j.PipelineName, j.SourceUri) = @p1`,

	// Of the atoms, nearly all are ours: they are read in their order.
	"next-atoms": `SELECT coalesce(max(AtomId), 0) FROM (SELECT AtomId FROM Atoms WHERE AtomId > @p1 ORDER BY AtomId LIMIT @p2)`,

	"release-tensors": `UPDATE Atoms SET ReferenceCount = ReferenceCount - n.Pieces FROM (` +
		sqlcatalog.TensorReferences + `) AS n WHERE Atoms.AtomId = n.AtomId`,
	"release-files": `UPDATE Atoms SET ReferenceCount = ReferenceCount - n.Pieces FROM (` +
		sqlcatalog.FileReferences + `) AS n WHERE Atoms.AtomId = n.AtomId`,

	// A key that names no column refers to the primary key.
	"foreign-keys": `SELECT '', t.name, k."from", k."table", coalesce(k."to", 'rowid'), k.on_delete
		FROM sqlite_schema AS t JOIN pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table' AND k.seq = 0
		AND NOT EXISTS (SELECT 1 FROM pragma_foreign_key_list(t.name) AS other WHERE other.id = k.id AND other.seq > 0)`,
}

// Findings implements sqlcatalog.Dialect: what SQLite itself finds.
func (d *dialect) Findings() []sqlcatalog.Finding {
	return []sqlcatalog.Finding{
		sqlcatalog.NewFinding("foreign-keys", "row whose foreign key points nowhere",
			`SELECT rowid AS Id FROM pragma_foreign_key_check`),
		sqlcatalog.NewFinding("damage", "damage found by SQLite",
			`SELECT rowid AS Id FROM pragma_quick_check WHERE quick_check <> 'ok'`),
	}
}
