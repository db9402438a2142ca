package sqlserver

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
)

// edition is an edition of the Hartonomous database: what testdata/existing.sql leaves open, and
// the columns that not every edition has.
type edition struct {
	locator, atom, segment   string
	atomColumns, segmentRest string
}

const payloadInRow = `RawPayload varbinary(max) FILESTREAM NOT NULL,
	PayloadRowGuid uniqueidentifier ROWGUIDCOL NOT NULL DEFAULT (NEWSEQUENTIALID()) CONSTRAINT UQ_Segments_Guid UNIQUE`

var editions = map[string]edition{
	"plain": {locator: "nvarchar(500)", segment: payloadInRow, segmentRest: "RawPayload, PayloadRowGuid"},
	"filestream": {
		locator: "nvarchar(1024)",
		atom: `,
			RowGuid uniqueidentifier ROWGUIDCOL NOT NULL DEFAULT (NEWID()) CONSTRAINT UQ_Atoms_RowGuid UNIQUE,
			Payload varbinary(max) FILESTREAM NULL,
			PayloadSize AS DATALENGTH(Payload) PERSISTED`,
		atomColumns: ", RowGuid, Payload, PayloadSize",
		segment:     payloadInRow,
		segmentRest: "RawPayload, PayloadRowGuid",
	},
	"cloud": {
		locator: "nvarchar(1024)",
		atom: `,
			BlobUri nvarchar(2048) NULL, BlobContainer nvarchar(256) NULL, BlobName nvarchar(1024) NULL,
			BlobSizeBytes bigint NULL, BlobETag nvarchar(128) NULL, BlobLastModified datetime2 NULL`,
		atomColumns: ", BlobUri, BlobContainer, BlobName, BlobSizeBytes, BlobETag, BlobLastModified",
		segment: `BlobUri nvarchar(2048) NULL, BlobETag nvarchar(128) NULL,
			BlobSizeBytes bigint NOT NULL DEFAULT (0)`,
		segmentRest: "BlobUri, BlobETag, BlobSizeBytes",
	},
}

// columns returns the columns of a table that the other application reads.
func (e edition) columns(table string) string {
	switch table {
	case "Atoms":
		return oldColumns[table] + e.atomColumns
	case "LayerTensorSegments":
		return oldColumns[table] + ", " + e.segmentRest
	}
	return oldColumns[table]
}

// run executes a script, batch by batch. It replaces types that the engine does not have.
func run(t *testing.T, db *sql.DB, script string) {
	t.Helper()
	server, err := schema.Inspect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	geometry := "geometry"
	if !server.Geometry {
		geometry = "varbinary(max)"
	}
	script = strings.ReplaceAll(script, "$(geometry)", geometry)
	if server.Filegroup == "" {
		script = strings.ReplaceAll(script, " FILESTREAM ", " ")
	}
	for _, batch := range schema.Batches(script) {
		if _, err := db.Exec(batch); err != nil {
			t.Fatalf("%v in\n%s", err, batch)
		}
	}
}

func existing(t *testing.T, e edition) (string, *sql.DB) {
	t.Helper()
	address := newDatabase(t)
	db := schemaDB(t, address)
	text, err := os.ReadFile("testdata/existing.sql")
	if err != nil {
		t.Fatal(err)
	}
	run(t, db, strings.NewReplacer("$(locator)", e.locator, "$(atom)", e.atom, "$(segment)",
		e.segment).Replace(string(text)))
	fill(t, db, e)
	return address, db
}

// pathAtoms are two atoms whose hash is not that of their content, but of their path.
var pathAtoms = []string{
	`D:\Models\blobs\sha256-9d507a36062c2845dd3bb3e93364e9abc1607118acd8650727a700f72fb126e5`,
	`D:\Models\blobs\sha256-1194192cf2a187eb02722edcc3f77b11d21f537048ce04b67ccf8ba78863006a`,
}

func pathHash(path string) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, utf16.Encode([]rune(path)))
	sum := sha256.Sum256(b.Bytes())
	return sum[:]
}

