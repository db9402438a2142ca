package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

func (r *run) warn(model *ingest.Model) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Warnings = append(r.report.Warnings, model.Warnings()...)
}

// warnUnfinished warns of models that an earlier run of the job left open and this run, which is
// complete, did not continue: the job is closed now, and nothing else mentions them.
func (r *run) warnUnfinished(ctx context.Context) error {
	if !r.job.Continued || r.interrupted.Load() {
		return nil
	}
	for m, err := range r.Catalog.Models(ctx) {
		if err != nil {
			return err
		}
		if m.State != ingest.ModelOpen || m.Job != r.job.Job || r.begun[m.ID] || len(m.Files) == 0 {
			continue
		}
		r.report.Warnings = append(r.report.Warnings, ingest.Note{Path: m.Files[0].Path, Reason: fmt.Errorf("model %d "+
			"stays unfinished: the file changed or is missing, an earlier version divided it in another way, or its "+
			"payloads are in another store; `ingest rm %d` removes it", m.ID, m.ID)})
	}
	return nil
}

// ingestModel records a parsed model and ingests its files. It adds the bytes that have rows to
// recorded.
func (r *run) ingestModel(ctx context.Context, model *ingest.Model, into ingest.ModelID, recorded *atomic.Int64,
	t *turn) error {
	model.StoreAddress = r.StoreAddress
	plans := make([]*ingest.Plan, len(model.Files))
	for i := range model.Files {
		var err error
		if plans[i], err = ingest.NewPlan(&model.Files[i], r.Options.SegmentBytes); err != nil {
			return &ingest.SourceError{Path: model.Files[i].Path, Offset: -1, Err: err}
		}
	}
	// Two sources can have the same key: only one goroutine may work on a model.
	unlock, err := r.sources.Lock(ctx, "key "+model.Key(plans).String(), t.pass)
	if err != nil {
		return err
	}
	defer unlock()
	if into == 0 && r.addable(model, plans, t) {
		if err := r.add(ctx, model, plans, recorded, t); !errors.Is(err, ingest.ErrUnfinished) {
			return err
		}
	}
	t.pass()
	entry, err := r.Catalog.Begin(ctx, r.job, model, plans)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.begun[entry.ID] = true
	r.mu.Unlock()
	before, err := r.Catalog.Model(ctx, entry.ID)
	if err != nil {
		return err
	}
	resumed := before.BytesStored + before.BytesShared
	recorded.Add(resumed)
	r.Progress.BytesRecorded.Add(resumed)
	r.Progress.BytesResumed.Add(resumed)
	r.countPresent(resumed)
	err = r.ingestFiles(ctx, model, plans, entry, recorded)
	if err = errors.Join(err, r.countRecorded(ctx, before)); err == nil {
		err = r.complete(ctx, model, entry.ID, into, resumed)
	}
	return r.abandonIfWrong(ctx, model, entry, err)
}

// countRecorded adds the bytes that this run recorded for a model to the report.
func (r *run) countRecorded(ctx context.Context, before ingest.Summary) error {
	after, err := r.Catalog.Model(ctx, before.ID)
	if err != nil {
		return err
	}
	r.countStored(after.BytesStored-before.BytesStored, after.BytesShared-before.BytesShared)
	return nil
}

// countPresent adds bytes that had rows before this run.
func (r *run) countPresent(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.BytesPresent += bytes
}

func (r *run) countStored(stored, shared int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.BytesStored += stored
	r.report.BytesShared += shared
}

// ingestFiles ingests the files of a model. It tries all of them even if one fails.
func (r *run) ingestFiles(ctx context.Context, model *ingest.Model, plans []*ingest.Plan, entry *ingest.Entry,
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
			r.Progress.Begin(model.Name)
			defer r.Progress.End(model.Name)
			file := &fileIngest{run: r, file: &model.Files[i], plan: plans[i], model: entry.ID, entry: entry.Files[i],
				recorded: recorded}
			r.Log.Info("file begun", "path", path, "model", entry.ID, "bytes", model.Files[i].Bytes, "recorded",
				entry.Files[i].Recorded)
			return file.ingest(ctx)
		})
	}
	group.Wait() // failures has the errors
	return errors.Join(failures...)
}

// complete closes the model and adds it to the report.
func (r *run) complete(ctx context.Context, model *ingest.Model, id, into ingest.ModelID, resumed int64) error {
	if r.keeper != nil {
		if err := r.keeper.Before(ctx, id, into); err != nil {
			return err
		}
	}
	final, err := r.Catalog.Complete(ctx, r.job, id, into)
	if errors.Is(err, ingest.ErrIncomplete) { // another program has removed rows of it
		return &ingest.SourceError{Path: model.Files[0].Path, Offset: -1,
			Err: fmt.Errorf("%w: the next run starts this model over", err)}
	}
	if err != nil {
		return fmt.Errorf("complete model %q: %w", model.Name, err)
	}
	if final != id {
		if err := r.describeAgain(ctx, final); err != nil {
			return err
		}
	}
	r.ingested(model, IngestedModel{Model: final, Merged: final != id, Resumed: resumed})
	return nil
}

// describeAgain describes models that got another name or other files.
func (r *run) describeAgain(ctx context.Context, models ...ingest.ModelID) error {
	if r.keeper == nil || len(models) == 0 {
		return nil
	}
	return r.keeper.Update(ctx, models, nil)
}

// ingested adds a model to the report.
func (r *run) ingested(model *ingest.Model, m IngestedModel) {
	m.Name, m.Files, m.Bytes = model.Name, len(model.Files), modelBytes(model)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Ingested = append(r.report.Ingested, m)
}

func modelBytes(model *ingest.Model) (n int64) {
	for i := range model.Files {
		n += model.Files[i].Bytes
	}
	return n
}

// abandonIfWrong removes the rows of a model that cannot be resumed: a file changed or has an
// unexpected digest, or rows are missing.
func (r *run) abandonIfWrong(ctx context.Context, model *ingest.Model, entry *ingest.Entry, err error) error {
	if !errors.As(err, new(*ingest.MismatchError)) && !errors.Is(err, ingest.ErrChanged) &&
		!errors.Is(err, ingest.ErrIncomplete) {
		return err
	}
	err = r.mismatched(ctx, model, err)
	if abandonErr := r.Catalog.Abandon(ctx, r.job, entry.ID); abandonErr != nil {
		return errors.Join(err, abandonErr)
	}
	return err
}
