package pipeline_test

import (
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestPartOfModel: a source with some of a model's weights, or with those of two models, is a model
// of its own, although all its files are present and unchanged.
func TestPartOfModel(t *testing.T) {
	folder := t.TempDir()
	a := file(create(t, filepath.Join(folder, "a.gguf"), tiny(1)))
	b := file(create(t, filepath.Join(folder, "b.gguf"), tiny(2)))
	c := file(create(t, filepath.Join(folder, "c.gguf"), tiny(3)))
	join := func(x, y ingest.Source) ingest.Source {
		x.Files = []ingest.SourceFile{x.Files[0], y.Files[0]}
		return x
	}
	for name, order := range map[string][]ingest.Source{
		"part":         {join(a, b), a},
		"two models":   {a, b, join(a, b)},
		"parts of two": {a, join(b, c), join(a, b)},
	} {
		h := storeHome(t)
		for i, source := range order {
			report := h.ingest(t, source)
			if len(report.Ingested) != 1 || report.Ingested[0].Merged || len(h.models(t)) != i+1 {
				t.Errorf("%s, source %d: ingested %+v, skipped %v", name, i, report.Ingested, report.Skipped)
			}
		}
		h.check(t)
		h.checkExports(t)
	}
}

// TestOtherRole: a file that is present in another role is ingested again in its new one.
func TestOtherRole(t *testing.T) {
	h := storeHome(t)
	folder := t.TempDir()
	source := named("m:a", create(t, filepath.Join(folder, "weights"), tiny(1)),
		blob(t, filepath.Join(folder, "t"), 500, 2))
	h.ingest(t, source)
	source.Name = "m:b"
	source.Files[1].Role = ingest.License
	report := h.ingest(t, source)
	if report.BytesRead != 500 || len(report.Ingested) != 1 {
		t.Errorf("read %d bytes, ingested %+v, skipped %v", report.BytesRead, report.Ingested, report.Skipped)
	}
	if m := onlyModel(t, h); len(m.Files) != 3 || m.Files[2].Role != ingest.License {
		t.Errorf("files %+v", m.Files)
	}
}
