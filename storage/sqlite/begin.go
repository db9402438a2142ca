package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Begin implements ingest.Writer.
func (c *Catalog) Begin(ctx context.Context, lease ingest.Lease, model *ingest.Model, plans []*ingest.Plan) (*ingest.Entry, error) {
	if len(plans) != len(model.Files) {
		return nil, fmt.Errorf("model of %d files with %d plans", len(model.Files), len(plans))
	}
	key := model.Key(plans)
	var entry *ingest.Entry
	err := c.write(ctx, func(tx *tx) error {
		if err := tx.hold(lease); err != nil {
			return err
		}
		id, err := tx.unfinished(lease, key)
		if err != nil {
			return err
		}
		if id == 0 {
			entry, err = tx.newModel(lease, model, plans, key)
			return err
		}
		if entry, err = tx.progress(id, model); err != nil {
			return err
		}
		return tx.takeUp(lease, model, entry)
	})
	if err != nil {
		return nil, err
	}
	return entry, nil
}

// unfinished finds the open model with this key, which no other live job may
// work on; 0 if there is none.
func (t *tx) unfinished(lease ingest.Lease, key ingest.Digest) (ingest.ModelID, error) {
	var id ingest.ModelID
	var job sql.NullInt64
	err := t.one(`SELECT ModelId, IngestionJobId FROM Models WHERE SourceKey = ? AND State = 'open'`, key[:]).Scan(&id, &job)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return id, t.idle(lease, job.Int64)
}

