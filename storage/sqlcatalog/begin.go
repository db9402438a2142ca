package sqlcatalog

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
)

// Begin implements ingest.Writer.
func (c *Catalog) Begin(ctx context.Context, lease ingest.Lease, model *ingest.Model,
	plans []*ingest.Plan) (*ingest.Entry, error) {
	if len(plans) != len(model.Files) {
		return nil, fmt.Errorf("model of %d files with %d plans", len(model.Files), len(plans))
	}
	key := model.Key(plans)
	var entry *ingest.Entry
	err := c.writeUnder(ctx, lease, func(t *Tx) error {
		id, err := t.unfinished(lease, key)
		if err != nil {
			return err
		}
		if id == 0 {
			entry, err = t.newModel(lease, model, plans, key)
			return err
		}
		if entry, err = t.progress(id, model); err != nil {
			return err
		}
		return t.takeOver(lease, model, entry)
	})
	if err != nil {
		return nil, err
	}
	return entry, nil
}

// unfinishedModel finds the open model whose source has the key @p1, and its job. The key's range
// stays locked until the commit even if it is empty: if two jobs begin the same model, the second
// waits.
var unfinishedModel = differs("unfinished")

// unfinished returns the open model with this key, or 0. It fails if another live job holds the
// model.
func (t *Tx) unfinished(lease ingest.Lease, key ingest.Digest) (ingest.ModelID, error) {
	var id ingest.ModelID
	var job sql.NullInt64
	there, err := t.found(t.One(unfinishedModel, key[:]), &id, &job)
	if err != nil || !there {
		return 0, err
	}
	return id, t.idle(lease, job.Int64)
}

// idle returns an error if another live job holds job.
func (t *Tx) idle(lease ingest.Lease, job int64) error {
	if job == lease.Job {
		return nil
	}
	var other leased
	there, err := t.found(t.One(requestedJob, job), other.fields()...)
	if err != nil || !there {
		return err
	}
	return other.busy(nil)
}

var takeOver = shared("take-over", `UPDATE dbo.Models SET IngestionJobId = @p1 WHERE ModelId = @p2`)

// takeOver assigns an unfinished model to lease's job. The key guarantees the same files, but the
// model's name may have changed.
func (t *Tx) takeOver(lease ingest.Lease, model *ingest.Model, entry *ingest.Entry) error {
	if err := t.Exec(takeOver, lease.Job, entry.ID); err != nil {
		return err
	}
	files := make([]ingest.NamedFile, len(entry.Files))
	for i := range entry.Files {
		files[i] = ingest.NamedFile{ID: entry.Files[i].ID, Path: model.Files[i].Name}
	}
	return t.name(entry.ID, ingest.Alias{Name: model.Name, URI: model.URI}, files)
}

var progressOf = shared("progress", `SELECT ModelFileId, RecordedBytes, HashState, ContentHash
	FROM dbo.ModelFiles WHERE ModelId = @p1 ORDER BY FileIdx`)

// progress reads how much of each file of an unfinished model is recorded.
func (t *Tx) progress(id ingest.ModelID, model *ingest.Model) (*ingest.Entry, error) {
	entry := &ingest.Entry{ID: id}
	err := t.Each(func(row Scanner) error {
		var f ingest.FileEntry
		var digest []byte
		if err := row.Scan(&f.ID, &f.Recorded, &f.HashState, &digest); err != nil {
			return err
		}
		copy(f.Digest[:], digest)
		entry.Files = append(entry.Files, f)
		return nil
	}, progressOf, id)
	if err != nil {
		return nil, err
	}
	if len(entry.Files) != len(model.Files) {
		return nil, fmt.Errorf("model %d has %d files, want %d", id, len(entry.Files), len(model.Files))
	}
	return entry, t.ReadLayers(entry, model)
}

var layersOf = shared("layers-of", `SELECT LayerId FROM dbo.ModelLayers WHERE ModelId = @p1 ORDER BY LayerIdx`)

