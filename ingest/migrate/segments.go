package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/reader"
)

// Segments moves payloads of stored segments. Set its fields before Run.
type Segments struct {
	Catalog ingest.Catalog
	// Store is the target, or the source if ToRows is set.
	Store ingest.Store
	// Target is the address of the target.
	Target string
	ToRows bool
	// Options are those of the jobs. Run adds ingest.OptionStore.
	Options map[string]string
	// Clear also clears the source of each row whose payload is in both places.
	Clear bool
	// ReadBack reads every copy back, even if the store attests its digest.
	ReadBack bool
	// DryRun reads only rows, and changes nothing.
	DryRun bool
	// Limit is the maximum number of payloads to copy; 0 for all.
	Limit int64
	// BatchRows and BatchBytes limit the rows that one transaction changes, and the bytes of their
	// payloads. 0 is the maximum, MaxBatchRows and MaxBatchBytes.
	BatchRows, BatchBytes int64
	Pool                  *buffer.Pool
	// Workers is the number of segments copied at once; 0 is the reader's default.
	Workers int
	// Progress may be nil; BytesRecorded counts the bytes copied and read back.
	Progress *ingest.Progress
	Log      *slog.Logger // may be nil
	// Found is called with each problem, from one goroutine.
	Found func(Problem)
}

// Count is a number of rows and the bytes of their payloads.
type Count struct {
	Rows  int64 `json:"rows"`  // number of rows
	Bytes int64 `json:"bytes"` // of their payloads
}

func (c *Count) add(bytes int64) {
	c.Rows++
	c.Bytes += bytes
}

func (c *Count) addAll(more Count) {
	c.Rows += more.Rows
	c.Bytes += more.Bytes
}

// Report counts what a migration did, or would do.
type Report struct {
	Models  int   // with rows to change
	There   Count // rows whose payload was in the target only, or is small
	Small   Count // those of There whose payload is small: the catalogue keeps it
	Both    Count // rows whose payload was in both places
	Copied  Count // rows whose payload was copied, and is now in both places
	Cleared Count // rows whose source was cleared
	Failed  int64 // rows that could not be copied or cleared; each is a Problem
}

// Problem is the error of a row.
type Problem struct {
	File    ingest.StoredFile
	Segment ingest.StoredSegment
	Reason  error
}

// The maximum that one transaction changes: fewer rows than the 5,000 locks at which SQL Server
// locks the whole table, and few enough bytes for the transaction log.
const (
	MaxBatchRows  = 1000
	MaxBatchBytes = 64 << 20
)

// keptBytes is the maximum size of a payload that waits in a batch. A larger one flushes the batch.
const keptBytes = 4 << 20

// Run migrates the models. A row that fails is in the report and does not stop the others. An error
// means that the migration could not continue; changed rows stay changed. Run waits for models that
// another process is migrating.
func (s *Segments) Run(ctx context.Context, models []ingest.Summary) (*Report, error) {
	r := &run{Segments: s, left: math.MaxInt64, maxRows: MaxBatchRows, maxBytes: MaxBatchBytes,
		surveyed: map[ingest.ModelID]bool{}}
	r.reader = &reader.Reader{Catalog: s.Catalog, Store: s.Store, Pool: s.Pool, Workers: s.Workers,
		Progress: s.Progress}
	if s.Limit > 0 {
		r.left = s.Limit
	}
	if s.BatchRows > 0 {
		r.maxRows = min(r.maxRows, int(s.BatchRows))
	}
	if s.BatchBytes > 0 {
		r.maxBytes = min(r.maxBytes, s.BatchBytes)
	}
	if !s.DryRun && !s.ToRows {
		if err := ingest.ClaimStore(ctx, s.Catalog, s.Store, s.Target); err != nil {
			return &r.report, fmt.Errorf("store %s: %w", ingest.Printable(s.Target), err)
		}
	}
	err := whenFree(ctx, models, func(m ingest.Summary) (busy bool, err error) {
		s.Progress.Begin(m.Name)
		defer s.Progress.End(m.Name)
		err = r.model(ctx, m)
		switch {
		case err == nil:
			return false, nil
		case errors.Is(err, ingest.ErrBusy):
			return true, nil
		case errors.Is(err, ingest.ErrNotFound):
			if _, err := s.Catalog.Model(ctx, m.ID); errors.Is(err, ingest.ErrNotFound) {
				return false, nil // another process removed it since it was listed
			}
		}
		return false, fmt.Errorf("model %d (%s): %w", m.ID, ingest.Printable(m.Name), err)
	})
	return &r.report, err
}

