package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// count adds the sources' sizes to what the run has to do, and returns them.
func (r *run) count(sources []ingest.Source) (sizes []int64) {
	for _, source := range sources {
		size := sourceBytes(&source)
		sizes = append(sizes, size)
		r.Progress.BytesTotal.Add(size)
		r.Progress.FilesTotal.Add(int64(len(source.Files)))
	}
	return sizes
}

// takeSource takes in one model, or finds that it is stored already. Two sources over the same
// weights, such as two tags, go one after the other: the second finds what the first stored.
func (r *run) takeSource(ctx context.Context, source ingest.Source, size int64) (err error) {
	if r.stop.Err() != nil {
		return ingest.ErrInterrupted
	}
	leave, err := r.atHand.enter(ctx, "path "+source.Files[0].Path)
	if err != nil {
		return err
	}
	defer leave()
	var recorded atomic.Int64
	defer func() { r.countDone(len(source.Files), size-recorded.Load(), err) }()
	into, missing, err := r.known(ctx, &source)
	if err != nil {
		return err
	}
	if len(missing.Files) == 0 {
		return nil
	}
	model, err := r.Parse(r.stop, missing) // a hostile header can take long
	if r.stop.Err() != nil {
		return ingest.ErrInterrupted
	}
	if err != nil {
		return err
	}
	r.warn(model)
	if err := r.takeModel(ctx, model, into, &recorded); err != nil || into == 0 {
		return err
	}
	return r.attach(ctx, &source, into) // its name means the files that were stored before as well
}

// countDone counts a source's files as done, unless they are to be continued. The bytes that are left
// of a source that was refused will not be recorded.
func (r *run) countDone(files int, left int64, err error) {
	var trouble *ingest.SourceError
	if err != nil && !errors.As(err, &trouble) && !errors.Is(err, ingest.ErrBusy) {
		return
	}
	r.Progress.FilesDone.Add(int64(files))
	if err != nil {
		r.Progress.BytesTotal.Add(-left)
	}
}

// bytes is the size of the source's files, as far as they are there.
func sourceBytes(s *ingest.Source) int64 {
	n := int64(0)
	for _, f := range s.Files {
		if info, err := source.Stat(f.Path, f.Root); err == nil {
			n += info.Size()
		}
	}
	return n
}

func (r *run) warn(model *ingest.Model) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range model.Files {
		for _, text := range model.Files[i].Warnings {
			r.report.Warnings = append(r.report.Warnings, ingest.Note{Path: model.Files[i].Path,
				Reason: errors.New(text)})
		}
	}
}

// takeModel records a parsed model and takes in its files. It adds to recorded what has rows.
func (r *run) takeModel(ctx context.Context, model *ingest.Model, into ingest.ModelID, recorded *atomic.Int64) error {
	model.StoreAddress = r.StoreAddress
	plans := make([]*ingest.Plan, len(model.Files))
	for i := range model.Files {
		var err error
		if plans[i], err = ingest.NewPlan(&model.Files[i], r.Options.SegmentBytes); err != nil {
			return &ingest.SourceError{Path: model.Files[i].Path, Offset: -1, Err: err}
		}
	}
	// Two copies of a file, with one name and time, have one key: never continue
	// in one goroutine what another has begun.
	leave, err := r.atHand.enter(ctx, "key "+model.Key(plans).String())
	if err != nil {
		return err
	}
	defer leave()
	entry, err := r.Catalog.Begin(ctx, r.job, model, plans)
	if err != nil {
		return err
	}
	before, err := r.Catalog.Model(ctx, entry.ID)
	if err != nil {
		return err
	}
	resumed := before.BytesStored + before.BytesShared
	recorded.Add(resumed)
	r.Progress.BytesRecorded.Add(resumed)
	r.Progress.BytesResumed.Add(resumed)
	err = r.takeFiles(ctx, model, plans, entry, recorded)
	if err = errors.Join(err, r.tally(ctx, before)); err == nil {
		err = r.complete(ctx, model, entry.ID, into, resumed)
	}
	return r.abandonIfWrong(ctx, model, entry, err)
}

// tally adds to the report what this run has stored of a model.
func (r *run) tally(ctx context.Context, before ingest.Summary) error {
	after, err := r.Catalog.Model(ctx, before.ID)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.BytesStored += after.BytesStored - before.BytesStored
	r.report.BytesShared += after.BytesShared - before.BytesShared
	return nil
}

// takeFiles takes in the files of a model. All of them are tried, although one fails.
func (r *run) takeFiles(ctx context.Context, model *ingest.Model, plans []*ingest.Plan, entry *ingest.Entry,
	recorded *atomic.Int64) error {
	var group errgroup.Group
	failures := make([]error, len(model.Files))
	for i := range model.Files {
		if !entry.Files[i].Digest.IsZero() {
			continue
		}
		group.Go(func() (err error) {
			defer func() { failures[i] = err }()
			select {
			case r.slots <- struct{}{}:
				defer func() { <-r.slots }()
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			path := model.Files[i].Path
			r.Progress.Begin(path)
			defer r.Progress.End(path)
			file := &intake{run: r, file: &model.Files[i], plan: plans[i], model: entry.ID, entry: entry.Files[i],
				recorded: recorded}
			r.Log.Info("file begun", "path", path, "model", entry.ID, "bytes", model.Files[i].Bytes, "recorded",
				entry.Files[i].Recorded)
			return file.take(ctx)
		})
	}
	group.Wait() // each error is among the failures
	return errors.Join(failures...)
}

// complete closes the model and notes it in the report.
func (r *run) complete(ctx context.Context, model *ingest.Model, id, into ingest.ModelID, resumed int64) error {
	final, err := r.Catalog.Complete(ctx, r.job, id, into)
	if errors.Is(err, ingest.ErrIncomplete) { // another program has removed rows of it
		return &ingest.SourceError{Path: model.Files[0].Path, Offset: -1,
			Err: fmt.Errorf("%w: it is begun anew by the next run", err)}
	}
	if err != nil {
		return fmt.Errorf("complete model %q: %w", model.Name, err)
	}
	outline := Outline{Model: final, Name: model.Name, Files: len(model.Files), Merged: final != id, Resumed: resumed}
	for i := range model.Files {
		outline.Bytes += model.Files[i].Bytes
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Ingested = append(r.report.Ingested, outline)
	return nil
}

// abandonIfWrong removes the rows of a model that continuing could never complete: its file turned
// out to be another than the one that was begun, or rows of it are gone.
func (r *run) abandonIfWrong(ctx context.Context, model *ingest.Model, entry *ingest.Entry, err error) error {
	var mismatch *ingest.MismatchError
	if !errors.As(err, &mismatch) && !errors.Is(err, ingest.ErrChanged) && !errors.Is(err, ingest.ErrIncomplete) {
		return err
	}
	if mismatch != nil {
		mismatch.Parts = r.differing(ctx, mismatch.Want, model)
	}
	if abandonErr := r.Catalog.Abandon(ctx, r.job, entry.ID); abandonErr != nil {
		return errors.Join(err, abandonErr)
	}
	return err
}
