package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Record implements ingest.Writer.
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
	if err := storage.CheckBatch(batch, payloads); err != nil {
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
		if err := f.Accepts(batch); err != nil {
			return fmt.Errorf("file %d: %w", batch.File, err)
		}
		added, err := tx.segments(batch, f.Recorded, payloads)
		if err != nil {
			return err
		}
		return tx.advance(f, batch, added)
	})
}

// recorded reads the progress of the batch's file, which must be lease's to write.
func (t *tx) recorded(lease ingest.Lease, batch *ingest.Batch) (storage.FileProgress, error) {
	var f storage.FileProgress
	var job sql.NullInt64
	var digest []byte
	err := t.one(`SELECT m.IngestionJobId, f.ByteSize, f.RecordedBytes, f.ContentHash
		FROM ModelFiles f JOIN Models m ON m.ModelId = f.ModelId WHERE f.ModelFileId = ? AND m.ModelId = ?`,
		batch.File, batch.Model).Scan(&job, &f.Bytes, &f.Recorded, &digest)
	if errors.Is(err, sql.ErrNoRows) {
		return f, fmt.Errorf("file %d of model %d: %w", batch.File, batch.Model, ingest.ErrNotFound)
	}
	if err == nil && job.Int64 != lease.Job {
		return f, fmt.Errorf("model %d went to job %d: %w", batch.Model, job.Int64, ingest.ErrLeaseLost)
	}
	copy(f.Digest[:], digest)
	return f, err
}

// advance notes how far the file has got. A batch that was there already
// changes nothing: above all, it does not take the file back.
func (t *tx) advance(f storage.FileProgress, batch *ingest.Batch, n storage.Added) error {
	if f.Includes(batch) {
		return nil
	}
	n = n.Of(batch)
	_, err := t.exec(`UPDATE ModelFiles SET SegmentCount = SegmentCount + ?, BytesStored = BytesStored + ?, BytesShared = BytesShared + ?,
		HashState = ?, RecordedBytes = ?, ContentHash = ? WHERE ModelFileId = ?`,
		n.Segments, n.Stored, n.Shared, batch.HashState, batch.To, storage.DigestColumn(batch.Digest), batch.File)
	return err
}
