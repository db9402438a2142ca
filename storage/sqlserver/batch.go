package sqlserver

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// clearBatch creates the temporary table for a batch, once for each connection, or empties it. This
// is not part of the transaction, or each statement on the table would be recompiled. New is 1 if
// the segment has no row yet; AtomId is the atom of its content.
var clearBatch = sqlcatalog.Own("clear-batch", `IF OBJECT_ID(N'tempdb..#ingest_batch') IS NULL
CREATE TABLE #ingest_batch (
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
	Codec            nvarchar(20) NULL,
	StoredHash       binary(32) NULL,
	AddressExact     varbinary(max) NULL,
	New              int NOT NULL,
	AtomId           bigint NULL,
	PRIMARY KEY (RowNo)
);
TRUNCATE TABLE #ingest_batch`)

var batchColumns = []string{"RowNo", "LayerId", "SegmentOrdinal", "PointOffset", "PointCount", "QuantizationType",
	"ByteOffset", "ByteSize", "ContentHash", "BlobUri", "BlobContainer", "BlobName", "BlobETag", "BlobSizeBytes",
	"BlobLastModified", "Codec", "StoredHash", "AddressExact", "New"}

// markPresent finds the segments that already have a row. It has two updates, each with a seek for
// each row of the batch: with an OR between the tables, it would scan both.
var markPresent = sqlcatalog.Own("mark-present", `UPDATE b SET New = 0 FROM #ingest_batch AS b
	WHERE EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WITH (FORCESEEK)
		WHERE s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal);
UPDATE b SET New = 0 FROM #ingest_batch AS b
	WHERE b.LayerId IS NULL AND EXISTS (SELECT 1 FROM dbo.FileSegments AS s WITH (FORCESEEK)
		WHERE s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal)`)

// addAtoms adds missing atoms, without references, and sets AtomId. It is not part of the
// transaction, so that nobody waits for an atom while payloads are transferred. gc deletes an atom
// without references, but not while this job has its lease.
//
// HOLDLOCK locks the range of a hash in the unique index until the statement ends. With UPDLOCK,
// the second of two processes that add the same hash waits here and then sees it; if they only
// read, they would deadlock. FORCESEEK and LOOP JOIN: a merge or hash join would read the whole
// index under these locks, which beyond 5,000 escalate to a table lock and stop other applications.
// An engine without these locks refuses the second row (2627), and the batch is retried.
var addAtoms = sqlcatalog.Own("add-atoms", `INSERT INTO dbo.Atoms
		(ContentHash, Modality, SourceType, ReferenceCount, ByteSize)
	SELECT n.ContentHash, N'model', N'ingest_segment', 0, n.ByteSize
	FROM (SELECT ContentHash, MIN(ByteSize) AS ByteSize FROM #ingest_batch WHERE New = 1 GROUP BY ContentHash) AS n
	WHERE NOT EXISTS (SELECT 1 FROM dbo.Atoms AS a WITH (UPDLOCK, HOLDLOCK, FORCESEEK)
		WHERE a.ContentHash = n.ContentHash)
	ORDER BY n.ContentHash OPTION (LOOP JOIN);
UPDATE #ingest_batch SET AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WITH (FORCESEEK)
	WHERE a.ContentHash = #ingest_batch.ContentHash)`)

// countAtoms adds the new references, and returns their number, their bytes, and the bytes that are
// new. It locks the rows of the atoms (X): at most a thousand, one by one, usually in the order of
// their numbers. The commit follows soon. Content is new if all references to its atom are from
// this batch: the atom was just added, or a removed model left it. ROWLOCK, FORCESEEK and LOOP JOIN
// are there as in addAtoms.
var countAtoms = sqlcatalog.Own("count-atoms", `UPDATE a SET ReferenceCount = a.ReferenceCount + n.Pieces
	FROM (SELECT AtomId, COUNT_BIG(*) AS Pieces FROM #ingest_batch WHERE New = 1 GROUP BY AtomId) AS n
	INNER LOOP JOIN dbo.Atoms AS a WITH (FORCESEEK, ROWLOCK) ON a.AtomId = n.AtomId;
SELECT COALESCE(SUM(n.Pieces), 0), COALESCE(SUM(n.Bytes), 0),
		COALESCE(SUM(CASE WHEN a.ReferenceCount <= n.Pieces THEN n.ByteSize ELSE 0 END), 0)
	FROM (SELECT AtomId, COUNT_BIG(*) AS Pieces, SUM(ByteSize) AS Bytes, MIN(ByteSize) AS ByteSize
		FROM #ingest_batch WHERE New = 1 GROUP BY AtomId) AS n
	INNER LOOP JOIN dbo.Atoms AS a WITH (FORCESEEK) ON a.AtomId = n.AtomId`)

