package sqlcatalog

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

// elements are the elements of a file's tensors by kind and type, as ModelFiles.TensorTypes has them.
type elements map[string]map[string]int64

// tensorTypes returns the value of ModelFiles.TensorTypes.
func tensorTypes(tensors []ingest.Tensor) string {
	sums := elements{}
	for i := range tensors {
		kind := layerKind(tensors[i].Name)
		if sums[kind] == nil {
			sums[kind] = map[string]int64{}
		}
		sum := sums[kind][tensors[i].Type]
		sums[kind][tensors[i].Type] = sum + min(tensors[i].Elements, math.MaxInt64-sum)
	}
	return mustJSON(sums)
}

const sumOfTypes = `, COALESCE(l.LayerType, ''), COALESCE(l.QuantizationType, ''),
			{sum COALESCE(l.ParameterCount, 0)}`

var (
	typesOf = shared("tensor-types", `SELECT f.ModelId, f.ModelFileId, f.TensorTypes FROM dbo.ModelFiles AS f
		WHERE f.ModelId >= @p1 AND f.ModelId <= @p2 AND f.TensorTypes IS NOT NULL`)
	// sumTypes sums the tensors of files without TensorTypes, and those of models without files,
	// which other programs write.
	sumTypes = shared("sum-types", `SELECT l.ModelId, l.ModelFileId`+sumOfTypes+`
		FROM dbo.ModelFiles AS f {then} dbo.ModelLayers AS l ON l.ModelFileId = f.ModelFileId
		WHERE f.ModelId >= @p1 AND f.ModelId <= @p2 AND f.TensorTypes IS NULL
		GROUP BY l.ModelId, l.ModelFileId, l.LayerType, l.QuantizationType
		UNION ALL SELECT l.ModelId, 0`+sumOfTypes+`
		FROM dbo.Models AS m {then} dbo.ModelLayers AS l ON l.ModelId = m.ModelId
		WHERE m.ModelId >= @p1 AND m.ModelId <= @p2
			AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.ModelId = m.ModelId)
		GROUP BY l.ModelId, l.LayerType, l.QuantizationType`)
)

// TensorTypes implements ingest.Reader.
func (c *Catalog) TensorTypes(ctx context.Context, first, last ingest.ModelID) (all []ingest.TensorType, err error) {
	err = c.read(ctx, func(t *Tx) error {
		all = nil
		err := t.Each(func(row Scanner) error {
			var e ingest.TensorType
			var text []byte
			err := row.Scan(&e.Model, &e.File, &text)
			if err == nil {
				all, err = appendTypes(all, e, text)
			}
			return err
		}, typesOf, first, last)
		if err != nil {
			return err
		}
		return t.Each(func(row Scanner) error {
			var e ingest.TensorType
			err := row.Scan(&e.Model, &e.File, &e.Kind, &e.Type, &e.Elements)
			all = append(all, e)
			return err
		}, sumTypes, first, last)
	})
	return all, err
}

// appendTypes appends what ModelFiles.TensorTypes says of the file of e.
func appendTypes(all []ingest.TensorType, e ingest.TensorType, text []byte) ([]ingest.TensorType, error) {
	var sums elements
	if err := json.Unmarshal(text, &sums); err != nil {
		return nil, fmt.Errorf("tensor types of file %d: %w", e.File, err)
	}
	for kind, types := range sums {
		for name, n := range types {
			e.Kind, e.Type, e.Elements = kind, name, n
			all = append(all, e)
		}
	}
	return all, nil
}
