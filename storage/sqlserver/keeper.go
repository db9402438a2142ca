package sqlserver

import (
	"context"
	"database/sql"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const createDigests = `/* ingest: create-digests */ DROP TABLE IF EXISTS #ingest_digests;
CREATE TABLE #ingest_digests (ContentHash binary(32) NOT NULL)`

// Referenced implements ingest.Keeper. It asks the rows, not the counts.
func (c *Catalog) Referenced(ctx context.Context, digests []ingest.Digest) (map[ingest.Digest]bool, error) {
	if err := storage.CheckDigests(digests); err != nil {
		return nil, err
	}
	needed := make(map[ingest.Digest]bool)
	if len(digests) == 0 {
		return needed, nil
	}
	err := c.read(ctx, func(tx *tx) error {
		clear(needed)
		if _, err := tx.exec(createDigests); err != nil {
			return err
		}
		err := tx.bulk("#ingest_digests", []string{"ContentHash"}, func(yield func([]any) bool) {
			for i := range digests {
				if !yield([]any{digests[i][:]}) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
		return tx.each(func(rows *sql.Rows) error {
			var hash []byte
			err := rows.Scan(&hash)
			if len(hash) == len(ingest.Digest{}) {
				needed[ingest.Digest(hash)] = true
			}
			return err
		}, `/* ingest: referenced */ SELECT a.ContentHash FROM dbo.Atoms AS a WHERE a.ContentHash IN (SELECT ContentHash FROM #ingest_digests) AND (
			EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = a.AtomId AND DATALENGTH(s.RawPayload) = 0)
			OR EXISTS (SELECT 1 FROM dbo.FileSegments AS s WHERE s.AtomId = a.AtomId AND DATALENGTH(s.RawPayload) = 0))`)
	})
	if err != nil {
		return nil, err
	}
	return needed, nil
}

// unreferenced is true of an atom of a segment to which no row of any table that we know of
// refers. A row of another program's that refers to one keeps it through its foreign key: the
// DELETE then fails, and says which.
const unreferenced = `a.SourceType = N'ingest_segment'
	AND NOT EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.FileSegments AS s WHERE s.AtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.FileAtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.ModelLayers AS l WHERE l.LayerAtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms AS j WHERE j.AtomId = a.AtomId)`

// ours is true of the atoms whose references are kept in the tables that we write.
const ours = `a.Modality = N'model' AND a.SourceType IN (N'ingest_segment', N'model_file', N'ollama_blob')
	AND a.ByteSize IS NOT NULL`

// references is how many rows refer to an atom.
const references = `((SELECT COUNT_BIG(*) FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = a.AtomId)
	+ (SELECT COUNT_BIG(*) FROM dbo.FileSegments AS s WHERE s.AtomId = a.AtomId)
	+ (SELECT COUNT_BIG(*) FROM dbo.ModelFiles AS f WHERE f.FileAtomId = a.AtomId))`

// Unreferenced implements ingest.Keeper. With remove it also corrects the counts
// of the atoms that stay. It is run by a job that is alone, and may take long: on a
// connection of its own, that is given an hour.
func (c *Catalog) Unreferenced(ctx context.Context, remove bool) (atoms, bytes int64, err error) {
	err = storage.Do(ctx, c.policy, func() error {
		within := c.on
		if remove {
			within = c.transact
		}
		return c.explain(within(ctx, c.patient, func(tx *tx) error {
			var a, b int64
			err := tx.one(`/* ingest: unreferenced */ SELECT COUNT_BIG(*), COALESCE(SUM(a.ByteSize), 0) FROM dbo.Atoms AS a WHERE `+unreferenced).Scan(&a, &b)
			// After a commit whose answer was lost there are none left, and the first count says how many there were.
			atoms, bytes = max(atoms, a), max(bytes, b)
			if err != nil || !remove {
				return err
			}
			return tx.do([]string{
				`/* ingest: remove-unreferenced */ DELETE a FROM dbo.Atoms AS a WHERE ` + unreferenced,
				`/* ingest: correct-counts */ UPDATE a SET ReferenceCount = ` + references + ` FROM dbo.Atoms AS a
					WHERE ` + ours + ` AND a.ReferenceCount <> ` + references,
			})
		}))
	})
	if err != nil {
		return 0, 0, err
	}
	return atoms, bytes, nil
}
