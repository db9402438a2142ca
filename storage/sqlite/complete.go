package sqlite

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
	err := c.write(ctx, func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
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
	err = t.one(`SELECT IntoModelId FROM ModelMerges WHERE ModelId = ?`, model).Scan(&id)
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

// state returns how far a model is and whose it is.
func (t *tx) state(model ingest.ModelID) (state ingest.ModelState, job int64, err error) {
	err = t.one(`SELECT coalesce(State, 'complete'), coalesce(IngestionJobId, 0) FROM Models WHERE ModelId = ?`, model).Scan(&state, &job)
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
	err := t.one(`SELECT count(*), coalesce(sum(ByteSize), 0) FROM (
			SELECT s.ByteSize FROM ModelLayers l JOIN LayerTensorSegments s ON s.LayerId = l.LayerId WHERE l.ModelFileId = ?1
			UNION ALL SELECT ByteSize FROM FileSegments WHERE ModelFileId = ?1)`, f.ID).Scan(&rows, &bytes)
	if err != nil {
		return err
	}
	return f.CheckWhole(rows, bytes)
}

// twin returns the complete model that this one is to be merged into; 0 for none.
func (t *tx) twin(key ingest.Digest, files storage.ModelFiles, model, into ingest.ModelID) (ingest.ModelID, error) {
	if into != 0 && into != model {
		return into, t.fits(files, into)
	}
	var id ingest.ModelID
	err := t.one(`SELECT ModelId FROM Models WHERE ContentKey = ? AND State = 'complete'`, storage.DigestColumn(key)).Scan(&id)
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
	_, err = t.exec(`UPDATE Models SET State = 'complete', ContentKey = ?, IngestionDate = `+nowText+` WHERE ModelId = ?`,
		storage.DigestColumn(key), model)
	return err
}

func (t *tx) firstName(model ingest.ModelID) (ingest.Alias, error) {
	var name ingest.Alias
	err := t.one(`SELECT Name, SourceUri FROM ModelNames WHERE ModelId = ? ORDER BY ModelNameId LIMIT 1`, model).Scan(&name.Name, &name.URI)
	return name, err
}

// finishFile makes the file's atom and remembers where it was read from. The state of its hash is done with.
func (t *tx) finishFile(lease ingest.Lease, name ingest.Alias, f *storage.ModelFile) error {
	var err error
	if f.Atom, err = t.fileAtom(lease, name, f); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE ModelFiles SET FileAtomId = ?, HashState = NULL WHERE ModelFileId = ?`, f.Atom, f.ID); err != nil {
		return err
	}
	return t.rememberPath(f, f.ID)
}

// rememberPath notes that id is the complete file that was read from f's path.
func (t *tx) rememberPath(f *storage.ModelFile, id ingest.FileID) error {
	_, err := t.exec(`INSERT INTO FilePaths (ModelFileId, SourcePath, ByteSize, ModifiedNs) VALUES (?, ?, ?, ?)
		ON CONFLICT (SourcePath) DO UPDATE SET ModelFileId = excluded.ModelFileId, ByteSize = excluded.ByteSize, ModifiedNs = excluded.ModifiedNs`,
		id, f.Path, f.Bytes, f.Modified.UnixNano())
	return err
}

// fileAtom finds or makes the atom of a whole file. That of a file which is one
// segment is there already, and becomes the file's as well.
func (t *tx) fileAtom(lease ingest.Lease, name ingest.Alias, f *storage.ModelFile) (int64, error) {
	a := storage.NewFileAtom(name, &f.StoredFile, time.Now())
	fresh, err := t.exec(`INSERT OR IGNORE INTO Atoms (ContentHash, Modality, SourceType, ByteSize) VALUES (?, 'model', ?, ?)`,
		f.Digest[:], storage.SegmentSource, f.Bytes)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(`UPDATE Atoms SET ReferenceCount = ReferenceCount + 1 WHERE ContentHash = ?`, f.Digest[:]); err != nil {
		return 0, err
	}
	described, err := t.exec(`UPDATE Atoms SET Subtype = nullif(?, ''), SourceUri = ?, SourceType = ?, PayloadLocator = ?, Metadata = ?,
		UpdatedAt = iif(?, NULL, `+nowText+`) WHERE ContentHash = ? AND SourceType = 'ingest_segment'`,
		a.Subtype, a.SourceURI, a.SourceType, a.PayloadLocator, a.Metadata, fresh == 1, f.Digest[:])
	if err != nil {
		return 0, err
	}
	var id int64
	if err := t.one(`SELECT AtomId FROM Atoms WHERE ContentHash = ?`, f.Digest[:]).Scan(&id); err != nil {
		return 0, err
	}
	return id, t.jobAtom(lease, id, described == 0)
}

func (t *tx) jobAtom(lease ingest.Lease, atom int64, duplicate bool) error {
	_, err := t.exec(`INSERT OR IGNORE INTO IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate) VALUES (?, ?, ?)`,
		lease.Job, atom, duplicate)
	return err
}
