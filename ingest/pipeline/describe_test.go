package pipeline_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// TestDescribedBeforeComplete: a description is in the store before its model is complete. After a merge,
// there is one, with both names.
func TestDescribedBeforeComplete(t *testing.T) {
	for name, options := range map[string]pipeline.Options{"large": small, "small": together} {
		t.Run(name, func(t *testing.T) {
			h := storeHome(t)
			bytes := 3 * mib
			if name == "small" {
				bytes = mib / 2
			}
			path := blob(t, filepath.Join(t.TempDir(), "first"), bytes, 1)
			first := file(path)
			first.Name = "first"
			digest := digestOf(t, path)
			verb := map[string]string{"large": "Complete", "small": "Add"}[name]
			completions := 0
			in := h.ingester(options)
			in.Catalog = catalogtest.Faulty(h.catalog, func(called string, when catalogtest.Moment) error {
				if called == verb && when == catalogtest.Before {
					completions++
					if len(described(t, h, digest)) == 0 {
						t.Errorf("%s is called without a description", verb)
					}
				}
				return nil
			})
			second := file(blob(t, filepath.Join(t.TempDir(), "second"), bytes, 1))
			second.Name = "second"
			for _, s := range []ingest.Source{first, second} {
				if report, err := run(t, t.Context(), in, s); err != nil || len(report.Refused) > 0 {
					t.Fatal(report, err)
				}
			}
			all := described(t, h, digest)
			if completions != 2 || len(all) != 1 || len(all[0].Names) != 2 || all[0].Names[1].Name != "second" {
				t.Errorf("%d completions, descriptions %+v", completions, all)
			}
		})
	}
}

func digestOf(t *testing.T, path string) ingest.Digest {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return ingest.Sum(content)
}

// described returns the heads that count of the descriptions of a model.
func described(t *testing.T, h *home, model ingest.Digest) (all []describe.Head) {
	t.Helper()
	log, err := describe.ReadLog(t.Context(), h.memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Live() {
		r, err := describe.Open(t.Context(), h.memory, e.Frame)
		if err != nil {
			t.Fatal(err)
		}
		if r.Model == model {
			all = append(all, r.Head)
		}
		r.Close()
	}
	return all
}
