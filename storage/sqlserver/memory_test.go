package sqlserver

import (
	"runtime"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Payloads in rows are sent packet by packet, without a copy in memory.
func TestPayloadsAreNotCopied(t *testing.T) {
	const segments, size = 3, 32 << 20
	c := take(t).handle(t).(handle).Catalog
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "memory", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := ingest.File{Path: "/m.bin", Role: ingest.Weights, Format: "opaque", Bytes: segments * size}
	plan, err := ingest.NewPlan(&f, size)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Begin(t.Context(), lease, &ingest.Model{Name: "m", Type: "opaque", Files: []ingest.File{f}},
		[]*ingest.Plan{plan})
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, size)
	for s := range plan.All() {
		payload[0] = byte(s.Ordinal)
		batch := &ingest.Batch{Model: e.ID, File: e.Files[0].ID, From: s.Offset, To: s.End(), InRows: true,
			HashState: []byte("x"),
			Segments:  []ingest.NewSegment{{Segment: s, Digest: ingest.Sum(payload), Payload: payload}}}
		if s.End() == f.Bytes {
			batch.Digest = ingest.Sum([]byte("file"))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := c.Record(t.Context(), lease, batch); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > size/2 {
			t.Errorf("%d MiB were allocated for a payload of %d MiB", took>>20, size>>20)
		}
	}
}
