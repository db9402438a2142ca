package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// audits are what must never be found, each as a query for the numbers of rows
// that contradict it.
var audits = []struct{ what, query string }{
	{"atom with a wrong ReferenceCount", `SELECT AtomId FROM Atoms WHERE ` + ours + ` AND ReferenceCount <> ` + references},
	{"file of which the recorded bytes are not those of its rows", `SELECT f.ModelFileId FROM ModelFiles f WHERE f.RecordedBytes <>
		(SELECT coalesce(sum(s.ByteSize), 0) FROM ModelLayers l JOIN LayerTensorSegments s ON s.LayerId = l.LayerId WHERE l.ModelFileId = f.ModelFileId)
		+ (SELECT coalesce(sum(s.ByteSize), 0) FROM FileSegments s WHERE s.ModelFileId = f.ModelFileId)`},
	{"file of which the count of segments is not that of its rows", `SELECT f.ModelFileId FROM ModelFiles f WHERE f.SegmentCount <>
		(SELECT count(*) FROM ModelLayers l JOIN LayerTensorSegments s ON s.LayerId = l.LayerId WHERE l.ModelFileId = f.ModelFileId)
		+ (SELECT count(*) FROM FileSegments s WHERE s.ModelFileId = f.ModelFileId)`},
	{"file whose stored and shared bytes are not its recorded ones", `SELECT ModelFileId FROM ModelFiles WHERE BytesStored + BytesShared <> RecordedBytes`},
	{"file of a complete model that is not whole", `SELECT f.ModelFileId FROM ModelFiles f JOIN Models m ON m.ModelId = f.ModelId
		WHERE m.State = 'complete' AND (f.RecordedBytes <> f.ByteSize OR f.ContentHash IS NULL OR f.FileAtomId IS NULL
		OR coalesce(f.ClaimedHash <> f.ContentHash, 0))`},
	{"file of an open model that has an atom", `SELECT f.ModelFileId FROM ModelFiles f JOIN Models m ON m.ModelId = f.ModelId
		WHERE m.State = 'open' AND f.FileAtomId IS NOT NULL`},
	{"file whose atom is of other content", `SELECT f.ModelFileId FROM ModelFiles f JOIN Atoms a ON a.AtomId = f.FileAtomId
		WHERE a.ContentHash <> f.ContentHash`},
	{"model whose layers do not run on over its files", `SELECT l.LayerId FROM (SELECT LayerId, ModelFileId, LayerIdx, ModelId,
		row_number() OVER (PARTITION BY ModelId ORDER BY LayerIdx, LayerId) - 1 AS Place FROM ModelLayers) l
		LEFT JOIN ModelFiles f ON f.ModelFileId = l.ModelFileId WHERE l.LayerIdx <> l.Place OR f.ModelId IS NOT l.ModelId`},
	{"file of another model under a name", `SELECT n.ModelNameId FROM ModelNames n JOIN ModelNameFiles nf ON nf.ModelNameId = n.ModelNameId
		JOIN ModelFiles f ON f.ModelFileId = nf.ModelFileId WHERE f.ModelId <> n.ModelId`},
	{"file segment with the payload in its row and elsewhere", `SELECT FileSegmentId FROM FileSegments WHERE BlobUri IS NOT NULL AND length(RawPayload) > 0`},
	{"tensor segment with the payload in its row and elsewhere", `SELECT LayerTensorSegmentId FROM LayerTensorSegments
		WHERE BlobUri IS NOT NULL AND length(RawPayload) > 0`},
	{"row whose foreign key points nowhere", `SELECT rowid FROM pragma_foreign_key_check`},
	{"damage found by SQLite", `SELECT rowid FROM pragma_quick_check WHERE quick_check <> 'ok'`},
}

// Audit looks for rows that contradict each other. It reads all of them on one
// state of the database, and joins what it finds into the error.
func (c *Catalog) Audit(ctx context.Context) error {
	return c.read(ctx, func(tx *tx) error {
		var found []error
		for _, a := range audits {
			var count int64
			var example sql.NullString
			err := tx.one(`SELECT count(*), min(Id) FROM (WITH Found (Id) AS (`+a.query+`) SELECT Id FROM Found)`).Scan(&count, &example)
			if err != nil {
				return fmt.Errorf("looking for %s: %w", a.what, err)
			}
			if count > 0 {
				found = append(found, fmt.Errorf("%s: %d, such as number %s", a.what, count, example.String))
			}
		}
		return errors.Join(found...)
	})
}
