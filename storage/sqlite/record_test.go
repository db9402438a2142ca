package sqlite

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// flatFile is a file of one tensor, whose segments all have different digests.
type flatFile struct {
	ingest.File
	plan *ingest.Plan
}

const flatSegment = ingest.MinSegmentBytes

func flat(name string, segments int64) flatFile {
	bytes := segments * flatSegment
	f := flatFile{File: ingest.File{Path: "/models/" + name + ".gguf", Role: ingest.Weights, Format: "gguf",
		Bytes: bytes,
		Tensors: []ingest.Tensor{{Name: "blk.0.ffn_up.weight", Type: "F32", Elements: bytes / 4,
			Shape: []uint64{uint64(bytes) / 4}, Bytes: bytes, BlockElements: 1, BlockBytes: 4}}}}
	var err error
	if f.plan, err = ingest.NewPlan(&f.File, flatSegment); err != nil {
		panic(err) // a fixture is wrong
	}
	return f
}

func (f flatFile) begin(ctx context.Context, c *Catalog, lease ingest.Lease) (*ingest.Entry, error) {
	return c.Begin(ctx, lease, &ingest.Model{Name: f.Path, Type: "gguf", Files: []ingest.File{f.File}},
		[]*ingest.Plan{f.plan})
}

// batches yields batches that record the whole file; each is valid until the next.
func (f flatFile) batches(e *ingest.Entry, rows int) iter.Seq[*ingest.Batch] {
	return func(yield func(*ingest.Batch) bool) {
		b := &ingest.Batch{Model: e.ID, File: e.Files[0].ID, HashState: make([]byte, 108)}
		for s := range f.plan.All() {
			d := ingest.Sum(fmt.Appendf(nil, "%s %d", f.Path, s.Ordinal))
			b.Segments = append(b.Segments, ingest.NewSegment{Segment: s, Layer: e.Files[0].Layers[0], Type: "F32",
				Digest:  d,
				Address: ingest.Address{URI: fmt.Sprintf("dir:%x/%x", d[:1], d[:]), Bytes: s.Bytes}})
			b.To = s.End()
			if b.To == f.Bytes {
				b.Digest = ingest.Sum([]byte(f.Path))
			}
			if len(b.Segments) == rows || b.To == f.Bytes {
				if !yield(b) {
					return
				}
				b.From, b.Segments = b.To, b.Segments[:0]
			}
		}
	}
}

// BenchmarkRecord records segments with a new digest each, in batches of 1,000.
func BenchmarkRecord(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(recordRows(b, filepath.Join(b.TempDir(), "catalogue.db"), 200_000), "rows/s")
	}
}

// recordRows returns how many rows were recorded per second.
func recordRows(tb testing.TB, path string, rows int64) float64 {
	tb.Helper()
	ctx := context.Background()
	c, err := Open(ctx, path)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	}()
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "bench", TTL: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	f := flat("bench", rows)
	e, err := f.begin(ctx, c, lease)
	if err != nil {
		tb.Fatal(err)
	}
	var took time.Duration
	for batch := range f.batches(e, 1000) {
		start := time.Now()
		if err := c.Record(ctx, lease, batch); err != nil {
			tb.Fatal(err)
		}
		took += time.Since(start)
	}
	if _, err := c.Complete(ctx, lease, e.ID, 0); err != nil {
		tb.Fatal(err)
	}
	return float64(rows) / took.Seconds()
}

// The log does not grow without bound, and Close removes it.
func TestLogIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("records many rows, not with -short")
	}
	path := filepath.Join(t.TempDir(), "catalogue.db")
	c := openAt(t, path)
	recordRows(t, path, 50_000) // some 200 MB of changed pages
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 90<<20 {
		t.Errorf("the log grew to %d bytes", info.Size())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("the log still exists after Close")
	}
}
