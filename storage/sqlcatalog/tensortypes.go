package sqlcatalog

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

var tensorTypes = shared("tensor-types", `SELECT l.ModelId, COALESCE(l.ModelFileId, 0), COALESCE(l.LayerType, ''),
		COALESCE(l.QuantizationType, ''), {sum COALESCE(l.ParameterCount, 0)}
	FROM dbo.ModelLayers AS l WHERE l.ModelId >= @p1 AND l.ModelId <= @p2
	GROUP BY l.ModelId, l.ModelFileId, l.LayerType, l.QuantizationType`)

// TensorTypes implements ingest.Reader.
func (c *Catalog) TensorTypes(ctx context.Context, first, last ingest.ModelID) (all []ingest.TensorType, err error) {
	err = c.read(ctx, func(t *Tx) error {
		all = nil
		return t.Each(func(row Scanner) error {
			var e ingest.TensorType
			err := row.Scan(&e.Model, &e.File, &e.Kind, &e.Type, &e.Elements)
			all = append(all, e)
			return err
		}, tensorTypes, first, last)
	})
	return all, err
}
