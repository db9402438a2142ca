package ingest

import (
	"context"
	"errors"
	"time"
)

// DefaultLease is how long a job stays with a process that no longer renews it.
const DefaultLease = 30 * time.Second

// closeTimeout bounds the last word to the catalogue about a job.
const closeTimeout = 10 * time.Second

// keepLease renews the job's lease until work ends, and ends work when another
// process has taken it over. A renewal that fails otherwise is tried again at the
// next turn: each transaction checks the lease for itself.
func (r *run) keepLease(work context.Context, cancel context.CancelCauseFunc) {
	keepLease(work, r.Catalog, r.lease, cancel)
}

func keepLease(work context.Context, jobs Jobs, lease Lease, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(lease.TTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-work.Done():
			return
		case <-ticker.C:
			if err := jobs.Renew(work, lease); errors.Is(err, ErrLeaseLost) {
				cancel(err)
				return
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