// ReadLayers reads the IDs of a model's layers. Their order spans the model's files.
func (t *Tx) ReadLayers(entry *ingest.Entry, model *ingest.Model) error {
	for i := range entry.Files {
		entry.Files[i].Layers = make([]ingest.LayerID, 0, len(model.Files[i].Tensors))
	}
	file := 0
	err := t.Each(func(row Scanner) error {
		for file < len(entry.Files) && len(entry.Files[file].Layers) == len(model.Files[file].Tensors) {
			file++
		}
		if file == len(entry.Files) {
			return fmt.Errorf("model %d has more layers than tensors", entry.ID)
		}
		f := &entry.Files[file]
		f.Layers = append(f.Layers, 0)
		return row.Scan(&f.Layers[len(f.Layers)-1])
	}, layersOf, entry.ID)
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

var (
	addModel = shared("add-model", `INSERT INTO dbo.Models
			({cols ModelName ModelType Architecture Config}, ParameterCount, State, IngestionJobId)
		VALUES ({vals 1 2 3}, {json Models.Config 4}, @p5, @p7, @p6)`)
	// openKey adds the key of an open model's source. It is unique among open models.
	openKey = differs("open-key")
)

func (t *Tx) newModel(lease ingest.Lease, model *ingest.Model, plans []*ingest.Plan, key ingest.Digest) (*ingest.Entry,
	error) {
	entry, err := t.addModel(lease, model, ingest.ModelOpen, segmentBytes(plans))
	if err != nil {
		return nil, err
	}
	return entry, t.Exec(openKey, key[:], entry.ID)
}

func segmentBytes(plans []*ingest.Plan) []int64 {
	sizes := make([]int64, len(plans))
	for i, plan := range plans {
		sizes[i] = plan.SegmentBytes()
	}
	return sizes
}

// addModel inserts the rows of a model, its files, its name and its tensors. segmentBytes has the
// segment size of each file's plan.
func (t *Tx) addModel(lease ingest.Lease, model *ingest.Model, state ingest.ModelState, segmentBytes []int64) (
	*ingest.Entry, error) {
	id, err := t.insert(addModel, Text{Column: "Models.ModelName", Value: model.Name},
		Text{Column: "Models.ModelType", Value: model.Type},
		Text{Column: "Models.Architecture", Value: model.Architecture, Null: true},
		Text{Column: "Models.Config", Value: string(model.Metadata), Null: true}, model.Parameters(), lease.Job,
		string(state))
	if err != nil {
		return nil, err
	}
	entry := &ingest.Entry{ID: ingest.ModelID(id), Files: make([]ingest.FileEntry, len(model.Files))}
	if err := t.details(entry.ID, &model.Details); err != nil {
		return nil, err
	}
	files := make([]ingest.NamedFile, len(model.Files))
	for i := range model.Files {
		f := &model.Files[i]
		if entry.Files[i].ID, err = t.newFile(entry.ID, i, f, segmentBytes[i]); err != nil {
			return nil, err
		}
		files[i] = ingest.NamedFile{ID: entry.Files[i].ID, Path: f.Name}
	}
	if err := t.newName(entry.ID, ingest.Alias{Name: model.Name, URI: model.URI}, files); err != nil {
		return nil, err
	}
	return entry, t.c.dialect.AddLayers(t, entry, model)
}

var addDetails = shared("add-model-metadata", `INSERT INTO dbo.ModelMetadata
		(ModelId, MaxInputLength, EmbeddingDimension, {cols License SourceUrl})
	VALUES (@p1, @p2, @p3, {vals 4 5})`)

func (t *Tx) details(id ingest.ModelID, d *ingest.Details) error {
	return t.Exec(addDetails, id, length(d.ContextLength), length(d.EmbeddingLength),
		Text{Column: "ModelMetadata.License", Value: d.License, Null: true},
		Text{Column: "ModelMetadata.SourceUrl", Value: d.SourceURL, Null: true})
}

// length is a value for a column of type int: NULL if unknown or too large. The model's Config has
// the number, too.
func length(n int64) sql.NullInt32 {
	return sql.NullInt32{Int32: int32(n), Valid: n > 0 && n <= math.MaxInt32}
}

var addFile = shared("add-file", `INSERT INTO dbo.ModelFiles (ModelId, FileIdx,
		{cols Role Format FileName SourcePath}, ByteSize, ModifiedNs, ClaimedHash, SegmentBytes, TensorCount,
		TensorTypes)
	VALUES (@p1, @p2, {vals 3 4 5 6}, @p7, @p8, @p9, @p10, @p11, @p12)`)

func (t *Tx) newFile(model ingest.ModelID, index int, f *ingest.File, segmentBytes int64) (ingest.FileID, error) {
	id, err := t.insert(addFile, model, index, Text{Column: "ModelFiles.Role", Value: string(f.Role)},
		Text{Column: "ModelFiles.Format", Value: f.Format},
		fileName(f.Path), sourcePath(f.Path),
		f.Bytes, f.Modified.UnixNano(), digestColumn(f.Expected), segmentBytes, len(f.Tensors),
		tensorTypes(f.Tensors))
	return ingest.FileID(id), err
}

// fileName and sourcePath are columns of ModelFiles.
func fileName(path string) Text {
	return Text{Column: "ModelFiles.FileName", Value: filepath.Base(path)}
}

func sourcePath(path string) Text { return Text{Column: "ModelFiles.SourcePath", Value: path} }

var (
	// findName locks the name's range until the commit, so that the second of two transactions that
	// add the same name finds it.
	findName = shared("find-name",
		`SELECT ModelNameId FROM dbo.ModelNames {range lock} WHERE ModelId = @p1 AND {same Name 2}`)
	addName = shared("add-name",
		`INSERT INTO dbo.ModelNames (ModelId, {key Name}{cols Name SourceUri}) VALUES (@p1, {keyed 2}{vals 3 4})`)
	changeName = shared("change-name", `UPDATE dbo.ModelNames SET {set SourceUri 2} WHERE ModelNameId = @p1`)
	clearName  = shared("clear-name", `DELETE FROM dbo.ModelNameFiles WHERE ModelNameId = @p1`)
	nameFile   = shared("name-file", `INSERT INTO dbo.ModelNameFiles (ModelNameId, ModelFileId, {cols RelativePath})
		SELECT @p1, @p2, {vals 3}
		WHERE NOT EXISTS (SELECT 1 FROM dbo.ModelNameFiles WHERE ModelNameId = @p1 AND ModelFileId = @p2)`)
)

// name gives the model a name that covers exactly these files. The first path of a file counts.
func (t *Tx) name(model ingest.ModelID, name ingest.Alias, files []ingest.NamedFile) error {
	var id int64
	there, err := t.found(t.One(findName, model, Key{name.Name}), &id)
	if err != nil {
		return err
	}
	if !there {
		return t.newName(model, name, files)
	}
	uri := Text{Column: "ModelNames.SourceUri", Value: name.URI}
	if err := t.Exec(changeName, id, uri); err != nil {
		return err
	}
	if err := t.Exec(clearName, id); err != nil {
		return err
	}
	return t.nameFiles(id, files)
}

// newName gives the model a name that it does not have.
func (t *Tx) newName(model ingest.ModelID, name ingest.Alias, files []ingest.NamedFile) error {
	id, err := t.insert(addName, model, Key{name.Name}, Text{Column: "ModelNames.Name", Value: name.Name},
		Text{Column: "ModelNames.SourceUri", Value: name.URI})
	if err != nil {
		return err
	}
	return t.nameFiles(id, files)
}

func (t *Tx) nameFiles(name int64, files []ingest.NamedFile) error {
	for _, file := range files {
		path := Text{Column: "ModelNameFiles.RelativePath", Value: file.Path, Null: true}
		if err := t.Exec(nameFile, name, file.ID, path); err != nil {
			return err
		}
	}
	return nil
}
