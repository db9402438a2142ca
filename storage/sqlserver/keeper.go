package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const createDigests = `/* ingest: create-digests */ DROP TABLE IF EXISTS #ingest_digests;
CREATE TABLE #ingest_digests (ContentHash binary(32) NOT NULL)`

// Referenced implements ingest.Keeper. It asks the rows, not the counts. A name that its column does not hold whole counts as none,
// which keeps whatever has the digest.
func (c *Catalog) Referenced(ctx context.Context, digests []ingest.Digest) (map[ingest.Digest][]string, error) {
	if err := storage.CheckDigests(digests); err != nil {
		return nil, err
	}
	needed := make(map[ingest.Digest][]string)
	if len(digests) == 0 {
		return needed, nil
	}
	err := c.read(ctx, func(tx *tx) error {
		clear(needed)
		if err := tx.exec(createDigests); err != nil {
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
			var name string
			err := rows.Scan(&hash, &name)
			if len(hash) == len(ingest.Digest{}) {
				needed[ingest.Digest(hash)] = append(needed[ingest.Digest(hash)], name)
			}
			return err
		}, `/* ingest: referenced */ SELECT a.ContentHash, CASE WHEN s.AddressExact IS NULL THEN COALESCE(s.BlobName, N'') ELSE N'' END
			FROM dbo.Atoms AS a INNER JOIN dbo.LayerTensorSegments AS s ON s.AtomId = a.AtomId
			WHERE a.ContentHash IN (SELECT ContentHash FROM #ingest_digests) AND DATALENGTH(s.RawPayload) = 0
			UNION SELECT a.ContentHash, CASE WHEN s.AddressExact IS NULL THEN COALESCE(s.BlobName, N'') ELSE N'' END
			FROM dbo.Atoms AS a INNER JOIN dbo.FileSegments AS s ON s.AtomId = a.AtomId
			WHERE a.ContentHash IN (SELECT ContentHash FROM #ingest_digests) AND DATALENGTH(s.RawPayload) = 0`)
	})
	if err != nil {
		return nil, err
	}
	return needed, nil
}

// unreferenced is true of an atom of a segment to which no row refers of the tables that we write.
const unreferenced = `a.SourceType = N'ingest_segment'
	AND NOT EXISTS (SELECT 1 FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.FileSegments AS s WHERE s.AtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.FileAtomId = a.AtomId)
	AND NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms AS j WHERE j.AtomId = a.AtomId)`

// ours is true of the atoms that we write.
const ours = `a.Modality = N'model' AND a.SourceType IN (N'ingest_segment', N'model_file', N'ollama_blob') AND a.ByteSize IS NOT NULL`

// references is how many rows of the tables that we write refer to an atom.
const references = `((SELECT COUNT_BIG(*) FROM dbo.LayerTensorSegments AS s WHERE s.AtomId = a.AtomId)
	+ (SELECT COUNT_BIG(*) FROM dbo.FileSegments AS s WHERE s.AtomId = a.AtomId)
	+ (SELECT COUNT_BIG(*) FROM dbo.ModelFiles AS f WHERE f.FileAtomId = a.AtomId))`

// atomsAtOnce is how many atoms one transaction of Unreferenced looks at: fewer than the 5,000 locks
// at which the server would lock the whole table.
const atomsAtOnce = 2000

// Unreferenced implements ingest.Keeper. With remove it also corrects the counts of the atoms that stay,
// those apart to which rows of other programs refer: whether these were counted is not ours to know. It goes
// through the atoms in bounded transactions, so what it did until an error stays done.
func (c *Catalog) Unreferenced(ctx context.Context, remove bool) (atoms, bytes int64, err error) {
	for after, more := int64(0), true; more; {
		var a, b int64 // of a range; after a commit whose answer was lost, what was counted before it
		from := after
		err := c.again(ctx, func() error {
			return c.transact(ctx, c.patient, func(tx *tx) (err error) {
				if after, more, err = tx.nextAtoms(from); err != nil || !more {
					return err
				}
				n, size, err := tx.unreferenced(from, after, remove)
				a, b = max(a, n), max(b, size)
				return err
			})
		})
		if err != nil {
			return 0, 0, err
		}
		atoms, bytes = atoms+a, bytes+b
	}
	return atoms, bytes, nil
}

// nextAtoms returns the last of the next atoms of ours, and whether there is one.
func (t *tx) nextAtoms(after int64) (last int64, more bool, err error) {
	var found sql.NullInt64
	err = t.one(`/* ingest: next-atoms */ SELECT MAX(n.AtomId) FROM (SELECT TOP (@p2) a.AtomId FROM dbo.Atoms AS a
		WHERE a.AtomId > @p1 AND `+ours+` ORDER BY a.AtomId) AS n`, after, atomsAtOnce).Scan(&found)
	return found.Int64, found.Valid, err
}

// unreferenced counts the unreferenced of the atoms after one and up to another, and removes them if it is told to.
func (t *tx) unreferenced(after, last int64, remove bool) (atoms, bytes int64, err error) {
	others, err := t.otherReferences()
	if err != nil {
		return 0, 0, err
	}
	within := ` WHERE a.AtomId > @p1 AND a.AtomId <= @p2 AND ` + ours + others
	err = t.one(`/* ingest: unreferenced */ SELECT COUNT_BIG(*), COALESCE(SUM(a.ByteSize), 0) FROM dbo.Atoms AS a`+within+` AND `+unreferenced, after, last).
		Scan(&atoms, &bytes)
	if err != nil || !remove {
		return atoms, bytes, err
	}
	return atoms, bytes, t.do([]string{
		`/* ingest: remove-unreferenced */ DELETE a FROM dbo.Atoms AS a` + within + ` AND ` + unreferenced,
		`/* ingest: correct-counts */ UPDATE a SET ReferenceCount = ` + references + ` FROM dbo.Atoms AS a` + within + ` AND a.ReferenceCount <> ` + references,
	}, after, last)
}

// otherReferences is a condition, that no row of a table which we do not write refers to an atom. Its tables are those with a
// foreign key to Atoms. One that the login may not see is not among them: then the key itself keeps the atom, and the DELETE fails.
func (t *tx) otherReferences() (string, error) {
	var condition strings.Builder
	err := t.each(func(rows *sql.Rows) error {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		fmt.Fprintf(&condition, "\n\tAND NOT EXISTS (SELECT 1 FROM %s AS o WHERE o.%s = a.AtomId)", table, column)
		return nil
	}, `/* ingest: other-references */ SELECT QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name), QUOTENAME(c.name)
		FROM sys.foreign_key_columns AS k
		INNER JOIN sys.objects AS o ON o.object_id = k.parent_object_id
		INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
		WHERE k.referenced_object_id = OBJECT_ID(N'dbo.Atoms') AND k.parent_object_id NOT IN (OBJECT_ID(N'dbo.LayerTensorSegments'),
			OBJECT_ID(N'dbo.FileSegments'), OBJECT_ID(N'dbo.ModelFiles'), OBJECT_ID(N'dbo.IngestionJobAtoms'))`)
	return condition.String(), err
}
