package sqlcatalog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
)

// Add implements ingest.Writer.
func (c *Catalog) Add(ctx context.Context, lease ingest.Lease, models []ingest.WholeModel) ([]ingest.Added, error) {
	if c.dialect.SmallPayload() == 0 {
		return nil, errors.ErrUnsupported
	}
	var added []ingest.Added
	var merged, replaced []ingest.ModelID
	err := c.writeUnder(ctx, lease, func(t *Tx) error {
		added, merged, replaced = make([]ingest.Added, len(models)), nil, nil
		for i := range models {
			id, old, err := t.addWhole(lease, &models[i], &added[i])
			if err != nil {
				return fmt.Errorf("model %s: %w", ingest.Printable(models[i].Name), err)
			}
			if replaced = append(replaced, old...); added[i].Merged {
				merged = append(merged, id)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range merged {
		err = errors.Join(err, c.clearIfFree(ctx, lease, id))
	}
	if err = errors.Join(err, c.clearAll(ctx, lease, replaced)); err != nil {
		return nil, err
	}
	return added, nil
}

// addWhole adds the rows of a model, and makes it complete. It returns their model, which may be
// merged into another one, and the registered models that it replaced.
func (t *Tx) addWhole(lease ingest.Lease, m *ingest.WholeModel, added *ingest.Added) (id ingest.ModelID,
	replaced []ingest.ModelID, err error) {
	if len(m.Plans) != len(m.Files) || len(m.Batches) != len(m.Files) {
		return 0, nil, fmt.Errorf("%d files with %d plans and %d batches", len(m.Files), len(m.Plans), len(m.Batches))
	}
	open, err := t.unfinished(lease, m.Key(m.Plans))
	if err == nil && open != 0 {
		err = fmt.Errorf("model %d: %w", open, ingest.ErrUnfinished)
	}
	if err != nil {
		return 0, nil, err
	}
	entry, err := t.addModel(lease, m.Model, ingest.ModelOpen, segmentBytes(m.Plans))
	if err != nil {
		return 0, nil, err
	}
	files := make(modelFiles, len(m.Files))
	for i := range files {
		f := &files[i]
		f.StoredFile = storedFile(entry, i, &m.Files[i], m.Plans[i], m.Batches[i])
		if err := t.addFile(lease, entry, f, m.Batches[i]); err != nil {
			return 0, nil, fmt.Errorf("%s: %w", ingest.Printable(f.Path), err)
		}
		added.Stored, added.Shared = added.Stored+f.Stored, added.Shared+f.Shared
	}
	added.Model, replaced, err = t.completeWith(lease, entry.ID, 0, files)
	added.Merged = added.Model != entry.ID
	return entry.ID, replaced, err
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
