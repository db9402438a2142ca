package sqlcatalog

import (
	"context"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

const modelColumns = ` m.ModelId, {read m.ModelName}, {read m.ModelType}, {read m.Architecture},
	COALESCE(m.ParameterCount, 0), COALESCE(m.State, 'complete'), COALESCE(m.IngestionJobId, 0),
	{time m.IngestionDate} FROM dbo.Models AS m`

var modelPage = shared("models",
	`SELECT {top @p2}`+modelColumns+` WHERE m.ModelId > @p1 ORDER BY m.ModelId {limit @p2}`)

// modelsAtOnce is the page size of Models: three queries read a page, with files and names.
const modelsAtOnce = 100

// Models implements ingest.Reader. It leaves out the metadata, which may be megabytes. Each file is
// consistent with its counts; one that another process is adding may be missing.
func (c *Catalog) Models(ctx context.Context) iter.Seq2[ingest.Summary, error] {
	return paged(func(last ingest.Summary) (page []ingest.Summary, err error) {
		err = c.read(ctx, func(t *Tx) error {
			page, err = t.summaries(last.ID, modelsAtOnce)
			return err
		})
		return page, err
	})
}

// Model implements ingest.Reader.
func (c *Catalog) Model(ctx context.Context, id ingest.ModelID) (s ingest.Summary, err error) {
	err = c.read(ctx, func(t *Tx) error {
		if s, err = t.summary(id); err != nil {
			return err
		}
		var text []byte
		if _, err := t.found(t.One(modelMetadata, id), readJSON(&text)); err != nil {
			return err
		}
		if len(text) > 0 {
			s.Metadata = text
		}
		d := &s.Details
		_, err := t.found(t.One(modelDetails, id), &d.ContextLength, &d.EmbeddingLength, readText(&d.License),
			readText(&d.SourceURL))
		return err
	})
	return s, err
}

var modelDetails = shared("model-details", `SELECT COALESCE(d.MaxInputLength, 0), COALESCE(d.EmbeddingDimension, 0),
	{read d.License}, {read d.SourceUrl} FROM dbo.ModelMetadata AS d WHERE d.ModelId = @p1`)

var modelMetadata = shared("model-metadata", `SELECT {readjson Config} FROM dbo.Models WHERE ModelId = @p1`)

// summary reads one model, without its metadata.
func (t *Tx) summary(id ingest.ModelID) (ingest.Summary, error) {
	page, err := t.summaries(id-1, 1)
	if err == nil && (len(page) == 0 || page[0].ID != id) {
		return ingest.Summary{ID: id}, fmt.Errorf("model %d: %w", id, ingest.ErrNotFound)
	}
	if err != nil {
		return ingest.Summary{ID: id}, err
	}
	return page[0], nil
}

// summaries reads up to most models that follow after.
func (t *Tx) summaries(after ingest.ModelID, most int) (page []ingest.Summary, err error) {
	err = t.Each(func(row Scanner) error {
		var s ingest.Summary
		err := row.Scan(&s.ID, readText(&s.Name), readText(&s.Type), readText(&s.Architecture), &s.Parameters, &s.State,
			&s.Job, &s.Ingested)
		page = append(page, s)
		return err
	}, modelPage, after, most)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	files, err := t.filesBetween(page[0].ID, page[len(page)-1].ID)
	if err != nil {
		return nil, err
	}
	names, err := t.namesBetween(page[0].ID, page[len(page)-1].ID)
	if err != nil {
		return nil, err
	}
	for i := range page {
		s := &page[i]
		files[s.ID].addTo(s)
		s.Names = names[s.ID]
	}
	return page, nil
}

var (
	modelThere = shared("model-there", `SELECT 1 FROM dbo.Models WHERE ModelId = @p1`)
	layerPage  = shared("layers", `SELECT {top @p4} l.LayerId, COALESCE(l.ModelFileId, 0), l.LayerIdx,
			{read l.LayerName}, COALESCE(l.LayerType, ''), COALESCE(l.QuantizationType, ''), {read l.TensorShape},
			COALESCE(l.ParameterCount, 0), COALESCE(l.ByteOffset, 0), COALESCE(l.ByteSize, 0),
			(SELECT {count} FROM dbo.LayerTensorSegments AS s WHERE s.LayerId = l.LayerId)
		FROM dbo.ModelLayers AS l WHERE l.ModelId = @p1 AND l.LayerIdx >= @p2 AND (l.LayerIdx > @p2 OR l.LayerId > @p3)
		ORDER BY l.LayerIdx, l.LayerId {limit @p4}`)
)

// Layers implements ingest.Reader.
func (c *Catalog) Layers(ctx context.Context, id ingest.ModelID) iter.Seq2[ingest.Layer, error] {
	return paged(func(last ingest.Layer) (page []ingest.Layer, err error) {
		after := last.Index
		if last.ID == 0 {
			after = -1
		}
		err = c.read(ctx, func(t *Tx) error {
			page = page[:0]
			err := t.Each(func(row Scanner) error {
				l, err := scanLayer(row)
				page = append(page, l)
				return err
			}, layerPage, id, after, last.ID, pageRows)
			if err == nil && len(page) == 0 {
				err = t.mustBeThere(modelThere, "model", int64(id))
			}
			return err
		})
		return page, err
	})
}

// mustBeThere distinguishes the end of a sequence from a sequence over something that does not
// exist.
func (t *Tx) mustBeThere(s *Statement, what string, id int64) error {
	var one int
	there, err := t.found(t.One(s, id), &one)
	if err == nil && !there {
		err = fmt.Errorf("%s %d: %w", what, id, ingest.ErrNotFound)
	}
	return err
}

func scanLayer(row Scanner) (ingest.Layer, error) {
	var l ingest.Layer
	var shape string
	err := row.Scan(&l.ID, &l.File, &l.Index, readText(&l.Name), &l.Kind, &l.Type, readText(&shape), &l.Elements,
		&l.Offset, &l.Bytes, &l.Segments)
	if err != nil || shape == "" { // another program may leave it empty
		return l, err
	}
	if l.Shape, err = parseTensorShape(shape); err != nil && l.File != 0 { // another program's shape may be anything
		return l, fmt.Errorf("shape of layer %d: %w", l.ID, err)
	}
	return l, nil
}

// isComplete selects models that lookups may find. Other programs do not set a state.
const isComplete = `COALESCE(m.State, 'complete') = 'complete'`

var (
	unchangedFile = shared("unchanged", `SELECT`+fileColumns+`
		INNER JOIN dbo.FilePaths AS p ON p.ModelFileId = f.ModelFileId
		WHERE {same p.SourcePath 1} AND p.ByteSize = @p2 AND p.ModifiedNs = @p3 AND `+isComplete)
	fileWithDigest = shared("file-with-digest",
		`SELECT {top 1}`+fileColumns+`WHERE f.ContentHash = @p1 AND `+isComplete+` ORDER BY f.ModelFileId {limit 1}`)
)

// registeredFile finds a file of a registered model by its path.
var registeredFile = shared("registered",
	`SELECT`+fileColumns+`INNER JOIN dbo.FilePaths AS p ON p.ModelFileId = f.ModelFileId
		WHERE {same p.SourcePath 1} AND p.ByteSize = @p2 AND p.ModifiedNs = @p3 AND m.State = 'registered'`)

// Registered implements ingest.Reader.
func (c *Catalog) Registered(ctx context.Context, path string, bytes, modified int64) (ingest.StoredFile, error) {
	return c.file(ctx, path, registeredFile, Key{path}, bytes, modified)
}

// Unchanged implements ingest.Reader.
func (c *Catalog) Unchanged(ctx context.Context, path string, bytes, modified int64) (ingest.StoredFile, error) {
	return c.file(ctx, path, unchangedFile, Key{path}, bytes, modified)
}

// FileWithDigest implements ingest.Reader.
func (c *Catalog) FileWithDigest(ctx context.Context, digest ingest.Digest) (ingest.StoredFile, error) {
	return c.file(ctx, "file with digest "+digest.String(), fileWithDigest, digest[:])
}

func (c *Catalog) file(ctx context.Context, what string, s *Statement, args ...any) (ingest.StoredFile, error) {
	var f modelFile
	err := c.read(ctx, func(t *Tx) error {
		there, err := t.foundFile(t.One(s, args...), &f)
		if err == nil && !there {
			err = fmt.Errorf("%s: %w", what, ingest.ErrNotFound)
		}
		return err
	})
	return f.StoredFile, err
}

var (
	modelsNamed = shared("models-named", `SELECT m.ModelId
		FROM dbo.Models AS m INNER JOIN dbo.ModelNames AS n ON n.ModelId = m.ModelId
		WHERE {same n.Name 1} AND COALESCE(m.State, 'complete') <> 'removing'
		UNION SELECT m.ModelId FROM dbo.Models AS m
		WHERE m.ModelName = @p2 AND NOT EXISTS (SELECT 1 FROM dbo.ModelNames AS n WHERE n.ModelId = m.ModelId)
			AND COALESCE(m.State, 'complete') <> 'removing' ORDER BY 1`)
	modelsWithDigest = shared("models-with-digest", `SELECT DISTINCT f.ModelId
		FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId
		WHERE f.ContentHash >= @p1 AND f.ContentHash <= @p2 AND COALESCE(m.State, 'complete') <> 'removing'
			AND (COALESCE(m.State, 'complete') IN ('complete', 'registered') OR f.RecordedBytes = f.ByteSize)
		ORDER BY f.ModelId`)
)

// ModelsNamed implements ingest.Reader. A model of another program has a ModelName but no row in
// ModelNames.
func (c *Catalog) ModelsNamed(ctx context.Context, name string) ([]ingest.ModelID, error) {
	return c.models(ctx, modelsNamed, Key{name}, name)
}

// ModelsWithDigest implements ingest.Reader.
func (c *Catalog) ModelsWithDigest(ctx context.Context, prefix ingest.DigestPrefix) ([]ingest.ModelID, error) {
	first, last := prefix.First(), prefix.Last()
	return c.models(ctx, modelsWithDigest, first[:], last[:])
}

func (c *Catalog) models(ctx context.Context, s *Statement, args ...any) (ids []ingest.ModelID, err error) {
	err = c.read(ctx, func(t *Tx) error {
		ids = ids[:0]
		return t.Each(func(row Scanner) error {
			var id ingest.ModelID
			err := row.Scan(&id)
			ids = append(ids, id)
			return err
		}, s, args...)
	})
	return ids, err
}
