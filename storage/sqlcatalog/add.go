package sqlcatalog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
)

// Add implements ingest.Writer.
func (c *Catalog) Add(ctx context.Context, lease ingest.Lease, model *ingest.Model, plans []*ingest.Plan,
	batches []*ingest.Batch) (added ingest.Added, err error) {
	switch {
	case c.dialect.SmallPayload() == 0:
		return added, errors.ErrUnsupported
	case len(plans) != len(model.Files) || len(batches) != len(model.Files):
		return added, fmt.Errorf("model of %d files with %d plans and %d batches", len(model.Files), len(plans),
			len(batches))
	}
	key := model.Key(plans)
	var id ingest.ModelID // of the rows that the transaction adds
	var replaced []ingest.ModelID
	err = c.writeUnder(ctx, lease, func(t *Tx) error {
		added = ingest.Added{}
		open, err := t.unfinished(lease, key)
		if err == nil && open != 0 {
			err = fmt.Errorf("model %d: %w", open, ingest.ErrUnfinished)
		}
		if err != nil {
			return err
		}
		entry, err := t.addModel(lease, model, ingest.ModelOpen, segmentBytes(plans))
		if err != nil {
			return err
		}
		id = entry.ID
		files := make(modelFiles, len(batches))
		for i, batch := range batches {
			files[i].StoredFile = storedFile(entry, i, &model.Files[i], plans[i], batch)
			if err := t.addFile(lease, entry, &files[i], batch); err != nil {
				return fmt.Errorf("%s: %w", ingest.Printable(files[i].Path), err)
			}
			added.Stored, added.Shared = added.Stored+files[i].Stored, added.Shared+files[i].Shared
		}
		added.Model, replaced, err = t.completeWith(lease, id, 0, files)
		return err
	})
	if err == nil && added.Model != id {
		added.Merged = true
		err = c.clearIfFree(ctx, lease, id)
	}
	if err == nil {
		err = c.clearAll(ctx, lease, replaced)
	}
	return added, err
}

// storedFile is the row of file i of a new model, once its only batch is recorded.
func storedFile(entry *ingest.Entry, i int, f *ingest.File, plan *ingest.Plan, batch *ingest.Batch) ingest.StoredFile {
	return ingest.StoredFile{ID: entry.Files[i].ID, Model: entry.ID, Index: i, Role: f.Role,
		Name: filepath.Base(f.Path), Path: f.Path, Format: f.Format, Bytes: f.Bytes, Modified: f.Modified,
		Expected: f.Expected, Digest: batch.Digest, Recorded: batch.To, Tensors: int64(len(f.Tensors)),
		SegmentBytes: plan.SegmentBytes()}
}

// addFile records the batch that is the whole of a file, and adds what it added to f.
func (t *Tx) addFile(lease ingest.Lease, entry *ingest.Entry, f *modelFile, batch *ingest.Batch) error {
	batch.Model, batch.File = f.Model, f.ID
	for i := range batch.Segments {
		if s := &batch.Segments[i]; s.Tensor != ingest.NoTensor {
			s.Layer = entry.Files[f.Index].Layers[s.Tensor]
		}
	}
	if err := checkBatch(batch, t.c.dialect.SmallPayload()); err != nil {
		return err
	}
	r := &Recording{Lease: lease, Batch: batch}
	n, err := t.c.dialect.RecordIn(t, r)
	if err != nil {
		return err
	}
	n = n.of(batch)
	f.Segments, f.Stored, f.Shared = n.Segments, n.Stored, n.Shared
	if err := f.checkWhole(int64(len(batch.Segments)), batch.To-batch.From); err != nil {
		return err
	}
	return r.advance(t, 0, n)
}
