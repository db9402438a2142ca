package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Record implements ingest.Recorder.
func (c *Catalog) Record(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	return c.record(ctx, lease, batch, false)
}

// RecordPayloads implements ingest.RowStore. Each row has a payload of its own,
// even where another holds the same bytes: readers of the table find there what
// its contract promises them, and no row depends on the life of another model.
func (c *Catalog) RecordPayloads(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	return c.record(ctx, lease, batch, true)
}

func (c *Catalog) record(ctx context.Context, lease ingest.Lease, batch *ingest.Batch, payloads bool) error {
	if err := checkBatch(batch, payloads); err != nil {
		return err
	}
	return c.write(ctx, func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
		if payloads { // from here on: their pages are written once and not looked at again
			if _, err := tx.exec(payloadCache); err != nil {
				return err
			}
		}
		f, err := tx.recorded(lease, batch)
		if err != nil {
			return err
		}
		if err := f.accepts(batch); err != nil {
			return fmt.Errorf("file %d: %w", batch.File, err)
		}
		added, err := tx.segments(batch, f.recorded, payloads)
		if err != nil {
			return err
		}
		return tx.advance(f, batch, added)
	})
}

// checkBatch refuses what is not a run of segments without a gap.
func checkBatch(batch *ingest.Batch, payloads bool) error {
	at := batch.From
	for i := range batch.Segments {
		s := &batch.Segments[i]
		switch {
		case s.Offset != at || s.Bytes < 1:
			return fmt.Errorf("segment of %d bytes at %d of file %d: want the one at %d", s.Bytes, s.Offset, batch.File, at)
		case s.Digest.IsZero():
			return fmt.Errorf("segment at %d of file %d has no digest", at, batch.File)
		case (s.Layer == 0) != (s.Tensor == ingest.NoTensor):
			return fmt.Errorf("segment at %d of file %d: layer %d does not go with tensor %d", at, batch.File, s.Layer, s.Tensor)
		case payloads && int64(len(s.Payload)) != s.Bytes:
			return fmt.Errorf("segment at %d of file %d: payload of %d bytes, want %d", at, batch.File, len(s.Payload), s.Bytes)
		}
		at = s.End()
	}
	if at != batch.To {
		return fmt.Errorf("batch of file %d ends at %d, its segments at %d", batch.File, batch.To, at)
	}
	return nil
}

// fileProgress is how far a file has got.
type fileProgress struct {
	bytes, recorded int64
	digest          ingest.Digest
}

// recorded reads the progress of the batch's file, which must be lease's to write.
func (t *tx) recorded(lease ingest.Lease, batch *ingest.Batch) (fileProgress, error) {
	var f fileProgress
	var job sql.NullInt64
	var digest []byte
	err := t.one(`SELECT m.IngestionJobId, f.ByteSize, f.RecordedBytes, f.ContentHash
		FROM ModelFiles f JOIN Models m ON m.ModelId = f.ModelId WHERE f.ModelFileId = ? AND m.ModelId = ?`,
		batch.File, batch.Model).Scan(&job, &f.bytes, &f.recorded, &digest)
	if errors.Is(err, sql.ErrNoRows) {
		return f, fmt.Errorf("file %d of model %d: %w", batch.File, batch.Model, ingest.ErrNotFound)
	}
	if err == nil && job.Int64 != lease.Job {
		return f, fmt.Errorf("model %d went to job %d: %w", batch.Model, job.Int64, ingest.ErrLeaseLost)
	}
	copy(f.digest[:], digest)
	return f, err
}

// accepts refuses a batch that leaves a gap, runs over the file's end, or
// contradicts what is recorded.
func (f *fileProgress) accepts(batch *ingest.Batch) error {
	switch {
	case batch.From < 0 || batch.From > f.recorded:
		return fmt.Errorf("batch begins at byte %d, and %d are recorded", batch.From, f.recorded)
	case batch.To > f.bytes:
		return fmt.Errorf("batch ends at byte %d of %d", batch.To, f.bytes)
	case (batch.To == f.bytes) == batch.Digest.IsZero():
		return fmt.Errorf("batch ends at byte %d of %d: the last one, and no other, has the file's digest", batch.To, f.bytes)
	case !f.digest.IsZero() && !batch.Digest.IsZero() && f.digest != batch.Digest:
		return fmt.Errorf("digest is %s, and %s is recorded", batch.Digest, f.digest)
	}
	return nil
}

// added is what a batch brought beyond what was recorded.
type added struct {
	segments, stored, shared int64 // rows, and bytes that were new or stored before
}

// advance notes how far the file has got. A batch that was there already
// changes nothing: above all, it does not take the file back.
func (t *tx) advance(f fileProgress, batch *ingest.Batch, n added) error {
	if batch.To <= f.recorded && (batch.Digest.IsZero() || !f.digest.IsZero()) {
		return nil
	}
	_, err := t.exec(`UPDATE ModelFiles SET SegmentCount = SegmentCount + ?, BytesStored = BytesStored + ?, BytesShared = BytesShared + ?,
		HashState = ?, RecordedBytes = ?, ContentHash = ? WHERE ModelFileId = ?`,
		n.segments, n.stored, n.shared, batch.HashState, batch.To, nullable(batch.Digest), batch.File)
	return err
}
