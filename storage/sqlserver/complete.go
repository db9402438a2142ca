package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Complete implements ingest.Writer. What became of a model that went into
// another is kept, so asking again gives the same answer.
func (c *Catalog) Complete(ctx context.Context, lease ingest.Lease, model, into ingest.ModelID) (ingest.ModelID, error) {
	var id ingest.ModelID
	err := c.writeLong(ctx, lease, func(tx *tx) error {
		merged, err := tx.mergedInto(model)
		if err != nil || merged != 0 {
			id = merged
			return err
		}
		id, err = tx.complete(lease, model, into)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// mergedInto returns the model that this one went into; 0 for none.
func (t *tx) mergedInto(model ingest.ModelID) (id ingest.ModelID, err error) {
	err = t.one(`/* ingest: merged-into */ SELECT IntoModelId FROM dbo.ModelMerges WHERE ModelId = @p1`, int64(model)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

func (t *tx) complete(lease ingest.Lease, model, into ingest.ModelID) (ingest.ModelID, error) {
	state, job, err := t.state(model)
	if err != nil || state == ingest.ModelComplete {
		return model, err
	}
	if job != lease.Job {
		return 0, fmt.Errorf("model %d went to job %d: %w", model, job, ingest.ErrLeaseLost)
	}
	files, err := t.files(model)
	if err != nil {
		return 0, err
	}
	for i := range files {
		if err := t.whole(&files[i]); err != nil {
			return 0, fmt.Errorf("model %d: %s: %w", model, files[i].Path, err)
		}
	}
	key := storage.ContentKey(files.Stored())
	target, err := t.twin(key, files, model, into)
	if err != nil {
		return 0, err
	}
	if target == 0 {
		return model, t.finish(lease, model, files, key)
	}
	return target, t.merge(lease, model, target, files)
}

// state returns how far a model is and whose it is. UPDLOCK keeps its row until the
// commit: two verbs that change the same model do so one after the other.
func (t *tx) state(model ingest.ModelID) (state ingest.ModelState, job int64, err error) {
	err = t.one(`/* ingest: state */ SELECT COALESCE(State, N'complete'), COALESCE(IngestionJobId, 0) FROM dbo.Models WITH (UPDLOCK, ROWLOCK)
		WHERE ModelId = @p1`, int64(model)).Scan(&state, &job)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("model %d: %w", model, ingest.ErrNotFound)
	}
	return state, job, err
}

// whole makes sure that rows cover the file, and that it is what it claims to
// be. The rows are counted, not only the notes of Record taken for it: another
// program may have been at them.
func (t *tx) whole(f *storage.ModelFile) error {
	var rows, bytes int64
	err := t.one(`/* ingest: whole */ SELECT COUNT_BIG(*), COALESCE(SUM(r.ByteSize), 0) FROM (
			SELECT s.ByteSize FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = @p1
			UNION ALL SELECT ByteSize FROM dbo.FileSegments WHERE ModelFileId = @p1) AS r`, int64(f.ID)).Scan(&rows, &bytes)
	if err != nil {
		return err
	}
	return f.CheckWhole(rows, bytes)
}

// twin returns the complete model that this one is to be merged into; 0 for none. The place
// of the key stays locked until the commit, as in unfinished: of two models with the same weights
// that are completed at once, the second finds the first.
func (t *tx) twin(key ingest.Digest, files storage.ModelFiles, model, into ingest.ModelID) (ingest.ModelID, error) {
	if into != 0 && into != model {
		return into, t.fits(files, into)
	}
	if key.IsZero() {
		return 0, nil
	}
	var id ingest.ModelID
	err := t.one(`/* ingest: twin */ SELECT ModelId FROM dbo.ModelKeys WITH (UPDLOCK, HOLDLOCK) WHERE State = N'complete' AND KeyHash = @p1`, key[:]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// fits makes sure that into is complete and has all weights that are among files:
// with others it would be another model.
func (t *tx) fits(files storage.ModelFiles, into ingest.ModelID) error {
	state, _, err := t.state(into)
	if err != nil {
		return err
	}
	if state != ingest.ModelComplete {
		return fmt.Errorf("model %d, to be completed into: %w", into, ingest.ErrIncomplete)
	}
	present, err := t.files(into)
	if err != nil {
		return err
	}
	return present.CheckWeights(into, files)
}

// finish makes a model complete.
func (t *tx) finish(lease ingest.Lease, model ingest.ModelID, files storage.ModelFiles, key ingest.Digest) error {
	name, err := t.firstName(model)
	if err != nil {
		return err
	}
	for i := range files {
		if err := t.finishFile(lease, name, &files[i]); err != nil {
			return err
		}
	}
	if err := t.do([]string{`/* ingest: finish */ UPDATE dbo.Models SET State = N'complete', IngestionDate = SYSUTCDATETIME() WHERE ModelId = @p1`,
		`/* ingest: drop-key */ DELETE FROM dbo.ModelKeys WHERE ModelId = @p1 AND State = N'open'`}, int64(model)); err != nil || key.IsZero() {
		return err
	}
	return t.exec(`/* ingest: complete-key */ INSERT INTO dbo.ModelKeys (State, KeyHash, ModelId) VALUES (N'complete', @p1, @p2)`, key[:], int64(model))
}

func (t *tx) firstName(model ingest.ModelID) (ingest.Alias, error) {
	var name, uri exact
	err := t.one(`/* ingest: first-name */ SELECT TOP (1) Name, NameExact, SourceUri, SourceUriExact FROM dbo.ModelNames WHERE ModelId = @p1 ORDER BY ModelNameId`,
		int64(model)).Scan(&name.text, &name.bytes, &uri.text, &uri.bytes)
	return ingest.Alias{Name: name.String(), URI: uri.String()}, err
}

// finishFile makes the file's atom and remembers where it was read from. The state of its hash is done with.
func (t *tx) finishFile(lease ingest.Lease, name ingest.Alias, f *storage.ModelFile) error {
	var err error
	if f.Atom, err = t.fileAtom(lease, name, f); err != nil {
		return err
	}
	if err := t.exec(`/* ingest: finish-file */ UPDATE dbo.ModelFiles SET FileAtomId = @p1, HashState = NULL WHERE ModelFileId = @p2`,
		f.Atom, int64(f.ID)); err != nil {
		return err
	}
	return t.rememberPath(f, f.ID)
}

// rememberPath notes that id is the complete file that was read from f's path.
func (t *tx) rememberPath(f *storage.ModelFile, id ingest.FileID) error {
	path, pathExact := t.c.columns.fit("FilePaths.SourcePath", f.Path)
	key := keyOf(f.Path)
	n, err := t.change(`/* ingest: change-path */ UPDATE dbo.FilePaths SET ModelFileId = @p2, ByteSize = @p3, ModifiedNs = @p4 WHERE PathHash = @p1`,
		key, int64(id), f.Bytes, f.Modified.UnixNano())
	if err != nil || n > 0 {
		return err
	}
	return t.exec(`/* ingest: add-path */ INSERT INTO dbo.FilePaths (PathHash, ModelFileId, ByteSize, ModifiedNs, SourcePath, SourcePathExact)
		VALUES (@p1, @p2, @p3, @p4, @p5, @p6)`, key, int64(id), f.Bytes, f.Modified.UnixNano(), path, pathExact)
}

// fileAtom finds or makes the atom of a whole file. That of a file which is one
// segment is there already, and becomes the file's as well. The locks are those of addAtoms.
func (t *tx) fileAtom(lease ingest.Lease, name ingest.Alias, f *storage.ModelFile) (int64, error) {
	digest := f.Digest[:]
	fresh, err := t.change(`/* ingest: add-file-atom */ INSERT INTO dbo.Atoms (ContentHash, Modality, SourceType, ReferenceCount, ByteSize)
		SELECT @p1, N'model', N'ingest_segment', 0, @p2
		WHERE NOT EXISTS (SELECT 1 FROM dbo.Atoms WITH (UPDLOCK, HOLDLOCK) WHERE ContentHash = @p1)`, digest, f.Bytes)
	if err != nil {
		return 0, err
	}
	if err := t.exec(`/* ingest: count-file-atom */ UPDATE dbo.Atoms SET ReferenceCount = ReferenceCount + 1 WHERE ContentHash = @p1`, digest); err != nil {
		return 0, err
	}
	described, err := t.describe(name, f, fresh == 1)
	if err != nil {
		return 0, err
	}
	var id int64
	if err := t.one(`/* ingest: find-atom */ SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p1`, digest).Scan(&id); err != nil {
		return 0, err
	}
	return id, t.jobAtom(lease, id, !described)
}

// describe says in the atom what the file is, if nobody has said so before. A path that is too
// long for PayloadLocator is NULL there: half of it would be another file.
func (t *tx) describe(name ingest.Alias, f *storage.ModelFile, fresh bool) (bool, error) {
	cols := t.c.columns
	a := storage.NewFileAtom(name, &f.StoredFile, time.Now())
	uri, uriExact := cols.fit("Atoms.SourceUri", a.SourceURI)
	path, pathExact := cols.fit("Atoms.PayloadLocator", a.PayloadLocator)
	locator := sql.NullString{String: path, Valid: pathExact == nil}
	n, err := t.change(`/* ingest: describe-atom */ UPDATE dbo.Atoms SET Subtype = @p2, SourceUri = @p3, SourceUriExact = @p4, SourceType = @p5,
			PayloadLocator = @p6, PayloadLocatorExact = @p7, Metadata = `+cols.json("Atoms.Metadata", "@p8")+`,
			UpdatedAt = CASE WHEN @p9 = 1 THEN NULL ELSE SYSUTCDATETIME() END
		WHERE ContentHash = @p1 AND SourceType = N'ingest_segment'`,
		f.Digest[:], textOrNull(a.Subtype), uri, uriExact, a.SourceType, locator, pathExact, clean(a.Metadata), fresh)
	return n > 0, err
}

// jobAtom notes that the job met the atom. There is no unique index to rely on in a table
// that others write; the job is this process's own.
func (t *tx) jobAtom(lease ingest.Lease, atom int64, duplicate bool) error {
	return t.exec(`/* ingest: job-atom */ INSERT INTO dbo.IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate) SELECT @p1, @p2, @p3
		WHERE NOT EXISTS (SELECT 1 FROM dbo.IngestionJobAtoms WHERE IngestionJobId = @p1 AND AtomId = @p2)`, lease.Job, atom, duplicate)
}
