package sqlserver

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Models implements ingest.Reader.
func (c *Catalog) Models(ctx context.Context) iter.Seq2[ingest.Summary, error] {
	return storage.Paged(func(last ingest.Summary) (page []ingest.Summary, err error) {
		err = c.read(ctx, func(tx *tx) error {
			page = page[:0]
			for after := last.ID; ; {
				err := tx.one(`/* ingest: next-model */ SELECT TOP (1) ModelId FROM dbo.Models WHERE ModelId > @p1 ORDER BY ModelId`, int64(after)).Scan(&after)
				if errors.Is(err, sql.ErrNoRows) {
					return nil
				}
				if err != nil {
					return err
				}
				s, err := tx.summary(after)
				if errors.Is(err, ingest.ErrNotFound) { // removed meanwhile
					continue
				}
				if err == nil {
					page = append(page, s)
				}
				return err
			}
		})
		return page, err
	})
}

// Model implements ingest.Reader.
func (c *Catalog) Model(ctx context.Context, id ingest.ModelID) (s ingest.Summary, err error) {
	err = c.read(ctx, func(tx *tx) error {
		if s, err = tx.summary(id); err == nil {
			s.Metadata, err = tx.metadata(id)
		}
		return err
	})
	return s, err
}

// metadata reads the column that can be long, which only those that ask for one model want.
func (t *tx) metadata(id ingest.ModelID) (json.RawMessage, error) {
	var config exact
	err := t.one(`/* ingest: model-metadata */ SELECT CONVERT(nvarchar(max), Config), ConfigExact FROM dbo.Models WHERE ModelId = @p1`, int64(id)).
		Scan(&config.text, &config.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("model %d: %w", id, ingest.ErrNotFound)
	}
	metadata := config.json()
	if err != nil || len(metadata) == 0 {
		return nil, err
	}
	return metadata, nil
}

// summary reads a model's rows one table after the other. Each file is read whole, with
// its counts; a file that another process adds meanwhile is there or not.
func (t *tx) summary(id ingest.ModelID) (ingest.Summary, error) {
	s := ingest.Summary{ID: id}
	var ingested sql.NullTime
	var name, kind, architecture exact
	err := t.one(`/* ingest: model */ SELECT ModelName, ModelNameExact, ModelType, ModelTypeExact, Architecture, ArchitectureExact,
		COALESCE(ParameterCount, 0), COALESCE(State, N'complete'), COALESCE(IngestionJobId, 0), IngestionDate
		FROM dbo.Models WHERE ModelId = @p1`, int64(id)).
		Scan(&name.text, &name.bytes, &kind.text, &kind.bytes, &architecture.text, &architecture.bytes,
			&s.Parameters, &s.State, &s.Job, &ingested)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("model %d: %w", id, ingest.ErrNotFound)
	}
	if err != nil {
		return s, err
	}
	s.Name, s.Type, s.Architecture, s.Ingested = name.String(), kind.String(), architecture.String(), ingested.Time
	files, err := t.files(id)
	if err != nil {
		return s, err
	}
	files.AddTo(&s)
	s.Names, err = t.names(id)
	return s, err
}

// Layers implements ingest.Reader.
func (c *Catalog) Layers(ctx context.Context, id ingest.ModelID) iter.Seq2[ingest.Layer, error] {
	return storage.Paged(func(last ingest.Layer) (page []ingest.Layer, err error) {
		after := last.Index
		if last.ID == 0 {
			after = -1
		}
		err = c.read(ctx, func(tx *tx) error {
			page = page[:0]
			there, err := tx.there(`/* ingest: model-there */ SELECT 1 FROM dbo.Models WHERE ModelId = @p1`, int64(id))
			if err != nil {
				return err
			}
			if !there {
				return fmt.Errorf("model %d: %w", id, ingest.ErrNotFound)
			}
			return tx.each(func(rows *sql.Rows) error {
				l, err := scanLayer(rows)
				page = append(page, l)
				return err
			}, selectLayers, int64(id), after, int64(last.ID), storage.PageRows)
		})
		return page, err
	})
}

const selectLayers = `/* ingest: layers */ SELECT TOP (@p4) l.LayerId, COALESCE(l.ModelFileId, 0), l.LayerIdx, l.LayerName, l.LayerNameExact,
		COALESCE(l.LayerType, N''), COALESCE(l.QuantizationType, N''), l.TensorShape, l.TensorShapeExact, COALESCE(l.ParameterCount, 0),
		COALESCE(l.ByteOffset, 0), COALESCE(l.ByteSize, 0), (SELECT COUNT_BIG(*) FROM dbo.LayerTensorSegments AS s WHERE s.LayerId = l.LayerId)
	FROM dbo.ModelLayers AS l WHERE l.ModelId = @p1 AND l.LayerIdx >= @p2 AND (l.LayerIdx > @p2 OR l.LayerId > @p3) ORDER BY l.LayerIdx, l.LayerId`

func scanLayer(rows *sql.Rows) (ingest.Layer, error) {
	var l ingest.Layer
	var name, shape exact
	err := rows.Scan(&l.ID, &l.File, &l.Index, &name.text, &name.bytes, &l.Kind, &l.Type, &shape.text, &shape.bytes,
		&l.Elements, &l.Offset, &l.Bytes, &l.Segments)
	if err != nil {
		return l, err
	}
	l.Name = name.String()
	text := shape.String()
	if text == "" { // as another program may leave it
		text = "[]"
	}
	if l.Shape, err = storage.ParseTensorShape(text); err != nil && l.File != 0 { // another program's may be anything
		return l, fmt.Errorf("shape of layer %d: %w", l.ID, err)
	}
	return l, nil
}

// Unchanged implements ingest.Reader.
func (c *Catalog) Unchanged(ctx context.Context, path string, bytes, modified int64) (found ingest.StoredFile, err error) {
	err = c.read(ctx, func(tx *tx) error {
		f, err := scanFile(tx.one(`/* ingest: unchanged */ SELECT `+fileColumns+`INNER JOIN dbo.FilePaths AS p ON p.ModelFileId = f.ModelFileId
			WHERE p.PathHash = @p1 AND p.ByteSize = @p2 AND p.ModifiedNs = @p3 AND COALESCE(m.State, N'complete') = N'complete'`,
			keyOf(path), bytes, modified))
		if errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("%s: %w", path, ingest.ErrNotFound)
		}
		found = f.StoredFile
		return err
	})
	return found, err
}
