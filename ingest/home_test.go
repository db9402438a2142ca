package ingest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/storetest"
)

// mib is the smallest size of a segment, and the one that the tests use: few MiB make several segments.
const mib = 1 << 20

// few are options under which a file of a few MiB makes several batches and waits for buffers: there are six.
var few = ingest.Options{SegmentBytes: mib, MemoryBytes: 46 * mib, Jobs: 2, Workers: 2, BatchBytes: 2 * mib}

// home is where a test's models go.
type home struct {
	path    string // of the catalogue
	catalog ingest.Catalog
	memory  *storetest.Memory // nil: payloads are in the catalogue's rows
	// transactions are as many as a run may have at once; more than one make the catalogue a TurnTaker.
	transactions int
}

// homes are the two homes of a payload, and that in the rows once more for batches that are written at once.
var homes = []struct {
	name string
	open func(t *testing.T) *home
}{{"store", storeHome}, {"row", rowHome}, {"turns", turnsHome}}

func eachHome(t *testing.T, test func(t *testing.T, h *home)) {
	for _, kind := range homes {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.open(t)) })
	}
}

func rowHome(t *testing.T) *home {
	return reopen(t, &home{path: filepath.Join(t.TempDir(), "catalogue.db")})
}

func turnsHome(t *testing.T) *home {
	return reopen(t, &home{path: filepath.Join(t.TempDir(), "catalogue.db"), transactions: 3})
}

func storeHome(t *testing.T) *home {
	h := rowHome(t)
	h.memory = &storetest.Memory{}
	return h
}

// reopen is the same home through another handle on its catalogue.
func reopen(t *testing.T, h *home) *home {
	t.Helper()
	catalog, err := sqlite.Open(t.Context(), h.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { catalog.Close() })
	again := &home{h.path, catalog, h.memory, h.transactions}
	if h.transactions > 1 {
		again.catalog = &inTurn{catalog, catalog}
	}
	return again
}

// recordVerb is the verb by which a run writes down what it stored.
func (h *home) recordVerb() string {
	switch {
	case h.memory != nil:
		return "Record"
	case h.transactions > 1:
		return "RecordInTurn"
	default:
		return "RecordPayloads"
	}
}

// another is an empty home of the same kind.
func (h *home) another(t *testing.T) *home {
	t.Helper()
	again := &home{path: filepath.Join(t.TempDir(), "catalogue.db"), transactions: h.transactions}
	if h.memory != nil {
		again.memory = &storetest.Memory{}
	}
	return reopen(t, again)
}

// get returns a payload of the store.
func (h *home) get(t *testing.T, digest ingest.Digest, address ingest.Address) ([]byte, error) {
	payload := make([]byte, address.Bytes)
	return payload, h.memory.Get(t.Context(), digest, address, 0, payload)
}

// store is what an Ingester of the home has for a Store.
func (h *home) store() ingest.Store {
	if h.memory == nil {
		return nil
	}
	return h.memory
}

func (h *home) payloads() ingest.Payloads {
	return ingest.Payloads{Store: h.store(), Rows: h.catalog.(ingest.RowStore)}
}

func (h *home) ingester(options ingest.Options) *ingest.Ingester {
	options.Transactions = h.transactions
	return &ingest.Ingester{Catalog: h.catalog, Store: h.store(), Parse: format.Parser{}.Parse, Options: options, Progress: &ingest.Progress{}}
}

// claim asks for the one job of a test.
func claim() ingest.JobRequest {
	return ingest.JobRequest{Pipeline: "models", Source: "test", Paths: []string{"test"}, Holder: ingest.ThisProcess(),
		TTL: ingest.DefaultLease, HolderDead: ingest.Holder.Dead}
}

// run runs in over sources. A run that does not end is a failure, not a hang.
func run(t *testing.T, ctx context.Context, in *ingest.Ingester, sources ...ingest.Source) (*ingest.Report, error) {
	t.Helper()
	return runAs(t, ctx, in, claim(), sources...)
}

func runAs(t *testing.T, ctx context.Context, in *ingest.Ingester, claim ingest.JobRequest, sources ...ingest.Source) (*ingest.Report, error) {
	t.Helper()
	type result struct {
		report *ingest.Report
		err    error
	}
	ended := make(chan result, 1)
	go func() {
		report, err := in.Run(ctx, claim, ingest.Found{Sources: sources})
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

// take takes sources in, all of them and without trouble.
func (h *home) take(t *testing.T, sources ...ingest.Source) *ingest.Report {
	t.Helper()
	report, err := run(t, t.Context(), h.ingester(few), sources...)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Refused) > 0 || report.Interrupted {
		t.Fatalf("refused %v, interrupted %v", report.Refused, report.Interrupted)
	}
	return report
}

// check fails if the catalogue contradicts itself, or has a row without a payload.
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

// models returns the models of the catalogue.
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

// pieces returns the segments of a file.
func (h *home) pieces(t *testing.T, file ingest.StoredFile) []ingest.StoredSegment {
	t.Helper()
	var all []ingest.StoredSegment
	for p, err := range h.catalog.Segments(t.Context(), file.ID) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// giveBack exports each file of each model, and fails if one is not what now lies at its path.
func (h *home) giveBack(t *testing.T) {
	t.Helper()
	exporter := ingest.Exporter{Catalog: h.catalog, Payloads: h.payloads(), Options: few}
	for _, m := range h.models(t) {
		if m.State != ingest.ModelComplete {
			t.Errorf("model %d (%s) is %s", m.ID, m.Name, m.State)
			continue
		}
		for _, f := range m.Files {
			out := filepath.Join(t.TempDir(), "out")
			if err := exporter.Export(t.Context(), f, out, false); err != nil {
				t.Errorf("export %s: %v", f.Path, err)
				continue
			}
			if got, want := sum(t, out), sum(t, f.Path); got != want || f.Digest != want {
				t.Errorf("export of %s has digest %s, recorded is %s, the file has %s", f.Path, got.Short(), f.Digest.Short(), want.Short())
			}
		}
	}
}

// sum is the digest of the file at path.
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

// refusal returns the reason for which the file at path was refused.
func refusal(t *testing.T, report *ingest.Report, path string) error {
	t.Helper()
	for _, note := range report.Refused {
		if note.Path == path {
			var trouble *ingest.SourceError
			if !errors.As(note.Reason, &trouble) || trouble.Path != path {
				t.Errorf("the reason is no SourceError of %s: %v", path, note.Reason)
			}
			return note.Reason
		}
	}
	t.Fatalf("%s was not refused; refused are %v", path, report.Refused)
	return nil
}
