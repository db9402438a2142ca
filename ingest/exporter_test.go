package ingest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// TestExportRefuses: a file comes out whole or not at all, and what has its name already stays.
func TestExportRefuses(t *testing.T) {
	h := storeHome(t)
	h.take(t, file(blob(t, filepath.Join(t.TempDir(), "blob"), 3*mib+1, 1)))
	f := onlyModel(t, h).Files[0]
	piece := h.pieces(t, f)[1]
	good, err := h.get(t, piece.Digest, piece.Address)
	must(t, err)
	for name, c := range map[string]struct {
		prepare func(t *testing.T, out string) (context.Context, ingest.StoredFile)
		want    string
	}{
		"it exists": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			write(t, out, []byte("mine"))
			return t.Context(), f
		}, "exists"},
		"no such folder": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			must(t, os.Remove(filepath.Dir(out)))
			return t.Context(), f
		}, ""},
		"not complete": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			open := f
			open.Digest = ingest.Digest{}
			return t.Context(), open
		}, "not complete"},
		"missing payload": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			h.spoil(t, piece, nil)
			return t.Context(), f
		}, piece.Place()},
		"damaged payload": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			h.spoil(t, piece, spoils["damaged"](append([]byte(nil), good...)))
			return t.Context(), f
		}, piece.Place()},
		"other digest": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			h.spoil(t, piece, good)
			other := f
			other.Digest[0]++
			return t.Context(), other
		}, "should have"},
		"stopped": {func(t *testing.T, out string) (context.Context, ingest.StoredFile) {
			h.spoil(t, piece, good)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx, f
		}, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			ctx, f := c.prepare(t, out)
			before, _ := os.ReadFile(out)
			err := (&ingest.Exporter{Catalog: h.catalog, Payloads: h.payloads(), Options: few}).Export(ctx, f, out, false)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("export: %v, want %q", err, c.want)
			}
			after, _ := os.ReadFile(out)
			if string(before) != string(after) {
				t.Errorf("%s was written", out)
			}
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 1 || len(left) == 1 && before == nil {
				t.Errorf("left behind: %v", left)
			}
		})
		h.spoil(t, piece, good)
	}
}

// TestExportReplaces: with overwrite the new file takes the name, and until it is whole the old one has it.
func TestExportReplaces(t *testing.T) {
	h := storeHome(t)
	path := blob(t, filepath.Join(t.TempDir(), "blob"), 3*mib+1, 1)
	h.take(t, file(path))
	f := onlyModel(t, h).Files[0]
	out := write(t, filepath.Join(t.TempDir(), "out"), []byte("old"))
	payloads := h.payloads()
	payloads.Store = &storetest.Faulty{Store: h.memory, Hook: func(context.Context, storetest.Call) error {
		if old, err := os.ReadFile(out); err != nil || string(old) != "old" {
			t.Errorf("while it is written the name has %d bytes, %v", len(old), err)
		}
		return nil
	}}
	progress := &ingest.Progress{}
	e := ingest.Exporter{Catalog: h.catalog, Payloads: payloads, Options: few, Progress: progress}
	must(t, e.Export(t.Context(), f, out, true))
	if sum(t, out) != sum(t, path) || progress.BytesRecorded.Load() != f.Bytes {
		t.Errorf("%d bytes, other ones than the source's", progress.BytesRecorded.Load())
	}
}

// TestExportMemory: what was cut into larger segments than the memory has room for is refused before anything is written.
func TestExportMemory(t *testing.T) {
	h := storeHome(t)
	options := ingest.Options{SegmentBytes: 4 * mib}
	if _, err := run(t, t.Context(), h.ingester(options), file(blob(t, filepath.Join(t.TempDir(), "blob"), 9*mib, 1))); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	e := ingest.Exporter{Catalog: h.catalog, Payloads: h.payloads(), Options: ingest.Options{MemoryBytes: 47 * mib}}
	if err := e.Export(t.Context(), onlyModel(t, h).Files[0], out, false); err == nil || !strings.Contains(err.Error(), "48 MiB") {
		t.Errorf("export with 47 MiB: %v", err)
	}
	e.Options.MemoryBytes = 48 * mib
	if err := e.Export(t.Context(), onlyModel(t, h).Files[0], out, false); err != nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("export with 48 MiB: %v", err)
	}
}
