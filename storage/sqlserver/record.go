package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
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
	if err := storage.CheckBatch(batch, payloads); err != nil {
		return err
	}
	if payloads && c.way.files != nil {
		return c.recordFiles(ctx, lease, batch)
	}
	return c.writeUnder(ctx, lease, func(tx *tx) error {
		f, n, err := tx.enter(lease, batch, payloads)
		if err != nil {
			return err
		}
		return tx.advance(f, batch, n)
	})
}

// enter makes the rows of a batch, with their payloads or with empty ones. It returns how far the file had
// got, and what was new.
func (t *tx) enter(lease ingest.Lease, batch *ingest.Batch, payloads bool) (f storage.FileProgress, n storage.Added, err error) {
	if f, err = t.recorded(lease, batch); err != nil {
		return f, n, err
	}
	if err := f.Accepts(batch); err != nil {
		return f, n, fmt.Errorf("file %d: %w", batch.File, err)
	}
	if len(batch.Segments) > 0 {
		n, err = t.segments(batch, f.Recorded, payloads)
	}
	return f, n, err
}

// recorded reads the progress of the batch's file, which must be lease's to write. UPDLOCK
// keeps the file's row until the commit: no other batch of this file is written meanwhile.
func (t *tx) recorded(lease ingest.Lease, batch *ingest.Batch) (storage.FileProgress, error) {
	var f storage.FileProgress
	var job sql.NullInt64
	var digest []byte
	err := t.one(`/* ingest: recorded */ SELECT m.IngestionJobId, f.ByteSize, f.RecordedBytes, f.ContentHash
		FROM dbo.ModelFiles AS f WITH (UPDLOCK, ROWLOCK) INNER JOIN dbo.Models AS m WITH (READCOMMITTEDLOCK) ON m.ModelId = f.ModelId
		WHERE f.ModelFileId = @p1 AND m.ModelId = @p2`, int64(batch.File), int64(batch.Model)).Scan(&job, &f.Bytes, &f.Recorded, &digest)
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
// changes nothing: above all, it does not take the file back. RecordedBytes in the
// condition is for an engine that takes no notice of the lock in recorded.
func (t *tx) advance(f storage.FileProgress, batch *ingest.Batch, n storage.Added) error {
	if n.Segments == 0 && f.Includes(batch) {
		return nil
	}
	n = n.Of(batch)
	changed, err := t.change(`/* ingest: advance */ UPDATE dbo.ModelFiles SET SegmentCount = SegmentCount + @p3, BytesStored = BytesStored + @p4,
			BytesShared = BytesShared + @p5, HashState = CASE WHEN @p6 > RecordedBytes THEN @p7 ELSE HashState END,
			RecordedBytes = CASE WHEN @p6 > RecordedBytes THEN @p6 ELSE RecordedBytes END, ContentHash = COALESCE(ContentHash, @p8)
		WHERE ModelFileId = @p1 AND RecordedBytes = @p2`,
		int64(batch.File), f.Recorded, n.Segments, n.Stored, n.Shared, batch.To, batch.HashState, storage.DigestColumn(batch.Digest))
	if err == nil && changed == 0 {
		err = raceError(fmt.Sprintf("file %d was written to by another process meanwhile", batch.File))
	}
	return err
}
