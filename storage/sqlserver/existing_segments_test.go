package sqlserver

import (
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// moveOldSegments gives the rows of the other application a digest and an address, if they have
// their payload. A row that has an address already does not change.
func moveOldSegments(t *testing.T, c *Catalog, model ingest.ModelID, inRow bool) {
	t.Helper()
	lease, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", Source: "old", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	moves := 0
	for s, err := range c.TensorSegments(t.Context(), model) {
		if err != nil || s.Ordinal != moves || !s.Digest.IsZero() || s.InRow != inRow ||
			inRow != (s.Address.URI == "") {
			t.Errorf("an old segment is %+v, %v", s, err)
			continue
		}
		moves++
		payload := make([]byte, s.Bytes)
		if err := c.ReadPayload(t.Context(), s, payload); inRow && err != nil {
			t.Error(err)
		}
		s.Digest = ingest.Sum(payload)
		m := ingest.Move{Segment: s, Address: ingest.Address{URI: "dir:" + s.Digest.String(), Bytes: s.Bytes}}
		for _, want := range []bool{inRow, false} {
			moved, err := c.AddAddresses(t.Context(), lease, []ingest.Move{m})
			if err != nil || moved[0] != want {
				t.Errorf("moving %s: %v, %v, want %v", s.Place(), moved, err, want)
			}
		}
	}
	if moves != 2 {
		t.Errorf("%d old segments, want 2", moves)
	}
	for s, err := range c.TensorSegments(t.Context(), model) {
		if err != nil || s.Digest.IsZero() == inRow || s.Address.URI == "" {
			t.Errorf("a moved segment is %+v, %v", s, err)
		}
	}
	if err := c.Audit(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.CloseJob(t.Context(), lease, ingest.Outcome{State: ingest.JobComplete}); err != nil {
		t.Error(err)
	}
}
