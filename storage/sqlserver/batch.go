package sqlserver

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// clearBatch makes the table that a batch is copied into, once for each connection, or empties it. It is
// not made within
// the transaction: each statement about it would be compiled again then. New says that the segment has no
// row yet; AtomId
// is that of its content.
var clearBatch = sqlcatalog.Own("clear-batch", `IF OBJECT_ID(N'tempdb..#ingest_batch') IS NULL CREATE TABLE #ingest_batch (
	RowNo            int NOT NULL,
	LayerId          bigint NULL,
	SegmentOrdinal   int NOT NULL,
	PointOffset      bigint NOT NULL,
	PointCount       int NOT NULL,
	QuantizationType nvarchar(20) NOT NULL,
	ByteOffset       bigint NOT NULL,
	ByteSize         bigint NOT NULL,
	ContentHash      binary(32) NOT NULL,
	BlobUri          nvarchar(2048) NULL,
	BlobContainer    nvarchar(256) NULL,
	BlobName         nvarchar(1024) NULL,
	BlobETag         nvarchar(128) NULL,
	BlobSizeBytes    bigint NOT NULL,
	BlobLastModified datetime2 NULL,
	AddressExact     varbinary(max) NULL,
	New              int NOT NULL,
	AtomId           bigint NULL,
	PRIMARY KEY (RowNo)
);
TRUNCATE TABLE #ingest_batch`)

var batchColumns = []string{"RowNo", "LayerId", "SegmentOrdinal", "PointOffset", "PointCount", "QuantizationType",
	"ByteOffset", "ByteSize",
	"ContentHash", "BlobUri", "BlobContainer", "BlobName", "BlobETag", "BlobSizeBytes", "BlobLastModified",
	"AddressExact", "New"}

// markPresent finds the segments that have a row already: two updates, each a seek for a row of the batch. With an OR
// between the tables it would be a scan of both.
var markPresent = sqlcatalog.Own("mark-present", `UPDATE b SET New = 0 FROM #ingest_batch AS b
	WHERE EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WITH (FORCESEEK) WHERE s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal);
UPDATE b SET New = 0 FROM #ingest_batch AS b
	WHERE b.LayerId IS NULL AND EXISTS (SELECT 1 FROM dbo.FileSegments AS s WITH (FORCESEEK) WHERE s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal)`)

// addAtoms makes the atoms that are missing, with no reference yet, and notes their numbers. It stands outside of the
// transaction, so that nobody waits for an atom as long as payloads travel; an atom that nothing refers to is what gc
// removes, and it removes none while this job has its lease.
//
// HOLDLOCK locks the place in the unique index where a hash is, or would be, until the statement ends;
// UPDLOCK, so that of two
// processes which bring the same hash the second waits here, and then sees it, where both would block each
// other if they
// only read. FORCESEEK and LOOP JOIN: a plan that merges or hashes would read the whole index under these locks, which
// past 5,000 of them become one of the table, and the other application stops. An engine without these locks
// refuses the second one's row (2627), and the batch is tried again.
var addAtoms = sqlcatalog.Own("add-atoms", `INSERT INTO dbo.Atoms (ContentHash, Modality, SourceType, ReferenceCount, ByteSize)
	SELECT n.ContentHash, N'model', N'ingest_segment', 0, n.ByteSize
	FROM (SELECT ContentHash, MIN(ByteSize) AS ByteSize FROM #ingest_batch WHERE New = 1 GROUP BY ContentHash) AS n
	WHERE NOT EXISTS (SELECT 1 FROM dbo.Atoms AS a WITH (UPDLOCK, HOLDLOCK, FORCESEEK) WHERE a.ContentHash = n.ContentHash)
	ORDER BY n.ContentHash OPTION (LOOP JOIN);
UPDATE #ingest_batch SET AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WITH (FORCESEEK) WHERE a.ContentHash = #ingest_batch.ContentHash)`)

