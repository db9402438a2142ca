package sqlserver

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// The benchmark records benchRows segments in batches of benchSize.
const (
	benchRows = 200_000
	benchSize = 1000
)

// BenchmarkRecord records segments with different digests. It reports rows per second, and the peak
// memory during the first and the last tenth of the rows, which must not grow.
func BenchmarkRecord(b *testing.B) {
	p := take(b)
	ctx := context.Background()
	for b.Loop() {
		c := p.handle(b).(handle).Catalog
		lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models",
			Source: fmt.Sprint("bench ", time.Now().UnixNano()), TTL: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		const bytes = ingest.MinSegmentBytes
		f := ingest.File{Path: "/models/bench.gguf", Role: ingest.Weights, Format: "gguf", Bytes: benchRows * bytes,
			Modified: time.Now(),
			Tensors: []ingest.Tensor{{Name: "blk.0.ffn_up.weight", Type: "F32", Elements: benchRows * bytes / 4,
				Shape: []uint64{benchRows * bytes / 4}, Bytes: benchRows * bytes, BlockElements: 1, BlockBytes: 4}}}
		plan, err := ingest.NewPlan(&f, bytes)
		if err != nil {
			b.Fatal(err)
		}
		e, err := c.Begin(ctx, lease, &ingest.Model{Name: "bench", Type: "gguf", Files: []ingest.File{f}},
			[]*ingest.Plan{plan})
		if err != nil {
			b.Fatal(err)
		}
		recordAll(b, c, lease, e, plan)
	}
}

func recordAll(b *testing.B, c *Catalog, lease ingest.Lease, e *ingest.Entry, plan *ingest.Plan) {
	start, tenths := time.Now(), [10]uint64{}
	batch := ingest.Batch{Model: e.ID, File: e.Files[0].ID, HashState: make([]byte, 108)}
	for s := range plan.All() {
		var seed [16]byte
		binary.LittleEndian.PutUint64(seed[:], uint64(s.Ordinal))
		binary.LittleEndian.PutUint64(seed[8:], uint64(e.ID))
		digest := ingest.Sum(seed[:])
		batch.Segments = append(batch.Segments, ingest.NewSegment{Segment: s, Layer: e.Files[0].Layers[0], Type: "F32",
			Digest:  digest,
			Address: ingest.Address{URI: fmt.Sprintf("dir:%x/%x", digest[:1], digest[:]), Bytes: s.Bytes}})
		if len(batch.Segments) < benchSize {
			continue
		}
		batch.To = s.End()
		if s.Ordinal == benchRows-1 {
			batch.Digest = digest
		}
		if err := c.Record(context.Background(), lease, &batch); err != nil {
			b.Fatal(err)
		}
		batch.From, batch.Segments = batch.To, batch.Segments[:0]
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		tenth := &tenths[s.Ordinal/(benchRows/10)]
		*tenth = max(*tenth, memory.HeapAlloc)
	}
	b.ReportMetric(benchRows/time.Since(start).Seconds(), "rows/s")
	b.ReportMetric(float64(tenths[0])/(1<<20), "MiB-first")
	b.ReportMetric(float64(tenths[9])/(1<<20), "MiB-last")
	if tenths[9] > 2*tenths[0]+(8<<20) {
		b.Errorf("memory grew: %v", tenths)
	}
}
