package pipeline_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// TestResumeOtherFile: a run does not resume an interrupted file with another one that has its
// name, size and modification time.
func TestResumeOtherFile(t *testing.T) {
	const size = 8 * mib
	when := time.Unix(1, 0)
	at := func(seed uint64) ingest.Source {
		path := blob(t, filepath.Join(t.TempDir(), "model.bin"), size, seed)
		must(t, os.Chtimes(path, when, when))
		return file(path)
	}
	a, b := at(1), at(2)
	h := storeHome(t)
	failAtRecord(t, h, a, 2)
	h.ingest(t, b)
	h.ingest(t, a)
	for _, m := range h.models(t) {
		if m.State != ingest.ModelComplete || m.Files[0].Digest != sum(t, m.Files[0].Path) {
			t.Errorf("model %d of %s: %s, %s", m.ID, m.Files[0].Path, m.State, m.Files[0].Digest)
		}
	}
	h.check(t)
	h.checkExports(t)
}

// TestResumeReplacedFile: a file that was replaced by one with its size and modification time is
// refused, and the next run starts it over.
func TestResumeReplacedFile(t *testing.T) {
	const size = 8 * mib
	when := time.Unix(1, 0)
	path := blob(t, filepath.Join(t.TempDir(), "blob"), size, 1)
	must(t, os.Chtimes(path, when, when))
	h := storeHome(t)
	failAtRecord(t, h, file(path), 2)
	must(t, os.WriteFile(path, noise(size, 2), 0o600))
	must(t, os.Chtimes(path, when, when))
	report, err := run(t, t.Context(), h.ingester(small), file(path))
	if err != nil || len(report.Ingested) != 0 || len(report.Refused) != 1 ||
		!errors.Is(report.Refused[0].Reason, ingest.ErrChanged) {
		t.Fatalf("%+v, %v", report, err)
	}
	h.ingest(t, file(path))
	if m := h.models(t); len(m) != 1 || m[0].Files[0].Digest != sum(t, path) {
		t.Errorf("%+v", m)
	}
	h.check(t)
}
