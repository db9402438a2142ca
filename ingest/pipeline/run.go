// Package pipeline ingests models: it reads each file once, hashes it and its segments, stores the
// payloads, and then records their rows. README.md describes crashes and memory.
package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/lease"
)

// Ingester ingests models. Set its fields before Run.
type Ingester struct {
	Catalog ingest.Catalog
	// Store keeps the payloads. If it is nil, the catalogue's rows do.
	Store ingest.Store
	// StoreAddress identifies Store among the stores of the catalogue, as in the job's Options
	// (ingest.OptionStore): the same text for the same store in each run, without secrets. A model
	// resumes only with the same StoreAddress.
	StoreAddress string
	// Descriptions is Store if it keeps descriptions of models; nil for none.
	Descriptions ingest.DescriptionStore
	// Unshared is set for a store that keeps a payload for each row, by its position.
	Unshared bool
	// Pool supplies the buffers; by default one for Options.MemoryBytes.
	Pool *buffer.Pool
	// Parse opens a source's files and reads their headers, like format.Parser.Parse. The error of a
	// single file is a *SourceError.
	Parse    func(context.Context, ingest.Source) (*ingest.Model, error)
	Options  Options
	Progress *ingest.Progress // may be nil
	Log      *slog.Logger     // events of jobs, files and batches; may be nil
}

// Report is what a run did.
type Report struct {
	Job         int64
	Continued   bool // an earlier run started the job
	Ingested    []IngestedModel
	Skipped     []ingest.Note // files that are already present and unchanged, and those left out on purpose
	Refused     []ingest.Note // files that were refused or failed
	Warnings    []ingest.Note
	BytesRead   int64 // from the sources, in this run
	BytesStored int64 // of segments that this run recorded and whose content had no row
	BytesShared int64 // of segments that this run recorded and whose content had a row
	// BytesPresent are the bytes that had rows before this run: of unchanged files, and of those whose
	// ingestion it continued.
	BytesPresent int64
	// Stored are the payloads that this run put into the store, by type and codec.
	Stored      []ingest.TypeBytes
	Elapsed     time.Duration
	Interrupted bool
}

// IngestedModel is a model that the run ingested.
type IngestedModel struct {
	Model   ingest.ModelID
	Name    string
	Files   int
	Bytes   int64
	Merged  bool  // its weights were already present: Name became one more name of Model
	Resumed int64 // bytes that earlier runs had recorded
}

// graceTime is how long pending batches may take after the run was asked to stop.
const graceTime = time.Minute

// run is one call of Run.
type run struct {
	*Ingester
	job      ingest.Lease
	stop     context.Context           // done when the run is asked to stop
	payloads keyedMutex[ingest.Digest] // being stored
	sources  keyedMutex[string]        // by first path and by key of the model
	slots    chan struct{}             // one for each file being ingested
	adding   *semaphore.Weighted       // memory of the small models being ingested, in bytes
	encoders *codec.Workers            // nil if payloads are not encoded
	keeper   *describe.Keeper          // nil without descriptions
	beside   int64                     // bytes in memory besides the buffers: the driver's copies, or encoders
	// batchBuffers is the number of buffers that a batch of payloads for rows may hold until it
	// commits.
	batchBuffers int
	interrupted  atomic.Bool // work was left undone because of stop

	mu     sync.Mutex
	report Report
	begun  map[ingest.ModelID]bool // models that this run began or continued
	left   int                     // files that the search skipped; the others in report.Skipped are stored
}

