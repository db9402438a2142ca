package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// together are options with which small models are recorded together.
var together = pipeline.Options{SegmentBytes: mib, SmallJobs: 30}

// TestSmallModels ingests many small files at a time: with equal content, with payloads for the store,
// with tensors, and with wrong digests.
func TestSmallModels(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		var sources []ingest.Source
		for i := range 90 {
			path := filepath.Join(folder, fmt.Sprint(i))
			switch s := file(blob(t, path, 1+i*700, uint64(i%60))); {
			case i%10 == 3:
				sources = append(sources, file(create(t, path+".gguf", tiny(uint64(i)))))
			case i%10 == 5:
				sources = append(sources, file(create(t, path+".gguf", smallTensors(uint64(i)))))
			case i%10 == 7:
				sources = append(sources, expecting(path, ingest.Sum([]byte("other"))))
			default:
				sources = append(sources, s)
			}
		}
		var begun, added atomic.Int64
		in := h.ingester(together)
		in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
			switch {
			case verb == "Begin" && when == catalogtest.After:
				begun.Add(1)
			case verb == "Add" && when == catalogtest.After:
				added.Add(1)
			}
			return nil
		})
		report, err := run(t, t.Context(), in, sources...)
		if err != nil || len(report.Ingested) != 81 || len(report.Refused) != 9 {
			t.Fatalf("%d ingested, refused %v, %v", len(report.Ingested), report.Refused, err)
		}
		if begun.Load() != 9 || added.Load() > 72/2 { // a file of 1.2 MB is not small
			t.Errorf("%d models were begun, want 9; the other 72 were added in %d transactions", begun.Load(),
				added.Load())
		}
		last := ingest.ModelID(0)
		for i, s := range sources { // no equal file came before
			if i%10 == 3 || i%10 == 7 || i >= 60 {
				continue
			}
			f, err := h.catalog.Unchanged(t.Context(), s.Files[0].Path, fileBytes(t, s.Files[0].Path), modified(t, s))
			if err != nil || f.Model <= last {
				t.Errorf("source %d became model %d after %d: want them in order (%v)", i, f.Model, last, err)
			}
			last = f.Model
		}
		bytes := int64(0)
		for _, s := range sources {
			bytes += fileBytes(t, s.Files[0].Path)
		}
		if p := in.Progress; p.FilesDone.Load() != 90 || p.BytesRecorded.Load() != p.BytesTotal.Load() ||
			report.BytesRead < bytes || report.BytesStored+report.BytesShared != p.BytesRecorded.Load() {
			t.Errorf("progress %d of %d bytes, %d files; report %+v", p.BytesRecorded.Load(), p.BytesTotal.Load(),
				p.FilesDone.Load(), report)
		}
		h.check(t)
		h.checkExports(t)
		good := slices.DeleteFunc(slices.Clone(sources), func(s ingest.Source) bool {
			return !s.Files[0].Expected.IsZero()
		})
		if report := h.ingest(t, good...); len(report.Skipped) != len(good) || report.BytesRead != 0 {
			t.Errorf("again: %d skipped, %d bytes read", len(report.Skipped), report.BytesRead)
		}
	})
}

func modified(t *testing.T, s ingest.Source) int64 {
	t.Helper()
	info, err := os.Stat(s.Files[0].Path)
	must(t, err)
	return info.ModTime().UnixNano()
}

// smallTensors is a file below 1 MiB with a payload for the store and one for the catalogue.
func smallTensors(seed uint64) gguftest.File {
	return gguftest.File{Seed: seed, Tensors: []gguftest.Tensor{{Name: "a", Shape: []uint64{20_000}},
		{Name: "b", Type: gguf.TypeQ4_0, Shape: []uint64{32, 100}}}}
}

