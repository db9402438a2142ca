package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// ingestAll ingests the sources, Options.Jobs at a time, and beside them the small ones if there are
// to be more of them at a time.
func (r *run) ingestAll(work context.Context, sources []ingest.Source) error {
	sizes := r.count(sources)
	var small, others []int
	for i := range sources {
		if r.Options.SmallJobs > r.Options.Jobs && r.isSmallModel(sizes[i]) {
			small = append(small, i)
		} else {
			others = append(others, i)
		}
	}
	group, ctx := errgroup.WithContext(work)
	for _, kind := range []struct {
		atOnce  int
		sources []int
	}{{r.Options.Jobs, others}, {r.Options.SmallJobs, small}} {
		group.Go(func() error {
			return r.ingestSome(ctx, kind.atOnce, kind.sources, sizes, func(ctx context.Context, i int, t *turn) error {
				return r.reportErrors(work, sources[i], r.ingestSource(ctx, sources[i], sizes[i], t))
			})
		})
	}
	return group.Wait()
}

// ingestSome calls do for the sources with these numbers, so many at once. They have their turns
// in this order.
func (r *run) ingestSome(ctx context.Context, atOnce int, sources []int, sizes []int64,
	do func(ctx context.Context, i int, t *turn) error) error {
	turns := make(chan *turn, atOnce)
	var committer sync.WaitGroup
	committer.Go(func() { r.addInOrder(ctx, turns) })
	some, each := errgroup.WithContext(ctx)
	some.SetLimit(atOnce)
	for _, i := range sources {
		if r.stop.Err() != nil {
			r.interrupted.Store(true)
			break
		}
		t := &turn{offer: make(chan *addition, 1)}
		if r.isSmallModel(sizes[i]) {
			// In their order: a later one, with a buffer, waits for an earlier one.
			t.bytes = bufferBytes(sizes[i])
		}
		// The header of 22,000 tensors in 1 MiB takes 15 MiB, until their rows are written.
		memory := min(16*t.bytes, r.Pool.Limit()/2)
		if memory > 0 && r.adding.Acquire(each, memory) != nil {
			t.bytes, memory = 0, 0 // each has ended: the source reports why
		}
		some.Go(func() error {
			defer r.adding.Release(memory)
			return do(each, i, t)
		})
		turns <- t
	}
	close(turns)
	err := some.Wait()
	committer.Wait()
	return err
}

// reportErrors adds the errors of single files to the report, and returns those that end the run. A
// call that was cancelled fails only with context.Canceled; the cause of work says why.
func (r *run) reportErrors(work context.Context, source ingest.Source, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, err := range joined.Unwrap() {
			rest = append(rest, r.reportErrors(work, source, err))
		}
		return errors.Join(rest...)
	}
	if errors.Is(err, context.Canceled) && work.Err() != nil {
		err = context.Cause(work)
	}
	var sourceErr *ingest.SourceError
	switch {
	case err == nil:
	case errors.As(err, &sourceErr):
		r.refuse(sourceErr.Path, sourceErr)
	case errors.Is(err, ingest.ErrBusy):
		r.refuse(source.Files[0].Path, err)
	case errors.Is(err, ingest.ErrInterrupted):
		r.interrupted.Store(true)
	default:
		return err
	}
	return nil
}

func (r *run) refuse(path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Refused = append(r.report.Refused, ingest.Note{Path: path, Reason: err})
}

// count adds the sources to the totals of the progress, and returns their sizes.
func (r *run) count(sources []ingest.Source) (sizes []int64) {
	for _, source := range sources {
		size := sourceBytes(&source)
		sizes = append(sizes, size)
		r.Progress.BytesTotal.Add(size)
		r.Progress.FilesTotal.Add(int64(len(source.Files)))
	}
	return sizes
}

// ingestSource ingests one model unless it is already present. It handles sources with the same
// weights, such as two tags, one after the other: the second finds the model of the first.
func (r *run) ingestSource(ctx context.Context, source ingest.Source, size int64, t *turn) (err error) {
	defer t.pass()
	if r.stop.Err() != nil {
		return ingest.ErrInterrupted
	}
	unlock, err := r.sources.Lock(ctx, "path "+source.Files[0].Path, t.pass)
	if err != nil {
		return err
	}
	defer unlock()
	var recorded atomic.Int64
	defer func() { r.countDone(len(source.Files), size-recorded.Load(), err) }()
	into, missing, err := r.findExisting(ctx, &source)
	if err != nil {
		return err
	}
	if len(missing.Files) == 0 {
		return nil
	}
	model, err := r.Parse(r.stop, missing) // a hostile header can take a long time
	if r.stop.Err() != nil {
		return ingest.ErrInterrupted
	}
	if err != nil {
		return err
	}
	r.warn(model)
	if err := r.ingestModel(ctx, model, into, &recorded, t); err != nil || into == 0 {
		return err
	}
	return r.attach(ctx, &source, into) // its name also covers the files that were already present
}

// countDone counts a source's files as done, unless a later run resumes them. The bytes that are
// left of a refused source are no longer part of the total.
func (r *run) countDone(files int, left int64, err error) {
	var sourceErr *ingest.SourceError
	if err != nil && !errors.As(err, &sourceErr) && !errors.Is(err, ingest.ErrBusy) {
		return
	}
	r.Progress.FilesDone.Add(int64(files))
	if err != nil {
		r.Progress.BytesTotal.Add(-left)
	}
}

// sourceBytes returns the size of the source's files that exist.
func sourceBytes(s *ingest.Source) int64 {
	n := int64(0)
	for _, f := range s.Files {
		if info, err := source.Stat(f.Path, f.Root); err == nil {
			n += info.Size()
		}
	}
	return n
}
