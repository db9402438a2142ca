package reader

import (
	"context"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
)

// Layers is what Tensor asks of a catalogue.
type Layers interface {
	Layers(ctx context.Context, id ingest.ModelID) iter.Seq2[ingest.Layer, error]
}

// Tensor finds the tensor of a model that goes by name, and the file that holds it. None is
// ingest.ErrNotFound, wrapped.
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
			fmt.Errorf("tensor %s of model %d belongs to no file: another program wrote it: %w",
				ingest.Printable(name), model.ID, ingest.ErrNotFound)
	}
	return ingest.Layer{}, ingest.StoredFile{}, fmt.Errorf("tensor %s: %w: ingest show %d lists the tensors",
		ingest.Printable(name), ingest.ErrNotFound, model.ID)
}
