//go:build unix

package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
)

// swaps replace a file during a run. The link leads to a copy with the same size and modification
// time, so that they differ only in their path.
var swaps = map[string]struct {
	swap func(t *testing.T, path, outside string)
	want string
}{
	"a link": {func(t *testing.T, path, outside string) {
		content, err := os.ReadFile(path)
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		copied := write(t, filepath.Join(outside, "copy"), content)
		must(t, os.Chtimes(copied, info.ModTime(), info.ModTime()))
		must(t, os.Remove(path))
		must(t, os.Symlink(copied, path))
	}, "leads out of the given folder"},
	"a pipe": {func(t *testing.T, path, _ string) {
		must(t, os.Remove(path))
		must(t, syscall.Mkfifo(path, 0o600))
	}, "it is a pipe, not a regular file"},
}

// TestSwapped: a file that is replaced by a link out of the given folder, or by a pipe, is refused.
// The other files are ingested.
func TestSwapped(t *testing.T) {
	moments := map[string]func(t *testing.T, h *home, in *pipeline.Ingester, bad ingest.Source, swap func()){
		"before it is looked up": func(_ *testing.T, _ *home, _ *pipeline.Ingester, _ ingest.Source, swap func()) {
			swap()
		},
		"after parsing": func(_ *testing.T, _ *home, in *pipeline.Ingester, bad ingest.Source, swap func()) {
			parse := in.Parse
			in.Parse = func(ctx context.Context, source ingest.Source) (*ingest.Model, error) {
				m, err := parse(ctx, source)
				if source.Files[0].Path == bad.Files[0].Path {
					swap()
				}
				return m, err
			}
		},
		"before it is read again": func(t *testing.T, h *home, in *pipeline.Ingester, bad ingest.Source, swap func()) {
			h.ingest(t, bad)
			in.Options.Recheck = true
			in.Catalog = &lookups{Catalog: h.catalog, path: bad.Files[0].Path, after: swap}
		},
	}
	for name, s := range swaps {
		for moment, arrange := range moments {
			t.Run(name+" "+moment, func(t *testing.T) {
				h, folder := storeHome(t), realFolder(t)
				good, bad := file(blob(t, filepath.Join(folder, "a"), 3*mib, 1)),
					file(blob(t, filepath.Join(folder, "b"), 3*mib, 2))
				good.Files[0].Root, bad.Files[0].Root = folder, folder
				in := h.ingester(small)
				arrange(t, h, in, bad, func() { s.swap(t, bad.Files[0].Path, t.TempDir()) })
				report, err := run(t, t.Context(), in, good, bad)
				if err != nil || len(report.Refused) != 1 || len(report.Ingested) != 1 {
					t.Fatalf("%+v, %v", report, err)
				}
				reason := refusal(t, report, bad.Files[0].Path)
				if !strings.Contains(reason.Error(), s.want) {
					t.Errorf("refused because %v, want %s", reason, s.want)
				}
				h.check(t)
			})
		}
	}
}

// TestSwappedWhileRead: a file that is replaced while it is read is refused.
func TestSwappedWhileRead(t *testing.T) {
	for name, s := range swaps {
		t.Run(name, func(t *testing.T) {
			h, folder := storeHome(t), realFolder(t)
			source := file(blob(t, filepath.Join(folder, "a"), 3*mib, 1))
			source.Files[0].Root = folder
			in := h.ingester(small)
			var once sync.Once
			outside := t.TempDir()
			in.Catalog = &watched{Catalog: h.catalog, see: func(*ingest.Batch) {
				once.Do(func() { s.swap(t, source.Files[0].Path, outside) })
			}}
			report, err := run(t, t.Context(), in, source)
			if err != nil || len(report.Refused) != 1 || !errors.Is(report.Refused[0].Reason, ingest.ErrChanged) ||
				len(h.models(t)) != 0 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// lookups calls after once, when path was looked up.
type lookups struct {
	ingest.Catalog
	path  string
	after func()
	once  sync.Once
}

func (l *lookups) Unchanged(ctx context.Context, path string, bytes, modified int64) (ingest.StoredFile, error) {
	f, err := l.Catalog.Unchanged(ctx, path, bytes, modified)
	if path == l.path {
		l.once.Do(l.after)
	}
	return f, err
}

func realFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return folder
}
