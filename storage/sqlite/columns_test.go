package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// contract lists the columns that other programs read.
var contract = map[string]string{
	"Atoms": `AtomId ContentHash Modality Subtype SourceUri SourceType CanonicalText PayloadLocator Metadata
		CreatedAt UpdatedAt IsActive ReferenceCount SpatialKey ComponentStream RowGuid Payload BlobUri BlobContainer
		BlobName BlobSizeBytes BlobETag BlobLastModified`,
	"Models": `ModelId ModelName ModelType Architecture Config ParameterCount IngestionDate LastUsed UsageCount
		AverageInferenceMs`,
	"ModelMetadata": `MetadataId ModelId SupportedTasks SupportedModalities PerformanceMetrics MaxInputLength
		MaxOutputLength EmbeddingDimension TrainingDataset TrainingDate License SourceUrl`,
	"ModelLayers": `LayerId ModelId LayerIdx LayerName LayerType TensorShape TensorDtype QuantizationType
		QuantizationScale QuantizationZeroPoint Parameters ParameterCount ZMin ZMax MMin MMax MortonCode
		PreviewPointCount CacheHitRate AvgComputeTimeMs WeightsGeometry LayerAtomId`,
	"LayerTensorSegments": `LayerTensorSegmentId LayerId SegmentOrdinal PointOffset PointCount QuantizationType
		QuantizationScale QuantizationZeroPoint ZMin ZMax MMin MMax MortonCode GeometryFootprint RawPayload
		PayloadRowGuid CreatedAt BlobUri BlobETag BlobSizeBytes BlobContainer BlobName`,
	"IngestionJobs":     `IngestionJobId PipelineName StartedAt CompletedAt Status SourceUri Metadata`,
	"IngestionJobAtoms": `IngestionJobAtomId IngestionJobId AtomId WasDuplicate Notes`,
}

func TestTablesHaveTheColumnsOfTheContract(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	for table, columns := range contract {
		var got []string
		var names string
		if err := c.conns.reader.QueryRow(`SELECT group_concat(name, ' ') FROM pragma_table_info(?)`,
			table).Scan(&names); err != nil {
			t.Fatal(err)
		}
		got = strings.Fields(names)
		for _, column := range strings.Fields(columns) {
			if !slices.Contains(got, column) {
				t.Errorf("%s has no column %s", table, column)
			}
		}
	}
}

// The statements that change an atom's row skip one that another program has changed.
func TestStatementsCompareTheAtom(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	hash := ingest.Sum(nil)
	const uri, name = "https://a/b/c", "c"
	for statement, rest := range map[string]func(ingest.Address) []any{
		"touch-atom":             func(at ingest.Address) []any { return []any{hash[:], at} },
		"clear-locator":          func(at ingest.Address) []any { return []any{at, "q"} },
		"restore-locator":        func(at ingest.Address) []any { return []any{at, "q"} },
		"restore-locator-of-row": func(at ingest.Address) []any { return []any{at, "q"} },
	} {
		text := Statement(statement, sqlcatalog.Statements()[statement], Word)
		change := func(locator any, at ingest.Address, want int64) {
			t.Helper()
			if _, err := c.conns.writer.Exec(`DELETE FROM Atoms; INSERT INTO Atoms (AtomId, ContentHash, Modality,
				PayloadLocator, BlobUri, BlobName) VALUES (1, ?, 'model', 'p', ?, ?)`, hash[:], uri, name); err != nil {
				t.Fatal(err)
			}
			var args []any
			for i, arg := range append(append([]any{1, hash[:]}, rest(at)...), locator, ingest.Address{}) {
				parameter := fmt.Sprint("p", i+1)
				columns := (*dialect)(nil).Bind(parameter, arg)
				if columns == nil {
					columns = []sql.NamedArg{sql.Named(parameter, arg)}
				}
				for _, column := range columns {
					args = append(args, column)
				}
			}
			done, err := c.conns.writer.Exec(text, args...)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := done.RowsAffected(); err != nil || n != want {
				t.Errorf("%s with the locator %v and the address %+v changed %d rows, want %d: %v", statement, locator,
					at, n, want, err)
			}
		}
		same := ingest.Address{URI: uri, Name: name}
		for locator, want := range map[any]int64{"p": 1, "P": 0, "": 0, nil: 0} {
			change(locator, same, want)
		}
		for _, other := range []ingest.Address{{}, {URI: uri}, {URI: uri, Name: "C"},
			{URI: "https://a/b/C", Name: name}} {
			change("p", other, 0)
		}
	}
}

