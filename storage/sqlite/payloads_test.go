package sqlite

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// withPayload returns a catalogue with a payload of a megabyte, and its segment.
func withPayload(t *testing.T) (*Catalog, ingest.StoredSegment) {
	t.Helper()
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "/m", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := flat("m", 1)
	e, err := f.begin(t.Context(), c, lease)
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, flatSegment)
	for b := range f.batches(e, 1) {
		b.Segments[0].Payload, b.Segments[0].Digest, b.Segments[0].Address = payload, ingest.Sum(payload),
			ingest.Address{}
		b.InRows = true
		if err := c.Record(t.Context(), lease, b); err != nil {
			t.Fatal(err)
		}
	}
	for segment, err := range c.Segments(t.Context(), e.Files[0].ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		return c, segment
	}
	t.Fatal("no segment")
	return nil, ingest.StoredSegment{}
}

// A payload is copied once, into the caller's buffer.
func TestReadPayloadAllocatesNoSecondPayload(t *testing.T) {
	c, segment := withPayload(t)
	buffer := make([]byte, segment.Bytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if err := c.ReadPayload(t.Context(), segment, buffer); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := int64(after.TotalAlloc-before.TotalAlloc) / 10; each > segment.Bytes/10 {
		t.Errorf("a read of %d bytes allocates %d", segment.Bytes, each)
	}
	if len(lent.lent) != 0 {
		t.Errorf("%d buffers are still lent", len(lent.lent))
	}
}

func TestPayloadIntoNoBuffer(t *testing.T) {
	c, _ := withPayload(t)
	var bytes int64
	err := c.conns.reader.QueryRow(`SELECT payload_into(-1, x'01')`).Scan(&bytes)
	if err == nil || errors.Is(err, ingest.ErrNotFound) {
		t.Fatalf("error is %v", err)
	}
}