// countAtoms counts the new references up, and says what was new. The rows of the atoms are locked (X)
// from here on, a thousand
// at most and one by one, in the order of their numbers as a rule; the commit follows soon. An atom whose references
// are all of this batch was nobody's before: just made, or left by a model that is gone. ROWLOCK,
// FORCESEEK and LOOP JOIN as in
// addAtoms.
var countAtoms = sqlcatalog.Own("count-atoms", `UPDATE a SET ReferenceCount = a.ReferenceCount + n.Pieces
	FROM (SELECT AtomId, COUNT_BIG(*) AS Pieces FROM #ingest_batch WHERE New = 1 GROUP BY AtomId) AS n
	INNER LOOP JOIN dbo.Atoms AS a WITH (FORCESEEK, ROWLOCK) ON a.AtomId = n.AtomId;
SELECT COALESCE(SUM(n.Pieces), 0), COALESCE(SUM(n.Bytes), 0), COALESCE(SUM(CASE WHEN a.ReferenceCount <= n.Pieces THEN n.ByteSize ELSE 0 END), 0)
	FROM (SELECT AtomId, COUNT_BIG(*) AS Pieces, SUM(ByteSize) AS Bytes, MIN(ByteSize) AS ByteSize FROM #ingest_batch WHERE New = 1 GROUP BY AtomId) AS n
	INNER LOOP JOIN dbo.Atoms AS a WITH (FORCESEEK) ON a.AtomId = n.AtomId`)

// The statements that make rows: of all segments, or of number @p2, of which @p3 is the payload. LOOP JOIN
// is for the check
// of the foreign keys: another plan would go through all atoms.
const (
	insertTensors = `INSERT INTO dbo.LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, ByteOffset, ByteSize, AtomId,
			{address}, RawPayload)
		SELECT b.LayerId, b.SegmentOrdinal, b.PointOffset, b.PointCount, b.QuantizationType, b.ByteOffset, b.ByteSize, b.AtomId, {address b}, `
	insertOthers = `INSERT INTO dbo.FileSegments (ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId, {address}, RawPayload)
		SELECT @p1, b.SegmentOrdinal, b.ByteOffset, b.ByteSize, b.AtomId, {address b}, `
	ofTensor = ` FROM #ingest_batch AS b WHERE b.New = 1 AND b.LayerId IS NOT NULL`
	ofFile   = ` FROM #ingest_batch AS b WHERE b.New = 1 AND b.LayerId IS NULL`
	allRows  = ` ORDER BY b.RowNo OPTION (LOOP JOIN)`
	oneRow   = ` AND b.RowNo = @p2 OPTION (LOOP JOIN)`
)

var (
	addTensors       = sqlcatalog.Own("add-tensor-segments", insertTensors+`0x`+ofTensor+allRows)
	addOthers        = sqlcatalog.Own("add-file-segments", insertOthers+`0x`+ofFile+allRows)
	addTensorPayload = sqlcatalog.Own("add-tensor-payload", insertTensors+`@p3`+ofTensor+oneRow)
	addFilePayload   = sqlcatalog.Own("add-file-payload", insertOthers+`@p3`+ofFile+oneRow)
	newSegments      = sqlcatalog.Own("new-segments", `SELECT RowNo FROM #ingest_batch WHERE New = 1 ORDER BY RowNo`)
)

// reconcile counts the segments of the batch that have a row, those whose row is of the right atom, and
// says where the first is
// whose row is not. FORCESEEK: a scan would come upon rows that others have locked.
var reconcile = sqlcatalog.Own("reconcile", `SELECT COUNT(*), COALESCE(SUM(CASE WHEN r.AtomId = r.Want THEN 1 ELSE 0 END), 0),
		COALESCE(MIN(CASE WHEN r.AtomId = r.Want THEN NULL ELSE r.ByteOffset END), -1)
	FROM (SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId FROM #ingest_batch AS b
			INNER JOIN dbo.LayerTensorSegments AS s WITH (FORCESEEK) ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
		UNION ALL SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId FROM #ingest_batch AS b
			INNER JOIN dbo.FileSegments AS s WITH (FORCESEEK) ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal WHERE b.LayerId IS NULL) AS r`)

// send copies the batch into its temporary table.
func (c *engine) send(t *sqlcatalog.Tx, batch *ingest.Batch) error {
	return bulk(t, "#ingest_batch", batchColumns, func(yield func([]any) bool) {
		for i := range batch.Segments {
			s := &batch.Segments[i]
			var layer any
			if s.Layer != 0 {
				layer = int64(s.Layer)
			}
			a := c.addressColumns(s.Address)
			if !yield([]any{int64(i), layer, int64(s.Ordinal), s.First, s.Count, cut(s.Type, 20), s.Offset, s.Bytes,
				s.Digest[:],
				a.uri, a.container, a.name, a.etag, a.bytes, a.modified, a.exact, int64(1)}) {
				return
			}
		}
	})
}

