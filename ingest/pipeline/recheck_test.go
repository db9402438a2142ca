package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// damage changes a byte of a file and keeps its size and modification time.
func damage(t *testing.T, path string, offset int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestRecheck: stored files are read again, and the segment that changed is named.
func TestRecheck(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		good := model(t, filepath.Join(folder, "good.gguf"), 3*mib, 1)
		bad := create(t, filepath.Join(folder, "bad.gguf"), mixed())
		h.ingest(t, file(good), file(bad))
		before := h.state(t)
		m := stored(t, h, bad)
		segment := h.segments(t, m.Files[0])[3]
		options := small
		options.Recheck = true
		report, err := run(t, t.Context(), h.ingester(options), file(good), file(bad))
		if err != nil || len(report.Refused) != 0 || len(report.Skipped) != 2 ||
			report.BytesRead != fileBytes(t, good)+fileBytes(t, bad) {
			t.Fatalf("report %+v, %v", report, err)
		}
		damage(t, bad, segment.Offset+7)
		report, err = run(t, t.Context(), h.ingester(options), file(good), file(bad))
		if err != nil || len(report.Skipped) != 1 {
			t.Fatalf("report %+v, %v", report, err)
		}
		reason := refusal(t, report, bad)
		var mismatch *ingest.MismatchError
		if !errors.As(reason, &mismatch) || len(mismatch.Parts) != 1 || mismatch.Parts[0] != segment.Place() {
			t.Errorf("reason %v, want one that names %s", reason, segment.Place())
		}
		checkState(t, h.state(t), before)
	})
}

// TestRecheckReadsGivenFile: of two files with the same content, each is read at its own path.
func TestRecheckReadsGivenFile(t *testing.T) {
	h := storeHome(t)
	folder := t.TempDir()
	first := model(t, filepath.Join(folder, "first.gguf"), 2*mib, 1)
	second := copied(t, first, filepath.Join(folder, "second.gguf"))
	h.ingest(t, file(first))
	h.ingest(t, second)
	path := second.Files[0].Path
	damage(t, path, mib+100)
	options := small
	options.Recheck = true
	report, err := run(t, t.Context(), h.ingester(options), file(first), second)
	if err != nil || len(report.Refused) != 1 || len(report.Skipped) != 1 {
		t.Fatalf("report %+v, %v", report, err)
	}
	if reason := refusal(t, report, path); !strings.Contains(reason.Error(), "blk.0") {
		t.Errorf("reason %v", reason)
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	copied(t, path, first)
	damage(t, path, mib+100) // flips the bit back
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	report, err = run(t, t.Context(), h.ingester(options), second)
	if err != nil || len(report.Refused) != 0 || report.BytesRead != fileBytes(t, path) {
		t.Errorf("the second file without the first: %+v, %v", report, err)
	}
}

// TestRecheckOtherSegments: a file with larger segments than the run's is compared in the run's
// memory.
func TestRecheckOtherSegments(t *testing.T) {
	h := storeHome(t)
	path := blob(t, filepath.Join(t.TempDir(), "blob"), 9*mib+1, 1)
	large := small
	large.SegmentBytes, large.Compress = 3*mib, codec.Off
	if _, err := run(t, t.Context(), h.ingester(large), file(path)); err != nil {
		t.Fatal(err)
	}
	options := small
	options.Recheck, options.MemoryBytes = true, 47*mib // no room for two segments of 3 MiB
	for _, damaged := range []bool{false, true} {
		if damaged {
			damage(t, path, 8*mib)
		}
		report, err := run(t, t.Context(), h.ingester(options), file(path))
		if err != nil || (len(report.Refused) == 1) != damaged || report.BytesRead != 9*mib+1 {
			t.Errorf("damaged %v: %+v, %v", damaged, report, err)
		}
	}
}

// TestRecheckStops: a comparison can be stopped.
func TestRecheckStops(t *testing.T) {
	h := storeHome(t)
	path := blob(t, filepath.Join(t.TempDir(), "blob"), 3*mib, 1)
	h.ingest(t, file(path))
	ctx, cancel := context.WithCancel(t.Context())
	options := small
	options.Recheck = true
	in := h.ingester(options)
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, _ catalogtest.Moment) error {
		if verb == "Segments" {
			cancel()
		}
		return nil
	})
	report, err := run(t, ctx, in, file(path))
	checkInterrupted(t, h, report, err)
	if report.BytesRead != 0 || len(report.Skipped) != 0 {
		t.Errorf("%+v", report)
	}
}

// TestRecheckMissingRows: a file with missing rows is refused.
func TestRecheckMissingRows(t *testing.T) {
	for name, row := range map[string]int{"first": 0, "middle": 2, "last": 4} {
		t.Run(name, func(t *testing.T) {
			h := storeHome(t)
			path := blob(t, filepath.Join(t.TempDir(), "blob"), 5*mib, 1)
			h.ingest(t, file(path))
			h.change(t, `DELETE FROM FileSegments WHERE FileSegmentId = ?`,
				h.segments(t, h.models(t)[0].Files[0])[row].RowID)
			options := small
			options.Recheck = true
			report, err := run(t, t.Context(), h.ingester(options), file(path))
			if err != nil || len(report.Skipped) != 0 {
				t.Fatalf("%+v, %v", report, err)
			}
			if reason := refusal(t, report, path); !errors.Is(reason, ingest.ErrIncomplete) ||
				!strings.Contains(reason.Error(), fmt.Sprintf("bytes %d to %d", row*mib, (row+1)*mib)) {
				t.Errorf("reason %v", reason)
			}
		})
	}
}
