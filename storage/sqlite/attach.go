package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Attach implements ingest.Writer. The model's weights go by every name of
// it; files says which others go by this one. A name that the model has already means
// these files from now on.
func (c *Catalog) Attach(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name ingest.Alias, files []ingest.FileID) error {
	return c.write(ctx, func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
		state, _, err := tx.state(model)
		if err != nil {
			return err
		}
		if state != ingest.ModelComplete {
			return fmt.Errorf("model %d: %w", model, ingest.ErrIncomplete)
		}
		present, err := tx.files(model)
		if err != nil {
			return err
		}
		named := present.Weights()
		for _, id := range files {
			f, err := tx.attach(lease, model, present, id)
			if err != nil {
				return err
			}
			present, named = append(present, f), append(named, f.ID)
		}
		return tx.name(model, name, named)
	})
}

// attach returns the model's own file with the content of file id, copied if need be.
func (t *tx) attach(lease ingest.Lease, model ingest.ModelID, present storage.ModelFiles, id ingest.FileID) (storage.ModelFile, error) {
	f, err := scanFile(t.one(selectFiles+`WHERE f.ModelFileId = ?`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return f, fmt.Errorf("file %d: %w", id, ingest.ErrNotFound)
	case err != nil:
		return f, err
	case f.State != ingest.ModelComplete:
		return f, fmt.Errorf("file %d, of model %d: %w", id, f.Model, ingest.ErrIncomplete)
	case f.Model == model:
		return f, nil
	}
	if err := t.jobAtom(lease, f.Atom, true); err != nil {
		return f, err
	}
	if own := present.Same(&f); own != nil {
		return *own, nil
	}
	if err := f.CheckSharable(model); err != nil {
		return f, err
	}
	f.ID, err = t.copyFile(id, model)
	return f, err
}

// copyFile gives model rows of its own for a file of another one, which has no tensors and is not weights.
func (t *tx) copyFile(id ingest.FileID, model ingest.ModelID) (ingest.FileID, error) {
	made, err := t.insert(`INSERT INTO ModelFiles (ModelId, FileIdx, Role, Format, FileName, SourcePath, ByteSize, ModifiedNs,
			ClaimedHash, ContentHash, FileAtomId, SegmentBytes, TensorCount, RecordedBytes, SegmentCount, BytesShared)
		SELECT ?2, (SELECT coalesce(max(FileIdx), -1) + 1 FROM ModelFiles WHERE ModelId = ?2), Role, Format, FileName, SourcePath, ByteSize,
			ModifiedNs, ClaimedHash, ContentHash, FileAtomId, SegmentBytes, TensorCount, RecordedBytes, SegmentCount, ByteSize
		FROM ModelFiles WHERE ModelFileId = ?1`, id, model)
	if err != nil {
		return 0, err
	}
	return ingest.FileID(made), t.all([]string{
		`INSERT INTO FileSegments (ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, RawPayload)
		SELECT ?2, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, RawPayload
		FROM FileSegments WHERE ModelFileId = ?1`,
		`UPDATE Atoms SET ReferenceCount = ReferenceCount + more.N FROM (
			SELECT AtomId, count(*) AS N FROM (
				SELECT AtomId FROM FileSegments WHERE ModelFileId = ?2
				UNION ALL
				SELECT FileAtomId FROM ModelFiles WHERE ModelFileId = ?2)
			GROUP BY AtomId) AS more WHERE Atoms.AtomId = more.AtomId AND ?1 <> ?2`,
	}, id, made)
}
