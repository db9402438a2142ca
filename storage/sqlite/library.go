package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Models implements ingest.Reader. It leaves the metadata out, which may be megabytes.
func (c *Catalog) Models(ctx context.Context) iter.Seq2[ingest.Summary, error] {
	return storage.Paged(func(last ingest.Summary) (page []ingest.Summary, err error) {
		err = c.read(ctx, func(tx *tx) error {
			var id ingest.ModelID
			err := tx.one(`SELECT ModelId FROM Models WHERE ModelId > ? ORDER BY ModelId LIMIT 1`, last.ID).Scan(&id)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			s, err := tx.summary(id, "''")
			if err == nil {
				page = append(page, s)
			}
			return err
		})
		return page, err
	})
}

// Model implements ingest.Reader.
func (c *Catalog) Model(ctx context.Context, id ingest.ModelID) (s ingest.Summary, err error) {
	err = c.read(ctx, func(tx *tx) error {
		s, err = tx.summary(id, "coalesce(Config, '')")
		return err
	})
	return s, err
}

// summary reads a model, and as its metadata the expression that is given.
func (t *tx) summary(id ingest.ModelID, metadata string) (ingest.Summary, error) {
	s := ingest.Summary{ID: id}
	var ingested sql.NullString
	var config []byte
	err := t.one(`SELECT ModelName, ModelType, coalesce(Architecture, ''), coalesce(ParameterCount, 0), `+metadata+`,
		coalesce(State, 'complete'), coalesce(IngestionJobId, 0), IngestionDate FROM Models WHERE ModelId = ?`, id).
		Scan(&s.Name, &s.Type, &s.Architecture, &s.Parameters, &config, &s.State, &s.Job, &ingested)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("model %d: %w", id, ingest.ErrNotFound)
	}
	if err != nil {
		return s, err
	}
	if len(config) > 0 {
		s.Metadata = config
	}
	if s.Ingested, err = parseTime(ingested); err != nil {
		return s, err
	}
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
			if _, _, err := tx.state(id); err != nil {
				return err
			}
			return tx.each(func(rows *sql.Rows) error {
				l, err := scanLayer(rows)
				page = append(page, l)
				return err
			}, selectLayers, id, after, last.ID, storage.PageRows)
		})
		return page, err
	})
}

const selectLayers = `SELECT l.LayerId, coalesce(l.ModelFileId, 0), l.LayerIdx, coalesce(l.LayerName, ''), coalesce(l.LayerType, ''),
	coalesce(l.QuantizationType, ''), coalesce(l.TensorShape, '[]'), coalesce(l.ParameterCount, 0),
	coalesce(l.ByteOffset, 0), coalesce(l.ByteSize, 0),
	(SELECT count(*) FROM LayerTensorSegments s WHERE s.LayerId = l.LayerId)
	FROM ModelLayers l WHERE l.ModelId = ? AND (l.LayerIdx, l.LayerId) > (?, ?) ORDER BY l.LayerIdx, l.LayerId LIMIT ?`

func scanLayer(rows *sql.Rows) (ingest.Layer, error) {
	var l ingest.Layer
	var shape string
	err := rows.Scan(&l.ID, &l.File, &l.Index, &l.Name, &l.Kind, &l.Type, &shape, &l.Elements, &l.Offset, &l.Bytes, &l.Segments)
	if err != nil {
		return l, err
	}
	if l.Shape, err = storage.ParseTensorShape(shape); err != nil {
		err = fmt.Errorf("shape of layer %d: %w", l.ID, err)
	}
	return l, err
}

// Unchanged implements ingest.Reader. FilePaths knows complete models only.
func (c *Catalog) Unchanged(ctx context.Context, path string, bytes, modified int64) (ingest.StoredFile, error) {
	f, err := scanFile(c.reader.QueryRowContext(ctx, selectFiles+`JOIN FilePaths p ON p.ModelFileId = f.ModelFileId
		WHERE p.SourcePath = ? AND p.ByteSize = ? AND p.ModifiedNs = ?`, path, bytes, modified))
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%s: %w", path, ingest.ErrNotFound)
	}
	return f.StoredFile, c.explain(err)
}
