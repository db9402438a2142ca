package main

import (
	"context"
	"iter"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
)

// listed is a model with its quantization.
type listed struct {
	ingest.Summary
	quantization string
}

// The tensors of so many models, with so many tensors, are summed by one query.
const (
	quantizedModels  = 100
	quantizedTensors = 100_000
)

// quantized yields all models by id.
func quantized(ctx context.Context, reader ingest.Reader) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		var batch []ingest.Summary
		tensors := int64(0)
		flush := func() bool {
			all, err := withQuantization(ctx, reader, batch)
			if err != nil {
				yield(listed{}, err)
				return false
			}
			batch, tensors = batch[:0], 0
			return !slices.ContainsFunc(all, func(m listed) bool { return !yield(m, nil) })
		}
		for m, err := range reader.Models(ctx) {
			if err != nil {
				yield(listed{}, err)
				return
			}
			batch, tensors = append(batch, m), tensors+m.Tensors
			if (len(batch) == quantizedModels || tensors >= quantizedTensors) && !flush() {
				return
			}
		}
		if len(batch) > 0 {
			flush()
		}
	}
}

// withQuantization adds the quantization to models, which are in the order of their ids.
func withQuantization(ctx context.Context, reader ingest.Reader, models []ingest.Summary) ([]listed, error) {
	types, err := reader.TensorTypes(ctx, models[0].ID, models[len(models)-1].ID)
	if err != nil {
		return nil, err
	}
	byModel := map[ingest.ModelID][]ingest.TensorType{}
	for _, t := range types {
		byModel[t.Model] = append(byModel[t.Model], t)
	}
	all := make([]listed, len(models))
	for i, m := range models {
		others := map[ingest.FileID]bool{} // files that are not weights, such as a projector
		for _, f := range m.Files {
			others[f.ID] = f.Role != ingest.Weights
		}
		weights := slices.DeleteFunc(byModel[m.ID], func(t ingest.TensorType) bool { return others[t.File] })
		all[i] = listed{m, format.Quantization(weights)}
	}
	return all, nil
}
