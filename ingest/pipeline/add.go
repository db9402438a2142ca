package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// A small model is read whole, and recorded in one transaction, which it shares with others. There is
// nothing to resume.

// maxAdded is the maximum size of a small model.
const maxAdded = 1 << 20

// adds reports whether small models are recorded in one transaction.
func (r *run) adds() bool { return r.Catalog.SmallPayload() > 0 && !r.Unshared }

// addable reports whether a model is small. Without weights, Add is not safe to repeat.
func (r *run) addable(model *ingest.Model) bool {
	return r.adds() && modelBytes(model) <= maxAdded &&
		slices.ContainsFunc(model.Files, func(f ingest.File) bool { return f.Role == ingest.Weights })
}

// add ingests a small model. It adds the bytes that have rows to recorded. The error is
// ErrUnfinished if an earlier run has recorded a part of it.
func (r *run) add(ctx context.Context, model *ingest.Model, plans []*ingest.Plan, recorded *atomic.Int64) error {
	lease := r.Pool.Lease()
	defer lease.Close()
	size := modelBytes(model)
	// A power of two, so that the pool can lend it again.
	buffer, err := lease.Get(ctx, 1<<bits.Len64(uint64(max(size, 1)-1)))
	if err != nil {
		return err
	}
	batches := make([]*ingest.Batch, len(model.Files))
	for i, at := 0, int64(0); i < len(batches); i++ {
		f := &fileIngest{run: r, file: &model.Files[i], plan: plans[i]}
		to := at + f.file.Bytes
		if batches[i], err = f.whole(ctx, buffer[at:to:to]); err != nil {
			return r.mismatched(ctx, model, err)
		}
		at = to
	}
	var added ingest.Added
	err = withRecordTimeout(ctx, func(ctx context.Context) (err error) {
		added, err = r.Catalog.Add(ctx, r.job, model, plans, batches)
		return err
	})
	if err != nil {
		return fmt.Errorf("record model %q: %w", ingest.Printable(model.Name), err)
	}
	recorded.Add(size)
	r.Progress.BytesRecorded.Add(size)
	r.countStored(added.Stored, added.Shared)
	r.ingested(model, IngestedModel{Model: added.Model, Merged: added.Merged})
	r.Log.Debug("model added", "name", model.Name, "model", added.Model, "bytes", size)
	return nil
}

// whole reads the whole file into buffer, and stores its payloads.
func (f *fileIngest) whole(ctx context.Context, buffer []byte) (_ *ingest.Batch, err error) {
	f.Progress.Begin(f.file.Path)
	defer f.Progress.End(f.file.Path)
	if f.source, err = source.Open(f.file.Path, f.file.Root); err != nil {
		return nil, &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: err}
	}
	defer f.source.Close()
	if err := f.checkUnchanged(); err != nil {
		return nil, err
	}
	block := &readBlock{buffer: buffer}
	for s := range f.plan.All() {
		block.segments = append(block.segments, ingest.NewSegment{Segment: s, Type: f.typeOf(s)})
		block.to = s.End()
	}
	if err := f.readFull(block); err != nil {
		return nil, err
	}
	digest := ingest.Sum(buffer)
	for i := range block.segments {
		s, payload := &block.segments[i], blockSegment{block, i}.payload()
		if s.Digest = digest; s.Bytes < f.file.Bytes {
			s.Digest = ingest.Sum(payload)
		}
		if err := f.storeSegment(ctx, s, payload); err != nil {
			return nil, err
		}
	}
	if err := f.checkComplete(digest); err != nil {
		return nil, err
	}
	batch := newBatch()
	if len(block.segments) > 0 {
		batch.add(block, true)
	}
	record := f.recordOf(batch, 0, nil)
	record.Digest = digest
	return record, nil
}

// mismatched adds to a *MismatchError where the model's files differ from stored ones.
func (r *run) mismatched(ctx context.Context, model *ingest.Model, err error) error {
	var mismatch *ingest.MismatchError
	if errors.As(err, &mismatch) {
		mismatch.Parts = r.differing(ctx, mismatch.Want, model)
	}
	return err
}
