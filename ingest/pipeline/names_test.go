package pipeline_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
)

// onlyModel returns the only model of a home.
func onlyModel(t *testing.T, h *home) ingest.Summary {
	t.Helper()
	models := h.models(t)
	if len(models) != 1 || models[0].State != ingest.ModelComplete {
		t.Fatalf("want one complete model, have %+v", models)
	}
	return models[0]
}

// filesOf returns the files of one of a model's names.
func filesOf(m ingest.Summary, name string) string {
	var files []string
	for _, n := range m.Names {
		for _, f := range m.Files {
			if n.Name == name && n.Has(f.ID) {
				files = append(files, f.Name)
			}
		}
	}
	slices.Sort(files)
	return strings.Join(files, " ")
}

// TestTwoNames: two tags with the same weights are one model.
func TestTwoNames(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		weights := model(t, filepath.Join(folder, "weights"), 2*mib, 1)
		a := blob(t, filepath.Join(folder, "template-a"), 100, 2)
		b := blob(t, filepath.Join(folder, "template-b"), 100, 3)
		both := []ingest.Source{named("m:a", weights, a), named("m:b", weights, b)}
		report := h.ingest(t, both...)
		if want := fileBytes(t, weights) + 200; report.BytesRead != want {
			t.Errorf("read %d bytes, want %d", report.BytesRead, want)
		}
		m := onlyModel(t, h)
		if got := filesOf(m, "m:a"); got != "template-a weights" {
			t.Errorf("m:a is %s", got)
		}
		if got := filesOf(m, "m:b"); got != "template-b weights" {
			t.Errorf("m:b is %s", got)
		}
		h.checkExports(t)
		checkAllSkipped(t, h, both)
	})
}

func fileBytes(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestSameContentMerges: a file with stored content and any name is merged into its model, and
// nothing is stored twice.
func TestSameContentMerges(t *testing.T) {
	for name, arrange := range map[string]func(t *testing.T, folder string) (first, second []ingest.Source){
		"one after the other": func(t *testing.T, folder string) (_, _ []ingest.Source) {
			return []ingest.Source{file(model(t, filepath.Join(folder, "a.gguf"), 2*mib, 1))},
				[]ingest.Source{copied(t, filepath.Join(folder, "a.gguf"), filepath.Join(folder, "b.gguf"))}
		},
		"at once": func(t *testing.T, folder string) (_, _ []ingest.Source) {
			a := file(model(t, filepath.Join(folder, "a.gguf"), 2*mib, 1))
			return nil, []ingest.Source{a, copied(t, a.Files[0].Path, filepath.Join(folder, "b.gguf"))}
		},
		"at once, same name and time": func(t *testing.T, folder string) (_, _ []ingest.Source) {
			a := file(model(t, filepath.Join(folder, "a.gguf"), 2*mib, 1))
			if err := os.Mkdir(filepath.Join(folder, "sub"), 0o700); err != nil {
				t.Fatal(err)
			}
			return nil, []ingest.Source{a, copied(t, a.Files[0].Path, filepath.Join(folder, "sub", "a.gguf"))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachHome(t, func(t *testing.T, h *home) {
				first, second := arrange(t, t.TempDir())
				h.ingest(t, first...)
				report := h.ingest(t, second...)
				merged := slices.ContainsFunc(report.Ingested, func(m pipeline.IngestedModel) bool { return m.Merged })
				if len(report.Ingested) != len(second) || !merged {
					t.Errorf("ingested %+v", report.Ingested)
				}
				m := onlyModel(t, h)
				if len(m.Files) != 1 || m.BytesStored+m.BytesShared != m.Files[0].Bytes {
					t.Errorf("model %+v", m)
				}
				if h.memory != nil && h.memory.Counts().Written > int(m.Segments) {
					t.Errorf("%d payloads were written for %d segments", h.memory.Counts().Written, m.Segments)
				}
				h.check(t)
				h.checkExports(t)
				checkAllSkipped(t, h, append(first, second...))
			})
		})
	}
}

// copied copies a file and its modification time.
func copied(t *testing.T, from, to string) ingest.Source {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, content)
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(to, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	return file(to)
}

// TestTemplateLater: a template that a name gains is ingested without reading the weights.
func TestTemplateLater(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		weights := model(t, filepath.Join(folder, "weights"), 2*mib, 1)
		old := blob(t, filepath.Join(folder, "old"), 1000, 2)
		h.ingest(t, named("m:a", weights, old))
		later := blob(t, filepath.Join(folder, "later"), 333, 3)
		source := named("m:a", weights, old, later)
		report := h.ingest(t, source)
		if report.BytesRead != 333 || len(report.Ingested) != 1 || !report.Ingested[0].Merged {
			t.Errorf("read %d bytes, ingested %+v", report.BytesRead, report.Ingested)
		}
		m := onlyModel(t, h)
		if got := filesOf(m, "m:a"); got != "later old weights" {
			t.Errorf("m:a has files %q", got)
		}
		h.check(t)
		h.checkExports(t)
		checkAllSkipped(t, h, []ingest.Source{source})
		h.ingest(t, named("m:a", weights, later))
		if got := filesOf(onlyModel(t, h), "m:a"); got != "later weights" {
			t.Errorf("m:a without a file has files %q", got)
		}
	})
}

// TestSharedTemplate: each of two models has the template that they share.
func TestSharedTemplate(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		template := blob(t, filepath.Join(folder, "template"), 500, 9)
		one := named("one", model(t, filepath.Join(folder, "one"), mib, 1), template)
		two := named("two", model(t, filepath.Join(folder, "two"), mib, 2), template)
		h.ingest(t, one)
		h.ingest(t, two)
		for _, m := range h.models(t) {
			if got := filesOf(m, m.Name); got != map[string]string{"one": "one template",
				"two": "template two"}[m.Name] {
				t.Errorf("%s has files %q", m.Name, got)
			}
		}
		h.check(t)
		h.checkExports(t)
		checkAllSkipped(t, h, []ingest.Source{one, two})
	})
}

// TestSharedTensor: a tensor that two files share is stored once.
func TestSharedTensor(t *testing.T) {
	folder := t.TempDir()
	one, two := mixed(), mixed()
	two.Seed, two.Trailing = 5, nil
	for i := range 3 {
		one.Tensors[i].Seed, two.Tensors[i].Seed = uint64(i)+1, uint64(i)+1
	}
	h := storeHome(t)
	report := h.ingest(t, file(create(t, filepath.Join(folder, "one.gguf"), one)))
	if report.BytesShared != 0 {
		t.Errorf("%d bytes of the first file are shared", report.BytesShared)
	}
	want := int64(0)
	for _, tensor := range two.Tensors[:3] {
		want += tensor.Size()
	}
	report = h.ingest(t, file(create(t, filepath.Join(folder, "two.gguf"), two)))
	if report.BytesShared < want {
		t.Errorf("%d bytes are shared, the tensors of both files have %d", report.BytesShared, want)
	}
	h.checkExports(t)
}
