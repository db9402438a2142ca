package sqlserver

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
	return c.writeUnder(ctx, lease, func(tx *tx) error {
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
	f, err := scanFile(t.one(`/* ingest: file */ SELECT `+fileColumns+`WHERE f.ModelFileId = @p1`, int64(id)))
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

// copyFile gives model rows of its own for a file without tensors of another one.
func (t *tx) copyFile(id ingest.FileID, model ingest.ModelID) (ingest.FileID, error) {
	made, err := t.insert(`/* ingest: copy-file */ INSERT INTO dbo.ModelFiles (ModelId, FileIdx, Role, RoleExact, Format, FormatExact,
			FileName, FileNameExact, SourcePath, SourcePathExact, ByteSize, ModifiedNs, ClaimedHash, ContentHash, FileAtomId,
			SegmentBytes, TensorCount, RecordedBytes, SegmentCount, BytesShared)
		SELECT @p2, (SELECT COALESCE(MAX(x.FileIdx), -1) + 1 FROM dbo.ModelFiles AS x WHERE x.ModelId = @p2), Role, RoleExact, Format, FormatExact,
			FileName, FileNameExact, SourcePath, SourcePathExact, ByteSize, ModifiedNs, ClaimedHash, ContentHash, FileAtomId,
			SegmentBytes, TensorCount, RecordedBytes, SegmentCount, ByteSize
		FROM dbo.ModelFiles WHERE ModelFileId = @p1`, int64(id), int64(model))
	if err != nil {
		return 0, err
	}
	if err := t.exec(`/* ingest: copy-segments */ INSERT INTO dbo.FileSegments (ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, AddressExact, RawPayload)
		SELECT @p2, SegmentOrdinal, ByteOffset, ByteSize, AtomId,
			BlobUri, BlobContainer, BlobName, BlobETag, BlobSizeBytes, BlobLastModified, AddressExact, RawPayload
		FROM dbo.FileSegments WHERE ModelFileId = @p1`, int64(id), made); err != nil {
		return 0, err
	}
	return ingest.FileID(made), t.exec(`/* ingest: count-copies */ UPDATE a SET ReferenceCount = a.ReferenceCount + more.Pieces
		FROM dbo.Atoms AS a INNER JOIN (SELECT r.AtomId, COUNT_BIG(*) AS Pieces FROM (
				SELECT AtomId FROM dbo.FileSegments WHERE ModelFileId = @p1
				UNION ALL
				SELECT FileAtomId FROM dbo.ModelFiles WHERE ModelFileId = @p1) AS r
			GROUP BY r.AtomId) AS more ON more.AtomId = a.AtomId`, made)
}