// withStore returns the options of a job whose payloads go to the store at address.
func withStore(options map[string]string, address string) map[string]string {
	all := map[string]string{ingest.OptionStore: address}
	maps.Copy(all, options)
	return all
}

// busyWait is the time until a lease of another process is requested again.
const busyWait = 300 * time.Millisecond

// whenFree calls try with each item, and again with those that are busy until none is.
func whenFree[T any](ctx context.Context, items []T, try func(T) (busy bool, err error)) error {
	for {
		var again []T
		for _, item := range items {
			busy, err := try(item)
			if err != nil {
				return err
			}
			if busy {
				again = append(again, item)
			}
		}
		if items = again; len(items) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(busyWait):
		}
	}
}

// run is one call of Run.
type run struct {
	*Segments
	reader   *reader.Reader
	report   Report
	surveyed map[ingest.ModelID]bool // its problems are reported; a busy model is surveyed again
	left     int64                   // payloads still to copy under Limit
	maxRows  int                     // per transaction
	maxBytes int64                   // of payloads, per transaction
}

// model migrates one model, under the lease of a job of its own.
func (r *run) model(ctx context.Context, m ingest.Summary) error {
	l, err := r.survey(ctx, m)
	if err != nil {
		return err
	}
	if l.todo && !r.DryRun {
		name := fmt.Sprintf("segments of model %d", m.ID)
		request := ingest.JobRequest{Pipeline: "migrate", Source: name, Paths: []string{name},
			Options: withStore(r.Options, r.Target)}
		err := lease.Run(ctx, r.Catalog, request, r.Log, func(ctx context.Context, job ingest.Lease) error {
			return r.files(ctx, m, job)
		}, outcome(r.report.done, notMigrated))
		if err != nil {
			return err
		}
	}
	r.report.add(l)
	return nil
}

func (r *run) files(ctx context.Context, m ingest.Summary, job ingest.Lease) error {
	types, err := reader.Types(ctx, r.Catalog, m.ID) // used by the blob layout position
	if err != nil {
		return err
	}
	for _, f := range m.Parts() {
		w := &fileRun{run: r, file: f, job: job, types: types}
		err := w.copy(ctx)
		if err == nil && r.Clear {
			err = w.clear(ctx)
		}
		if err != nil && f.ID != 0 {
			err = fmt.Errorf("file %s: %w", ingest.Printable(f.Name), err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const notMigrated = "rows that were not migrated"

// done returns how many rows were copied or cleared, and how many failed.
func (r *Report) done() (succeeded, failed int64) { return r.Copied.Rows + r.Cleared.Rows, r.Failed }

// outcome returns the outcome of a job: open after an error, and failed if more rows have failed
// when it ends. what names them. The next run tries them again.
func outcome(done func() (succeeded, failed int64), what string) func(error) ingest.Outcome {
	before, failedBefore := done()
	return func(err error) ingest.Outcome {
		o := lease.Outcome(err)
		if err != nil {
			o.State = ingest.JobOpen
		}
		succeeded, failed := done()
		o.Succeeded = succeeded - before
		if n := failed - failedBefore; err == nil && n > 0 {
			o.State = ingest.JobFailed
			o.Problems = append(o.Problems, ingest.Problem{Reason: fmt.Sprintf("%s: %d", what, n)})
		}
		return o
	}
}

// toCopy reports whether the payload is not in the target. It may be nowhere.
func (r *run) toCopy(s *ingest.StoredSegment) bool {
	switch {
	case unusable(s) != nil:
		return false
	case r.ToRows:
		return !s.InRow
	}
	return s.Address.URI == "" && !s.Small
}

func (r *run) inBoth(s *ingest.StoredSegment) bool {
	return s.InRow && s.Address.URI != "" && !s.Digest.IsZero()
}

func (r *run) failed(file ingest.StoredFile, s ingest.StoredSegment, reason error) {
	r.report.Failed++
	if r.Found != nil {
		r.Found(Problem{file, s, reason})
	}
}
