package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// DefaultLease is how long a job stays with a process that no longer renews it.
const DefaultLease = 30 * time.Second

// closeTimeout bounds the last word to the catalogue about a job.
const closeTimeout = 10 * time.Second

// holdLease keeps a lease until end is called, which ends work and waits for the last renewal.
func holdLease(work context.Context, jobs Jobs, lease Lease, log *slog.Logger, cancel context.CancelCauseFunc) (end func()) {
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		keepLease(work, jobs, lease, log, cancel)
	}()
	return func() {
		cancel(nil)
		<-kept
	}
}

// keepLease renews the job's lease until work ends, and ends work when another
// process has taken it over. A renewal that fails otherwise is tried again at the
// next turn: each transaction checks the lease for itself.
func keepLease(work context.Context, jobs Jobs, lease Lease, log *slog.Logger, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(lease.TTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-work.Done():
			return
		case <-ticker.C:
			err := jobs.Renew(work, lease)
			if errors.Is(err, ErrLeaseLost) {
				cancel(err)
				return
			}
			if err != nil && work.Err() == nil {
				log.Warn("the lease was not renewed; trying again", "job", lease.Job, "error", err)
			}
		}
	}
}

// close tells the catalogue how the job ended. A job that was interrupted, or that failed
// as a whole, stays open to be continued.
func (r *run) close(work context.Context, failure error) error {
	outcome := Outcome{State: JobComplete}
	for _, note := range r.report.Refused {
		outcome.State = JobFailed
		outcome.Problems = append(outcome.Problems, Problem{note.Path, note.Reason.Error()})
	}
	if failure != nil {
		outcome.Problems = append(outcome.Problems, Problem{"", failure.Error()})
	}
	if failure != nil || r.report.Interrupted {
		outcome.State = JobOpen
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), closeTimeout)
	defer cancel()
	if err := r.Catalog.CloseJob(ctx, r.lease, outcome); err != nil && !errors.Is(err, ErrLeaseLost) {
		return err
	}
	return nil
}

// RunJob opens a job, has work done while it holds the job's lease, and closes the job: as complete if work succeeds, as
// failed if it does not. A job that was interrupted stays open. The context of work ends with ctx, and when the lease is
// lost.
func RunJob(ctx context.Context, jobs Jobs, request JobRequest, log *slog.Logger, work func(context.Context, Lease) error) error {
	lease, err := jobs.Open(ctx, request)
	if err != nil {
		return err
	}
	held, cancel := context.WithCancelCause(ctx)
	end := holdLease(held, jobs, lease, log, cancel)
	err = work(held, lease)
	if cause := context.Cause(held); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	end()
	outcome := Outcome{State: JobComplete}
	if err != nil {
		outcome = Outcome{State: JobFailed, Problems: []Problem{{"", err.Error()}}}
	}
	if errors.Is(err, ErrInterrupted) {
		outcome.State = JobOpen
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	if closing := jobs.CloseJob(last, lease, outcome); closing != nil && !errors.Is(closing, ErrLeaseLost) {
		err = errors.Join(err, closing)
	}
	return err
}
