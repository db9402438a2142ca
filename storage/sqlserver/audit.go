package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// audits are what must never be found, each as a query for the numbers of rows
// that contradict it.
var audits = []struct{ what, query string }{
	{"atom with a wrong ReferenceCount", `SELECT a.AtomId AS Id FROM dbo.Atoms AS a WHERE ` + ours + ` AND a.ReferenceCount <> ` + references},
	{"file of which the recorded bytes are not those of its rows", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f WHERE f.RecordedBytes <>
		(SELECT COALESCE(SUM(s.ByteSize), 0) FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = f.ModelFileId)
		+ (SELECT COALESCE(SUM(s.ByteSize), 0) FROM dbo.FileSegments AS s WHERE s.ModelFileId = f.ModelFileId)`},
	{"file of which the count of segments is not that of its rows", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f WHERE f.SegmentCount <>
		(SELECT COUNT_BIG(*) FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = f.ModelFileId)
		+ (SELECT COUNT_BIG(*) FROM dbo.FileSegments AS s WHERE s.ModelFileId = f.ModelFileId)`},
	{"file whose stored and shared bytes are not its recorded ones", `SELECT ModelFileId AS Id FROM dbo.ModelFiles WHERE BytesStored + BytesShared <> RecordedBytes`},
	{"file of a complete model that is not whole", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
		WHERE m.State = N'complete' AND (f.RecordedBytes <> f.ByteSize OR f.ContentHash IS NULL OR f.FileAtomId IS NULL OR f.ClaimedHash <> f.ContentHash)`},
	{"file of an open model that has an atom", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
		WHERE m.State = N'open' AND f.FileAtomId IS NOT NULL`},
	{"file whose atom is of other content", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f INNER JOIN dbo.Atoms AS a ON a.AtomId = f.FileAtomId
		WHERE a.ContentHash <> f.ContentHash`},
	{"layer of another model's file", `SELECT l.LayerId AS Id FROM dbo.ModelLayers AS l INNER JOIN dbo.ModelFiles AS f ON f.ModelFileId = l.ModelFileId WHERE f.ModelId <> l.ModelId`},
	{"model whose layers do not run on over its files", `SELECT l.LayerId AS Id FROM (SELECT LayerId, LayerIdx, ModelFileId,
		ROW_NUMBER() OVER (PARTITION BY ModelId ORDER BY LayerIdx, LayerId) - 1 AS Place FROM dbo.ModelLayers) AS l
		WHERE l.ModelFileId IS NOT NULL AND l.LayerIdx <> l.Place`},
	{"layer whose file is not there", `SELECT l.LayerId AS Id FROM dbo.ModelLayers AS l WHERE l.ModelFileId IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.ModelFileId = l.ModelFileId)`},
	{"file of another model, or none, under a name", `SELECT n.ModelNameId AS Id FROM dbo.ModelNames AS n INNER JOIN dbo.ModelNameFiles AS nf
		ON nf.ModelNameId = n.ModelNameId LEFT JOIN dbo.ModelFiles AS f ON f.ModelFileId = nf.ModelFileId WHERE f.ModelId IS NULL OR f.ModelId <> n.ModelId`},
	{"model whose state and keys do not go together", `SELECT m.ModelId AS Id FROM dbo.Models AS m LEFT JOIN dbo.ModelKeys AS k ON k.ModelId = m.ModelId
		WHERE m.State = N'open' AND COALESCE(k.State, N'') <> N'open' OR m.State = N'complete' AND k.State = N'open'`},
	{"open job without its key, or a closed one with it", `SELECT j.IngestionJobId AS Id FROM dbo.IngestionJobs AS j LEFT JOIN dbo.IngestionJobKeys AS k
		ON k.IngestionJobId = j.IngestionJobId WHERE j.LeaseToken IS NOT NULL AND CASE WHEN j.Status = N'open' THEN 1 ELSE 0 END <> CASE WHEN k.KeyHash IS NULL THEN 0 ELSE 1 END`},
	{"file segment with the payload in its row and elsewhere", `SELECT FileSegmentId AS Id FROM dbo.FileSegments WHERE BlobUri IS NOT NULL AND DATALENGTH(RawPayload) > 0`},
	{"tensor segment with the payload in its row and elsewhere", `SELECT LayerTensorSegmentId AS Id FROM dbo.LayerTensorSegments
		WHERE BlobUri IS NOT NULL AND DATALENGTH(RawPayload) > 0`},
}

// Audit looks for rows that contradict each other, and joins what it finds into
// the error. It is for a database at which nobody is at work.
func (c *Catalog) Audit(ctx context.Context) error {
	return c.explain(c.on(ctx, c.patient, func(tx *tx) error {
		var found []error
		for _, a := range audits {
			var count int64
			var example sql.NullInt64
			err := tx.one(`/* ingest: audit */ SELECT COUNT_BIG(*), MIN(Found.Id) FROM (`+a.query+`) AS Found`).Scan(&count, &example)
			if err != nil {
				return fmt.Errorf("looking for %s: %w", a.what, err)
			}
			if count > 0 {
				found = append(found, fmt.Errorf("%s: %d, such as number %d", a.what, count, example.Int64))
			}
		}
		return errors.Join(found...)
	}))
}
