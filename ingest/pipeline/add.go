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

// A small model is read whole, and recorded in one transaction together with others. There is nothing
// to resume. Many are read at the same time, and recorded in the order of their sources:
//
//	read, hash, store ──turn──> addInOrder
//
// While a transaction commits, the next models are read.

// maxAdded is the maximum size of a small model.
const maxAdded = 1 << 20

// bufferBytes is the size of the buffer for a small model: a power of two, so that the pool can lend
// it again.
func bufferBytes(model int64) int64 { return 1 << bits.Len64(uint64(max(model, 1)-1)) }

// isSmallModel reports whether a model of this size is small, and recorded in one transaction.
func (r *run) isSmallModel(bytes int64) bool {
	return r.Catalog.SmallPayload() > 0 && !r.Unshared && bytes <= maxAdded
}

// addable reports whether a model is small, as its source was, with rows for at most one batch: their
// memory is not counted. Without weights, Add is not safe to repeat.
func (r *run) addable(model *ingest.Model, plans []*ingest.Plan, t *turn) bool {
	return modelBytes(model) <= t.bytes && countRows(plans) <= r.Options.BatchRows &&
		slices.ContainsFunc(model.Files, func(f ingest.File) bool { return f.Role == ingest.Weights })
}

// countRows returns the number of segments, and so of rows, of a model.
func countRows(plans []*ingest.Plan) (rows int) {
	for _, plan := range plans {
		rows += int(plan.Count())
	}
	return rows
}

// addition is a small model to record.
type addition struct {
	ingest.WholeModel
	added ingest.Added
	done  chan error // receives the outcome of the transaction
}

// turn is the place of a source in the order of additions. Its goroutine must take it or pass it.
type turn struct {
	bytes int64          // of the buffer that the source may have; 0 if it is not small
	offer chan *addition // receives one value; nil if the source is not added here
	over  bool
}

// take offers a, and returns false if the turn is over.
func (t *turn) take(a *addition) bool {
	if t.over {
		return false
	}
	t.over = true
	t.offer <- a
	return true
}

// pass lets the next sources be added. A goroutine that waits for that of another source must pass
// its turn first.
func (t *turn) pass() { t.take(nil) }

// addInOrder records the models that take their turns: half of those that are read at a time
// together, so that the others are read during the commit, or fewer if they have the rows of a batch,
// or if no other source has begun.
func (r *run) addInOrder(ctx context.Context, turns <-chan *turn) {
	var ready []*addition
	rows := 0
	flush := func() {
		r.addTogether(ctx, ready)
		ready, rows = nil, 0
	}
	defer flush()
	for {
		var t *turn
		select {
		case t = <-turns:
		default:
			flush()
			t = <-turns
		}
		if t == nil { // closed
			return
		}
		if a := <-t.offer; a != nil {
			ready = append(ready, a)
			rows += countRows(a.Plans)
		}
		if len(ready) >= r.Options.SmallJobs/2 || rows >= r.Options.BatchRows {
			flush()
		}
	}
}

// addTogether records models in one transaction. If that fails because of one of them, each gets its
// own.
func (r *run) addTogether(ctx context.Context, models []*addition) {
	if len(models) == 0 {
		return
	}
	whole := make([]ingest.WholeModel, len(models))
	for i, a := range models {
		whole[i] = a.WholeModel
	}
	added, err := r.addDescribed(ctx, whole)
	ofModel := errors.Is(err, ingest.ErrUnfinished) || errors.Is(err, ingest.ErrBusy) ||
		errors.Is(err, ingest.ErrIncomplete)
	if ofModel && len(models) > 1 {
		for i := range models {
			r.addTogether(ctx, models[i:i+1])
		}
		return
	}
	for i, a := range models {
		if err == nil {
			a.added = added[i]
		}
		a.done <- err
	}
}

// addDescribed describes models and records them, in one transaction.
func (r *run) addDescribed(ctx context.Context, models []ingest.WholeModel) (added []ingest.Added, err error) {
	if r.keeper != nil {
		if err := r.keeper.BeforeAdd(ctx, models); err != nil {
			return nil, err
		}
	}
	err = withRecordTimeout(ctx, func(ctx context.Context) (err error) {
		added, err = r.Catalog.Add(ctx, r.job, models)
		return err
	})
	if err != nil {
		return nil, err
	}
	var merged []ingest.ModelID
	for _, a := range added {
		if a.Merged && !slices.Contains(merged, a.Model) {
			merged = append(merged, a.Model)
		}
	}
	return added, r.describeAgain(ctx, merged...)
}

// add ingests a small model. It adds the bytes that have rows to recorded. The error is
// ErrUnfinished if an earlier run has recorded a part of it.
func (r *run) add(ctx context.Context, model *ingest.Model, plans []*ingest.Plan, recorded *atomic.Int64,
	t *turn) error {
	lease := r.Pool.Lease()
	defer lease.Close()
	size := modelBytes(model)
	buffer, err := lease.Get(ctx, bufferBytes(size))
	if err != nil {
		return err
	}
	a := &addition{WholeModel: ingest.WholeModel{Model: model, Plans: plans}, done: make(chan error, 1)}
	for i := range plans {
		f := &fileIngest{run: r, file: &model.Files[i], plan: plans[i]}
		batch, err := f.whole(ctx, model.Name, buffer[:f.file.Bytes:f.file.Bytes])
		if err != nil {
			t.pass() // to compare can take long
			return r.mismatched(ctx, model, err)
		}
		a.Batches = append(a.Batches, batch)
		buffer = buffer[f.file.Bytes:]
	}
	if !t.take(a) {
		r.addTogether(ctx, []*addition{a})
	}
	if err := <-a.done; err != nil { // until then, buffer is in use
		return fmt.Errorf("record model %s: %w", ingest.Printable(model.Name), err)
	}
	recorded.Add(size)
	r.Progress.BytesRecorded.Add(size)
	r.countStored(a.added.Stored, a.added.Shared)
	r.ingested(model, IngestedModel{Model: a.added.Model, Merged: a.added.Merged})
	r.Log.Debug("model added", "name", model.Name, "model", a.added.Model, "bytes", size)
	return nil
}

// whole reads the whole file of a model into buffer, and stores its payloads.
func (f *fileIngest) whole(ctx context.Context, model string, buffer []byte) (_ *ingest.Batch, err error) {
	f.Progress.Begin(model)
	defer f.Progress.End(model)
	if f.source, err = source.Open(f.file.Path, f.file.Root); err != nil {
		return nil, &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: err}
	}
	defer f.source.Close()
	if err := f.checkUnchanged(); err != nil {
		return nil, err
	}
	block := &readBlock{buffer: buffer}
	for s := range f.plan.All() {
		block.add(s, f)
	}
	if err := f.readFull(block); err != nil {
		return nil, err
	}
	digest := ingest.Sum(buffer)
	for i := range block.segments {
		s, payload := &block.segments[i], blockSegment{block, i}.payload()
		s.Digest = digest
		if s.Bytes < f.file.Bytes {
			s.Digest = ingest.Sum(payload)
		}
		if err := f.storeSegment(ctx, s, payload); err != nil {
			return nil, err
		}
	}
	if err := f.checkComplete(digest); err != nil {
		return nil, err
	}
	record := f.recordOf([]*readBlock{block}, 0, nil)
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