// The statements that insert rows: of all new segments, or of number @p2 with payload @p3. LOOP
// JOIN is for the check of the foreign keys: another plan would scan all atoms.
const (
	insertTensors = `INSERT INTO dbo.LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount,
			QuantizationType, ByteOffset, ByteSize, AtomId, {address}, RawPayload)
		SELECT b.LayerId, b.SegmentOrdinal, b.PointOffset, b.PointCount,
			b.QuantizationType, b.ByteOffset, b.ByteSize, b.AtomId, {address b}, `
	insertOthers = `INSERT INTO dbo.FileSegments
			(ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId, {address}, RawPayload)
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

// reconcile returns how many segments of the batch have a row, how many of these rows have the
// right atom, and the offset of the first that has another. FORCESEEK: a scan would wait for rows
// that others have locked.
var reconcile = sqlcatalog.Own("reconcile", `SELECT COUNT(*),
		COALESCE(SUM(CASE WHEN r.AtomId = r.Want THEN 1 ELSE 0 END), 0),
		COALESCE(MIN(CASE WHEN r.AtomId = r.Want THEN NULL ELSE r.ByteOffset END), -1)
	FROM (SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId FROM #ingest_batch AS b
			INNER JOIN dbo.LayerTensorSegments AS s WITH (FORCESEEK)
				ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
		UNION ALL SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId FROM #ingest_batch AS b
			INNER JOIN dbo.FileSegments AS s WITH (FORCESEEK)
				ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal WHERE b.LayerId IS NULL) AS r`)

// send copies the batch into #ingest_batch.
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
				s.Digest[:], a.uri, a.container, a.name, a.etag, a.bytes, a.modified, a.codec, a.stored,
				a.exact, int64(1)}) {
				return
			}
		}
	})
}

// recording is one attempt at a batch.
type recording struct {
	*sqlcatalog.Recording
	c    *engine
	made int64 // rows inserted
}

// stage sends the batch and adds its atoms. These steps need not be in the transaction.
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

// rows inserts the rows of the batch, with their payloads or with empty ones, and verifies the
// result.
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
		if r.c.Refused(err) { // gc revoked this job's lease and deleted an atom: the retry finds that
			err = sqlcatalog.RaceError(fmt.Sprintf("a row that the batch refers to was deleted: %v", err))
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

// rowsWithPayload inserts the rows one by one: a parameter is sent packet by packet, but a bulk
// copy would hold each row in memory, several times.
func (r *recording) rowsWithPayload(t *sqlcatalog.Tx) error {
	var added []int
	err := t.Each(func(row sqlcatalog.Scanner) error {
		added = append(added, 0)
		return row.Scan(&added[len(added)-1])
	}, newSegments)
	if err != nil {
		return err
	}
	for _, i := range added {
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
	var found, same, at int64
	if err := t.One(reconcile, r.Batch.File).Scan(&found, &same, &at); err != nil {
		return err
	}
	if found != same {
		return fmt.Errorf("segment at %d of file %d: %w", at, r.Batch.File, sqlcatalog.ErrOtherContent)
	}
	if found != int64(len(r.Batch.Segments)) {
		return sqlcatalog.RaceError(fmt.Sprintf("of %d segments sent, %d have rows and %d were inserted",
			len(r.Batch.Segments), found, r.made))
	}
	return nil
}

// finish counts the references, which locks the atoms, and updates the file's progress. It ends the
// transaction.
func (r *recording) finish(t *sqlcatalog.Tx) error {
	n := sqlcatalog.Added{Rows: r.made}
	if len(r.Batch.Segments) > 0 {
		var bytes int64
		if err := t.One(countAtoms).Scan(&n.Segments, &bytes, &n.Stored); err != nil {
			return err
		}
		if n.Shared = bytes - n.Stored; n.Segments != r.made {
			return sqlcatalog.RaceError(fmt.Sprintf("of %d segments sent, %d have an atom and %d rows were inserted",
				len(r.Batch.Segments), n.Segments, r.made))
		}
	}
	return r.Note(t, n)
}

// Record implements sqlcatalog.Rows.
func (c *engine) Record(ctx context.Context, r *sqlcatalog.Recording) error {
	files := r.Batch.InRows && c.access.files != nil
	return c.retry(ctx, c.policy, func() error {
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
