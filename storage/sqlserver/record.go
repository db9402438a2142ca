package sqlserver

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
	if err := storage.CheckBatch(batch, false); err != nil {
		return err
	}
	return c.record(ctx, &recording{lease: lease, batch: batch})
}

// RecordPayloads implements ingest.RowStore. Each row has a payload of its own,
// even where another holds the same bytes: readers of the table find there what
// its contract promises them, and no row depends on the life of another model.
func (c *Catalog) RecordPayloads(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	if err := storage.CheckBatch(batch, true); err != nil {
		return err
	}
	r := &recording{lease: lease, batch: batch, payloads: c.way.files == nil}
	if r.payloads {
		return c.record(ctx, r)
	}
	return c.again(ctx, c.policy, func() error { return c.recordFiles(ctx, r) })
}

func (c *Catalog) record(ctx context.Context, r *recording) error {
	return c.again(ctx, c.policy, func() error {
		return c.transact(ctx, c.db, under(r.lease, func(tx *tx) error {
			if err := r.makeRows(tx); err != nil {
				return err
			}
			return r.note(tx)
		}))
	})
}

// recording is a batch on its way into the tables, within one transaction.
type recording struct {
	lease    ingest.Lease
	batch    *ingest.Batch
	payloads bool // go into the rows as parameters
	added    storage.Added
}

// makeRows makes the rows of the batch, with their payloads or with empty ones.
func (r *recording) makeRows(t *tx) error {
	f, err := t.fileProgress(r.lease, r.batch, lookAtFile)
	if err != nil || len(r.batch.Segments) == 0 {
		return err
	}
	if r.added, err = t.atoms(r.batch, f.Recorded); err != nil {
		return err
	}
	return t.segments(r.batch, r.added, r.payloads)
}

// note notes how far the file has got. From then on the file's row is locked until the commit.
func (r *recording) note(t *tx) error {
	f, err := t.fileProgress(r.lease, r.batch, lockFile)
	if err != nil {
		return err
	}
	if err := f.Accepts(r.batch); err != nil {
		return fmt.Errorf("file %d: %w", r.batch.File, err)
	}
	return t.advance(f, r.batch, r.added)
}

// How the progress of a file is read: to know which of a batch's rows may be there already, or to change it.
const (
	lookAtFile = `/* ingest: look-at-file */ ` + progressOf + `READCOMMITTEDLOCK` + ofFileInModel
	lockFile   = `/* ingest: lock-file */ ` + progressOf + `UPDLOCK, ROWLOCK` + ofFileInModel

	progressOf    = `SELECT m.IngestionJobId, f.ByteSize, f.RecordedBytes, f.ContentHash FROM dbo.ModelFiles AS f WITH (`
	ofFileInModel = `) INNER JOIN dbo.Models AS m WITH (READCOMMITTEDLOCK) ON m.ModelId = f.ModelId
		WHERE f.ModelFileId = @p1 AND m.ModelId = @p2`
)

// fileProgress reads the progress of the batch's file, which must be lease's to write.
func (t *tx) fileProgress(lease ingest.Lease, batch *ingest.Batch, how string) (storage.FileProgress, error) {
	var f storage.FileProgress
	var job sql.NullInt64
	var digest []byte
	err := t.one(how, int64(batch.File), int64(batch.Model)).Scan(&job, &f.Bytes, &f.Recorded, &digest)
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
// condition is for an engine that takes no notice of the lock of lockFile.
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