// Run ingests all sources of found (see format.Find) as the job that request asks for. It makes the
// catalogue the owner of Store. Pipeline and Source of request must be set; Holder and TTL default to
// this process and lease.DefaultTTL. When ctx ends, it stops
// reading, finishes the pending batches within a minute, and reports Interrupted; the job stays
// open. Errors of single files are in the report. An error means that the store, the catalogue or
// the lease failed: recorded segments are kept, and the job stays open.
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
	beside := r.Pool.Lease() // for the copies of the catalogue's driver, and for encoded payloads
	defer beside.Close()
	if err := beside.Reserve(ctx, r.beside); err != nil {
		return nil, err
	}
	graceful, end := grace(ctx)
	defer end()
	err = lease.Run(graceful, in.Catalog, request, r.Log, func(work context.Context, job ingest.Lease) error {
		r.Progress.Job.Store(job.Job)
		r.begin(job, found, others)
		if err := r.ingestAll(work, found.Sources); err != nil {
			return err
		}
		return r.warnUnfinished(work)
	}, r.outcome)
	if r.job.Job == 0 { // the job was not opened
		return nil, err
	}
	r.report.BytesRead = r.Progress.BytesRead.Load()
	r.report.Elapsed = time.Since(begun)
	r.sortReport()
	return &r.report, err
}

func (r *run) begin(job ingest.Lease, found ingest.Found, others []string) {
	r.job, r.left = job, len(found.Skipped)
	r.Log.Info("job begun", "job", job.Job, "continued", job.Continued, "sources", len(found.Sources))
	r.report = Report{Job: job.Job, Continued: job.Continued, Skipped: found.Skipped, Refused: found.Refused}
	for _, other := range others {
		r.report.Warnings = append(r.report.Warnings, ingest.Note{Path: r.StoreAddress, Reason: fmt.Errorf(
			"this catalogue also has payloads in %s: to read them, name that store (--store)",
			ingest.Printable(other))})
	}
}

// outcome returns how the job ended. A job that was interrupted or failed as a whole stays open.
func (r *run) outcome(failure error) ingest.Outcome {
	r.report.Interrupted = r.interrupted.Load()
	outcome := ingest.Outcome{State: ingest.JobComplete,
		Succeeded: int64(len(r.report.Ingested) + len(r.report.Skipped) - r.left)}
	for _, t := range r.report.Stored {
		outcome.BytesSaved += t.Bytes - t.Stored
	}
	for _, note := range r.report.Refused {
		outcome.State = ingest.JobFailed
		outcome.Problems = append(outcome.Problems, note.Problem())
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
	r := &run{Ingester: &Ingester{in.Catalog, in.Store, in.StoreAddress, in.Descriptions, in.Unshared, pool, in.Parse,
		options, in.Progress, in.Log}, stop: ctx, begun: map[ingest.ModelID]bool{}}
	if in.Descriptions != nil {
		r.keeper = &describe.Keeper{Catalog: in.Catalog, Store: in.Descriptions}
	}
	if n, bytes := options.encoders(pool.Limit()); in.Store == nil {
		r.beside = buffer.RowCopies * options.SegmentBytes
	} else if n > 0 && !in.Unshared {
		r.encoders, r.beside = codec.NewWorkers(n, options.SegmentBytes), bytes
	}
	number, err := options.buffers(pool.Limit(), r.beside)
	if err != nil {
		return nil, err
	}
	if r.Progress == nil {
		r.Progress = &ingest.Progress{}
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	r.batchBuffers = max(1, number/2)                // half for the batch being read, half for the one being written
	r.Options.Workers = min(options.Workers, number) // more would wait for buffers
	r.slots = make(chan struct{}, options.Jobs)
	r.adding = semaphore.NewWeighted(pool.Limit() / 2)
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

func (r *run) sortReport() {
	byPath := func(a, b ingest.Note) int { return strings.Compare(a.Path, b.Path) }
	slices.SortStableFunc(r.report.Refused, byPath)
	slices.SortStableFunc(r.report.Skipped, byPath)
	slices.SortStableFunc(r.report.Ingested, func(a, b IngestedModel) int { return cmp.Compare(a.Model, b.Model) })
	slices.SortFunc(r.report.Stored, func(a, b ingest.TypeBytes) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Codec, b.Codec))
	})
}
