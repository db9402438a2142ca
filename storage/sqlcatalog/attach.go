package sqlcatalog

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Attach implements ingest.Writer. Every name of the model covers its weights; files are the others
// that this name covers. A name that exists is redefined.
func (c *Catalog) Attach(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name ingest.Alias,
	files []ingest.NamedFile) error {
	return c.writeUnder(ctx, lease, func(t *Tx) error {
		if err := t.mustBeComplete(model); err != nil {
			return err
		}
		present, err := t.files(model)
		if err != nil {
			return err
		}
		var named []ingest.NamedFile
		for _, file := range files {
			used := map[ingest.FileID]bool{}
			for _, n := range named {
				used[n.ID] = n.Path != file.Path
			}
			f, err := t.attach(lease, model, present, file.ID, used)
			if err != nil {
				return err
			}
			present, named = append(present, f), append(named, ingest.NamedFile{ID: f.ID, Path: file.Path})
		}
		return t.name(model, name, append(named, present.weights()...))
	})
}

// mustBeComplete locks a model and returns an error unless it is complete.
func (t *Tx) mustBeComplete(model ingest.ModelID) error {
	state, _, err := t.state(model)
	if err == nil && state != ingest.ModelComplete {
		err = fmt.Errorf("model %d is %s: %w", model, state, ingest.ErrIncomplete)
	}
	return err
}

// attach returns the model's own row for the content of file id, and copies the row if the model has
// none that is not used.
func (t *Tx) attach(lease ingest.Lease, model ingest.ModelID, present modelFiles, id ingest.FileID,
	used map[ingest.FileID]bool) (modelFile, error) {
	var f modelFile
	there, err := t.foundFile(t.One(oneFile, id), &f)
	switch {
	case err != nil:
		return f, err
	case !there:
		return f, fmt.Errorf("file %d: %w", id, ingest.ErrNotFound)
	case f.State != ingest.ModelComplete:
		return f, fmt.Errorf("file %d, of model %d: %w", id, f.Model, ingest.ErrIncomplete)
	case f.Model == model && (!used[id] || f.checkSharable(model) != nil):
		return f, nil
	}
	if err := t.jobAtom(lease, f.Atom, true); err != nil {
		return f, err
	}
	if own := present.unused(&f, used); own != nil {
		return *own, nil
	}
	if err := f.checkSharable(model); err != nil {
		return f, err
	}
	f.ID, err = t.copyFile(id, model)
	return f, err
}

var (
	copyFile = shared("copy-file", `INSERT INTO dbo.ModelFiles (ModelId, FileIdx,
			{cols Role Format FileName SourcePath}, ByteSize, ModifiedNs, ClaimedHash, ContentHash, FileAtomId,
			SegmentBytes, TensorCount, RecordedBytes, SegmentCount, BytesShared)
		SELECT @p2, (SELECT COALESCE(MAX(x.FileIdx), -1) + 1 FROM dbo.ModelFiles AS x WHERE x.ModelId = @p2),
			{cols Role Format FileName SourcePath}, ByteSize, ModifiedNs, ClaimedHash, ContentHash, FileAtomId,
			SegmentBytes, TensorCount, RecordedBytes, SegmentCount, ByteSize
		FROM dbo.ModelFiles WHERE ModelFileId = @p1`)
	copySegments = shared("copy-segments", `INSERT INTO dbo.FileSegments
			(ModelFileId, SegmentOrdinal, ByteOffset, ByteSize, AtomId, {address}, RawPayload)
		SELECT @p2, SegmentOrdinal, ByteOffset, ByteSize, AtomId, {address}, RawPayload
		FROM dbo.FileSegments WHERE ModelFileId = @p1`)
	// countCopies counts the references of a copied file: a template or a license, with few
	// segments.
	countCopies = shared("count-copies", `UPDATE dbo.Atoms SET ReferenceCount = ReferenceCount
			+ (SELECT COUNT(*) FROM dbo.FileSegments AS s WHERE s.ModelFileId = @p1 AND s.AtomId = Atoms.AtomId)
			+ (SELECT COUNT(*) FROM dbo.ModelFiles AS f WHERE f.ModelFileId = @p1 AND f.FileAtomId = Atoms.AtomId)
		WHERE AtomId IN (SELECT s.AtomId FROM dbo.FileSegments AS s WHERE s.ModelFileId = @p1
			UNION ALL SELECT f.FileAtomId FROM dbo.ModelFiles AS f WHERE f.ModelFileId = @p1)`)
)

// copyFile copies the rows of a file of another model. The file has no tensors and is not weights.
func (t *Tx) copyFile(id ingest.FileID, model ingest.ModelID) (ingest.FileID, error) {
	made, err := t.insert(copyFile, id, model)
	if err == nil {
		err = t.Exec(copySegments, id, made)
	}
	if err == nil {
		err = t.Exec(countCopies, made)
	}
	if err == nil { // the copies of rows with a payload have no address in SQLite
		err = t.Exec(countSaved, made)
	}
	return ingest.FileID(made), err
}

// foundFile scans a file and reports whether there is one.
func (t *Tx) foundFile(from Scanner, f *modelFile) (there bool, err error) {
	if *f, err = scanFile(from); noRows(err) {
		return false, nil
	}
	return err == nil, err
}
