package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// closeTimeout bounds the last word to the catalogue about a job.
const closeTimeout = 10 * time.Second

// asRepair runs work as the job of a repair of model: it writes to the store and to the catalogue,
// and no gc runs beside it. left is how many segments are still damaged or missing when work has
// returned.
func (p *program) asRepair(
	ctx context.Context,
	h *home,
	model ingest.ModelID,
	work func(ctx context.Context) (left int, err error),
) error {
	if h.store != nil {
		if err := ingest.ClaimStore(ctx, h.catalog, h.store); err != nil {
			return err
		}
	}
	job, err := h.catalog.Open(
		ctx,
		ingest.JobRequest{Pipeline: "verify", Source: fmt.Sprintf("repair of model %d", model),
			Holder: ingest.ThisProcess(), TTL: ingest.DefaultLease, HolderDead: ingest.Holder.Dead},
	)
	if err != nil {
		return err
	}
	held, end := lease.Keep(ctx, h.catalog, job, p.log)
	left, err := work(held)
	if errors.Is(err, context.Canceled) && held.Err() != nil {
		err = context.Cause(held) // the lease was lost, or the user has stopped it
	}
	end()
	outcome := ingest.Outcome{State: ingest.JobComplete}
	switch {
	case errors.Is(err, ingest.ErrInterrupted):
		outcome.State = ingest.JobOpen
	case err != nil:
		outcome = ingest.Outcome{State: ingest.JobFailed, Problems: []ingest.Problem{{Reason: err.Error()}}}
	case left > 0:
		outcome = ingest.Outcome{
			State:    ingest.JobFailed,
			Problems: []ingest.Problem{{Reason: fmt.Sprintf("%d segments are damaged or missing", left)}},
		}
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	closed := h.catalog.CloseJob(last, job, outcome)
	if errors.Is(closed, ingest.ErrLeaseLost) {
		closed = nil // err says so
	}
	return errors.Join(err, closed)
}
