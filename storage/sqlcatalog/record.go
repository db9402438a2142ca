package sqlcatalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Record implements ingest.Writer. With InRows, each row stores its own payload, even if another
// row has the same bytes: other programs read the payload there, and no row depends on another
// model.
func (c *Catalog) Record(ctx context.Context, lease ingest.Lease, batch *ingest.Batch) error {
	if err := checkBatch(batch, c.dialect.SmallPayload()); err != nil {
		return err
	}
	return c.dialect.Record(ctx, &Recording{Lease: lease, Batch: batch})
}

// Recording is a batch that a dialect writes.
type Recording struct {
	Lease ingest.Lease
	Batch *ingest.Batch
}

const (
	fileColumnsOf = `SELECT m.IngestionJobId, f.ByteSize, f.RecordedBytes, f.ContentHash FROM dbo.ModelFiles AS f`
	fileInModel   = ` INNER JOIN dbo.Models AS m {committed} ON m.ModelId = f.ModelId
		WHERE f.ModelFileId = @p1 AND m.ModelId = @p2`
)

var (
	// lookAtFile reads the progress of a file, to know which rows of a batch may exist. The answer
	// may be outdated when the rows are written.
	lookAtFile = shared("look-at-file", fileColumnsOf+` {committed}`+fileInModel)
	// lockFile reads it again and locks the row until the commit, which follows soon.
	lockFile = shared("lock-file", fileColumnsOf+` {update lock}`+fileInModel)
)

// Look returns an error unless the lease holds and its job owns the file. It returns how many bytes
// of the file have rows: segments of the batch before that offset may have theirs.
func (r *Recording) Look(t *Tx) (recorded int64, err error) {
	if err := t.Hold(r.Lease); err != nil {
		return 0, err
	}
	f, err := r.progress(t, lookAtFile)
	return f.Recorded, err
}

func (r *Recording) progress(t *Tx, s *Statement) (fileProgress, error) {
	var f fileProgress
	var job sql.NullInt64
	var digest []byte
	there, err := t.found(t.One(s, r.Batch.File, r.Batch.Model), &job, &f.Bytes, &f.Recorded, &digest)
	switch {
	case err != nil:
		return f, err
	case !there:
		return f, fmt.Errorf("file %d of model %d: %w", r.Batch.File, r.Batch.Model, ingest.ErrNotFound)
	case job.Int64 != r.Lease.Job:
		return f, fmt.Errorf("model %d belongs to job %d: %w", r.Batch.Model, job.Int64, ingest.ErrLeaseLost)
	}
	copy(f.Digest[:], digest)
	return f, nil
}

// advance updates the progress of a file, and never moves it backwards. The condition on
// RecordedBytes is for an engine that ignores the lock of lockFile.
var advance = shared("advance", `UPDATE dbo.ModelFiles
	SET SegmentCount = SegmentCount + @p3, BytesStored = BytesStored + @p4, BytesShared = BytesShared + @p5,
		BytesSaved = BytesSaved + @p9,
		HashState = CASE WHEN @p6 > RecordedBytes THEN @p7 ELSE HashState END,
		RecordedBytes = CASE WHEN @p6 > RecordedBytes THEN @p6 ELSE RecordedBytes END,
		ContentHash = COALESCE(ContentHash, @p8)
	WHERE ModelFileId = @p1 AND RecordedBytes = @p2`)

// Note updates the progress of the file by n, what the rows of the batch added. It is the last step
// of the transaction.
func (r *Recording) Note(t *Tx, n Added) error {
	f, err := r.progress(t, lockFile)
	if err != nil {
		return err
	}
	if err := f.accepts(r.Batch); err != nil {
		return fmt.Errorf("file %d: %w", r.Batch.File, err)
	}
	if err := r.advance(t, f.Recorded, n.of(r.Batch)); err != nil {
		return err
	}
	return t.Fence(r.Lease)
}

// advance updates the progress of a file that has rows for recorded bytes.
func (r *Recording) advance(t *Tx, recorded int64, n Added) error {
	rows, saved := int64(0), int64(0)
	for i := range r.Batch.Segments {
		if s := &r.Batch.Segments[i]; s.Offset >= recorded {
			rows++
			saved += bytesSaved(s.Bytes, s.Address)
		}
	}
	changed, err := t.Change(advance, r.Batch.File, recorded, n.Segments, n.Stored, n.Shared, r.Batch.To,
		r.Batch.HashState, digestColumn(r.Batch.Digest), saved)
	if err == nil && changed == 0 {
		err = RaceError(fmt.Sprintf("another process has written to file %d", r.Batch.File))
	}
	if err == nil && n.Rows > rows { // another program had deleted some, which were counted
		err = t.Exec(countSaved, r.Batch.File)
	}
	return err
}

// Name is the segment's name in messages.
func (r *Recording) Name(s *ingest.NewSegment) string {
	return fmt.Sprintf("segment at %d of file %d", s.Offset, r.Batch.File)
}
