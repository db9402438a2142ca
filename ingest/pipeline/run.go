package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/lease"
)

// Ingester takes in models. Its fields are set once, before Run.
type Ingester struct {
	Catalog ingest.Catalog
	// Store is where payloads go; nil puts them into the catalogue's own rows.
	Store ingest.Store
	// StoreAddress names the store, as OptionStore of the job does. An unfinished model is continued only
	// with the same one.
	StoreAddress string
	// Unshared is set for a store that keeps a payload for each row, by its position.
	Unshared bool
	// Pool is where buffers come from; one of the default size if nil.
	Pool *buffer.Pool
	// Parse opens a source's files and reads their headers. Trouble with one file
	// is a *SourceError.
	Parse    func(context.Context, ingest.Source) (*ingest.Model, error)
	Options  Options
	Progress *ingest.Progress // may be nil
	Log      *slog.Logger     // what happens to jobs, files and batches; may be nil
}

// Report is what a run did.
type Report struct {
	Job         int64
	Continued   bool // the job was begun by an earlier run
	Ingested    []Outline
	Skipped     []ingest.Note // files that are stored and did not change, and those left out on purpose
	Refused     []ingest.Note // files that were refused or failed
	Warnings    []ingest.Note
	BytesRead   int64 // from the sources, in this run
	BytesStored int64 // of segments that this run recorded, and that no row had before
	BytesShared int64 // of segments that this run recorded, and that others had stored
	Elapsed     time.Duration
	Interrupted bool
}

// Outline is a model that was taken in.
type Outline struct {
	Model   ingest.ModelID
	Name    string
	Files   int
	Bytes   int64
	Merged  bool // its weights were stored already: it is one more name of a model
	Resumed int64
}

// graceTime is how long batches in hand may take once a run was asked to stop.
const graceTime = time.Minute

// run is one call of Run.
type run struct {
	*Ingester
	job      ingest.Lease
	buffers  int                   // how many the run may have
	stop     context.Context       // done when no more is to be read
	inFlight flight[ingest.Digest] // payloads
	atHand   flight[string]        // paths and keys of models
	slots    chan struct{}         // one for each file at a time
	// batchBuffers is how many buffers a batch may hold to its commit.
	batchBuffers int
	cutShort     atomic.Bool // something was left undone because of stop

	mu     sync.Mutex
	report Report
}

// Run takes in all sources that were found, as the job that claim asks for.
// When ctx ends, it stops reading, lets the batches in hand finish, and reports
// Interrupted; the job stays open. Trouble with single files is in the report.
// An error means that the run as a whole could not go on, because the store,
// the catalogue or the lease failed; what was recorded is kept, and the job stays
// open to be continued.
func (in *Ingester) Run(ctx context.Context, request ingest.JobRequest, found ingest.Found) (*Report, error) {
	begun := time.Now()
	r, err := in.prepare(ctx)
	if err != nil {
		return nil, err
	}
	others, err := in.claimStore(ctx)
	if err != nil {
		return nil, err
	}
	driver := r.Pool.Lease() // what the catalogue's driver copies
	defer driver.Close()
	if err := driver.Reserve(ctx, in.copies()*r.Options.SegmentBytes); err != nil {
		return nil, err
	}
	graceful, end := grace(ctx)
	defer end()
	err = lease.Run(graceful, in.Catalog, request, r.Log, func(work context.Context, job ingest.Lease) error {
		r.begin(job, found, others)
		return r.ingestAll(work, found.Sources)
	}, r.outcome)
	if r.job.Job == 0 { // the job was not opened
		return nil, err
	}
	r.report.BytesRead = r.Progress.BytesRead.Load()
	r.report.Elapsed = time.Since(begun)
	r.sortReport()
	return &r.report, err
}

// begin begins the report of a job.
func (r *run) begin(job ingest.Lease, found ingest.Found, others []string) {
	r.job = job
	r.Log.Info("job begun", "job", job.Job, "continued", job.Continued, "sources", len(found.Sources))
	r.report = Report{Job: job.Job, Continued: job.Continued, Skipped: found.Skipped, Refused: found.Refused}
	for _, other := range others {
		r.report.Warnings = append(r.report.Warnings, ingest.Note{Path: r.StoreAddress, Reason: fmt.Errorf(
			"this catalogue has put payloads into %s before: what needs them has to be given that store (--store)",
			ingest.Printable(other))})
	}
}

