package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// must fails the test if err is not nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// changes are changes of a file while it is read.
var changes = map[string]func(t *testing.T, path string){
	"shrinks": func(t *testing.T, path string) { must(t, os.Truncate(path, 9*mib)) },
	"grows":   func(t *testing.T, path string) { must(t, os.Truncate(path, 20*mib)) },
	"is rewritten in place": func(t *testing.T, path string) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("other"), 100)
		must(t, errors.Join(err, f.Close()))
		// the file system's clock may be coarse
		must(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)))
	},
	"is replaced": func(t *testing.T, path string) {
		info, err := os.Stat(path)
		must(t, err)
		write(t, path+".new", noise(16*mib, 2))
		must(t, os.Chtimes(path+".new", time.Time{}, info.ModTime()))
		must(t, os.Rename(path+".new", path))
	},
	"disappears": func(t *testing.T, path string) { must(t, os.Remove(path)) },
}

// TestChanged: a file that changes while it is read is refused and leaves no rows. Other files are
// ingested.
func TestChanged(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			eachHome(t, func(t *testing.T, h *home) { changed(t, h, change) })
		})
	}
}

func changed(t *testing.T, h *home, change func(*testing.T, string)) {
	folder := t.TempDir()
	path := blob(t, filepath.Join(folder, "changing"), 16*mib, 1)
	good := []ingest.Source{file(blob(t, filepath.Join(folder, "a"), 3*mib, 3)),
		file(blob(t, filepath.Join(folder, "z"), 3*mib, 4))}
	in := h.ingester(small)
	var batches atomic.Int64
	in.Catalog = &watched{Catalog: h.catalog, see: func(b *ingest.Batch) {
		if b.To-b.From > 0 && b.From >= 4*mib && batches.Add(1) == 1 { // only the changing file is so large
			change(t, path)
		}
	}}
	report, err := run(t, t.Context(), in, good[0], file(path), good[1])
	if err != nil {
		t.Fatal(err)
	}
	if reason := refusal(t, report, path); !errors.Is(reason, ingest.ErrChanged) {
		t.Errorf("reason %v", reason)
	}
	if len(report.Ingested) != 2 || len(report.Refused) != 1 {
		t.Errorf("ingested %v, refused %v", report.Ingested, report.Refused)
	}
	for _, m := range h.models(t) {
		if m.State != ingest.ModelComplete || m.Files[0].Path == path {
			t.Errorf("the catalogue has model %s of %s", m.State, m.Files[0].Path)
		}
	}
	if job, err := h.catalog.Job(t.Context(), report.Job); err != nil || job.State != ingest.JobPartial ||
		len(job.Problems) != 1 || job.Problems[0].Path != path {
		t.Errorf("job %+v, %v", job, err)
	}
	h.check(t)
	if _, err := os.Stat(path); err != nil {
		return
	}
	h.ingest(t, append(good, file(path))...)
	h.checkExports(t)
}

// watched calls see with each batch before it is recorded.
type watched struct {
	ingest.Catalog
	see func(*ingest.Batch) // may be called by several goroutines
}

func (w *watched) Record(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	w.see(batch)
	return w.Catalog.Record(ctx, lease, batch)
}

// TestBuffersAreReleased: more files than the six buffers fail while they are read, and release
// them.
func TestBuffersAreReleased(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		folder := t.TempDir()
		in := h.ingester(small)
		var sources []ingest.Source
		begins := map[ingest.Digest]string{} // paths by their first segment
		for i := range 8 {
			path := blob(t, filepath.Join(folder, string(rune('a'+i))), 13*mib, uint64(i))
			begins[ingest.Sum(noise(mib, uint64(i)))] = path
			sources = append(sources, file(path))
		}
		in.Catalog = &watched{Catalog: h.catalog, see: func(b *ingest.Batch) {
			if path, ok := begins[b.Segments[0].Digest]; ok { // no buffer holds the end yet
				must(t, os.Truncate(path, 12*mib+5))
			}
		}}
		report, err := run(t, t.Context(), in, sources...)
		if err != nil || len(report.Refused) != len(sources) {
			t.Fatalf("%d of %d were refused, %v", len(report.Refused), len(sources), err)
		}
		var sourceErr *ingest.SourceError
		if !errors.As(report.Refused[0].Reason, &sourceErr) || sourceErr.Offset != 12*mib+5 ||
			!errors.Is(sourceErr, ingest.ErrChanged) {
			t.Errorf("reason %v: want the byte at which the file ends", report.Refused[0].Reason)
		}
		h.ingest(t, file(blob(t, filepath.Join(folder, "good"), 9*mib, 99)))
		if left := len(h.models(t)); left != 1 {
			t.Errorf("%d models, want only the good one", left)
		}
		h.check(t)
	})
}

// TestUnreadable: unreadable files are refused, and the others are ingested.
func TestUnreadable(t *testing.T) {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	good := blob(t, in("good"), mib, 1)
	gone, late, locked := in("gone"), blob(t, in("late"), mib, 2), blob(t, in("locked"), mib, 3)
	must(t, os.Mkdir(in("folder"), 0o700))
	must(t, os.Chmod(locked, 0))
	sources := []ingest.Source{file(in("folder")), file(gone), file(late), file(good)}
	if os.Geteuid() > 0 {
		sources = append(sources, file(locked))
	} else {
		t.Log("root and Windows can read the locked file: not tested")
	}
	h := storeHome(t)
	ingester := h.ingester(small)
	parse := ingester.Parse
	ingester.Parse = func(ctx context.Context, source ingest.Source) (*ingest.Model, error) {
		m, err := parse(ctx, source)
		if source.Files[0].Path == late { // a folder replaces it before it is read
			err = errors.Join(err, os.Remove(late), os.Mkdir(late, 0o700))
		}
		return m, err
	}
	report, err := run(t, t.Context(), ingester, sources...)
	if err != nil || len(report.Ingested) != 1 || len(report.Refused) != len(sources)-1 {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, source := range sources {
		if path := source.Files[0].Path; path != good {
			refusal(t, report, path)
		}
	}
}

// TestOneFileOfAModelFails: the other files are tried, each error is reported, and the model is not
// complete.
func TestOneFileOfAModelFails(t *testing.T) {
	source := splits(t, t.TempDir())
	h := storeHome(t)
	in := h.ingester(small)
	var once sync.Once
	in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Put" { // all files are parsed
			once.Do(func() {
				must(t, os.Truncate(source.Files[0].Path, 100))
				must(t, os.Truncate(source.Files[2].Path, 100))
			})
		}
		return nil
	}}
	report, err := run(t, t.Context(), in, source)
	if err != nil || len(report.Refused) != 2 || len(report.Ingested) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, i := range []int{0, 2} {
		refusal(t, report, source.Files[i].Path)
	}
	if slices.ContainsFunc(h.models(t), func(m ingest.Summary) bool { return m.State == ingest.ModelComplete }) {
		t.Error("a model is complete although two of its files failed")
	}
	h.check(t)
}