// recording is one attempt at a batch.
type recording struct {
	*sqlcatalog.Recording
	c    *engine
	made int64 // rows
}

// stage does, outside of the transaction, what need not be in it: the batch is sent, and its atoms are there.
func (r *recording) stage(t *sqlcatalog.Tx) error {
	recorded, err := r.Look(t)
	if err != nil || len(r.Batch.Segments) == 0 {
		return err
	}
	if err := t.Exec(clearBatch); err != nil {
		return err
	}
	if err := r.c.send(t, r.Batch); err != nil {
		return err
	}
	if r.Batch.From < recorded {
		if err := t.Exec(markPresent, r.Batch.File); err != nil {
			return err
		}
	}
	return t.Exec(addAtoms)
}

// rows makes the rows of the batch, with their payloads or with empty ones, and counts what is there then.
func (r *recording) rows(t *sqlcatalog.Tx, payloads bool) (err error) {
	if len(r.Batch.Segments) == 0 {
		return nil
	}
	if payloads {
		err = r.rowsWithPayload(t)
	} else {
		err = r.rowsAtOnce(t)
	}
	if err != nil {
		if r.c.Refused(err) { // gc had this job's lease ended, and removed an atom: the next attempt finds that
			err = sqlcatalog.RaceError(fmt.Sprintf("a row that the batch refers to is gone: %v", err))
		}
		return err
	}
	return r.reconcile(t)
}

func (r *recording) rowsAtOnce(t *sqlcatalog.Tx) error {
	tensors, err := t.Change(addTensors)
	if err != nil {
		return err
	}
	others, err := t.Change(addOthers, r.Batch.File)
	r.made = tensors + others
	return err
}

// rowsWithPayload makes the rows one by one: a parameter goes to the server packet by packet,
// where a bulk copy would hold each row whole, several times.
func (r *recording) rowsWithPayload(t *sqlcatalog.Tx) error {
	var fresh []int
	err := t.Each(func(row sqlcatalog.Scanner) error {
		fresh = append(fresh, 0)
		return row.Scan(&fresh[len(fresh)-1])
	}, newSegments)
	if err != nil {
		return err
	}
	for _, i := range fresh {
		s := &r.Batch.Segments[i]
		statement := addFilePayload
		if s.Layer != 0 {
			statement = addTensorPayload
		}
		n, err := t.Change(statement, r.Batch.File, i, s.Payload)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name(s), err)
		}
		r.made += n
	}
	return nil
}

func (r *recording) reconcile(t *sqlcatalog.Tx) error {
	var there, same, at int64
	if err := t.One(reconcile, r.Batch.File).Scan(&there, &same, &at); err != nil {
		return err
	}
	if there != same {
		return fmt.Errorf("segment at %d of file %d: %w", at, r.Batch.File, sqlcatalog.ErrOtherContent)
	}
	if there != int64(len(r.Batch.Segments)) {
		return sqlcatalog.RaceError(fmt.Sprintf("of %d segments sent, %d rows are there and %d were made",
			len(r.Batch.Segments), there, r.made))
	}
	return nil
}

// finish counts the references, which locks the atoms, and notes how far the file has got. It is the end
// of the transaction.
func (r *recording) finish(t *sqlcatalog.Tx) error {
	var n sqlcatalog.Added
	if len(r.Batch.Segments) > 0 {
		var bytes int64
		if err := t.One(countAtoms).Scan(&n.Segments, &bytes, &n.Stored); err != nil {
			return err
		}
		if n.Shared = bytes - n.Stored; n.Segments != r.made {
			return sqlcatalog.RaceError(fmt.Sprintf("of %d segments sent, %d have an atom and %d rows were made",
				len(r.Batch.Segments), n.Segments, r.made))
		}
	}
	return r.Note(t, n)
}

// Record implements sqlcatalog.Dialect.
func (c *engine) Record(ctx context.Context, r *sqlcatalog.Recording) error {
	files := r.Batch.InRows && c.access.files != nil
	return c.again(ctx, c.policy, func() error {
		return c.on(ctx, c.usual, func(t *sqlcatalog.Tx) error {
			attempt := &recording{Recording: r, c: c}
			if err := attempt.stage(t); err != nil {
				return err
			}
			if files {
				return c.storeFiles(t, attempt)
			}
			return transact(t, func(t *sqlcatalog.Tx) error {
				if err := attempt.rows(t, r.Batch.InRows); err != nil {
					return err
				}
				return attempt.finish(t)
			})
		})
	})
}
