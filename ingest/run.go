package ingest

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
)

// Ingester takes in models. Its fields are set once, before Run.
type Ingester struct {
	Catalog Catalog
	// Store is where payloads go; nil puts them into the catalogue's own rows,
	// for which the catalogue must be a RowStore.
	Store Store
	// StoreAddress names the store, as OptionStore of the job does. An unfinished model is continued only with the same one.
	StoreAddress string
	// Unshared is set for a store that keeps a payload for each row, by its position.
	Unshared bool
	// Parse opens a source's files and reads their headers. Trouble with one file
	// is a *SourceError.
	Parse    func(context.Context, Source) (*Model, error)
	Options  Options
	Progress *Progress    // may be nil
	Log      *slog.Logger // what happens to jobs, files and batches; may be nil
}

// Report is what a run did.
type Report struct {
	Job         int64
	Continued   bool // the job was begun by an earlier run
	Ingested    []Outline
	Skipped     []Note // files that are stored and did not change, and those left out on purpose
	Refused     []Note // files that were refused or failed
	Warnings    []Note
	BytesRead   int64 // from the sources, in this run
	BytesStored int64 // of segments that this run recorded, and that no row had before
	BytesShared int64 // of segments that this run recorded, and that others had stored
	Elapsed     time.Duration
	Interrupted bool
}

// Outline is a model that was taken in.
type Outline struct {
	Model   ModelID
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
	lease    Lease
	rows     RowStore  // nil if payloads go to the store
	turns    TurnTaker // nil if batches of a file are written one at a time
	pool     *pool
	stop     context.Context // done when no more is to be read
	inFlight flight[Digest]  // payloads
	atHand   flight[string]  // paths and keys of models
	slots    chan struct{}   // one for each file at a time
	// batchSlabs is the share of the buffers that a batch may hold to its commit.
	batchSlabs int
	cutShort   atomic.Bool // something was left undone because of stop

	mu     sync.Mutex
	report Report
}

// Run takes in all sources that were found, as the job that claim asks for.
// When ctx ends, it stops reading, lets the batches in hand finish, and reports
// Interrupted; the job stays open. Trouble with single files is in the report.
// An error means that the run as a whole could not go on, because the store,
// the catalogue or the lease failed; what was recorded is kept, and the job stays
// open to be continued.
func (in *Ingester) Run(ctx context.Context, claim JobRequest, found Found) (*Report, error) {
	begun := time.Now()
	r, err := in.prepare(ctx)
	if err != nil {
		return nil, err
	}
	others, err := in.claimStore(ctx)
	if err != nil {
		return nil, err
	}
	if r.lease, err = in.Catalog.Open(ctx, claim); err != nil {
		return nil, err
	}
	r.Log.Info("job begun", "job", r.lease.Job, "continued", r.lease.Continued, "sources", len(found.Sources))
	r.report = Report{Job: r.lease.Job, Continued: r.lease.Continued, Skipped: found.Skipped, Refused: found.Refused}
	for _, other := range others {
		r.report.Warnings = append(r.report.Warnings, Note{in.StoreAddress, fmt.Errorf("this catalogue has put payloads into %s before: what needs them has to be given that store (--store)", Printable(other))})
	}
	work, end := r.workContext(ctx)
	defer end()
	err = r.takeAll(work, found.Sources)
	r.report.Interrupted = r.cutShort.Load()
	r.report.BytesRead = r.Progress.BytesRead.Load()
	r.report.Elapsed = time.Since(begun)
	r.sortReport()
	return &r.report, errors.Join(err, r.close(work, err))
}

func (in *Ingester) prepare(ctx context.Context) (*run, error) {
	options := in.Options.WithDefaults()
	number, err := options.buffers(Payloads{Store: in.Store}.copies())
	if err != nil {
		return nil, err
	}
	r := &run{Ingester: &Ingester{in.Catalog, in.Store, in.StoreAddress, in.Unshared, in.Parse, options, in.Progress, in.Log}, stop: ctx}
	if r.Progress == nil {
		r.Progress = &Progress{}
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if in.Store == nil {
		var ok bool
		if r.rows, ok = in.Catalog.(RowStore); !ok {
			return nil, errors.New("this catalogue cannot keep payloads in its rows: name a store")
		}
	}
	if options.Transactions > 1 {
		var ok bool
		if r.turns, ok = r.rows.(TurnTaker); !ok {
			return nil, fmt.Errorf("%d transactions at once for a file: only payloads in rows of a server are written so", options.Transactions)
		}
	}
	r.Options = r.Options.shared()
	r.batchSlabs = max(1, number/(r.Options.Transactions+1)) // one batch is read while the others are written
	r.Options.Workers = min(options.Workers, number)         // more would wait for buffers
	r.pool = newPool(number, options.SegmentBytes)
	r.slots = make(chan struct{}, options.Jobs)
	return r, nil
}

// workContext outlives ctx by graceTime, and ends when the lease is lost, or with end.
func (r *run) workContext(ctx context.Context) (work context.Context, end func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stopGrace := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(graceTime):
			cancel(fmt.Errorf("batches in hand did not finish within %s of the request to stop: %w", graceTime, ErrInterrupted))
		case <-work.Done():
		}
	})
	letGo := holdLease(work, r.Catalog, r.lease, r.Log, cancel)
	return work, func() { stopGrace(); letGo() }
}

// takeAll works on the sources, as many at once as there are jobs.
func (r *run) takeAll(work context.Context, sources []Source) error {
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
func (r *run) judge(work context.Context, source Source, err error) error {
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
	var trouble *SourceError
	switch {
	case err == nil:
	case errors.As(err, &trouble):
		r.refuse(trouble.Path, trouble)
	case errors.Is(err, ErrBusy):
		r.refuse(source.Files[0].Path, err)
	case errors.Is(err, ErrInterrupted):
		r.cutShort.Store(true)
	default:
		return err
	}
	return nil
}

func (r *run) refuse(path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Refused = append(r.report.Refused, Note{path, err})
}

func (r *run) sortReport() {
	byPath := func(a, b Note) int { return strings.Compare(a.Path, b.Path) }
	slices.SortStableFunc(r.report.Refused, byPath)
	slices.SortStableFunc(r.report.Skipped, byPath)
	slices.SortStableFunc(r.report.Ingested, func(a, b Outline) int { return cmp.Compare(a.Model, b.Model) })
}
