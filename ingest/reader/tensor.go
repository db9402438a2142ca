package reader

import (
	"context"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// Layers is the part of ingest.Reader that Tensor and Types need.
type Layers interface {
	Layers(ctx context.Context, id ingest.ModelID) iter.Seq2[ingest.Layer, error]
}

// Types returns the element types of a model's tensors.
func Types(ctx context.Context, rows Layers, model ingest.ModelID) (map[ingest.LayerID]string, error) {
	types := map[ingest.LayerID]string{}
	for l, err := range rows.Layers(ctx, model) {
		if err != nil {
			return nil, err
		}
		types[l.ID] = l.Type
	}
	return types, nil
}

// Tensor returns the model's tensor with this name, and its file; ingest.ErrNotFound, wrapped, if
// there is none. To read the tensor:
//
//	r.Open(ctx, file).WriteRange(w, layer.Offset, layer.Offset+layer.Bytes)
func Tensor(ctx context.Context, rows Layers, model ingest.Summary, name string) (ingest.Layer, ingest.StoredFile,
	error) {
	for layer, err := range rows.Layers(ctx, model.ID) {
		if err != nil {
			return ingest.Layer{}, ingest.StoredFile{}, err
		}
		if layer.Name != name {
			continue
		}
		for _, f := range model.Files {
			if f.ID == layer.File {
				return layer, f, nil
			}
		}
		return layer, ingest.StoredFile{},
			fmt.Errorf("tensor %s of model %d was written by another program and belongs to no file: %w",
				ingest.Printable(name), model.ID, ingest.ErrNotFound)
	}
	return ingest.Layer{}, ingest.StoredFile{}, fmt.Errorf("tensor %s: %w: ingest show %d lists the tensors",
		ingest.Printable(name), ingest.ErrNotFound, model.ID)
}