// fill inserts rows as the other application does.
func fill(t *testing.T, db *sql.DB, e edition) {
	t.Helper()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatalf("%v in %s", err, query)
		}
	}
	for _, path := range pathAtoms {
		exec(`INSERT INTO dbo.Atoms (ContentHash, Modality, Subtype, SourceUri, SourceType, PayloadLocator, Metadata)
			VALUES (@p1, N'model', N'llm', N'ollama://llama4:latest', N'ollama_blob', @p2, @p3)`, pathHash(path), path,
			`{"model_name":"llama4","size_bytes":67436800960,"ollama_digest":"sha256:`+path[len(path)-64:]+`"}`)
	}
	exec(`INSERT INTO dbo.Atoms (ContentHash, Modality, CanonicalText, ReferenceCount)
		VALUES (@p1, N'text', N'hello', 3)`, bytes.Repeat([]byte{7}, 32))
	for range 2 { // names are not unique
		exec(`INSERT INTO dbo.Models (ModelName, ModelType, Architecture, Config, ParameterCount)
			VALUES (N'llama4', N'GGUF', N'llama', N'{"a":1}', 100)`)
	}
	exec(`INSERT INTO dbo.ModelMetadata (ModelId, License) SELECT MIN(ModelId), N'mit' FROM dbo.Models`)
	exec(`INSERT INTO dbo.ModelLayers
			(ModelId, LayerIdx, LayerName, LayerType, TensorShape, TensorDtype, QuantizationType, ParameterCount)
		SELECT MIN(ModelId), 0, N'blk.0.attn_q.weight', N'Attention', N'4x2', N'float32', N'F32', 8 FROM dbo.Models`)
	const twoSegments = `FROM dbo.ModelLayers CROSS JOIN (SELECT 0 AS n UNION ALL SELECT 1) AS two GROUP BY n`
	if e.segment == payloadInRow {
		exec(`INSERT INTO dbo.LayerTensorSegments
				(LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, RawPayload)
			SELECT MIN(LayerId), n, 0, 8, N'F32', @p1 `+twoSegments, bytes.Repeat([]byte{1, 2, 3, 4}, 8))
	} else {
		exec(`INSERT INTO dbo.LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount,
				QuantizationType, BlobUri, BlobETag, BlobSizeBytes)
			SELECT MIN(LayerId), n, 0, 8,
				N'F32', N'https://a.blob.core.windows.net/tensors/1/1/0.bin', N'0x8D', 32 ` + twoSegments)
	}
	exec(`INSERT INTO dbo.IngestionJobs (PipelineName, StartedAt, Status, SourceUri, Metadata)
		VALUES (N'models', SYSUTCDATETIME(), N'Running', N'D:\Models', N'{"paths":"all"}')`)
	exec(`INSERT INTO dbo.IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate)
		SELECT MIN(j.IngestionJobId), MIN(a.AtomId), 0 FROM dbo.IngestionJobs AS j, dbo.Atoms AS a`)
}

// oldColumns are the columns that every edition has.
var oldColumns = map[string]string{
	"Atoms": `AtomId, ContentHash, Modality, Subtype, SourceUri, SourceType, CanonicalText, PayloadLocator, Metadata,
		CreatedAt, UpdatedAt, IsActive, ReferenceCount`,
	"Models": `ModelId, ModelName, ModelType, Architecture, Config, ParameterCount, IngestionDate, LastUsed, UsageCount,
		AverageInferenceMs`,
	"ModelMetadata": `MetadataId, ModelId, License`,
	"ModelLayers": `LayerId, ModelId, LayerIdx, LayerName, LayerType, TensorShape, TensorDtype, QuantizationType,
		Parameters, ParameterCount, LayerAtomId`,
	"LayerTensorSegments": `LayerTensorSegmentId, LayerId, SegmentOrdinal, PointOffset, PointCount,
		QuantizationType, CreatedAt`,
	"IngestionJobs":     `IngestionJobId, PipelineName, StartedAt, CompletedAt, Status, SourceUri, Metadata`,
	"IngestionJobAtoms": `IngestionJobAtomId, IngestionJobId, AtomId, WasDuplicate, Notes`,
}