// TestSmallModelIsContinued: an earlier version may have left a small model unfinished.
func TestSmallModelIsContinued(t *testing.T) {
	h := storeHome(t)
	source := file(create(t, filepath.Join(t.TempDir(), "a.gguf"), smallTensors(1)))
	source.Files = append(source.Files, file(blob(t, source.Files[0].Path+".t", 1000, 2)).Files...)
	source.Files[1].Role = ingest.Template
	in := h.ingester(together)
	m, err := format.Parser{}.Parse(t.Context(), source)
	must(t, err)
	var plans []*ingest.Plan
	for i := range m.Files {
		plan, err := ingest.NewPlan(&m.Files[i], together.SegmentBytes)
		must(t, err)
		plans = append(plans, plan)
	}
	lease, err := h.catalog.Open(t.Context(), jobRequest())
	must(t, err)
	entry, err := h.catalog.Begin(t.Context(), lease, m, plans)
	must(t, err)
	var added atomic.Int64
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
		if verb == "Add" && when == catalogtest.Before {
			added.Add(1)
		}
		return nil
	})
	report, err := run(t, t.Context(), in, source)
	if err != nil || added.Load() == 0 || len(report.Ingested) != 1 || report.Ingested[0].Model != entry.ID {
		t.Fatalf("%+v, %v; want model %d", report, err, entry.ID)
	}
	h.check(t)
	h.checkExports(t)
}

// TestSmallModelsWait: models that wait for each other, or for memory, do not wait for ever.
func TestSmallModelsWait(t *testing.T) {
	folder := t.TempDir()
	weights := blob(t, filepath.Join(folder, "weights"), 1000, 1)
	var tags, large []ingest.Source
	for i := range 40 {
		tags = append(tags, named(fmt.Sprint("m:", i), weights))
		large = append(large, file(blob(t, filepath.Join(folder, fmt.Sprint(i)), 300_000, uint64(i))))
	}
	for name, c := range map[string]struct {
		sources []ingest.Source
		memory  int64
		models  int
	}{
		"equal paths": {tags, 0, 1}, "little memory": {large, 45 * mib, 40},
		"both": {append(tags, large...), 45 * mib, 41},
	} {
		t.Run(name, func(t *testing.T) {
			h := storeHome(t)
			options := together
			options.SegmentBytes, options.MemoryBytes = mib, c.memory
			report, err := run(t, t.Context(), h.ingester(options), c.sources...)
			if err != nil || len(report.Refused) > 0 || len(h.models(t)) != c.models {
				t.Fatalf("%d models, want %d; refused %v, %v", len(h.models(t)), c.models, report.Refused, err)
			}
			h.check(t)
			h.checkExports(t)
		})
	}
}

// TestSmallModelsStop: models that were recorded before a stop are kept, and the next run ingests the
// others.
func TestSmallModelsStop(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		var sources []ingest.Source
		for i := range 60 {
			sources = append(sources, file(blob(t, filepath.Join(folder, fmt.Sprint(i)), 2000, uint64(i))))
		}
		ctx, stop := context.WithCancel(t.Context())
		var added atomic.Int64
		in := h.ingester(together)
		in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
			if verb == "Add" && when == catalogtest.After && added.Add(1) == 2 {
				stop()
			}
			return nil
		})
		report, err := run(t, ctx, in, sources...)
		if err != nil || !report.Interrupted || len(report.Ingested) < 5 || len(report.Ingested) == 60 {
			t.Fatalf("%d ingested, interrupted %t, %v", len(report.Ingested), report.Interrupted, err)
		}
		h.check(t)
		again := h.ingest(t, sources...)
		if len(again.Ingested)+len(again.Skipped) != 60 || len(again.Skipped) != len(report.Ingested) {
			t.Errorf("first %d, then %d and %d skipped", len(report.Ingested), len(again.Ingested), len(again.Skipped))
		}
		h.check(t)
		h.checkExports(t)
	})
}

// TestSmallModelsFail: an error of the catalogue ends the run, and the next one ingests everything.
func TestSmallModelsFail(t *testing.T) {
	h := storeHome(t)
	var sources []ingest.Source
	for i := range 40 {
		sources = append(sources, file(blob(t, filepath.Join(t.TempDir(), fmt.Sprint(i)), 2000, uint64(i))))
	}
	in := h.ingester(together)
	var calls atomic.Int64
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
		if verb == "Add" && when == catalogtest.After && calls.Add(1) >= 2 {
			return errFault
		}
		return nil
	})
	if _, err := run(t, t.Context(), in, sources...); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	h.check(t)
	h.ingest(t, sources...)
	if n := len(h.models(t)); n != 40 {
		t.Errorf("%d models, want 40", n)
	}
	h.check(t)
}
