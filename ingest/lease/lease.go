// Package lease keeps a job's lease while its work goes on.
package lease

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Keep renews lease three times in each TTL until end is called. The work it returns ends with
// ingest.ErrLeaseLost as its cause when another process has taken the job over, with ctx, and with
// end, which waits for the last renewal. A renewal that fails otherwise is tried again at the next
// turn: each transaction checks the lease for itself. log may be nil.
func Keep(
	ctx context.Context,
	jobs ingest.Jobs,
	lease ingest.Lease,
	log *slog.Logger,
) (work context.Context, end func()) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	work, cancel := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		keep(work, jobs, lease, log, cancel)
	}()
	return work, func() {
		cancel(nil)
		<-kept
	}
}

func keep(
	work context.Context,
	jobs ingest.Jobs,
	lease ingest.Lease,
	log *slog.Logger,
	cancel context.CancelCauseFunc,
) {
	ticker := time.NewTicker(lease.TTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-work.Done():
			return
		case <-ticker.C:
		}
		err := jobs.Renew(work, lease)
		if errors.Is(err, ingest.ErrLeaseLost) {
			cancel(err)
			return
		}
		if err != nil && work.Err() == nil {
			log.Warn("the lease was not renewed; trying again", "job", lease.Job, "error", err)
		}
	}
}
