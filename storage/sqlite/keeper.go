package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Referenced implements ingest.Maintenance. It asks the rows, not the counts.
func (c *Catalog) Referenced(ctx context.Context, digests []ingest.Digest) (map[ingest.Digest][]string, error) {
	if err := storage.CheckDigests(digests); err != nil {
		return nil, err
	}
	needed := make(map[ingest.Digest][]string)
	if len(digests) == 0 {
		return needed, nil
	}
	args := make([]any, len(digests))
	for i := range digests {
		args[i] = digests[i][:]
	}
	err := c.read(ctx, func(tx *tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var hash []byte
			var name string
			err := rows.Scan(&hash, &name)
			if len(hash) == len(ingest.Digest{}) {
				needed[ingest.Digest(hash)] = append(needed[ingest.Digest(hash)], name)
			}
			return err
		}, `WITH asked AS (SELECT AtomId, ContentHash FROM Atoms WHERE ContentHash IN (?`+strings.Repeat(`, ?`, len(digests)-1)+`))
			SELECT a.ContentHash, ifnull(s.BlobName, '') FROM asked a JOIN LayerTensorSegments s ON s.AtomId = a.AtomId WHERE length(s.RawPayload) = 0
			UNION SELECT a.ContentHash, ifnull(s.BlobName, '') FROM asked a JOIN FileSegments s ON s.AtomId = a.AtomId WHERE length(s.RawPayload) = 0`, args...)
	})
	if err != nil {
		return nil, err
	}
	return needed, nil
}

// unreferenced is true of an atom of a segment to which no row of any table refers.
const unreferenced = `SourceType = 'ingest_segment'
	AND NOT EXISTS (SELECT 1 FROM LayerTensorSegments s WHERE s.AtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM FileSegments s WHERE s.AtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM ModelFiles f WHERE f.FileAtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM ModelLayers l WHERE l.LayerAtomId = Atoms.AtomId)
	AND NOT EXISTS (SELECT 1 FROM IngestionJobAtoms j WHERE j.AtomId = Atoms.AtomId)`

// ours is true of the atoms whose references are kept in the tables that we write.
const ours = `Modality = 'model' AND SourceType IN ('ingest_segment', 'model_file', 'ollama_blob')`

// references is how many rows refer to an atom.
const references = `(SELECT count(*) FROM LayerTensorSegments s WHERE s.AtomId = Atoms.AtomId)
	+ (SELECT count(*) FROM FileSegments s WHERE s.AtomId = Atoms.AtomId)
	+ (SELECT count(*) FROM ModelFiles f WHERE f.FileAtomId = Atoms.AtomId)`

// Unreferenced implements ingest.Maintenance. With remove it also corrects the counts
// of the atoms that stay.
func (c *Catalog) Unreferenced(ctx context.Context, remove bool) (atoms, bytes int64, err error) {
	within := c.read
	if remove {
		within = c.write
	}
	err = within(ctx, func(tx *tx) error {
		err := tx.one(`SELECT count(*), coalesce(sum(ByteSize), 0) FROM Atoms WHERE `+unreferenced).Scan(&atoms, &bytes)
		if err != nil || !remove {
			return err
		}
		return tx.all([]string{
			`DELETE FROM Atoms WHERE ` + unreferenced,
			`UPDATE Atoms SET ReferenceCount = ` + references + ` WHERE ` + ours + ` AND ReferenceCount <> ` + references,
		})
	})
	if err != nil {
		return 0, 0, err
	}
	return atoms, bytes, nil
}
