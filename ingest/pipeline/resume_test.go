package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// failAtRecord ingests source until Record number record, from 0, which fails and ends the run like
// a kill. It returns the number of bytes read.
func failAtRecord(t *testing.T, h *home, source ingest.Source, record int64) int64 {
	t.Helper()
	in := h.ingester(small)
	var records atomic.Int64
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
		if verb == "Record" && when == catalogtest.Before && records.Add(1) > record {
			return errFault
		}
		return nil
	})
	if _, err := run(t, t.Context(), in, source); !errors.Is(err, errFault) {
		t.Fatalf("the run ended with %v", err)
	}
	h.check(t)
	return in.Progress.BytesRead.Load()
}

// TestResume: wherever a run ends, the next one reads again at most the batches that were in
// flight, and computes the right digest.
func TestResume(t *testing.T) {
	const size = 16*mib + 77
	path := blob(t, filepath.Join(t.TempDir(), "blob"), size, 1)
	eachHome(t, func(t *testing.T, h *home) {
		clean := h.ingest(t, file(path))
		want := h.state(t)
		records := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}
		if catalogtest.UnderRace || testing.Short() {
			records = []int64{0, 1, 5, 8}
		}
		for _, record := range records {
			h := h.another(t)
			read := failAtRecord(t, h, file(path), record)
			report := h.ingest(t, file(path))
			if again, most := read+report.BytesRead-size, 2*(small.BatchBytes+small.SegmentBytes); again < 0 ||
				again > most {
				t.Errorf("after %d records %d bytes were read again, want at most %d", record, again, most)
			}
			// The run reads the last recorded segment again, to see that the file is still the
			// same.
			resumed := report.Ingested[0].Resumed
			checked := report.BytesRead - (size - resumed)
			if checked < 0 || checked > small.SegmentBytes || record > 0 && resumed == 0 {
				t.Errorf("after %d records: resumed at %d, %d of %d bytes read", record, resumed, report.BytesRead,
					size)
			}
			if !report.Continued || report.BytesStored > clean.BytesStored {
				t.Errorf("report %+v", report)
			}
			checkState(t, h.state(t), want)
		}
	})
}

// TestStartsOver: a model that cannot be resumed or completed, because another program changed its
// rows, is refused, and the next run ingests it from the start.
func TestStartsOver(t *testing.T) {
	for name, ruin := range map[string]func(t *testing.T, h *home, source ingest.Source) *pipeline.Ingester{
		"no hash state": func(t *testing.T, h *home, source ingest.Source) *pipeline.Ingester {
			failAtRecord(t, h, source, 2)
			h.change(t, `UPDATE ModelFiles SET HashState = x'00'`)
			return h.ingester(small)
		},
		"a row is gone": func(t *testing.T, h *home, _ ingest.Source) *pipeline.Ingester {
			in := h.ingester(small)
			in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
				if verb == "Complete" && when == catalogtest.Before {
					h.change(t, `DELETE FROM FileSegments WHERE SegmentOrdinal = 1`)
				}
				return nil
			})
			return in
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := storeHome(t)
			source := file(blob(t, filepath.Join(t.TempDir(), "blob"), 8*mib, 1))
			report, err := run(t, t.Context(), ruin(t, h, source), source)
			if err != nil {
				t.Fatal(err)
			}
			if reason := refusal(t, report, source.Files[0].Path); !errors.Is(reason, ingest.ErrIncomplete) {
				t.Errorf("reason %v", reason)
			}
			if models := h.models(t); len(models) != 0 {
				t.Errorf("the catalogue has %+v", models)
			}
			if report := h.ingest(t, source); len(report.Ingested) != 1 || report.Ingested[0].Resumed != 0 {
				t.Errorf("%+v", report)
			}
			h.checkExports(t)
		})
	}
}

// TestResumeOrStartOver: a run resumes a file only if nothing that identifies it has changed.
func TestResumeOrStartOver(t *testing.T) {
	const size = 8 * mib
	other := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		resumes bool
		change  func(t *testing.T, source *ingest.Source, options *pipeline.Options)
	}{
		"nothing": {true, func(*testing.T, *ingest.Source, *pipeline.Options) {}},
		"path": {false, func(t *testing.T, source *ingest.Source, _ *pipeline.Options) {
			*source = copied(t, source.Files[0].Path, filepath.Join(t.TempDir(), "blob"))
		}},
		"name of the model": {true, func(_ *testing.T, source *ingest.Source, _ *pipeline.Options) {
			source.Name = "m:a"
		}},
		"name of the file": {false, func(t *testing.T, source *ingest.Source, _ *pipeline.Options) {
			*source = copied(t, source.Files[0].Path, filepath.Join(t.TempDir(), "other"))
		}},
		"time": {false, func(t *testing.T, source *ingest.Source, _ *pipeline.Options) {
			if err := os.Chtimes(source.Files[0].Path, other, other); err != nil {
				t.Fatal(err)
			}
		}},
		"size": {false, func(t *testing.T, source *ingest.Source, _ *pipeline.Options) {
			if err := os.Truncate(source.Files[0].Path, size-1); err != nil {
				t.Fatal(err)
			}
		}},
		"expected digest": {false, func(t *testing.T, source *ingest.Source, _ *pipeline.Options) {
			source.Files[0].Expected = sum(t, source.Files[0].Path)
		}},
		"segment size": {false, func(_ *testing.T, _ *ingest.Source, options *pipeline.Options) {
			options.SegmentBytes = 2 * mib
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := storeHome(t)
			source := file(blob(t, filepath.Join(t.TempDir(), "blob"), size, 1))
			failAtRecord(t, h, source, 2)
			options := small
			c.change(t, &source, &options)
			in := h.ingester(options)
			report, err := run(t, t.Context(), in, source)
			if err != nil || len(report.Ingested) != 1 {
				t.Fatalf("%+v, %v", report, err)
			}
			if resumed := report.Ingested[0].Resumed > 0; resumed != c.resumes || resumed && report.BytesRead >= size {
				t.Errorf("resumed at byte %d, %d read", report.Ingested[0].Resumed, report.BytesRead)
			}
			if in.Progress.BytesResumed.Load() != report.Ingested[0].Resumed ||
				in.Progress.BytesRecorded.Load() != fileBytes(t, source.Files[0].Path) {
				t.Errorf("progress: %d resumed, %d recorded", in.Progress.BytesResumed.Load(),
					in.Progress.BytesRecorded.Load())
			}
			m, err := h.catalog.Model(t.Context(), report.Ingested[0].Model)
			must(t, err)
			if m.State != ingest.ModelComplete || m.Files[0].Digest != sum(t, source.Files[0].Path) {
				t.Errorf("model %+v", m)
			}
			h.check(t)
		})
	}
}

// TestResumeSplit: the finished files of a model are not read again.
func TestResumeSplit(t *testing.T) {
	source := splits(t, t.TempDir())
	h := storeHome(t)
	in := h.ingester(serial)
	var puts atomic.Int64
	in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
		if !call.Done && puts.Add(1) > 5 {
			return errFault
		}
		return nil
	}}
	if _, err := run(t, t.Context(), in, source); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	whole, all := int64(0), int64(0)
	for _, f := range h.models(t)[0].Files {
		all += f.Bytes
		if f.Recorded == f.Bytes {
			whole += f.Bytes
		}
	}
	if whole == 0 {
		t.Fatal("no file was finished")
	}
	if report := h.ingest(t, source); report.BytesRead > all-whole {
		t.Errorf("%d bytes were read, although %d of %d were recorded", report.BytesRead, whole, all)
	}
	h.check(t)
	h.checkExports(t)
}
