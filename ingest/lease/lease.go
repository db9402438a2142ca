// Package lease renews a job's lease during its work.
package lease

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Keep renews lease three times per TTL until end is called, which waits for the last renewal. work
// ends with ctx, with end, or with the cause ingest.ErrLeaseLost if another process took over the
// job. A renewal that takes half the TTL is cancelled. Keep retries after it and after other errors
// at the next renewal; each transaction checks the lease itself. log may be nil.
func Keep(ctx context.Context, jobs ingest.Jobs, lease ingest.Lease, log *slog.Logger) (
	work context.Context, end func()) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	work, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		keep(work, jobs, lease, log, cancel)
	}()
	return work, func() {
		cancel(nil)
		<-done
	}
}

func keep(work context.Context, jobs ingest.Jobs, lease ingest.Lease, log *slog.Logger,
	cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(lease.TTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-work.Done():
			return
		case <-ticker.C:
		}
		limited, done := context.WithTimeout(work, lease.TTL/2)
		err := jobs.Renew(limited, lease)
		done()
		if errors.Is(err, ingest.ErrLeaseLost) {
			cancel(err)
			return
		}
		if err != nil && work.Err() == nil {
			log.Warn("the lease was not renewed; trying again", "job", lease.Job, "error", err)
		}
	}
}