// outcome is how the job ended. A job that was interrupted, or that failed as a whole, stays open to be continued.
func (r *run) outcome(failure error) ingest.Outcome {
	r.report.Interrupted = r.cutShort.Load()
	outcome := ingest.Outcome{State: ingest.JobComplete}
	for _, note := range r.report.Refused {
		outcome.State = ingest.JobFailed
		outcome.Problems = append(outcome.Problems, ingest.Problem{Path: note.Path, Reason: note.Reason.Error()})
	}
	if failure != nil {
		outcome.Problems = append(outcome.Problems, ingest.Problem{Reason: failure.Error()})
	}
	if failure != nil || r.report.Interrupted {
		outcome.State = ingest.JobOpen
	}
	return outcome
}

func (in *Ingester) prepare(ctx context.Context) (*run, error) {
	options := in.Options.WithDefaults()
	pool := in.Pool
	if pool == nil {
		pool = buffer.ForMemory(options.MemoryBytes)
	}
	number, err := options.buffers(pool.Limit(), in.copies())
	if err != nil {
		return nil, err
	}
	r := &run{Ingester: &Ingester{in.Catalog, in.Store, in.StoreAddress, in.Unshared, pool, in.Parse, options,
		in.Progress, in.Log}, stop: ctx}
	if r.Progress == nil {
		r.Progress = &ingest.Progress{}
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	r.batchBuffers = max(1, number/2)                // one batch is read while another is written
	r.Options.Workers = min(options.Workers, number) // more would wait for buffers
	r.buffers = number
	r.slots = make(chan struct{}, options.Jobs)
	return r, nil
}

// grace returns a context that outlives ctx by graceTime.
func grace(ctx context.Context) (context.Context, func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(graceTime):
			cancel(fmt.Errorf("batches being written did not finish within %s of the request to stop: %w", graceTime,
				ingest.ErrInterrupted))
		case <-work.Done():
		}
	})
	return work, func() { stop(); cancel(nil) }
}

// ingestAll works on the sources, as many at once as there are jobs.
func (r *run) ingestAll(work context.Context, sources []ingest.Source) error {
	sizes := r.count(sources)
	group, ctx := errgroup.WithContext(work)
	group.SetLimit(r.Options.Jobs)
	for i, source := range sources {
		if r.stop.Err() != nil {
			r.cutShort.Store(true)
			break
		}
		group.Go(func() error { return r.judge(work, source, r.takeSource(ctx, source, sizes[i])) })
	}
	return group.Wait()
}

// judge sorts out whose trouble an error is. That of single files goes into the
// report; what is left is the run's. What was cut off when work ended says only that
// it was: work knows why.
func (r *run) judge(work context.Context, source ingest.Source, err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, one := range several.Unwrap() {
			all = append(all, r.judge(work, source, one))
		}
		return errors.Join(all...)
	}
	if errors.Is(err, context.Canceled) && work.Err() != nil {
		err = context.Cause(work)
	}
	var trouble *ingest.SourceError
	switch {
	case err == nil:
	case errors.As(err, &trouble):
		r.refuse(trouble.Path, trouble)
	case errors.Is(err, ingest.ErrBusy):
		r.refuse(source.Files[0].Path, err)
	case errors.Is(err, ingest.ErrInterrupted):
		r.cutShort.Store(true)
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

func (r *run) sortReport() {
	byPath := func(a, b ingest.Note) int { return strings.Compare(a.Path, b.Path) }
	slices.SortStableFunc(r.report.Refused, byPath)
	slices.SortStableFunc(r.report.Skipped, byPath)
	slices.SortStableFunc(r.report.Ingested, func(a, b Outline) int { return cmp.Compare(a.Model, b.Model) })
}

// copies is how many segments the catalogue's driver holds beside a run's own buffers.
func (in *Ingester) copies() int64 {
	if in.Store == nil {
		return rowCopies
	}
	return 0
}