// row returns the first row of a query of one column.
func (c *Catalog) row(t *testing.T, query string) string {
	t.Helper()
	var text string
	if err := c.conns.reader.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

func TestRowsSayWhatTheContractSays(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	ctx := t.Context()
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "/models", Paths: []string{"/models"},
		TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := flat("m", 3)
	model := &ingest.Model{Name: "m:latest", URI: "ollama://m:latest", Type: "gguf", Architecture: "llama",
		Metadata: []byte(`{"k":1}`),
		Details:  ingest.Details{ContextLength: 8192, EmbeddingLength: 64, License: "mit"},
		Files:    []ingest.File{f.File}}
	e, err := c.Begin(ctx, lease, model, []*ingest.Plan{f.plan})
	if err != nil {
		t.Fatal(err)
	}
	for b := range f.batches(e, 10) {
		if err := c.Record(ctx, lease, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Complete(ctx, lease, e.ID, 0); err != nil {
		t.Fatal(err)
	}
	digest := ingest.Sum([]byte(f.Path))
	for query, want := range map[string]string{
		`SELECT concat_ws(' ', ModelName, ModelType, Architecture, Config, ParameterCount, State, hex(ContentKey),
			IngestionJobId) FROM Models`: `m:latest gguf llama {"k":1} 786432 complete ` +
			strings.ToUpper(digest.String()) + " 1",
		`SELECT concat_ws(' ', MaxInputLength, EmbeddingDimension, License, quote(SourceUrl), quote(TrainingDate))
			FROM ModelMetadata`: "8192 64 mit NULL NULL",
		`SELECT concat_ws(' ', LayerIdx, LayerName, LayerType, TensorShape, TensorDtype, QuantizationType,
			ParameterCount, Parameters)
			FROM ModelLayers`: `0 blk.0.ffn_up.weight FeedForward [786432] float32 F32 786432 ` +
			`{"original_type":"F32","dimensions":[786432],"total_elements":786432}`,
		`SELECT group_concat(concat_ws(' ', SegmentOrdinal, PointOffset, PointCount, QuantizationType,
			quote(RawPayload), BlobSizeBytes), ', ')
			FROM LayerTensorSegments`: "0 0 262144 F32 X'' 1048576, 1 262144 262144 F32 X'' 1048576, " +
			"2 524288 262144 F32 X'' 1048576",
		`SELECT group_concat(concat_ws(' ', Modality, SourceType, ReferenceCount, IsActive,
			quote(PayloadLocator)), ', ')
			FROM (SELECT * FROM Atoms ORDER BY AtomId)`: "model ingest_segment 1 1 NULL, " +
			"model ingest_segment 1 1 NULL, model ingest_segment 1 1 NULL, model ollama_blob 1 1 '/models/m.gguf'",
		`SELECT concat_ws(' ', Subtype, SourceUri,
			json_extract(Metadata, '$.model_name', '$.size_bytes', '$.file_path', '$.ollama_digest'))
			FROM Atoms WHERE SourceType = 'ollama_blob'`: `llm ollama://m:latest ` +
			`["m:latest",3145728,"/models/m.gguf","sha256:` + digest.String() + `"]`,
		`SELECT concat_ws(' ', count(*), IngestionJobId, WasDuplicate) FROM IngestionJobAtoms`: "1 1 0",
		`SELECT concat_ws(' ', PipelineName, SourceUri, Status, Metadata, quote(CompletedAt))
			FROM IngestionJobs`: `models /models open {"paths":["/models"]} NULL`,
		`SELECT strftime('%s', CreatedAt) - strftime('%s', 'now') BETWEEN -60 AND 60 FROM FilePaths, Atoms`: "1",
	} {
		if got := c.row(t, query); got != want {
			t.Errorf("%s\nis   %s\nwant %s", query, got, want)
		}
	}
}

// A small file is one segment, whose atom is also the file's.
func TestSmallFileIsOneAtom(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	ctx := t.Context()
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "/t", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := ingest.File{Path: "/t", Role: ingest.Template, Format: "opaque", Bytes: 5}
	plan, err := ingest.NewPlan(&f, 0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Begin(ctx, lease, &ingest.Model{Name: "t", URI: "file:///t", Type: "opaque", Files: []ingest.File{f}},
		[]*ingest.Plan{plan})
	if err != nil {
		t.Fatal(err)
	}
	b := &ingest.Batch{Model: e.ID, File: e.Files[0].ID, To: 5, InRows: true, Digest: ingest.Sum([]byte("hello")),
		HashState: []byte("x")}
	for s := range plan.All() {
		b.Segments = append(b.Segments, ingest.NewSegment{Segment: s, Digest: b.Digest, Payload: []byte("hello")})
	}
	if err := c.Record(ctx, lease, b); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(ctx, lease, e.ID, 0); err != nil {
		t.Fatal(err)
	}
	const query = `SELECT concat_ws(' ', count(*), SourceType, ReferenceCount, ByteSize, PayloadLocator) FROM Atoms`
	if got, want := c.row(t, query), "1 model_file 2 5 /t"; got != want {
		t.Errorf("atom is %s, want %s", got, want)
	}
	if err := c.Audit(ctx); err != nil {
		t.Error(err)
	}
}

// Rows that another program deleted are detected before a model becomes complete.
func TestCompleteCountsTheRows(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	ctx := t.Context()
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := flat("m", 5)
	e, err := f.begin(ctx, c, lease)
	if err != nil {
		t.Fatal(err)
	}
	for b := range f.batches(e, 10) {
		if err := c.Record(ctx, lease, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.conns.writer.Exec(`DELETE FROM LayerTensorSegments WHERE SegmentOrdinal = 2`); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(ctx, lease, e.ID, 0); !errors.Is(err, ingest.ErrIncomplete) {
		t.Fatalf("error is %v", err)
	}
	if err := c.Audit(ctx); err == nil {
		t.Error("the audit found nothing")
	}
	if _, _, err := c.Unreferenced(ctx, lease, true); err != nil { // counts the references that are left
		t.Fatal(err)
	}
	for b := range f.batches(e, 10) {
		if err := c.Record(ctx, lease, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Complete(ctx, lease, e.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Audit(ctx); err != nil {
		t.Error(err)
	}
}

// If another program deletes models, the reference counts are wrong until gc corrects them.
func TestUnreferencedCorrectsCounts(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	ctx := t.Context()
	lease := recordFlat(t, c)
	if _, err := c.conns.writer.Exec(`DELETE FROM Models`); err != nil {
		t.Fatal(err)
	}
	if atoms, _, err := c.Unreferenced(ctx, lease, false); err != nil || atoms != 0 {
		t.Fatalf("a list, which relies on the counts, has %d atoms: %v", atoms, err)
	}
	if err := c.Audit(ctx); err == nil {
		t.Error("the audit found no wrong count")
	}
	if atoms, bytes, err := c.Unreferenced(ctx, lease, true); err != nil || atoms != 5 || bytes != 5*flatSegment {
		t.Fatalf("%d atoms, %d bytes: %v", atoms, bytes, err)
	}
	if err := c.Audit(ctx); err != nil {
		t.Error(err)
	}
}

// A reference count of zero does not delete an atom that rows refer to.
func TestUnreferencedKeepsAtomsWithRows(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	lease := recordFlat(t, c)
	if _, err := c.conns.writer.Exec(`UPDATE Atoms SET ReferenceCount = 0`); err != nil {
		t.Fatal(err)
	}
	for _, remove := range []bool{false, true} {
		if atoms, _, err := c.Unreferenced(t.Context(), lease, remove); err != nil || atoms != 0 {
			t.Fatalf("%d atoms: %v", atoms, err)
		}
	}
	if err := c.Audit(t.Context()); err != nil {
		t.Error(err)
	}
}

// recordFlat records 5 segments.
func recordFlat(t *testing.T, c *Catalog) ingest.Lease {
	t.Helper()
	ctx := t.Context()
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := flat("m", 5)
	e, err := f.begin(ctx, c, lease)
	if err != nil {
		t.Fatal(err)
	}
	for b := range f.batches(e, 10) {
		if err := c.Record(ctx, lease, b); err != nil {
			t.Fatal(err)
		}
	}
	return lease
}
