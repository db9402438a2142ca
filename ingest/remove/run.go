package remove

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// ErrChanged: the catalogue has changed since the plan was made.
var ErrChanged = errors.New("the catalogue has changed since this was shown, and nothing was removed: run rm again")

// Remover removes what a plan says.
type Remover struct {
	Catalog ingest.Catalog
	// Cascade also removes the rows of other programs that refer to the models.
	Cascade bool
	Log     *slog.Logger
	// RemovedName and Removed are called after each removal.
	RemovedName func(Name)
	Removed     func(ingest.Removal)
}

// Run does what plan says, as the job that request asks for. It runs alone: while another job is
// live, the error is an *ingest.BusyError, and no other job starts until Run returns. It keeps a
// model that has gained rows of other programs, and continues with the others. The next rm of a
// model finishes an interrupted removal. So does gc, unless rows of other programs are left.
func (r *Remover) Run(ctx context.Context, request ingest.JobRequest, plan *Plan) error {
	if err := plan.Refusal(r.Cascade); err != nil {
		return err
	}
	request.Exclusive = true
	return lease.Run(ctx, r.Catalog, request, r.Log, func(ctx context.Context, job ingest.Lease) error {
		return r.run(ctx, job, plan)
	}, nil)
}

func (r *Remover) run(ctx context.Context, job ingest.Lease, plan *Plan) error {
	now, err := NewPlan(ctx, r.Catalog, plan.references)
	if err != nil {
		return err
	}
	if !plan.covers(now) {
		return ErrChanged
	}
	return r.all(ctx, job, now)
}

func (r *Remover) all(ctx context.Context, lease ingest.Lease, plan *Plan) error {
	for _, n := range plan.Names {
		if err := r.Catalog.RemoveName(ctx, lease, n.Model.ID, n.Name); err != nil {
			return fmt.Errorf("name %q of model %d: %w", n.Name, n.Model.ID, err)
		}
		r.RemovedName(n)
	}
	var refused error
	option := ""
	if r.Cascade {
		option = " --cascade"
	}
	for _, m := range plan.Models {
		var foreign *ingest.ForeignRowsError
		switch err := r.Catalog.Remove(ctx, lease, m.Model.ID, r.Cascade); {
		case errors.As(err, &foreign):
			refused = errors.Join(refused, err)
		case err != nil:
			return errors.Join(refused,
				fmt.Errorf("model %d may be partly removed: `ingest rm %d%s` finishes it: %w", m.Model.ID, m.Model.ID,
					option, err))
		default:
			r.Removed(m)
		}
	}
	return refused
}