// rows reads the first last rows of a table, or all if last is 0.
func rows(t *testing.T, db *sql.DB, table, columns string, last int) [][]any {
	t.Helper()
	key, _, _ := strings.Cut(columns, ",")
	query := `SELECT ` + columns + ` FROM dbo.` + table
	if last > 0 {
		query = `SELECT TOP (@p1) ` + columns + ` FROM dbo.` + table
	}
	found, err := db.Query(query+` ORDER BY `+key, last)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	var all [][]any
	for found.Next() {
		names, _ := found.Columns()
		row, at := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			at[i] = &row[i]
		}
		if err := found.Scan(at...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func sameRows(a, b [][]any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		for j := range a[i] {
			x, isBytes := a[i][j].([]byte)
			y, _ := b[i][j].([]byte)
			if isBytes && !bytes.Equal(x, y) || !isBytes && a[i][j] != b[i][j] {
				return false
			}
		}
	}
	return true
}

// mistakes count what Apply must not make: a second key or index beside one of another name, or
// equal GUIDs.
var mistakes = map[string]string{
	"duplicate foreign keys": `SELECT COUNT(*) FROM (SELECT parent_object_id, parent_column_id
		FROM sys.foreign_key_columns GROUP BY parent_object_id, parent_column_id HAVING COUNT(*) > 1) AS x`,
	"duplicate GUIDs of segments": `SELECT COUNT(*) - COUNT(DISTINCT PayloadRowGuid) FROM dbo.LayerTensorSegments`,
	"segments without a payload":  `SELECT COUNT(*) FROM dbo.LayerTensorSegments WHERE RawPayload IS NULL`,
}

func TestExistingDatabase(t *testing.T) {
	for name, edition := range editions {
		t.Run(name, func(t *testing.T) {
			address, db := existing(t, edition)
			before := map[string][][]any{}
			for table := range oldColumns {
				before[table] = rows(t, db, table, edition.columns(table), 0)
			}
			apply(t, address)
			checked, err := schema.Check(t.Context(), db)
			if err != nil || !checked.OK() {
				t.Fatalf("after apply: %+v, %v", checked, err)
			}
			if r := apply(t, address); len(r.Steps) != 0 {
				t.Errorf("%d steps were executed although nothing was missing", len(r.Steps))
			}
			for name, query := range mistakes {
				var n int
				if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
					t.Errorf("%s: %d, %v", name, n, err)
				}
			}
			c := open(t, address)
			taken := ingestModel(t, c)
			if err := c.Audit(t.Context()); err != nil {
				t.Error(err)
			}
			for table, want := range before {
				if got := rows(t, db, table, edition.columns(table), max(len(want), 1)); !sameRows(got, want) {
					t.Errorf("%s has\n%v\nwant\n%v", table, got, want)
				}
			}
			old, err := c.Model(t.Context(), ingest.ModelID(before["Models"][0][0].(int64)))
			if err != nil || old.State != ingest.ModelComplete || old.Name != "llama4" || len(old.Files) != 0 {
				t.Errorf("an old model is %+v, %v", old, err)
			}
			for l, err := range c.Layers(t.Context(), old.ID) {
				if err != nil || l.Name != "blk.0.attn_q.weight" || l.Segments != 2 {
					t.Errorf("an old layer is %+v, %v", l, err)
				}
			}
			states := ""
			for job, err := range c.AllJobs(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				states += string(job.State) + " "
			}
			if states != "Running open " {
				t.Errorf("the jobs are %s", states)
			}
			moveOldSegments(t, c, old.ID, edition.segment == payloadInRow)
			checkOldColumns(t, db, taken)
			// The other application deletes a model and, by cascade, all its rows.
			if _, err := db.Exec(`DELETE FROM dbo.Models WHERE ModelId = @p1`, int64(taken)); err != nil {
				t.Error(err)
			}
			if atoms, _, err := c.Unreferenced(t.Context(), ingest.Lease{}, false); err != nil || atoms == 0 {
				t.Errorf("after a model was deleted %d atoms are unreferenced, %v", atoms, err)
			}
		})
	}
}

