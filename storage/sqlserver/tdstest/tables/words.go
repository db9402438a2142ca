package tables

import (
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
	embedded "github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// word returns the SQL for a word of a statement: that of the embedded catalogue, except for texts,
// which package sqlserver sends with their exact bytes in a second parameter.
func word(name string, args sqlcatalog.Args) (string, bool) {
	if text, known := sqlcatalog.ExactWord(name, args); known {
		if strings.HasPrefix(name, "address") && len(args) > 0 { // in a query
			at := args[len(args)-1] + ".BlobLastModified"
			text = strings.Replace(text, at, timeOf+at, 1)
		}
		return text, true
	}
	switch name {
	case "aturi": // without the tables of copies
		return sqlcatalog.Qualified(args.At(2), "BlobUri") + " = @p" + args[0], true
	case "equal":
		text, _ := embedded.Word(name, args)
		return sqlcatalog.EqualExact(args, text), true
	case "readjson":
		return args[0] + ", " + args[0] + "Exact", true
	case "readjsononly":
		text, _ := embedded.Word(name, args)
		return text + ", NULL", true
	case "json":
		return "@p" + args[1] + ", @p" + args[1] + "x", true
	case "setjson":
		return args.Column() + " = @p" + args[1] + ", " + args.Column() + "Exact = @p" + args[1] + "x", true
	case "time":
		return timeOf + args[0], true
	case "small":
		return "1 = 0", true
	}
	return embedded.Word(name, args)
}

// timeOf marks the value of a column as a time, and pathOf marks the argument of PathName(), because
// the results of SQLite have no types.
const (
	timeOf = "'time ' || "
	pathOf = "'path ' || "
)

// exactColumns lists the columns of the server's tables that the embedded tables lack: the exact
// bytes of texts, and hashes of them.
var exactColumns = map[string][]string{
	"Atoms":               {"SourceUriExact", "PayloadLocatorExact"},
	"Models":              {"ModelNameExact", "ModelTypeExact", "ArchitectureExact", "ConfigExact"},
	"ModelMetadata":       {"LicenseExact", "SourceUrlExact"},
	"ModelFiles":          {"RoleExact", "FormatExact", "FileNameExact", "SourcePathExact"},
	"FilePaths":           {"SourcePathExact", "PathHash"},
	"ModelNames":          {"NameHash", "NameExact", "SourceUriExact"},
	"ModelNameFiles":      {"RelativePathExact"},
	"ModelLayers":         {"LayerNameExact", "TensorShapeExact"},
	"IngestionJobs":       {"SourceUriExact", "MetadataExact"},
	"LayerTensorSegments": {"AddressExact"},
	"FileSegments":        {"AddressExact"},
}

const newInBatch = ` FROM [#ingest_batch] AS b WHERE b.New = 1 AND `

// own has the statements of package sqlserver that the embedded catalogue lacks: those with temporary
// tables, and those about features that SQLite does not have. Of several statements, the last one
// gives the answer.
var own = map[string][]string{
	"clear-batch": {`DROP TABLE IF EXISTS temp.[#ingest_batch]`,
		`CREATE TEMP TABLE [#ingest_batch] (RowNo INTEGER PRIMARY KEY, LayerId, SegmentOrdinal, PointOffset,
			PointCount, QuantizationType, ByteOffset, ByteSize, ContentHash, BlobUri, BlobContainer, BlobName,
			BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash, AddressExact, New, AtomId)`},
	"mark-present": {`UPDATE [#ingest_batch] AS b SET New = 0
		WHERE EXISTS (SELECT 1 FROM LayerTensorSegments AS s
				WHERE s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal)
			OR b.LayerId IS NULL AND EXISTS (SELECT 1 FROM FileSegments AS s
				WHERE s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal)`},
	"add-atoms": {`INSERT INTO Atoms (ContentHash, Modality, SourceType, ReferenceCount, ByteSize)
		SELECT ContentHash, 'model', 'ingest_segment', 0, min(ByteSize)
		FROM [#ingest_batch]
		WHERE New = 1 AND ContentHash NOT IN (SELECT ContentHash FROM Atoms)
		GROUP BY ContentHash`,
		`UPDATE [#ingest_batch]
		SET AtomId = (SELECT a.AtomId FROM Atoms AS a WHERE a.ContentHash = [#ingest_batch].ContentHash)`},
	"count-atoms": {`UPDATE Atoms SET ReferenceCount = ReferenceCount + n.Segments
		FROM (SELECT AtomId, count(*) AS Segments FROM [#ingest_batch] WHERE New = 1 GROUP BY AtomId) AS n
		WHERE n.AtomId = Atoms.AtomId`,
		`SELECT coalesce(sum(n.Segments), 0), coalesce(sum(n.Bytes), 0),
			coalesce(sum(iif(a.ReferenceCount <= n.Segments, n.ByteSize, 0)), 0)
		FROM (SELECT AtomId, count(*) AS Segments, sum(ByteSize) AS Bytes, min(ByteSize) AS ByteSize
			FROM [#ingest_batch] WHERE New = 1 GROUP BY AtomId) AS n
		JOIN Atoms AS a ON a.AtomId = n.AtomId`},
	"add-tensor-segments": {insertTensors + `x''` + newInBatch + `b.LayerId IS NOT NULL ORDER BY b.RowNo`},
	"add-tensor-payload":  {insertTensors + `@p3` + newInBatch + `b.LayerId IS NOT NULL AND b.RowNo = @p2`},
	"add-file-segments":   {insertOthers + `x''` + newInBatch + `b.LayerId IS NULL ORDER BY b.RowNo`},
	"add-file-payload":    {insertOthers + `@p3` + newInBatch + `b.LayerId IS NULL AND b.RowNo = @p2`},
	"new-segments":        {`SELECT RowNo FROM [#ingest_batch] WHERE New = 1 ORDER BY RowNo`},
	"reconcile": {`SELECT count(*), coalesce(sum(r.AtomId = r.Want), 0),
			coalesce(min(iif(r.AtomId = r.Want, NULL, r.ByteOffset)), -1)
		FROM (SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId
			FROM [#ingest_batch] AS b
			JOIN LayerTensorSegments AS s ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
			UNION ALL
			SELECT b.AtomId, b.ByteOffset, s.AtomId
			FROM [#ingest_batch] AS b
			JOIN FileSegments AS s ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal
			WHERE b.LayerId IS NULL) AS r`},
	"create-layers": {`DROP TABLE IF EXISTS temp.[#ingest_layers]`,
		`CREATE TEMP TABLE [#ingest_layers] (ModelFileId, LayerIdx, LayerName, LayerNameExact, LayerType, TensorShape,
			TensorShapeExact, TensorDtype, QuantizationType, Parameters, ParameterCount, ByteOffset, ByteSize)`},
	"add-layers": {`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerName, LayerNameExact, LayerType, TensorShape,
			TensorShapeExact, TensorDtype, QuantizationType, Parameters, ParameterCount, ModelFileId, ByteOffset,
			ByteSize)
		SELECT @p1, LayerIdx, LayerName, LayerNameExact, LayerType, TensorShape, TensorShapeExact, TensorDtype,
			QuantizationType, Parameters, ParameterCount, ModelFileId, ByteOffset, ByteSize
		FROM [#ingest_layers]
		ORDER BY LayerIdx`},
	"new-paths": {`SELECT b.RowNo, ` + pathOf + `'T' || s.LayerTensorSegmentId
		FROM [#ingest_batch] AS b
		JOIN LayerTensorSegments AS s ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
		WHERE b.New = 1
		UNION ALL
		SELECT b.RowNo, ` + pathOf + `'F' || s.FileSegmentId
		FROM [#ingest_batch] AS b
		JOIN FileSegments AS s ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal
		WHERE b.New = 1 AND b.LayerId IS NULL
		ORDER BY RowNo`},
	// The ends of these name tables of other programs.
	"count-references-of-atom": {`SELECT count(*) FROM `},
	"move-references-of-atom":  {`UPDATE `},
	"foreign-rows":             {`SELECT count(*) FROM `},
	"remove-foreign-rows":      {`DELETE FROM `},
	"locate-atom":              {`SELECT ` + pathOf + `'A' || AtomId FROM Atoms WHERE AtomId = @p1`},
	"read-atom": {`SELECT iif(Payload IS NULL, -2, length(Payload)),
			iif(length(Payload) >= @p3 + @p4, substr(Payload, @p3 + 1, @p4), NULL)
		FROM Atoms WHERE AtomId = @p1 AND ContentHash = @p2`},
	"fence": {`UPDATE IngestionJobs SET LeaseToken = LeaseToken
		WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND LeaseExpiresMs IS NOT NULL`},
	// The keys are columns in these tables and need no check.
	"audit-keys":     {`SELECT 0, NULL`},
	"audit-job-keys": {`SELECT 0, NULL`},
	"requested-source": {`SELECT j.IngestionJobId, j.Status, j.LeaseHolder, j.LeaseToken, {left j}, j.LeaseAlone
		FROM IngestionJobs AS j
		WHERE j.Status = 'open'
			AND key_of(j.PipelineName, coalesce(CAST(j.SourceUriExact AS TEXT), j.SourceUri)) = @p1`},
}

// ownRows has the beginnings of the statements for one row of either segment table.
var ownRows = map[string]string{
	"read-payload":   `SELECT length(RawPayload), iif(length(RawPayload) = @p6, RawPayload, NULL) FROM `,
	"locate-payload": `SELECT ` + pathOf + `%s, length(RawPayload) FROM `,
}

const (
	insertTensors = `INSERT INTO LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount,
			QuantizationType, ByteOffset, ByteSize, AtomId, BlobUri, BlobContainer, BlobName, BlobETag,
			BlobSizeBytes, BlobLastModified, Codec, StoredHash, AddressExact, RawPayload)
		SELECT b.LayerId, b.SegmentOrdinal, b.PointOffset, b.PointCount, b.QuantizationType, b.ByteOffset,
			b.ByteSize, b.AtomId, b.BlobUri, b.BlobContainer, b.BlobName, b.BlobETag, b.BlobSizeBytes,
			b.BlobLastModified, b.Codec, b.StoredHash, b.AddressExact, `
	insertOthers = `INSERT INTO FileSegments (ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, Codec, StoredHash,
			AddressExact, RawPayload)
		SELECT @p1, b.SegmentOrdinal, b.ByteOffset, b.ByteSize, b.AtomId,
			b.BlobUri, b.BlobContainer, b.BlobName, b.BlobETag, b.BlobSizeBytes, b.BlobLastModified,
			b.Codec, b.StoredHash, b.AddressExact, `
)

// texts returns the SQLite statements for the statement of package sqlserver with that name.
func texts(name string) ([]string, error) {
	if list, known := own[name]; known {
		filled := make([]string, len(list))
		for i := range list {
			filled[i] = sqlcatalog.Render(list[i], word)
		}
		return filled, nil
	}
	for of, begins := range ownRows {
		if table, found := strings.CutPrefix(name, of+"-"); found {
			id := map[string]string{"tensor": "'T' || LayerTensorSegmentId", "file": "'F' || FileSegmentId"}[table]
			s := sqlcatalog.OfRow(of, strings.Replace(begins, "%s", id, 1), "").Text(table == "tensor")
			return []string{strings.ReplaceAll(sqlcatalog.Render(s, word), "dbo.", "")}, nil
		}
	}
	text, known := sqlcatalog.Statements()[name]
	if !known {
		return nil, fmt.Errorf("the test double has no statement %q", name)
	}
	if text == "" {
		return []string{embedded.Statement(name, text, word)}, nil
	}
	return []string{strings.ReplaceAll(sqlcatalog.Render(text, word), "dbo.", "")}, nil
}

func arguments(params []tdstest.Param) []any {
	args := make([]any, len(params))
	for i, p := range params {
		args[i] = sql.Named(p.Name, argument(p.Value))
	}
	return args
}

// argument converts the value of a parameter to the type of the embedded tables.
func argument(value any) any {
	if at, ok := value.(time.Time); ok {
		return at.UTC().Format(time.RFC3339Nano)
	}
	return value
}

// kindOf returns the SQL Server type of a column of a result: that of its first value.
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

// The functions of the statements above: the hash of a key, and HASHBYTES of SQL Server.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("key_of", 2, func(_ *sqlite.FunctionContext,
		args []driver.Value) (driver.Value, error) {
		return sqlcatalog.Hash(fmt.Sprint(args[0]), fmt.Sprint(args[1])), nil
	})
	sqlite.MustRegisterScalarFunction("sha256_of", 1, func(_ *sqlite.FunctionContext,
		args []driver.Value) (driver.Value, error) {
		payload, _ := args[0].([]byte)
		sum := sha256.Sum256(payload)
		return sum[:], nil
	})
}
