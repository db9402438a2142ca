package pipeline_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// mib is the smallest segment size. The tests use it, so that a few MiB are several segments.
const mib = 1 << 20

// small are options with six buffers, two of them for encoders: a file of a few MiB makes several batches and waits for
// buffers.
var small = pipeline.Options{SegmentBytes: mib, MemoryBytes: 51 * mib, Jobs: 2, Workers: 2, BatchBytes: 2 * mib,
	Compress: codec.Auto}

// home is a catalogue and a store for a test's models.
type home struct {
	path    string // of the catalogue
	catalog ingest.Catalog
	memory  *storetest.Memory // nil if payloads are in the catalogue's rows
}

var homes = []struct {
	name string
	open func(t *testing.T) *home
}{{"store", storeHome}, {"row", rowHome}}

func eachHome(t *testing.T, test func(t *testing.T, h *home)) {
	for _, kind := range homes {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.open(t)) })
	}
}

func rowHome(t *testing.T) *home {
	return reopen(t, &home{path: filepath.Join(t.TempDir(), "catalogue.db")})
}

func storeHome(t *testing.T) *home {
	h := rowHome(t)
	h.memory = &storetest.Memory{}
	return h
}

// reopen opens the home's catalogue again.
func reopen(t *testing.T, h *home) *home {
	t.Helper()
	catalog := sqlitetest.Open(t, h.path)
	return &home{h.path, catalog, h.memory}
}

// another returns an empty home of the same kind.
func (h *home) another(t *testing.T) *home {
	t.Helper()
	again := &home{path: filepath.Join(t.TempDir(), "catalogue.db")}
	if h.memory != nil {
		again.memory = &storetest.Memory{}
	}
	return reopen(t, again)
}

// store returns memory as an interface that is nil if memory is.
func (h *home) store() ingest.Store {
	if h.memory == nil {
		return nil
	}
	return h.memory
}

func (h *home) reader() *reader.Reader {
	return &reader.Reader{Catalog: h.catalog, Store: h.store(), Pool: buffer.ForMemory(small.MemoryBytes)}
}

func (h *home) ingester(options pipeline.Options) *pipeline.Ingester {
	in := &pipeline.Ingester{Catalog: h.catalog, Store: h.store(), Parse: format.Parser{}.Parse, Options: options,
		Progress: &ingest.Progress{}}
	if h.memory != nil {
		in.Descriptions = h.memory
	}
	return in
}

// jobRequest returns a request for the one job of a test.
func jobRequest() ingest.JobRequest {
	return ingest.JobRequest{Pipeline: "models", Source: "test", Paths: []string{"test"}, Holder: ingest.ThisProcess(),
		TTL: lease.DefaultTTL, HolderDead: ingest.Holder.Dead}
}

// run runs in over sources, and fails the test if the run takes more than two minutes.
func run(t *testing.T, ctx context.Context, in *pipeline.Ingester, sources ...ingest.Source) (*pipeline.Report, error) {
	t.Helper()
	return runAs(t, ctx, in, jobRequest(), sources...)
}

func runAs(t *testing.T, ctx context.Context, in *pipeline.Ingester, request ingest.JobRequest,
	sources ...ingest.Source) (*pipeline.Report, error) {
	t.Helper()
	type result struct {
		report *pipeline.Report
		err    error
	}
	ended := make(chan result, 1)
	go func() {
		report, err := in.Run(ctx, request, ingest.Found{Sources: sources})
		ended <- result{report, err}
	}()
	select {
	case r := <-ended:
		return r.report, r.err
	case <-time.After(2 * time.Minute):
		t.Fatal("the run does not end")
		return nil, nil
	}
}

// ingest ingests all sources without an error.
func (h *home) ingest(t *testing.T, sources ...ingest.Source) *pipeline.Report {
	t.Helper()
	report, err := run(t, t.Context(), h.ingester(small), sources...)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Refused) > 0 || report.Interrupted {
		t.Fatalf("refused %v, interrupted %v", report.Refused, report.Interrupted)
	}
	return report
}

// check fails if the catalogue is inconsistent or has a row without a payload.
func (h *home) check(t *testing.T) {
	t.Helper()
	has := map[ingest.Digest]bool{}
	if h.memory != nil {
		for object := range h.memory.List(t.Context()) {
			has[object.Digest] = true
		}
	}
	if err := catalogtest.Check(t.Context(), h.catalog, func(d ingest.Digest) bool { return has[d] }); err != nil {
		t.Fatal(err)
	}
}

func (h *home) models(t *testing.T) []ingest.Summary {
	t.Helper()
	var all []ingest.Summary
	for m, err := range h.catalog.Models(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func (h *home) segments(t *testing.T, file ingest.StoredFile) []ingest.StoredSegment {
	t.Helper()
	var all []ingest.StoredSegment
	for p, err := range h.catalog.Segments(t.Context(), file.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// checkExports exports each file of each model, and fails if one differs from the file at its path.
func (h *home) checkExports(t *testing.T) {
	t.Helper()
	r := h.reader()
	for _, m := range h.models(t) {
		if m.State != ingest.ModelComplete {
			t.Errorf("model %d (%s) is %s", m.ID, m.Name, m.State)
			continue
		}
		for _, f := range m.Files {
			out := filepath.Join(t.TempDir(), "out")
			if err := r.Export(t.Context(), f, out, false); err != nil {
				t.Errorf("export %s: %v", f.Path, err)
				continue
			}
			if got, want := sum(t, out), sum(t, f.Path); got != want || f.Digest != want {
				t.Errorf("export of %s has digest %s, recorded is %s, the file has %s", f.Path, got.Short(),
					f.Digest.Short(), want.Short())
			}
		}
	}
}

// sum returns the digest of the file at path.
func sum(t *testing.T, path string) ingest.Digest {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return ingest.Digest(h.Sum(nil))
}

// refusal returns why the file at path was refused.
func refusal(t *testing.T, report *pipeline.Report, path string) error {
	t.Helper()
	for _, note := range report.Refused {
		if note.Path == path {
			var sourceErr *ingest.SourceError
			if !errors.As(note.Reason, &sourceErr) || sourceErr.Path != path {
				t.Errorf("the reason is not a SourceError of %s: %v", path, note.Reason)
			}
			return note.Reason
		}
	}
	t.Fatalf("%s was not refused: %v", path, report.Refused)
	return nil
}

// change runs a statement on the home's database, as another program does.
func (h *home) change(t *testing.T, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", h.path)
	must(t, err)
	result, err := db.Exec(statement, args...)
	must(t, err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", statement, n, err)
	}
	must(t, db.Close())
}
