package sqlserver

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// The server hashes payloads of any size, intact and damaged.
func TestHashPayload(t *testing.T) {
	database := take(t)
	c := database.handle(t).(handle).Catalog
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "hash", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20
	f := ingest.File{Path: "/m.bin", Role: ingest.Weights, Format: "opaque", Bytes: size + 1}
	plan, err := ingest.NewPlan(&f, size)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Begin(t.Context(), lease, &ingest.Model{Name: "m", Type: "opaque", Files: []ingest.File{f}},
		[]*ingest.Plan{plan})
	if err != nil {
		t.Fatal(err)
	}
	batch := &ingest.Batch{Model: e.ID, File: e.Files[0].ID, To: f.Bytes, InRows: true, HashState: []byte("x"),
		Digest: ingest.Sum([]byte("file"))}
	for s := range plan.All() {
		payload := bytes.Repeat([]byte{0, 1, 2, 0xff}, size/4+1)[:s.Bytes]
		batch.Segments = append(batch.Segments, ingest.NewSegment{Segment: s, Digest: ingest.Sum(payload),
			Payload: payload})
	}
	if err := c.Record(t.Context(), lease, batch); err != nil {
		t.Fatal(err)
	}
	var segments []ingest.StoredSegment
	for s, err := range c.Segments(t.Context(), e.Files[0].ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.HashPayload(t.Context(), s); err != nil || got != s.Digest {
			t.Errorf("payload %d has %s, %v, want %s", s.Ordinal, got, err, s.Digest)
		}
		segments = append(segments, s)
	}
	for _, damage := range [][]byte{{9}, bytes.Repeat([]byte{0}, size)} {
		if _, err := database.schema.Exec(`UPDATE dbo.FileSegments SET RawPayload = @p2 WHERE FileSegmentId = @p1`,
			segments[0].RowID, damage); err != nil {
			t.Fatal(err)
		}
		if got, err := c.HashPayload(t.Context(), segments[0]); err != nil || got != ingest.Sum(damage) {
			t.Errorf("a damaged payload has %s, %v, want %s", got, err, ingest.Sum(damage))
		}
	}
	if err := c.Relocate(t.Context(), lease, segments[0], ingest.Address{URI: "dir:x", Bytes: size}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HashPayload(t.Context(), segments[0]); !errors.Is(err, ingest.ErrNoPayload) ||
		storage.IsTransient(err) {
		t.Errorf("a payload in a store: %v", err)
	}
	segments[0].RowID = -1
	if _, err := c.HashPayload(t.Context(), segments[0]); !errors.Is(err, ingest.ErrNotFound) {
		t.Errorf("a missing row: %v", err)
	}
}
