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

// onlyModel returns the model of a home that has one.
func onlyModel(t *testing.T, h *home) ingest.Summary {
	t.Helper()
	models := h.models(t)
	if len(models) != 1 || models[0].State != ingest.ModelComplete {
		t.Fatalf("%d models, the first is %+v", len(models), models[0])
	}
	return models[0]
}

// filesOf returns the names of the files that go by one of a model's names.
func filesOf(m ingest.Summary, name string) string {
	var files []string
	for _, n := range m.Names {
		for _, f := range m.Files {
			if n.Name == name && slices.Contains(n.Files, f.ID) {
				files = append(files, f.Name)
			}
		}
	}
	slices.Sort(files)
	return strings.Join(files, " ")
}

// TestTwoNamesOfOneModel: two tags over the same weights are one model, however they come.
func TestTwoNamesOfOneModel(t *testing.T) {
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
		h.giveBack(t)
		readNothing(t, h, both)
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

// TestSameContentJoins: content that is stored joins its model, whatever its file is called; nothing of it
// is stored twice.
func TestSameContentJoins(t *testing.T) {
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
				joined := slices.IndexFunc(report.Ingested, func(o pipeline.IngestedModel) bool { return o.Merged })
				if len(report.Ingested) != len(second) || joined < 0 {
					t.Errorf("taken %+v", report.Ingested)
				}
				m := onlyModel(t, h)
				if len(m.Files) != 1 || m.BytesStored+m.BytesShared != m.Files[0].Bytes {
					t.Errorf("model %+v", m)
				}
				if h.memory != nil && h.memory.Counts().Written > int(m.Segments) {
					t.Errorf("%d payloads were written for %d segments", h.memory.Counts().Written, m.Segments)
				}
				h.check(t)
				h.giveBack(t)
				readNothing(t, h, append(first, second...))
			})
		})
	}
}

// copied copies a file, time and all.
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

// TestTemplateLater: a template that a name gains is taken in without reading the weights, and
// the name means all of its files.
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
			t.Errorf("read %d bytes, taken %+v", report.BytesRead, report.Ingested)
		}
		m := onlyModel(t, h)
		if got := filesOf(m, "m:a"); got != "later old weights" {
			t.Errorf("m:a is of %q", got)
		}
		h.check(t)
		h.giveBack(t)
		readNothing(t, h, []ingest.Source{source})
		h.ingest(t, named("m:a", weights, later))
		if got := filesOf(onlyModel(t, h), "m:a"); got != "later weights" {
			t.Errorf("m:a, whose manifest has lost a file, is of %q", got)
		}
	})
}

// TestSharedTemplate: one template of two models is read once, and each has it.
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
				t.Errorf("%s is of %q", m.Name, got)
			}
		}
		h.check(t)
		h.giveBack(t)
		readNothing(t, h, []ingest.Source{one, two})
	})
}

// TestSharedTensor: a tensor of two files is stored once.
func TestSharedTensor(t *testing.T) {
	folder := t.TempDir()
	one, two := motley(), motley()
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
	h.giveBack(t)
}