// idle makes sure that job is lease's own, or that nobody works on it.
func (t *tx) idle(lease ingest.Lease, job int64) error {
	if job == lease.Job {
		return nil
	}
	var other storage.Leased
	err := t.one(`SELECT `+leasedColumns+` FROM IngestionJobs WHERE IngestionJobId = ?`, job).Scan(other.Fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return other.Busy(nil)
}

// takeUp puts an unfinished model under lease's job. What the model is called may
// have changed since it was begun; its Key says that the files have not.
func (t *tx) takeUp(lease ingest.Lease, model *ingest.Model, entry *ingest.Entry) error {
	if _, err := t.exec(`UPDATE Models SET IngestionJobId = ? WHERE ModelId = ?`, lease.Job, entry.ID); err != nil {
		return err
	}
	files := make([]ingest.FileID, len(entry.Files))
	for i := range entry.Files {
		files[i] = entry.Files[i].ID
	}
	return t.name(entry.ID, ingest.Alias{Name: model.Name, URI: model.URI}, files)
}

// progress reads how far each file of an unfinished model got.
func (t *tx) progress(id ingest.ModelID, model *ingest.Model) (*ingest.Entry, error) {
	entry := &ingest.Entry{ID: id}
	err := t.each(func(rows *sql.Rows) error {
		var f ingest.FileEntry
		var digest []byte
		if err := rows.Scan(&f.ID, &f.Recorded, &f.HashState, &digest); err != nil {
			return err
		}
		copy(f.Digest[:], digest)
		entry.Files = append(entry.Files, f)
		return nil
	}, `SELECT ModelFileId, RecordedBytes, HashState, ContentHash FROM ModelFiles WHERE ModelId = ? ORDER BY FileIdx`, id)
	if err != nil {
		return nil, err
	}
	if len(entry.Files) != len(model.Files) {
		return nil, fmt.Errorf("model %d has %d files, and its key was made from %d", id, len(entry.Files), len(model.Files))
	}
	return entry, t.layers(entry, model)
}

// layers reads the IDs of an unfinished model's layers, which run on over its files.
func (t *tx) layers(entry *ingest.Entry, model *ingest.Model) error {
	for i := range entry.Files {
		entry.Files[i].Layers = make([]ingest.LayerID, 0, len(model.Files[i].Tensors))
	}
	file := 0
	err := t.each(func(rows *sql.Rows) error {
		for file < len(entry.Files) && len(entry.Files[file].Layers) == len(model.Files[file].Tensors) {
			file++
		}
		if file == len(entry.Files) {
			return fmt.Errorf("model %d has more layers than tensors", entry.ID)
		}
		f := &entry.Files[file]
		f.Layers = append(f.Layers, 0)
		return rows.Scan(&f.Layers[len(f.Layers)-1])
	}, `SELECT LayerId FROM ModelLayers WHERE ModelId = ? ORDER BY LayerIdx`, entry.ID)
	if err != nil {
		return err
	}
	for i := range entry.Files {
		if len(entry.Files[i].Layers) != len(model.Files[i].Tensors) {
			return fmt.Errorf("model %d has fewer layers than tensors", entry.ID)
		}
	}
	return nil
}

func (t *tx) newModel(lease ingest.Lease, model *ingest.Model, plans []*ingest.Plan, key ingest.Digest) (*ingest.Entry, error) {
	id, err := t.insert(`INSERT INTO Models (ModelName, ModelType, Architecture, Config, ParameterCount, State, SourceKey, IngestionJobId)
		VALUES (?, ?, nullif(?, ''), nullif(?, ''), ?, 'open', ?, ?)`,
		model.Name, model.Type, model.Architecture, string(model.Metadata), model.Parameters(), key[:], lease.Job)
	if err != nil {
		return nil, err
	}
	entry := &ingest.Entry{ID: ingest.ModelID(id), Files: make([]ingest.FileEntry, len(model.Files))}
	d := &model.Details
	if _, err := t.exec(`INSERT INTO ModelMetadata (ModelId, MaxInputLength, EmbeddingDimension, License, SourceUrl)
		VALUES (?, nullif(?, 0), nullif(?, 0), nullif(?, ''), nullif(?, ''))`,
		id, d.ContextLength, d.EmbeddingLength, d.License, d.SourceURL); err != nil {
		return nil, err
	}
	files := make([]ingest.FileID, len(model.Files))
	tensors := 0
	for i := range model.Files {
		if files[i], err = t.newFile(entry.ID, i, &model.Files[i], plans[i]); err != nil {
			return nil, err
		}
		entry.Files[i].ID = files[i]
		if entry.Files[i].Layers, err = t.newLayers(entry.ID, files[i], tensors, model.Files[i].Tensors); err != nil {
			return nil, err
		}
		tensors += len(model.Files[i].Tensors)
	}
	return entry, t.name(entry.ID, ingest.Alias{Name: model.Name, URI: model.URI}, files)
}

func (t *tx) newFile(model ingest.ModelID, index int, f *ingest.File, plan *ingest.Plan) (ingest.FileID, error) {
	id, err := t.insert(`INSERT INTO ModelFiles
		(ModelId, FileIdx, Role, Format, FileName, SourcePath, ByteSize, ModifiedNs, ClaimedHash, SegmentBytes, TensorCount)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		model, index, f.Role, f.Format, filepath.Base(f.Path), f.Path, f.Bytes, f.Modified.UnixNano(),
		storage.DigestColumn(f.Expected), plan.SegmentBytes(), len(f.Tensors))
	return ingest.FileID(id), err
}

// name makes the model known by a name, and the name mean exactly these files.
func (t *tx) name(model ingest.ModelID, name ingest.Alias, files []ingest.FileID) error {
	var id int64
	err := t.one(`INSERT INTO ModelNames (ModelId, Name, SourceUri) VALUES (?, ?, ?)
		ON CONFLICT (ModelId, Name) DO UPDATE SET SourceUri = excluded.SourceUri RETURNING ModelNameId`,
		model, name.Name, name.URI).Scan(&id)
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM ModelNameFiles WHERE ModelNameId = ?`, id); err != nil {
		return err
	}
	for _, file := range files {
		if _, err := t.exec(`INSERT OR IGNORE INTO ModelNameFiles (ModelNameId, ModelFileId) VALUES (?, ?)`, id, file); err != nil {
			return err
		}
	}
	return nil
}
