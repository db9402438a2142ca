package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

const createDigests = `/* ingest: create-digests */ DROP TABLE IF EXISTS #ingest_digests;
CREATE TABLE #ingest_digests (ContentHash binary(32) NOT NULL)`

// Referenced implements ingest.Maintenance. It asks the rows, not the counts. A name that its column does not hold whole counts as none,
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
		// A digest that got lost on the way would count as needed by nobody.
		var asked int
		if err := tx.one(`/* ingest: count-digests */ SELECT COUNT(*) FROM #ingest_digests`).Scan(&asked); err != nil {
			return err
		}
		if asked != len(digests) {
			return raceError(fmt.Sprintf("of %d digests sent, %d are there", len(digests), asked))
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

// Unreferenced implements ingest.Maintenance. With remove it also corrects the counts of the atoms that stay,
// those apart to which rows of other programs refer: whether these were counted is not ours to know. It goes
// through the atoms in bounded transactions, so what it did until an error stays done.
func (c *Catalog) Unreferenced(ctx context.Context, remove bool) (atoms, bytes int64, err error) {
	return c.unreferenced(ctx, remove, atomsAtOnce)
}

func (c *Catalog) unreferenced(ctx context.Context, remove bool, atOnce int) (atoms, bytes int64, err error) {
	after := int64(0)
	for {
		last, err := c.nextAtoms(ctx, after, atOnce)
		if err != nil || last == 0 {
			return atoms, bytes, err
		}
		var a, b int64 // after a commit whose answer was lost there are none left: what was counted before it holds
		err = c.long(ctx, func(tx *tx) error {
			n, size, err := tx.unreferenced(after, last, remove)
			a, b = max(a, n), max(b, size)
			return err
		})
		if err != nil {
			return 0, 0, err
		}
		atoms, bytes, after = atoms+a, bytes+b, last
	}
}

// nextAtoms returns the last of the next atoms of ours; 0 if there is none.
func (c *Catalog) nextAtoms(ctx context.Context, after int64, atOnce int) (last int64, err error) {
	err = c.long(ctx, func(tx *tx) error {
		return tx.one(`/* ingest: next-atoms */ SELECT COALESCE(MAX(n.AtomId), 0) FROM (SELECT TOP (@p2) a.AtomId FROM dbo.Atoms AS a
			WHERE a.AtomId > @p1 AND `+ours+` ORDER BY a.AtomId) AS n`, after, atOnce).Scan(&last)
	})
	return last, err
}

// lockAtoms waits for who is changing the atoms, and lets nobody change them until the commit. It is a statement of its own: where
// statements read snapshots, those that follow begin after the wait, and see what the others did.
const lockAtoms = `/* ingest: lock-atoms */ SELECT COUNT_BIG(*) FROM dbo.Atoms AS a WITH (UPDLOCK, ROWLOCK) WHERE a.AtomId > @p1 AND a.AtomId <= @p2 AND ` + ours

// unreferenced counts the unreferenced of the atoms after one and up to another, and removes them if it is told to.
func (t *tx) unreferenced(after, last int64, remove bool) (atoms, bytes int64, err error) {
	others, err := t.otherReferences()
	if err != nil {
		return 0, 0, err
	}
	if remove {
		var all int64
		if err := t.one(lockAtoms, after, last).Scan(&all); err != nil {
			return 0, 0, err
		}
	}
	within := ` WHERE a.AtomId > @p1 AND a.AtomId <= @p2 AND ` + ours + others
	err = t.one(`/* ingest: unreferenced */ SELECT COUNT_BIG(*), COALESCE(SUM(a.ByteSize), 0) FROM dbo.Atoms AS a`+within+` AND `+unreferenced, after, last).
		Scan(&atoms, &bytes)
	if err != nil || !remove {
		return atoms, bytes, err
	}
	err = t.exec(`/* ingest: remove-unreferenced */ DELETE a FROM dbo.Atoms AS a`+within+` AND `+unreferenced, after, last)
	if slices.Contains(serverErrors(err), keyConflict) { // a reference that came since the look, which finds it the next time
		err = raceError(fmt.Sprintf("another table refers to an atom, perhaps one that this login may not see: %v", err))
	}
	if err == nil {
		err = t.exec(`/* ingest: correct-counts */ UPDATE a SET ReferenceCount = `+references+` FROM dbo.Atoms AS a`+within+` AND a.ReferenceCount <> `+references, after, last)
	}
	return atoms, bytes, err
}

// otherReferences is a condition, that no row of a table which we do not write refers to an atom. Its tables are those with a
// foreign key to Atoms. One that the login may not see is not among them: then the key itself keeps the atom, and the DELETE fails.
func (t *tx) otherReferences() (string, error) {
	var condition strings.Builder
	err := t.each(func(rows *sql.Rows) error {
		var table, column, of string
		if err := rows.Scan(&table, &column, &of); err != nil {
			return err
		}
		fmt.Fprintf(&condition, "\n\tAND NOT EXISTS (SELECT 1 FROM %s AS o WHERE o.%s = a.%s)", table, column, of)
		return nil
	}, `/* ingest: other-references */ SELECT QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name), QUOTENAME(c.name), QUOTENAME(r.name)
		FROM sys.foreign_key_columns AS k
		INNER JOIN sys.objects AS o ON o.object_id = k.parent_object_id
		INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
		INNER JOIN sys.columns AS r ON r.object_id = k.referenced_object_id AND r.column_id = k.referenced_column_id
		WHERE k.referenced_object_id = OBJECT_ID(N'dbo.Atoms') AND k.parent_object_id NOT IN (OBJECT_ID(N'dbo.LayerTensorSegments'),
			OBJECT_ID(N'dbo.FileSegments'), OBJECT_ID(N'dbo.ModelFiles'), OBJECT_ID(N'dbo.IngestionJobAtoms'))`)
	return condition.String(), err
}