// ingestModel ingests a small model.
func ingestModel(t *testing.T, c *Catalog) ingest.ModelID {
	t.Helper()
	const mib = 1 << 20
	f := ingest.File{Path: "/models/" + strings.Repeat("long/", 300) + "m.gguf", Role: ingest.Weights, Format: "gguf",
		Bytes: 2*mib + 64, Tensors: []ingest.Tensor{
			{Name: "blk.0." + strings.Repeat("x", 200) + ".weight", Type: "F32", Shape: []uint64{mib / 2},
				Elements: mib / 2, Offset: 64, Bytes: 2 * mib, BlockElements: 1, BlockBytes: 4}}}
	plan, err := ingest.NewPlan(&f, mib)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "/models", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Begin(ctx, lease, &ingest.Model{Name: strings.Repeat("n", 300), URI: "ollama://n", Type: "gguf",
		Files: []ingest.File{f}}, []*ingest.Plan{plan})
	if err != nil {
		t.Fatal(err)
	}
	batch := &ingest.Batch{Model: e.ID, File: e.Files[0].ID, To: f.Bytes, Digest: ingest.Sum([]byte("file")),
		HashState: []byte("x")}
	for s := range plan.All() {
		r := ingest.NewSegment{Segment: s, Digest: ingest.Sum([]byte{byte(s.Offset >> 6)}),
			Address: ingest.Address{URI: "dir:x", Bytes: s.Bytes}}
		if s.Tensor != ingest.NoTensor {
			r.Layer, r.Type = e.Files[0].Layers[s.Tensor], "F32"
		}
		batch.Segments = append(batch.Segments, r)
	}
	if err := c.Record(ctx, lease, batch); err != nil {
		t.Fatal(err)
	}
	id, err := c.Complete(ctx, lease, e.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Model(ctx, id)
	if err != nil || s.Name != strings.Repeat("n", 300) || s.Files[0].Path != f.Path {
		t.Errorf("read back: %+v, %v", s, err)
	}
	return id
}

// checkOldColumns reads what ingest wrote through the old columns.
func checkOldColumns(t *testing.T, db *sql.DB, id ingest.ModelID) {
	t.Helper()
	var name, kind, layer, layerType, shape, dtype, quantization, uri string
	var points, offset, size int64
	var payload []byte
	err := db.QueryRow(`SELECT TOP (1) m.ModelName, m.ModelType, l.LayerName, l.LayerType, l.TensorShape, l.TensorDtype,
			s.QuantizationType, s.PointCount, s.PointOffset, s.RawPayload, s.BlobUri, s.BlobSizeBytes
		FROM dbo.Models AS m INNER JOIN dbo.ModelLayers AS l ON l.ModelId = m.ModelId
		INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId
		WHERE m.ModelId = @p1 ORDER BY s.SegmentOrdinal DESC`, int64(id)).Scan(&name, &kind, &layer, &layerType, &shape,
		&dtype, &quantization, &points, &offset, &payload, &uri, &size)
	if err != nil {
		t.Fatal(err)
	}
	if len(name) != 200 || kind != "gguf" || len(layer) != 100 || layerType != "Unknown" || shape != "[524288]" ||
		dtype != "float32" || quantization != "F32" || points != 1<<18 || offset != 1<<18 || payload == nil ||
		len(payload) != 0 ||
		uri != "dir:x" || size != 1<<20 {
		t.Errorf("the old columns say %q %q %q %q %q %q %q %d %d %v %q %d", name, kind, layer, layerType, shape, dtype,
			quantization, points, offset, payload, uri, size)
	}
}
