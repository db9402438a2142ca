package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
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
	err := c.writeUnder(ctx, lease, func(tx *tx) error {
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
// work on; 0 if there is none. UPDLOCK and HOLDLOCK keep a lock on the key, there or
// not, until the commit, so that of two who begin the same model the second waits.
// An engine without them refuses the second one's key, and it looks again. The hints on Models make it read whose the
// model is now: where statements read snapshots, the join would else show the state from before the wait.
func (t *tx) unfinished(lease ingest.Lease, key ingest.Digest) (ingest.ModelID, error) {
	var id ingest.ModelID
	var job sql.NullInt64
	err := t.one(`/* ingest: unfinished */ SELECT m.ModelId, m.IngestionJobId FROM dbo.ModelKeys AS k WITH (UPDLOCK, HOLDLOCK)
		INNER JOIN dbo.Models AS m WITH (UPDLOCK, ROWLOCK) ON m.ModelId = k.ModelId WHERE k.State = N'open' AND k.KeyHash = @p1`, key[:]).Scan(&id, &job)
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
	err := t.one(`/* ingest: other-job */ `+selectLeased+`WHERE j.IngestionJobId = @p1`, job).Scan(other.Fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return other.Busy(nil)
}

// takeUp puts an unfinished model under lease's job. Where its files lie and what
// the model is called may have changed since it was begun; its Key says that the files have not.
func (t *tx) takeUp(lease ingest.Lease, model *ingest.Model, entry *ingest.Entry) error {
	if err := t.exec(`/* ingest: take-up */ UPDATE dbo.Models SET IngestionJobId = @p1 WHERE ModelId = @p2`, lease.Job, entry.ID); err != nil {
		return err
	}
	files := make([]ingest.FileID, len(entry.Files))
	for i := range entry.Files {
		files[i] = entry.Files[i].ID
		path, pathExact := t.c.columns.fit("ModelFiles.SourcePath", model.Files[i].Path)
		if err := t.exec(`/* ingest: take-up-file */ UPDATE dbo.ModelFiles SET SourcePath = @p1, SourcePathExact = @p2 WHERE ModelFileId = @p3`,
			path, pathExact, files[i]); err != nil {
			return err
		}
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
	}, `/* ingest: progress */ SELECT ModelFileId, RecordedBytes, HashState, ContentHash FROM dbo.ModelFiles WHERE ModelId = @p1 ORDER BY FileIdx`, id)
	if err != nil {
		return nil, err
	}
	if len(entry.Files) != len(model.Files) {
		return nil, fmt.Errorf("model %d has %d files, and its key was made from %d", id, len(entry.Files), len(model.Files))
	}
	for i := range entry.Files {
		f := &entry.Files[i]
		if f.Layers, err = t.layers(f.ID, len(model.Files[i].Tensors)); err != nil {
			return nil, err
		}
	}
	return entry, nil
}

// layers reads the IDs of the layers of a file that has so many tensors.
func (t *tx) layers(file ingest.FileID, tensors int) ([]ingest.LayerID, error) {
	ids := make([]ingest.LayerID, 0, tensors)
	err := t.each(func(rows *sql.Rows) error {
		ids = append(ids, 0)
		return rows.Scan(&ids[len(ids)-1])
	}, `/* ingest: layers-of */ SELECT LayerId FROM dbo.ModelLayers WHERE ModelFileId = @p1 ORDER BY LayerIdx`, file)
	if err == nil && len(ids) != tensors {
		err = fmt.Errorf("file %d has %d layers for %d tensors", file, len(ids), tensors)
	}
	return ids, err
}

func (t *tx) newModel(lease ingest.Lease, model *ingest.Model, plans []*ingest.Plan, key ingest.Digest) (*ingest.Entry, error) {
	id, err := t.modelRow(lease, model)
	if err != nil {
		return nil, err
	}
	entry := &ingest.Entry{ID: ingest.ModelID(id), Files: make([]ingest.FileEntry, len(model.Files))}
	if err := t.exec(`/* ingest: open-key */ INSERT INTO dbo.ModelKeys (State, KeyHash, ModelId) VALUES (N'open', @p1, @p2)`, key[:], id); err != nil {
		return nil, err
	}
	if err := t.details(entry.ID, &model.Details); err != nil {
		return nil, err
	}
	files := make([]ingest.FileID, len(model.Files))
	for i := range model.Files {
		if files[i], err = t.newFile(entry.ID, i, &model.Files[i], plans[i]); err != nil {
			return nil, err
		}
		entry.Files[i].ID = files[i]
	}
	if err := t.name(entry.ID, ingest.Alias{Name: model.Name, URI: model.URI}, files); err != nil {
		return nil, err
	}
	return entry, t.newLayers(entry, model)
}

func (t *tx) modelRow(lease ingest.Lease, model *ingest.Model) (int64, error) {
	cols := t.c.columns
	name, nameExact := cols.fit("Models.ModelName", model.Name)
	kind, kindExact := cols.fit("Models.ModelType", model.Type)
	architecture, architectureExact := cols.fit("Models.Architecture", model.Architecture)
	config, configExact := cols.fit("Models.Config", string(model.Metadata))
	return t.insert(`/* ingest: add-model */ INSERT INTO dbo.Models (ModelName, ModelNameExact, ModelType, ModelTypeExact, Architecture, ArchitectureExact,
			Config, ConfigExact, ParameterCount, State, IngestionJobId)
		VALUES (@p1, @p2, @p3, @p4, @p5, @p6, `+cols.json("Models.Config", "@p7")+`, @p8, @p9, N'open', @p10)`,
		name, nameExact, kind, kindExact, textOrNull(architecture), architectureExact, textOrNull(config), configExact, model.Parameters(), lease.Job)
}

// details writes ModelMetadata. A length that its int cannot hold is in the model's Config still.
func (t *tx) details(id ingest.ModelID, d *ingest.Details) error {
	license, licenseExact := t.c.columns.fit("ModelMetadata.License", d.License)
	source, sourceExact := t.c.columns.fit("ModelMetadata.SourceUrl", d.SourceURL)
	return t.exec(`/* ingest: add-model-metadata */ INSERT INTO dbo.ModelMetadata (ModelId, MaxInputLength, EmbeddingDimension,
			License, LicenseExact, SourceUrl, SourceUrlExact)
		VALUES (@p1, @p2, @p3, @p4, @p5, @p6, @p7)`,
		id, length(d.ContextLength), length(d.EmbeddingLength), textOrNull(license), licenseExact, textOrNull(source), sourceExact)
}

// textOrNull is a text, and NULL for an empty one. The server is not asked for that: by its collation more than the empty text may
// be equal to it.
func textOrNull(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }

// length is a number for a column of type int: NULL if it is not known or too large.
func length(n int64) sql.NullInt32 {
	return sql.NullInt32{Int32: int32(n), Valid: n > 0 && n <= math.MaxInt32}
}

func (t *tx) newFile(model ingest.ModelID, index int, f *ingest.File, plan *ingest.Plan) (ingest.FileID, error) {
	cols := t.c.columns
	role, roleExact := cols.fit("ModelFiles.Role", string(f.Role))
	format, formatExact := cols.fit("ModelFiles.Format", f.Format)
	name, nameExact := cols.fit("ModelFiles.FileName", filepath.Base(f.Path))
	path, pathExact := cols.fit("ModelFiles.SourcePath", f.Path)
	id, err := t.insert(`/* ingest: add-file */ INSERT INTO dbo.ModelFiles (ModelId, FileIdx, Role, RoleExact, Format, FormatExact,
			FileName, FileNameExact, SourcePath, SourcePathExact, ByteSize, ModifiedNs, ClaimedHash, SegmentBytes, TensorCount)
		VALUES (@p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12, @p13, @p14, @p15)`,
		model, index, role, roleExact, format, formatExact, name, nameExact, path, pathExact,
		f.Bytes, f.Modified.UnixNano(), storage.DigestColumn(f.Expected), plan.SegmentBytes(), len(f.Tensors))
	return ingest.FileID(id), err
}

// name makes the model known by a name, and the name mean exactly these files. The locks on
// the name, there or not, last until the commit.
func (t *tx) name(model ingest.ModelID, name ingest.Alias, files []ingest.FileID) error {
	uri, uriExact := t.c.columns.fit("ModelNames.SourceUri", name.URI)
	var id int64
	err := t.one(`/* ingest: find-name */ SELECT ModelNameId FROM dbo.ModelNames WITH (UPDLOCK, HOLDLOCK) WHERE ModelId = @p1 AND NameHash = @p2`,
		model, keyOf(name.Name)).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		text, textExact := t.c.columns.fit("ModelNames.Name", name.Name)
		id, err = t.insert(`/* ingest: add-name */ INSERT INTO dbo.ModelNames (ModelId, NameHash, Name, NameExact, SourceUri, SourceUriExact)
			VALUES (@p1, @p2, @p3, @p4, @p5, @p6)`, model, keyOf(name.Name), text, textExact, uri, uriExact)
	case err == nil:
		err = t.exec(`/* ingest: change-name */ UPDATE dbo.ModelNames SET SourceUri = @p2, SourceUriExact = @p3 WHERE ModelNameId = @p1`, id, uri, uriExact)
	}
	if err != nil {
		return err
	}
	if err := t.exec(`/* ingest: clear-name */ DELETE FROM dbo.ModelNameFiles WHERE ModelNameId = @p1`, id); err != nil {
		return err
	}
	for _, file := range files {
		if err := t.exec(`/* ingest: name-file */ INSERT INTO dbo.ModelNameFiles (ModelNameId, ModelFileId) SELECT @p1, @p2
			WHERE NOT EXISTS (SELECT 1 FROM dbo.ModelNameFiles WHERE ModelNameId = @p1 AND ModelFileId = @p2)`, id, file); err != nil {
			return err
		}
	}
	return nil
}
