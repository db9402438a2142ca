package reader

import (
	"bytes"
	"context"
	"iter"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// A migration can move a payload after its row was read: then it is read where it is now.
func TestPayloadMovesWhileAFileIsRead(t *testing.T) {
	w := newFake(t, 40*kib)
	stale := append([]ingest.StoredSegment(nil), w.rows...)
	for i := range w.rows { // each payload moves to the other place
		s := &w.rows[i]
		if s.InRow {
			s.InRow, s.Address = false, ingest.Address{URI: "fake:moved", Bytes: s.Bytes}
			w.inStore[s.Digest] = w.inRow[s.RowID]
			delete(w.inRow, s.RowID)
		} else {
			s.InRow, s.Address = true, ingest.Address{}
			w.inRow[s.RowID] = w.inStore[s.Digest]
			delete(w.inStore, s.Digest)
		}
	}
	r := w.reader(t)
	moving := &movingRows{fake: w, stale: stale}
	r.Catalog = moving
	var out bytes.Buffer
	if _, err := r.Open(t.Context(), w.file).WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), w.content) {
		t.Errorf("error %v, %d of %d bytes", err, out.Len(), len(w.content))
	}
	// Each is for migrations, which must not take a payload in a row for its copy in a store.
	moving.listed = false
	failed := 0
	err := r.Each(t.Context(), w.file, Selection{Done: func(_ ingest.StoredSegment, _ []byte, err error) error {
		if err != nil {
			failed++
		}
		return nil
	}})
	if err != nil || failed != len(stale) {
		t.Errorf("Each: error %v, %d of %d failed", err, failed, len(stale))
	}
}

// movingRows lists rows as they were before their payloads moved, the first time.
type movingRows struct {
	*fake
	stale  []ingest.StoredSegment
	listed bool
}

func (m *movingRows) Segments(ctx context.Context, file ingest.FileID,
	from int64) iter.Seq2[ingest.StoredSegment, error] {
	if m.listed {
		return m.fake.Segments(ctx, file, from)
	}
	m.listed = true
	return func(yield func(ingest.StoredSegment, error) bool) {
		for _, s := range m.stale {
			if !yield(s, nil) {
				return
			}
		}
	}
}
