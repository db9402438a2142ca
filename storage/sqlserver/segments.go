package sqlserver

import (
	"database/sql"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// createBatch makes the table that a batch is copied into. It is the session's own, and stays until the next batch, or until the
// session is given back. New says that the segment has no row yet; AtomId is that of its content, once it is there.
const createBatch = `/* ingest: create-batch */ DROP TABLE IF EXISTS #ingest_batch;
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
	AddressExact     varbinary(max) NULL,
	New              int NOT NULL,
	AtomId           bigint NULL,
	PRIMARY KEY (RowNo)
)`

var batchColumns = []string{"RowNo", "LayerId", "SegmentOrdinal", "PointOffset", "PointCount", "QuantizationType", "ByteOffset", "ByteSize",
	"ContentHash", "BlobUri", "BlobContainer", "BlobName", "BlobETag", "BlobSizeBytes", "BlobLastModified", "AddressExact", "New"}

// markPresent finds the segments that have a row already.
const markPresent = `/* ingest: mark-present */ UPDATE b SET New = 0 FROM #ingest_batch AS b
	WHERE EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WHERE s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal)
	OR b.LayerId IS NULL AND EXISTS (SELECT 1 FROM dbo.FileSegments AS s WHERE s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal)`

// addAtoms makes the atoms that are missing, with no reference yet. HOLDLOCK locks the place
// in the unique index where a hash is, or would be, until the commit; UPDLOCK, so that of two
// processes which bring the same hash the second waits here, and then sees it, where both
// would block each other if they only read. They go through the hashes in their order, as a rule, so they meet at
// the first one that they share; otherwise one of them is a deadlock's victim, and its batch is tried again. An engine without these locks refuses the second
// one's row (2627), and its batch is tried again. As long as there are few atoms, most places are in the same gap between
// two hashes, which is what is locked: then a batch waits here for those before it, and writes its payloads alone.
const addAtoms = `/* ingest: add-atoms */ INSERT INTO dbo.Atoms (ContentHash, Modality, SourceType, ReferenceCount, ByteSize)
	SELECT n.ContentHash, N'model', N'ingest_segment', 0, n.ByteSize
	FROM (SELECT ContentHash, MIN(ByteSize) AS ByteSize FROM #ingest_batch WHERE New = 1 GROUP BY ContentHash) AS n
	WHERE NOT EXISTS (SELECT 1 FROM dbo.Atoms AS a WITH (UPDLOCK, HOLDLOCK) WHERE a.ContentHash = n.ContentHash)
	ORDER BY n.ContentHash`

// countAtoms counts the new references up. From here on the atoms' rows are ours (X) until the commit.
const countAtoms = `/* ingest: count-atoms */ UPDATE a SET ReferenceCount = a.ReferenceCount + n.Pieces
	FROM dbo.Atoms AS a INNER JOIN (SELECT ContentHash, COUNT_BIG(*) AS Pieces FROM #ingest_batch WHERE New = 1 GROUP BY ContentHash) AS n
	ON n.ContentHash = a.ContentHash`

// placeAtoms notes the atoms. What comes after it reads no atom any more: a later batch of the file may have locked one, and wait for us.
const placeAtoms = `/* ingest: place-atoms */ UPDATE #ingest_batch
	SET AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = #ingest_batch.ContentHash)`

// weighAtoms says what was new. An atom whose references are all of this batch was nobody's before:
// just made, or left by a model that is gone. The counts cannot change now.
const weighAtoms = `/* ingest: weigh-atoms */ SELECT COALESCE(SUM(n.Pieces), 0), COALESCE(SUM(n.Bytes), 0),
		COALESCE(SUM(CASE WHEN a.ReferenceCount <= n.Pieces THEN n.ByteSize ELSE 0 END), 0)
	FROM dbo.Atoms AS a INNER JOIN (SELECT ContentHash, COUNT_BIG(*) AS Pieces, SUM(ByteSize) AS Bytes, MIN(ByteSize) AS ByteSize
		FROM #ingest_batch WHERE New = 1 GROUP BY ContentHash) AS n ON n.ContentHash = a.ContentHash`

// addTensorSegments and addFileSegments make the rows; @p2 is 0 for all, or the number of one
// of which @p3 is the payload. LOOP JOIN is for the check of the foreign keys: another plan would go through all atoms, and through those
// that a later batch has locked.
const (
	addTensorSegments = `INSERT INTO dbo.LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, AddressExact, RawPayload)
		SELECT b.LayerId, b.SegmentOrdinal, b.PointOffset, b.PointCount, b.QuantizationType, b.ByteOffset, b.ByteSize, b.AtomId,
			b.BlobUri, b.BlobContainer, b.BlobName, b.BlobETag, b.BlobSizeBytes, b.BlobLastModified, b.AddressExact, `
	addFileSegments = `INSERT INTO dbo.FileSegments (ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, AddressExact, RawPayload)
		SELECT @p1, b.SegmentOrdinal, b.ByteOffset, b.ByteSize, b.AtomId,
			b.BlobUri, b.BlobContainer, b.BlobName, b.BlobETag, b.BlobSizeBytes, b.BlobLastModified, b.AddressExact, `
	ofBatch  = ` FROM #ingest_batch AS b WHERE b.New = 1 AND `
	ofTensor = `b.LayerId IS NOT NULL`
	ofFile   = `b.LayerId IS NULL`
	allRows  = ` ORDER BY b.RowNo OPTION (LOOP JOIN)`
	oneRow   = ` AND b.RowNo = @p2 OPTION (LOOP JOIN)`
)

// reconcile counts the segments of the batch that have a row, those of which the row is of the right atom, and says where the
// first is of which it is not. FORCESEEK, because a scan would come upon the rows of a later batch of the file, which waits for us.
const reconcile = `/* ingest: reconcile */ SELECT COUNT(*), COALESCE(SUM(CASE WHEN r.AtomId = r.Want THEN 1 ELSE 0 END), 0),
		COALESCE(MIN(CASE WHEN r.AtomId = r.Want THEN NULL ELSE r.ByteOffset END), -1)
	FROM (SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId FROM #ingest_batch AS b
			INNER JOIN dbo.LayerTensorSegments AS s WITH (FORCESEEK) ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
		UNION ALL SELECT b.AtomId AS Want, b.ByteOffset, s.AtomId FROM #ingest_batch AS b
			INNER JOIN dbo.FileSegments AS s WITH (FORCESEEK) ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal WHERE b.LayerId IS NULL) AS r`

// segments makes the rows of a batch whose atoms are there, n of them, and counts what is there then.
func (t *tx) segments(batch *ingest.Batch, n storage.Added, payloads bool) error {
	file := int64(batch.File)
	rows, err := n.Segments, error(nil)
	if payloads {
		rows, err = t.rowsWithPayload(batch)
	} else if rows > 0 {
		rows, err = t.rows(file)
	}
	if err != nil {
		return err
	}
	var there, same, at int64
	if err := t.one(reconcile, file).Scan(&there, &same, &at); err != nil {
		return err
	}
	if there != same {
		return fmt.Errorf("%s: %w", segmentAt(at, batch), storage.ErrOtherContent)
	}
	if rows != n.Segments || there != int64(len(batch.Segments)) {
		return raceError(fmt.Sprintf("of %d segments sent, %d to be new, %d rows are there and %d were made", len(batch.Segments), n.Segments, there, rows))
	}
	return nil
}

// segmentAt is a segment's name in messages.
func segmentAt(offset int64, batch *ingest.Batch) string {
	return fmt.Sprintf("segment at %d of file %d", offset, batch.File)
}

// send copies the batch into its temporary table.
func (t *tx) send(batch *ingest.Batch) error {
	return t.bulk("#ingest_batch", batchColumns, func(yield func([]any) bool) {
		for i := range batch.Segments {
			s := &batch.Segments[i]
			var layer any
			if s.Layer != 0 {
				layer = int64(s.Layer)
			}
			a := t.c.addressColumns(s.Address)
			if !yield([]any{int64(i), layer, int64(s.Ordinal), s.First, s.Count, cut(s.Type, 20), s.Offset, s.Bytes, s.Digest[:],
				a.uri, a.container, a.name, a.etag, a.bytes, a.modified, a.exact, int64(1)}) {
				return
			}
		}
	})
}

// atoms sends a batch, and finds or makes the atoms of those of its segments that have no row, for which it counts the references; those
// that begin before byte recorded are looked for first.
func (t *tx) atoms(batch *ingest.Batch, recorded int64) (n storage.Added, err error) {
	if err := t.exec(createBatch); err != nil {
		return n, err
	}
	if err := t.send(batch); err != nil {
		return n, err
	}
	if batch.From < recorded {
		if err := t.exec(markPresent, int64(batch.File)); err != nil {
			return n, err
		}
	}
	if err := t.do([]string{addAtoms, countAtoms, placeAtoms}); err != nil {
		return n, err
	}
	var bytes int64
	err = t.one(weighAtoms).Scan(&n.Segments, &bytes, &n.Stored)
	n.Shared = bytes - n.Stored
	return n, err
}

func (t *tx) rows(file int64) (int64, error) {
	tensors, err := t.change(`/* ingest: add-tensor-segments */ ` + addTensorSegments + `0x` + ofBatch + ofTensor + allRows)
	if err != nil {
		return 0, err
	}
	others, err := t.change(`/* ingest: add-file-segments */ `+addFileSegments+`0x`+ofBatch+ofFile+allRows, file)
	return tensors + others, err
}

// rowsWithPayload makes the rows one by one: a parameter goes to the server packet by packet,
// where a bulk copy would hold each row whole, several times.
func (t *tx) rowsWithPayload(batch *ingest.Batch) (int64, error) {
	var fresh []int
	err := t.each(func(rows *sql.Rows) error {
		fresh = append(fresh, 0)
		return rows.Scan(&fresh[len(fresh)-1])
	}, `/* ingest: new-segments */ SELECT RowNo FROM #ingest_batch WHERE New = 1 ORDER BY RowNo`)
	if err != nil {
		return 0, err
	}
	made := int64(0)
	for _, i := range fresh {
		s := &batch.Segments[i]
		query := `/* ingest: add-file-payload */ ` + addFileSegments + `@p3` + ofBatch + ofFile + oneRow
		if s.Layer != 0 {
			query = `/* ingest: add-tensor-payload */ ` + addTensorSegments + `@p3` + ofBatch + ofTensor + oneRow
		}
		n, err := t.change(query, int64(batch.File), i, s.Payload)
		if err != nil {
			return made, fmt.Errorf("%s: %w", segmentAt(s.Offset, batch), err)
		}
		made += n
	}
	return made, nil
}
