package sqlserver

import (
	"runtime"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Payloads in rows go to the server packet by packet: what is in use does not grow with them.
func TestPayloadsKeepMemoryFlat(t *testing.T) {
	const pieces, size = 12, 8 << 20
	c := take(t).handle(t).(handle).Catalog
	lease, err := c.Open(t.Context(), ingest.Claim{Pipeline: "models", Source: "memory", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := ingest.File{Path: "/m.bin", Role: ingest.Weights, Format: "opaque", Bytes: pieces * size}
	plan, err := ingest.NewPlan(&f, size)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Begin(t.Context(), lease, &ingest.Model{Name: "m", Type: "opaque", Files: []ingest.File{f}}, []*ingest.Plan{plan})
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, size)
	var used []uint64
	for s := range plan.All() {
		payload[0] = byte(s.Ordinal)
		batch := &ingest.Batch{Model: e.ID, File: e.Files[0].ID, From: s.Offset, To: s.End(), HashState: []byte("x"),
			Segments: []ingest.Recorded{{Segment: s, Digest: ingest.Sum(payload), Payload: payload}}}
		if s.End() == f.Bytes {
			batch.Digest = ingest.Sum([]byte("file"))
		}
		if err := c.RecordPayloads(t.Context(), lease, batch); err != nil {
			t.Fatal(err)
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		used = append(used, memory.HeapAlloc>>20)
	}
	t.Logf("MiB in use after each payload of %d: %v", size>>20, used)
	if last := used[len(used)-1]; last > used[0]+3*size>>20 || last > 96 {
		t.Errorf("memory grows: %v MiB", used)
	}
}
