package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// DefaultTTL is the time after which the lease of a process that does not renew it expires.
const DefaultTTL = 30 * time.Second

// closeTimeout bounds CloseJob, which also runs during shutdown.
const closeTimeout = 10 * time.Second

// Run opens the job that request asks for, calls work while it renews the lease, and closes the job
// with the outcome of work's error; a nil outcome means Outcome. The context of work ends with ctx
// or when the lease is lost. Holder and TTL of the request default to this process and DefaultTTL.
// The error is that of work, the cause of its context, or both.
func Run(ctx context.Context, jobs ingest.Jobs, request ingest.JobRequest, log *slog.Logger,
	work func(context.Context, ingest.Lease) error, outcome func(error) ingest.Outcome) error {
	if request.Holder == (ingest.Holder{}) {
		request.Holder, request.HolderDead = ingest.ThisProcess(), ingest.Holder.Dead
	}
	if request.TTL == 0 {
		request.TTL = DefaultTTL
	}
	lease, err := jobs.Open(ctx, request)
	if err != nil {
		return err
	}
	held, end := Keep(ctx, jobs, lease, log)
	err = work(held, lease)
	if cause := context.Cause(held); err == context.Canceled && cause != nil {
		err = cause
	} else if err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	end()
	if outcome == nil {
		outcome = Outcome
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	closing := jobs.CloseJob(last, lease, outcome(err))
	if errors.Is(closing, ingest.ErrLeaseLost) {
		closing = nil // the process that took over closes the job
	}
	return errors.Join(err, closing)
}

// Outcome returns the outcome of a job that ended with err: complete, failed, or open if err is
// ErrInterrupted.
func Outcome(err error) ingest.Outcome {
	switch {
	case err == nil:
		return ingest.Outcome{State: ingest.JobComplete}
	case errors.Is(err, ingest.ErrInterrupted):
		return ingest.Outcome{State: ingest.JobOpen, Problems: []ingest.Problem{{Reason: err.Error()}}}
	}
	return ingest.Outcome{State: ingest.JobFailed, Problems: []ingest.Problem{{Reason: err.Error()}}}
}
