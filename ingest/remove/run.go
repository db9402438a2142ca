package remove

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/lease"
)

// ErrChanged: the catalogue has changed since the plan was made.
var ErrChanged = errors.New("the catalogue has changed since this was shown, and nothing was removed: run rm again")

// Remover removes what a plan says.
type Remover struct {
	Catalog ingest.Catalog
	// Cascade also removes the rows of other programs that refer to the models.
	Cascade bool
	// Descriptions are the stores that have descriptions of the models, and can be reached.
	Descriptions []ingest.DescriptionStore
	// Outdated is called if a description could not be changed. The removal continues.
	Outdated func(error)
	Log      *slog.Logger
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

func (r *Remover) all(ctx context.Context, lease ingest.Lease, plan *Plan) (err error) {
	// First, so that rebuild does not bring back a model whose removal was interrupted.
	keys, err := r.keys(ctx, plan.Models)
	if err != nil {
		return err
	}
	r.describe(ctx, changes{removed: keys})
	var changed []ingest.ModelID
	defer func() {
		if err != nil {
			changed = append(changed, r.kept(ctx, plan)...)
		}
		r.describe(ctx, changes{changed: changed})
	}()
	for _, n := range plan.Names {
		if n.Model.State == ingest.ModelComplete {
			changed = append(changed, n.Model.ID) // also after an error: the name may be gone
		}
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

// keys returns the keys of the models that may be described. A model may be that is not complete, but has all
// digests, unless its weights are those of a complete one.
func (r *Remover) keys(ctx context.Context, models []ingest.Removal) (keys []ingest.Digest, err error) {
	var unfinished []ingest.Digest
	for _, m := range models {
		key := describe.Key(m.Model.Files)
		if m.Model.State == ingest.ModelComplete {
			keys = append(keys, key)
		} else if m.Model.State != ingest.ModelRegistered && !slices.ContainsFunc(m.Model.Files, hasNoDigest) {
			unfinished = append(unfinished, key)
		}
	}
	if len(unfinished) == 0 {
		return keys, nil
	}
	for m, err := range r.Catalog.Models(ctx) {
		if err != nil {
			return keys, err
		}
		if m.State == ingest.ModelComplete {
			key := describe.Key(m.Files)
			unfinished = slices.DeleteFunc(unfinished, func(k ingest.Digest) bool { return k == key })
		}
	}
	return append(keys, unfinished...), nil
}

func hasNoDigest(f ingest.StoredFile) bool { return f.Digest.IsZero() }

// kept returns the models of the plan that are still complete: their removal was refused or failed.
func (r *Remover) kept(ctx context.Context, plan *Plan) (ids []ingest.ModelID) {
	if len(r.Descriptions) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), describeTimeout)
	defer cancel()
	for _, m := range plan.Models {
		now, err := r.Catalog.Model(ctx, m.Model.ID)
		if err != nil && !errors.Is(err, ingest.ErrNotFound) {
			r.Outdated(err)
			return ids
		}
		if err == nil && now.State == ingest.ModelComplete {
			ids = append(ids, m.Model.ID)
		}
	}
	return ids
}

func (r *Remover) describe(ctx context.Context, c changes) {
	c.describe(ctx, r.Catalog, r.Descriptions, r.Outdated)
}

// changes are those that the store's descriptions do not have yet.
type changes struct {
	changed []ingest.ModelID // complete models
	removed []ingest.Digest  // by describe.Key
}

// describeTimeout bounds the time to write changes, also after an interrupt.
const describeTimeout = 30 * time.Second

// describe describes the changes in each store. outdated is called for one in which that fails.
func (c changes) describe(ctx context.Context, catalog ingest.Catalog, stores []ingest.DescriptionStore,
	outdated func(error)) {
	if len(c.changed)+len(c.removed) == 0 {
		return
	}
	for _, store := range stores {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), describeTimeout)
		keeper := describe.Keeper{Catalog: catalog, Store: store}
		if err := keeper.Update(limited, c.changed, c.removed); err != nil {
			outdated(err)
		}
		cancel()
	}
}
