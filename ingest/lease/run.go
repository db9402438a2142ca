package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// DefaultTTL is how long a job stays with a process that no longer renews its lease.
const DefaultTTL = 30 * time.Second

// closeTimeout bounds the last word to the catalogue about a job.
const closeTimeout = 10 * time.Second

// Run opens the job that request asks for, has work done while the job's lease is kept, and closes the job with its
// outcome, which depends on the error of work; a nil outcome is Outcome. The context of work ends with
// ctx, and when the
// lease is lost. A request without holder or TTL is one of this process, for DefaultTTL. The error is that
// of work, or the
// reason for which its context ended, or both.
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
		closing = nil // its successor says how the job ended
	}
	return errors.Join(err, closing)
}

// Outcome is that of a job which is not continued: complete, or failed because of err. One that was
// interrupted stays open.
func Outcome(err error) ingest.Outcome {
	switch {
	case err == nil:
		return ingest.Outcome{State: ingest.JobComplete}
	case errors.Is(err, ingest.ErrInterrupted):
		return ingest.Outcome{State: ingest.JobOpen, Problems: []ingest.Problem{{Reason: err.Error()}}}
	}
	return ingest.Outcome{State: ingest.JobFailed, Problems: []ingest.Problem{{Reason: err.Error()}}}
}
